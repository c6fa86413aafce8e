"""Controls: as far from FP32 as the quantized classifier, in weights or in what they do to logits, and reproducible."""

import dataclasses
import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest

from qrsupport import catalog, config, pipeline
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint
from qrsupport.quantization import controls, export, variants, weights

NOISE = ("noise-1", "noise-2", "noise-3")
DRAWN = [name for name in catalog.MATCHED if "noise" in name]


def tensors(folder):
    return {t.name: onnx.numpy_helper.to_array(t) for t in weights.load(folder / "model.onnx").graph.initializer}


@pytest.mark.parametrize("options", [{}, {"per_channel": True}])
def test_noise_has_the_norm_of_the_quantization_error_tensor_by_tensor(tiny, options):
    p = dataclasses.replace(tiny, **options)
    fp32, int8, noisy = (pipeline.variant(p, name) for name in ("fp32", "int8-dynamic", "noise-1"))
    errors = export.weight_errors(fp32 / "model.onnx", int8 / "model.onnx")
    before, after = tensors(fp32), tensors(noisy)
    assert before.keys() == after.keys() and {w for w in before if before[w].ndim == 2} == set(errors)
    for name, weight in before.items():
        if name in errors:
            norm = np.linalg.norm((after[name] - weight).astype(np.float64))
            assert norm == pytest.approx(np.linalg.norm(errors[name].astype(np.float64)), rel=1e-3), name
        else:
            np.testing.assert_array_equal(after[name], weight)


def test_draws_differ_from_each_other_and_are_drawn_alike_each_time(tiny, tmp_path):
    fp32, int8 = (pipeline.variant(tiny, name) / "model.onnx" for name in ("fp32", "int8-dynamic"))
    built = {name: pipeline.classifier(tiny, name).digest for name in NOISE}
    assert len(set(built.values())) == 3
    controls.noise(fp32, int8, tmp_path / "model.onnx", 2, tiny.seed)
    assert (tmp_path / "model.onnx").read_bytes() == (pipeline.variant(tiny, "noise-2") / "model.onnx").read_bytes()


def test_noise_is_executed_in_32_bits_and_hardly_moves_answers(tiny):
    texts = datasets.load(tiny).eval_split().texts[:60]
    exact, noisy = (pipeline.classifier(tiny, name) for name in ("fp32", "noise-3"))
    assert noisy.together == exact.together
    assert 0 < np.abs(noisy(texts) - exact(texts)).max() < 0.5
    about = json.loads((noisy.path / "variant.json").read_text())
    assert (about["variant"], about["precision"]) == ("noise-3", "fp32")


def test_noise_needs_an_error_to_match(tiny, tmp_path):
    fp32 = pipeline.variant(tiny, "fp32") / "model.onnx"
    with pytest.raises(BadCheckpoint, match="no 8-bit weight"):
        controls.noise(fp32, fp32, tmp_path / "model.onnx", 1, 0)


def test_gaussian_has_the_norm_asked_for():
    drawn = controls.gaussian((40, 50), 0.25, "a")
    assert np.linalg.norm(drawn) == pytest.approx(0.25) and abs(drawn.mean()) < 1e-3
    assert not np.array_equal(drawn, controls.gaussian((40, 50), 0.25, "b"))
    assert not controls.gaussian((3,), 0.0, "a").any()


@pytest.mark.slow
def test_other_seed_is_the_same_fine_tuning_with_the_next_seed(tiny):
    p = dataclasses.replace(tiny, epochs=1, train_limit=200)
    other = pipeline.checkpoint(p, "other-seed")
    assert other == pipeline.checkpoint(dataclasses.replace(p, seed=p.seed + 1)) != pipeline.checkpoint(p)
    logits = [pipeline.classifier(p, name)(["a good film"]) for name in ("fp32", "other-seed")]
    assert not np.allclose(*logits)


@pytest.mark.slow
def test_adversarially_trained_then_quantized_is_made_of_the_adversarial_checkpoint(tiny):
    p = dataclasses.replace(tiny, epochs=1, train_limit=200, adversarial_examples=4)
    fp32, int8 = (pipeline.variant(p, name) for name in ("adversarial", "adversarial-int8"))
    assert variants.weight_error(fp32, int8).size
    assert json.loads((int8 / "variant.json").read_text())["precision"] == "int8-dynamic"
    assert config.identity(p, "adversarial-int8").keys() > config.identity(p, "adversarial").keys()


