"""Checkpoints taken as they are: labels in the data's order, ONNX files, and everything that does not fit."""

import dataclasses
import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.torch import load_file, save_file

from qrsupport import config, pipeline, store
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint, BadParameter, CannotRun
from qrsupport.experiments import execution, measure
from qrsupport.quantization import weights
from qrsupport.training import fine_tuning, given


@pytest.fixture
def own(tiny, tmp_path):
    """Parameters of a copy of the fine-tuned checkpoint, taken as it is, on texts of its own data."""
    shutil.copytree(pipeline.checkpoint(tiny), tmp_path / "mine")
    split = datasets.load(tiny).test
    names = datasets.load(tiny).labels
    lines = [json.dumps({"text": t, "label": names[y]}) for t, y in zip(split.texts[:120], split.labels)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines), "utf-8")
    given = {"dataset": str(tmp_path / "texts.jsonl"), "backbone": str(tmp_path / "mine"), "splits": "10/30/60"}
    return config.make(**given, epochs=0, n=4, run_dir=str(tmp_path / "runs"))


@pytest.fixture
def as_onnx(tiny, own, tmp_path):
    """As `own`, of an ONNX file with its tokenizer."""
    (tmp_path / "onnx").mkdir()
    made = pipeline.variant(tiny, "fp32")
    onnx.save(weights.load(made / "model.onnx"), tmp_path / "onnx" / "model.onnx")
    shutil.copy(made / "tokenizer.json", tmp_path / "onnx")
    return dataclasses.replace(own, backbone=str(tmp_path / "onnx"))


def rename(p, *names):
    """Gives the classes of the checkpoint's settings these names."""
    file = config.Path(p.backbone) / "config.json"
    content = json.loads(file.read_text()) if file.exists() else {}
    store.write_json(file, content | {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}})


def accuracy(p, variant="fp32"):
    split = datasets.load(p).eval_split()
    return float((pipeline.classifier(p, variant)(split.texts).argmax(1) == split.labels).mean())


def test_checkpoint_is_taken_as_it_is(tiny, own, capsys):
    path = pipeline.checkpoint(own)
    ours, theirs = (load_file(f / "model.safetensors") for f in (path, pipeline.checkpoint(tiny)))
    assert all((ours[name] == weight).all() for name, weight in theirs.items())
    assert len(fine_tuning.history(path)) == 1 and fine_tuning.history(path)["validation accuracy"][0] > 0.6
    assert "as it is" in (path / "card.md").read_text() and "warning" not in capsys.readouterr().err
    assert execution.compare_with_torch(own, n=20)["label_agreement"] == 1
    assert accuracy(own) > 0.6


@pytest.mark.slow
def test_classes_in_another_order_and_case_are_put_in_order(own):
    plain = accuracy(own)
    rename(own, "Positive", "NEGATIVE")
    tensors = load_file(f"{own.backbone}/model.safetensors")
    for part in ("classifier.weight", "classifier.bias"):
        tensors[part] = tensors[part].flip(0).contiguous()
    save_file(tensors, f"{own.backbone}/model.safetensors", {"format": "pt"})
    again = dataclasses.replace(own, run_dir=own.run_dir + "2")
    assert accuracy(again) == plain
    assert tuple(json.loads((pipeline.checkpoint(again) / "config.json").read_text())["id2label"].values()) == ("negative", "positive")


@pytest.mark.slow
def test_map_says_what_unnamed_classes_are_and_a_turned_one_is_warned_of(own, capsys):
    rename(own, "LABEL_0", "LABEL_1")
    plain = accuracy(own)
    assert "warning" not in capsys.readouterr().err
    turned = dataclasses.replace(own, label_map="LABEL_0=positive, 1=negative")
    assert accuracy(turned) == pytest.approx(1 - plain)
    assert "below chance (50.0 %): the label map may be turned" in capsys.readouterr().err
    path = pipeline.checkpoint(turned)
    assert "Warning: accuracy on the validation split" in (path / "card.md").read_text()
    assert "turned" in store.meta(path)["warning"]


@pytest.mark.parametrize("label_map", ["0=negative", "0=negative,1=negative", "0=negative,2=positive", "0:negative,1:positive"])
def test_maps_that_cannot_be(own, label_map):
    with pytest.raises(BadParameter, match="label_map="):
        pipeline.checkpoint(dataclasses.replace(own, label_map=label_map))


def test_names_that_do_not_fit(own):
    rename(own, "spam", "ham")
    with pytest.raises(BadCheckpoint, match="has the classes spam, ham, the data negative, positive.*label_map=0=negative"):
        pipeline.checkpoint(own)


def test_number_of_classes_must_fit(own):
    with pytest.raises(BadCheckpoint, match="classifies into 2 classes, embedded-emotion has 6"):
        pipeline.checkpoint(dataclasses.replace(own, dataset="embedded-emotion"))


