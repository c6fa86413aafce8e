"""The precision ladder: every rung answers like 32 bits, may batch only where rows are independent, and says what it lacks."""

import dataclasses
import json

import numpy as np
import onnx
import pytest

from qrsupport import catalog, config, pipeline
from qrsupport.data import datasets
from qrsupport.errors import BadParameter, CannotRun
from qrsupport.quantization import classifiers, precisions, weights

KERNELS = (
    "int8-dynamic-channel", "int8-dynamic-unsigned", "int8-dynamic-reduced", "int8-static-minmax",
    "int8-static-entropy", "int8-static-percentile", "int8-weights", "int4-weights", "fp16",
)  # fmt: skip
N = 100


@pytest.fixture(scope="module")
def few(tiny):
    """The shared parameters, with a small calibration set."""
    return dataclasses.replace(tiny, calibration_examples=16)


@pytest.fixture(scope="module")
def texts(tiny):
    return datasets.load(tiny).eval_split().texts[:N]


def about(path):
    return json.loads((path / "variant.json").read_text("utf-8"))


@pytest.mark.parametrize("name", KERNELS)
def test_a_rung_answers_nearly_as_32_bits_and_is_smaller(few, texts, name):
    fp32, path = pipeline.variant(few, "fp32"), pipeline.variant(few, name)
    a, b = classifiers.load(fp32)(texts), classifiers.load(path)(texts)
    assert (a.argmax(1) == b.argmax(1)).mean() >= 0.95
    assert 0 < np.abs(a - b).max() < 1
    assert about(path)["bytes"] == (path / "model.onnx").stat().st_size < 0.65 * about(fp32)["bytes"]
    assert not about(path)["simulated"]


def initializers(path):
    return {t.name: t for t in weights.load(path / "model.onnx").graph.initializer}


def test_fixed_options_do_what_they_say_whatever_the_parameters(few):
    other = dataclasses.replace(few, per_channel=True, reduce_range=True, weight_type="QUInt8")
    for name in ("int8-dynamic-channel", "int8-dynamic-unsigned", "int8-dynamic-reduced"):
        assert pipeline.variant(few, name) == pipeline.variant(other, name)
    of = {name: initializers(pipeline.variant(few, name)) for name in (*KERNELS[:3], "int8-dynamic")}
    scales = {
        name: max(np.prod(t.dims) for n, t in found.items() if n.endswith("_scale")) for name, found in of.items()
    }
    assert scales["int8-dynamic-channel"] > 1 == scales["int8-dynamic"]
    first = min(n for n in of["int8-dynamic"] if "MatMul" in n and n.endswith("_quantized"))
    codes = {name: onnx.numpy_helper.to_array(found[first]) for name, found in of.items()}
    assert codes["int8-dynamic-unsigned"].dtype == np.uint8 and codes["int8-dynamic"].dtype == np.int8
    assert (
        np.abs(codes["int8-dynamic-reduced"].astype(int)).max() <= 64 < np.abs(codes["int8-dynamic"].astype(int)).max()
    )


def test_calibration_is_part_of_a_static_variant(few):
    assert pipeline.variant(few, "int8-static-minmax") != pipeline.variant(
        dataclasses.replace(few, calibration_examples=17), "int8-static-minmax"
    )
    again = dataclasses.replace(few, calibration_examples=17)
    assert config.identity(few, "int8-dynamic") == config.identity(again, "int8-dynamic")


def test_methods_of_calibration_differ(few, texts):
    found = [
        pipeline.classifier(few, f"int8-static-{m}")(texts[:20]) for m in ("minmax", "entropy", "percentile")
    ]
    assert not np.array_equal(found[0], found[1]) and not np.array_equal(found[1], found[2])


def test_an_empty_calibration_set_is_named(few, tmp_path):
    with pytest.raises(BadParameter, match=r"calibration set is empty \(0 texts\)"):
        precisions.calibrated(pipeline.variant(few, "fp32"), tmp_path / "x.onnx", "MinMax", [])
    with pytest.raises(BadParameter, match="calibration_examples=0"):
        config.make(calibration_examples=0)


@pytest.mark.parametrize("name", ["fp32", "int8-dynamic", "int8-static-minmax", "int4-weights", "fp16", "w4", "w4a4"])
def test_an_answer_does_not_depend_on_company(few, texts, name):
    model = pipeline.classifier(few, name)
    alone = np.concatenate([model([text]) for text in texts[:40]])
    assert np.array_equal(model(texts[:40]), alone)
    assert np.array_equal(model(texts[:40][::-1])[::-1], alone)


def test_the_nearest_exist():
    for name, entry in catalog.VARIANTS.items():
        assert set(entry.nearest) <= set(catalog.VARIANTS) - {name}


def test_this_machine_runs_all():
    assert {name: precisions.lacks(name) for name in catalog.VARIANTS} == dict.fromkeys(catalog.VARIANTS, "")


def test_a_missing_kernel_is_said_before_work(tmp_path, monkeypatch):
    p = config.make(backbone="bert-small", run_dir=str(tmp_path))
    monkeypatch.setitem(precisions.PROBES, "int4-weights", lambda: "no kernel for 4-bit weights")
    with pytest.raises(CannotRun, match="'int4-weights' cannot run: no kernel for 4-bit weights; take 'w4'"):
        pipeline.variant(p, "int4-weights")
    monkeypatch.setitem(precisions.PROBES, "w4", lambda: "neither")
    with pytest.raises(CannotRun, match="take 'fp32'"):
        pipeline.variant(p, "int4-weights")
    assert not list(tmp_path.iterdir())


def test_the_probe_asks_the_machine(monkeypatch):
    precisions._lacks_n_bits.cache_clear()
    monkeypatch.setattr(precisions, "_n_bits", lambda model, bits: onnx.ModelProto())
    try:
        assert "no kernel for 4-bit weights" in precisions._lacks_n_bits(4)
    finally:
        precisions._lacks_n_bits.cache_clear()