def test_identity_of_noise_follows_the_quantization(tiny):
    q = dataclasses.replace(tiny, per_channel=True)
    for name in (*NOISE, *catalog.MATCHED):
        assert set(catalog.INT8_OPTIONS) <= set(catalog.VARIANTS[name].options)
        assert config.identity(tiny, name) != config.identity(q, name)


# matched by function -------------------------------------------------------------------------------------


def clean_texts(p):
    _, split = datasets.load(p).aside()
    return [split.texts[i] for i in datasets.sample(split, controls.SAMPLE, p.seed)]


@pytest.fixture(scope="module")
def logits(tiny):
    """A variant's logits on the texts on which controls are matched, by its name."""
    texts = clean_texts(tiny)
    return lambda name: pipeline.classifier(tiny, name)(texts).astype(np.float64)


def matched(p, name):
    return json.loads((pipeline.variant(p, name) / "variant.json").read_text())["matched"]


def moved(a, b):
    return np.sqrt(((a - b) ** 2).mean())


def test_controls_are_matched_on_texts_that_are_neither_learned_from_nor_measured_on(tiny):
    found = datasets.load(tiny)
    assert found.evaluation == "test" and found.aside() == ("validation", found.validation)
    assert dataclasses.replace(found, evaluation="validation").aside() == ("test", found.test)
    assert len(clean_texts(tiny)) == controls.SAMPLE


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.slow
def test_noise_moves_clean_logits_as_much_as_int8(tiny, logits, name):
    target, said = moved(logits("int8-dynamic"), logits("fp32")), matched(tiny, name)
    achieved = moved(logits(name), logits("fp32"))
    assert achieved == pytest.approx(target, rel=0.02) and target > 0
    assert said["target"] == pytest.approx(target) and said["achieved"] == pytest.approx(achieved, rel=1e-3)
    relative = [moved(np.diff(logits(v)), np.diff(logits("fp32"))) / 2 for v in ("int8-dynamic", name)]
    assert said["centred"] == pytest.approx(relative, rel=1e-3), "of two classes: half of what one gains on the other"
    assert said["scale"] > 0 and (said["texts"], said["split"]) == (controls.SAMPLE, "validation")


@pytest.mark.slow
def test_each_draw_is_another_model_and_none_is_int8(tiny, logits):
    digests = {pipeline.classifier(tiny, name).digest for name in (*DRAWN, *NOISE, "fp32", "int8-dynamic")}
    assert len(digests) == len(DRAWN) + len(NOISE) + 2
    differences = [logits(name) - logits("fp32") for name in (*DRAWN, "int8-dynamic")]
    together = np.corrcoef([d.ravel() - d.mean() for d in differences])
    assert (np.abs(together[~np.eye(len(together), dtype=bool)]) < 0.99).all()


@pytest.mark.parametrize("name", ["logit-noise-2", "activation-noise-2"])
@pytest.mark.slow
def test_a_draw_is_made_alike_each_time(tiny, tmp_path, name):
    there, room = pipeline.variant(tiny, name), tmp_path / "again"
    shutil.copytree(there, room)
    (room / "model.onnx").unlink(), (room / weights.FILE).unlink(missing_ok=True)
    fp32, int8 = (pipeline.variant(tiny, v) for v in ("fp32", "int8-dynamic"))
    make, _ = controls.DRAWN[name[:-2]]
    make(controls.Pair(fp32, int8, clean_texts(tiny), tiny.seed), room, 2)
    assert (room / "model.onnx").read_bytes() == (there / "model.onnx").read_bytes()


def test_noise_on_activations_leaves_every_weight_and_takes_no_space(tiny):
    before, after = (tensors(pipeline.variant(tiny, name)) for name in ("fp32", "activation-noise-1"))
    assert all(np.array_equal(after[name], weight) for name, weight in before.items())
    assert sum(name.endswith("/pattern") for name in after) >= 4
    lent = pipeline.variant(tiny, "activation-noise-1") / weights.FILE
    assert lent.stat().st_ino == (pipeline.variant(tiny, "fp32") / weights.FILE).stat().st_ino