def test_untrained_classifier_is_refused(own, tiny):
    with pytest.raises(BadCheckpoint, match="'bert-small'.*its classifier was never trained"):
        pipeline.checkpoint(dataclasses.replace(tiny, epochs=0))
    file = config.Path(own.backbone) / "config.json"
    content = json.loads(file.read_text())
    store.write_json(file, content | {"architectures": ["BertModel"]})
    with pytest.raises(BadCheckpoint, match="its classifier was never trained"):
        pipeline.checkpoint(own)
    store.write_json(file, content)
    tensors = load_file(f"{own.backbone}/model.safetensors")
    kept = {name: w for name, w in tensors.items() if not name.startswith("classifier")}
    save_file(kept, f"{own.backbone}/model.safetensors", {"format": "pt"})
    with pytest.raises(BadCheckpoint, match="no weights classifier.bias, classifier.weight: its classifier was never"):
        pipeline.checkpoint(own)


def test_tokenizer_of_another_model(own):
    file = config.Path(own.backbone) / "tokenizer.json"
    content = json.loads(file.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary |= {f"more{i}": len(vocabulary) + i for i in range(7)}
    file.write_text(json.dumps(content))
    with pytest.raises(BadCheckpoint, match="tokenizer of .* it is another model's"):
        pipeline.checkpoint(own)


@pytest.mark.parametrize("name", ["other-seed", "adversarial", "qat8", "qat4-fp32"])
def test_what_needs_training_is_refused_by_name(own, name):
    with pytest.raises(CannotRun, match="has to be fine-tuned.*noise-1"):
        pipeline.check(own, name)
    with pytest.raises(CannotRun, match="has to be fine-tuned"):
        pipeline.variant(own, name)
    assert name not in measure.runnable(own) and "noise-1" in measure.runnable(own)


@pytest.mark.slow
def test_onnx_file_is_the_32_bit_variant_and_the_rest_is_made_of_it(own, as_onnx):
    texts = datasets.load(own).eval_split().texts[:20]
    for name in ("fp32", "int8-dynamic", "noise-1", "w4a4"):
        one, two = (pipeline.classifier(p, name)(texts) for p in (own, as_onnx))
        assert np.abs(one - two).max() < 1e-5, name
    with pytest.raises(CannotRun, match="ONNX file"):
        execution.compare_with_torch(as_onnx)


def test_onnx_classes_in_another_order(as_onnx, capsys):
    plain = accuracy(as_onnx)
    rename(as_onnx, "POSITIVE", "NEGATIVE")
    turned = dataclasses.replace(as_onnx, run_dir=as_onnx.run_dir + "2")
    assert accuracy(turned) == pytest.approx(1 - plain) and "may be turned" in capsys.readouterr().err
    assert accuracy(turned, "int8-dynamic") < 0.5
    named = dataclasses.replace(as_onnx, label_map="0=negative,1=positive", run_dir=as_onnx.run_dir + "3")
    assert accuracy(named) == plain


def spoil(change):
    """A function that writes the ONNX file of a folder again after `change(model)`."""

    def of(folder):
        model = onnx.load(folder / "model.onnx")
        change(model)
        (folder / "model.onnx").write_bytes(model.SerializeToString())

    return of


def half(model):
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))


def outside(model):
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "../../outside"


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda f: (f / "model.onnx").write_bytes(b"no model"), "model.onnx"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda f: (f / "config.json").write_text("{"), "config.json cannot be read"),
        (spoil(half), "not in 32 bits any more"),
        (spoil(outside), "keeps its weights in another file"),
        (spoil(lambda m: setattr(m.graph.input[0], "name", "tokens")), "has the inputs tokens"),
        (spoil(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 6)), "each int64"),
    ],
)
def test_onnx_files_that_do_not_fit(as_onnx, change, words):
    change(config.Path(as_onnx.backbone))
    with pytest.raises(BadCheckpoint, match=words):
        pipeline.variant(as_onnx, "fp32")
    assert not list(config.Path(as_onnx.run_dir).glob("*/[!.]*"))


def test_quantized_onnx_is_refused_and_none_can_be_fine_tuned(tiny, as_onnx):
    with pytest.raises(BadParameter, match="epochs=2: .* cannot be fine-tuned; set epochs=0"):
        pipeline.checkpoint(dataclasses.replace(as_onnx, epochs=2))
    shutil.copy(pipeline.variant(tiny, "int8-dynamic") / "model.onnx", as_onnx.backbone)
    with pytest.raises(BadCheckpoint, match="not in 32 bits any more .*MatMulInteger"):
        pipeline.checkpoint(as_onnx)


def test_weights_settings_or_tokenizer_changed_are_noticed(own):
    before = given.is_onnx(own.backbone), fine_tuning.backbones.digest(own)
    rename(own, "LABEL_0", "LABEL_1")
    assert not before[0] and fine_tuning.backbones.digest(own) != before[1]
