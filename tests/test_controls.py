"""Controls: as far from FP32 as the quantized classifier, tensor by tensor, and reproducible."""

import dataclasses
import json

import numpy as np
import onnx
import pytest

from qrsupport import catalog, config, pipeline
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint
from qrsupport.quantization import controls, export, variants, weights

NOISE = ("noise-1", "noise-2", "noise-3")


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


def test_other_seed_is_the_same_fine_tuning_with_the_next_seed(tiny):
    p = dataclasses.replace(tiny, epochs=1, train_limit=200)
    other = pipeline.checkpoint(p, "other-seed")
    assert other == pipeline.checkpoint(dataclasses.replace(p, seed=p.seed + 1)) != pipeline.checkpoint(p)
    logits = [pipeline.classifier(p, name)(["a good film"]) for name in ("fp32", "other-seed")]
    assert not np.allclose(*logits)


def test_adversarially_trained_then_quantized_is_made_of_the_adversarial_checkpoint(tiny):
    p = dataclasses.replace(tiny, epochs=1, train_limit=200, adversarial_examples=4)
    fp32, int8 = (pipeline.variant(p, name) for name in ("adversarial", "adversarial-int8"))
    assert variants.weight_error(fp32, int8).size
    assert json.loads((int8 / "variant.json").read_text())["precision"] == "int8-dynamic"
    assert config.identity(p, "adversarial-int8").keys() > config.identity(p, "adversarial").keys()


def test_identity_of_noise_follows_the_quantization(tiny):
    q = dataclasses.replace(tiny, per_channel=True)
    for name in NOISE:
        assert set(catalog.INT8_OPTIONS) <= set(catalog.VARIANTS[name].options)
        assert config.identity(tiny, name) != config.identity(q, name)
