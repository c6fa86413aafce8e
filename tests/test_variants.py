"""Variants: what is executed is what was trained; 8 bits are made from 32; folders are checked."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest

from qrsupport import catalog, pipeline, store
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint, UnknownName
from qrsupport.experiments import execution
from qrsupport.quantization import classifiers, ensembles, export, precisions, variants, victim, weights
from qrsupport.training import fine_tuning


@pytest.mark.parametrize("backbone", ["bert-small", "distilbert-small"])
@pytest.mark.slow
def test_fp32_answers_as_torch_does(tiny, backbone):
    p = dataclasses.replace(tiny, backbone=backbone, epochs=1)
    found = execution.compare_with_torch(p, n=40)
    assert found["n"] == 40 and found["label_agreement"] == 1
    assert found["max_logit_difference"] < 1e-5


def test_export_that_answers_differently_is_refused(tiny, tmp_path, monkeypatch):
    p = dataclasses.replace(tiny, epochs=1, train_limit=60, run_dir=str(tmp_path))
    monkeypatch.setattr(export, "compare", lambda *_: {"label_agreement": 0.9, "max_logit_difference": 0.0, "n": 64})
    with pytest.raises(BadCheckpoint, match="differently from torch"):
        pipeline.variant(p, "fp32")
    assert not list(tmp_path.glob("variants/[!.]*"))


def test_int8_is_smaller_and_nearly_the_same(tiny):
    fp32, int8 = pipeline.variant(tiny, "fp32"), pipeline.variant(tiny, "int8-dynamic")
    about = json.loads((int8 / "variant.json").read_text())
    assert about["precision"] == about["variant"] == "int8-dynamic"
    assert about["options"] == {"per_channel": False, "reduce_range": False, "weight_type": "QInt8"}
    assert about["bytes"] == (int8 / "model.onnx").stat().st_size < 0.4 * weights.size(fp32 / "model.onnx")
    texts = datasets.load(tiny).eval_split().texts[:100]
    a, b = (victim.predict(classifiers.load(path), texts) for path in (fp32, int8))
    assert 0 < np.abs(a - b).max() < 0.5 and (a.argmax(1) == b.argmax(1)).mean() > 0.9


@pytest.mark.parametrize("options", [{"per_channel": True}, {"reduce_range": True}, {"weight_type": "QUInt8"}])
def test_options_of_the_quantization_reach_it(tiny, options):
    plain, other = (
        pipeline.variant(tiny, "int8-dynamic"),
        pipeline.variant(dataclasses.replace(tiny, **options), "int8-dynamic"),
    )
    assert plain != other and classifiers.load(plain).digest != classifiers.load(other).digest
    error = variants.weight_error(pipeline.variant(tiny, "fp32"), other)
    assert error.size and 0 < np.abs(error).max() < 0.02


def test_weight_error_is_half_a_step_at_most(tiny):
    fp32, int8 = pipeline.variant(tiny, "fp32"), pipeline.variant(tiny, "int8-dynamic")
    error = variants.weight_error(fp32, int8)
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(int8 / "model.onnx").graph.initializer}
    steps = [v for name, v in tensors.items() if name.endswith("_scale")]
    assert error.size == sum(v.size for name, v in tensors.items() if name.endswith("_quantized"))
    assert np.abs(error).max() <= 0.5001 * max(s.max() for s in steps)
    assert variants.weight_error(fp32, fp32).size == 0


@pytest.mark.slow
def test_made_twice_the_model_has_the_same_bytes(tiny, tmp_path):
    p = dataclasses.replace(tiny, epochs=1, train_limit=60)
    for name in ("fp32", "int8-dynamic"):
        one = pipeline.variant(dataclasses.replace(p, run_dir=str(tmp_path / "a")), name)
        two = pipeline.variant(dataclasses.replace(p, run_dir=str(tmp_path / "b")), name)
        assert one.name == two.name and classifiers.load(one).digest == classifiers.load(two).digest


def test_altered_or_missing_model_is_named_and_made_again(tiny, tmp_path, capsys):
    p = dataclasses.replace(tiny, epochs=1, train_limit=60, run_dir=str(tmp_path))
    path = pipeline.variant(p, "int8-dynamic")
    content = (path / "model.onnx").read_bytes()
    (path / "model.onnx").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    capsys.readouterr()
    pipeline.variant(p, "int8-dynamic")
    assert "made again" in (said := capsys.readouterr().err) and "model.onnx" in said
    assert (path / "model.onnx").read_bytes() == content
    (path / "model.onnx").unlink()
    assert (pipeline.variant(p, "int8-dynamic") / "model.onnx").read_bytes() == content


def test_unknown_variant(tiny):
    with pytest.raises(UnknownName, match="did you mean 'int8-dynamic'"):
        pipeline.variant(tiny, "int8-dynamc")


def test_every_variant_has_a_precision_and_a_checkpoint():
    for entry in catalog.VARIANTS.values():
        known = ensembles.RULES if entry.members else variants.PRECISIONS
        assert entry.precision in known and entry.checkpoint in fine_tuning.OPTIONS


@pytest.mark.slow
def test_adversarial_training_adds_examples_and_keeps_its_costs(tiny):
    p = dataclasses.replace(tiny, adversarial_examples=12)
    path = pipeline.variant(p, "adversarial")
    base, other = pipeline.checkpoint(p), pipeline.checkpoint(p, "adversarial")
    assert store.sha256(base / "model.safetensors") != store.sha256(other / "model.safetensors")
    assert "added to the training split: 0" not in (other / "card.md").read_text()
    costs = store.meta(other)
    ended = [costs[f"examples_{name}"] for name in ("succeeded", "failed", "skipped")]
    assert sum(ended) == 12 and ended[0] > 0
    assert f"added to the training split: {ended[0]} (attacked {ended[0] + ended[1]}, failed {ended[1]}; skipped" in (
        other / "card.md"
    ).read_text()
    assert costs["attack_queries"] > 0 and costs["attack_seconds"] > 0 and costs["seconds"] > 0
    assert classifiers.load(path).digest != pipeline.classifier(p, "fp32").digest


@pytest.mark.slow
def test_anew_learns_further_from_examples_made_for_what_it_starts_from(tiny):
    from safetensors.numpy import load_file

    p = dataclasses.replace(tiny, adversarial_examples=12)
    path = {which: pipeline.checkpoint(p, which) for which in ("base", "adversarial", "anew-1", "anew-2")}
    weights = {which: load_file(folder / "model.safetensors") for which, folder in path.items()}

    def apart(one, other):
        return sum(float(((w - weights[other][name]) ** 2).sum()) for name, w in weights[one].items())

    assert 0 < apart("anew-1", "base") < apart("adversarial", "base") and 0 < apart("anew-2", "anew-1") < apart("anew-2", "adversarial")
    for which, start in (("anew-1", "base"), ("anew-2", "anew-1")):
        depends = store.intact(path[which])["depends"]
        assert depends["start"] == store.sha256(path[start] / "model.safetensors")
        assert f"for one epoch more of {path[start].name}" in (path[which] / "card.md").read_text()
        assert fine_tuning.history(path[which])["epoch"].tolist()[-1] == 1 < p.epochs
        assert store.meta(path[which])["examples_succeeded"] > 0
    made = {which: pipeline.training_attack(p, which, progress=False) for which in ("adversarial", "anew-1", "anew-2")}
    assert made["anew-1"] == made["adversarial"] and {r.variant for r in made["anew-2"]} == {"anew-1"}
    assert {r.example for r in made["anew-2"]} != {r.example for r in made["anew-1"]}
    assert pipeline.checkpoint(dataclasses.replace(p, adversarial_examples=3), "anew-1") != path["anew-1"]


@pytest.mark.slow
def test_longer_learns_what_anew_does_but_from_the_texts_before_they_were_attacked(tiny, monkeypatch):
    p, built = dataclasses.replace(tiny, adversarial_examples=12), {}
    build = fine_tuning.build

    def watched(p, dataset, folder, which, attacked, start):
        built[which] = (*dataset.train.texts, *fine_tuning.examples(attacked)[0]), start
        return build(p, dataset, folder, which, attacked, start)

    monkeypatch.setattr(fine_tuning, "build", watched)
    q = dataclasses.replace(p, run_dir=f"{p.run_dir}-longer")
    path = pipeline.checkpoint(q, "longer-2")
    made = {which: pipeline.training_attack(q, which, progress=False) for which in catalog.ANEW[:2]}
    train = pipeline.dataset(q).train
    for which, name in zip(catalog.ANEW[:2], catalog.LONGER, strict=False):
        turned = [r for r in made[which] if r.status == "succeeded"]
        pipeline.checkpoint(q, which)
        assert built[name][0] == (*train.texts, *(train.texts[train.ids.index(r.example)] for r in turned))
        assert built[which][0] == (*train.texts, *(r.perturbed for r in turned)) and turned
    assert built["longer-1"][1] == built["anew-1"][1] and built["longer-2"][1].name.startswith("embedded-bert-small-s0-longer-1")
    assert "added to the training split: 0, for one epoch more of" in (path / "card.md").read_text()


def test_latencies_are_in_milliseconds_and_taken_in_turns(tiny, monkeypatch):
    paths, asked = {name: pipeline.variant(tiny, name) for name in ("fp32", "int8-dynamic")}, []
    load = classifiers.load

    def watched(path):
        classifier = load(path)
        return lambda texts: (asked.append((path, *texts)), classifier(texts))[1]

    monkeypatch.setattr(variants.classifiers, "load", watched)
    both = variants.latencies(paths, ["a good film", "a bad film"], 20)
    assert asked[:4] == [(path, text) for text in ("a good film", "a bad film") for path in paths.values()]
    assert len(asked) == 2 * (10 + 20) and list(both) == list(paths) and len(both["fp32"]["load"]) == 2
    found = both["int8-dynamic"]
    assert 0.01 < found["low"] <= found["median"] <= found["high"] < 1000 and found["repeats"] == 20


AT_ONCE = ("int8-dynamic-channel", "int8-dynamic-unsigned", "int8-dynamic-reduced", "int8-static-minmax")


@pytest.mark.slow
def test_quantizing_leaves_the_folder_of_the_32_bit_variant_alone(tiny):
    """Also where a name that ONNX Runtime writes beside a model is taken."""
    p = dataclasses.replace(tiny, calibration_examples=3, epochs=1, train_limit=60)
    fp32 = pipeline.variant(p, "fp32")
    (fp32 / "model-inferred.onnx").mkdir()
    for name in AT_ONCE:
        precisions.MADE[name](p, datasets.load(p), fp32, fp32.parent / f"{name}.onnx")
        assert (fp32.parent / f"{name}.onnx").is_file()
    assert (fp32 / "model-inferred.onnx").is_dir()


@pytest.mark.slow
def test_processes_quantize_one_checkpoint_at_the_same_time(tiny):
    fp32 = pipeline.variant(tiny, "fp32")
    before = {f.name: store.sha256(f) for f in fp32.iterdir()}
    code = (
        "import sys; from pathlib import Path; from qrsupport.quantization import precisions as ladder; from qrsupport import config\n"
        "fp32, target, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]\n"
        "for i in range(4): ladder.MADE[name](config.Parameters(), None, fp32, target)"
    )
    targets = {name: fp32.parent / f"at-once-{name}.onnx" for name in AT_ONCE[:3]}
    running = [subprocess.Popen([sys.executable, "-c", code, fp32, targets[n], n], stderr=subprocess.PIPE) for n in targets]
    for process in running:
        said = process.communicate(timeout=300)[1].decode()
        assert process.returncode == 0, said
    assert {f.name: store.sha256(f) for f in fp32.iterdir()} == before
    for name, target in targets.items():
        assert target.read_bytes() == (pipeline.variant(tiny, name) / "model.onnx").read_bytes()