def product(tmp_path, weight):
    """An ONNX file: `x` (texts, places, len(weight)) times `weight`."""
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", "length", width]) for n, width in zip("xy", weight.shape)]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "product", ends[:1], ends[1:],
        [onnx.numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", export.OPSET)], ir_version=8)
    onnx.save(model, tmp_path / "product.onnx")
    return tmp_path / "product.onnx"


def test_noise_on_an_activation_is_a_share_of_its_texts_range_by_place_and_channel(tmp_path):
    file = product(tmp_path, np.eye(64, dtype=np.float32))
    made = controls.noisy_activations(file, {"w"}, 32, "a draw", 1.0)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    texts = np.random.default_rng(0).normal(1, 3, (3, 32, 64)).astype(np.float32)
    texts[2] = np.abs(texts[2]) + 1  # zero is part of the range

    def added(x):
        return session.run(None, {"x": x})[0] - x

    extent = np.maximum(texts.max((1, 2)), 0) - np.minimum(texts.min((1, 2)), 0)
    shares = [added(text[None])[0] / size for text, size in zip(texts, extent)]
    np.testing.assert_allclose(shares[0], shares[1], atol=1e-6), np.testing.assert_allclose(shares[0], shares[2], atol=1e-6)
    assert np.sqrt((shares[0] ** 2).mean()) == pytest.approx(1 / (255 * np.sqrt(12)), rel=0.01)
    assert len(np.unique(shares[0].round(7), axis=0)) == 32, "another pattern at each place"
    alone = [session.run(None, {"x": text[None]})[0][0] for text in texts]
    assert np.array_equal(session.run(None, {"x": texts})[0], alone)
    short = texts[:1, :5]
    np.testing.assert_allclose(added(short)[0] / (short.max() - short.min()), shares[0][:5], atol=1e-6)


def test_shift_controls_have_int8s_mean_shift_and_none(tiny, logits):
    fp32, int8 = logits("fp32"), logits("int8-dynamic")
    shift = (int8 - fp32).mean(0)
    assert np.abs(shift).max() > 1e-4, "of a size to be told from none below"
    np.testing.assert_allclose(logits("fp32-shifted") - fp32, np.broadcast_to(shift, fp32.shape), atol=2e-6)
    np.testing.assert_allclose((logits("fp32-shifted") - fp32).mean(0), shift, atol=2e-6)
    np.testing.assert_allclose((logits("int8-unshifted") - fp32).mean(0), 0, atol=2e-6)
    np.testing.assert_allclose(matched(tiny, "fp32-shifted")["shift"], shift, atol=1e-9)
    np.testing.assert_allclose(matched(tiny, "int8-unshifted")["shift"], -shift, atol=1e-9)


@pytest.mark.parametrize("name", catalog.MATCHED)
def test_the_answer_of_a_matched_control_is_the_texts_own(tiny, name):
    model, texts = pipeline.classifier(tiny, name), datasets.load(tiny).eval_split().texts[:80]
    alike = "int8-dynamic" if name == "int8-unshifted" else "fp32"
    assert model.together == pipeline.classifier(tiny, alike).together
    assert np.array_equal(model(texts), np.concatenate([model([text]) for text in texts]))


@pytest.mark.parametrize("power", [0.7, 1, 1.3, 1.8, 1.86, 1.9, 1.95, 1.98, 2, 2.2, 4])
@pytest.mark.parametrize("target", [0.02, 0.37, 0.525, 3])
def test_a_size_is_found_however_fast_logits_move(power, target):
    scale, achieved = controls.size(lambda scale: 0.229 * scale**power, target)
    assert achieved == 0.229 * scale**power == pytest.approx(target, rel=controls.TOLERANCE)
    assert controls.size(lambda scale: min(0.229 * scale**power, 0.9 * target), target) is None


@pytest.mark.slow
def test_noise_without_a_movement_to_match_is_refused(tiny, tmp_path):
    fp32, int8 = (pipeline.variant(tiny, name) for name in ("fp32", "int8-dynamic"))
    with pytest.raises(BadCheckpoint, match="no 8-bit weight"):
        controls.logit_noise(controls.Pair(fp32, fp32, ["a good film"], 0), tmp_path, 1)
    with pytest.raises(BadCheckpoint, match="no size of noise moves the logits"):
        controls.fit(controls.Pair(fp32, fp32, ["a good film"], 0), tmp_path, lambda scale: None)
    shutil.copytree(fp32, tmp_path / "room")
    with pytest.raises(BadCheckpoint, match="no size of noise moves the logits"):
        controls.fit(
            controls.Pair(fp32, int8, ["a good film"], 0), tmp_path / "room", lambda _: weights.load(fp32 / "model.onnx")
        )


@pytest.mark.slow
def test_matched_controls_are_attacked_and_replayed_as_any_variant(tiny):
    p = dataclasses.replace(tiny, attack="pwws", n=3)
    assert len(pipeline.attack(p, "activation-noise-1", progress=False)) == 3
    for name in ("logit-noise-1", "fp32-shifted", "int8-unshifted"):
        assert {r.target for r in pipeline.replay(p, "fp32", name)} == {name}
