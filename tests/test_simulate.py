"""Simulated widths: what they round, that 8 bits are the kernel's and 16 bits none, and bad widths."""

import json

import numpy as np
import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from qrsupport import catalog, config, pipeline, store
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint, BadParameter
from qrsupport.quantization import simulate, victim, weights
from qrsupport.training import formula

N = 150


@pytest.fixture(scope="module")
def logits(tiny):
    """The logits of a variant on some texts of the evaluation split, by its name."""
    texts = datasets.load(tiny).eval_split().texts[:N]
    return lambda name: pipeline.classifier(tiny, name)(texts)


def about(tiny, name):
    return json.loads((pipeline.variant(tiny, name) / "variant.json").read_text("utf-8"))


def agreement(a, b):
    return (a.argmax(1) == b.argmax(1)).mean()


def test_eight_bits_are_the_kernel(logits):
    fp32, kernel, ours = logits("fp32"), logits("int8-dynamic"), logits("w8a8")
    assert agreement(kernel, ours) == 1
    assert np.abs(kernel - fp32).mean() > 4 * np.abs(kernel - ours).mean(), "nearer to the kernel than to 32 bits"


@pytest.mark.parametrize("name", ["w16", "a16", "w16a16"])
def test_sixteen_bits_are_none(logits, name):
    assert agreement(logits("fp32"), logits(name)) == 1
    assert 0 < np.abs(logits("fp32") - logits(name)).max() < 1e-3


@pytest.mark.parametrize("what", ["w{}", "a{}", "w{}a{}"])
def test_fewer_bits_are_further_away(logits, what):
    fp32 = logits("fp32")
    away = [np.abs(fp32 - logits(what.format(b, b))).mean() for b in (3, 5, 8)]
    assert away[0] > away[1] > away[2] > 0


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30), st.integers(2, 16))
def test_rounding_of_weights(values, bits):
    w = np.array(values, np.float32).reshape(1, -1)
    extent = {
        simulate.symmetric_codes: np.abs(w).max() / (2 ** (bits - 1) - 1),
        simulate.asymmetric_codes: (w.max(initial=0) - w.min(initial=0)) / (2**bits - 1),
    }
    for how, scale in extent.items():
        rounded = simulate.values(*how(w, bits))
        assert rounded.dtype == np.float32 and rounded.shape == w.shape
        assert np.abs(rounded - w).max() <= (0.5 if how is simulate.symmetric_codes else 1) * scale * (1 + 1e-4) + 1e-30
        assert len(np.unique(rounded)) <= 2**bits - (how is simulate.symmetric_codes)
        assert np.array_equal(simulate.values(*how(np.zeros((2, 2), np.float32), bits)), np.zeros((2, 2)))
    there, back = (simulate.values(*simulate.symmetric_codes(x, bits)) for x in (w, -w))
    assert np.array_equal(there, -back)


def product(tmp_path, weight):
    """A file with one MatMul of `x` (1 × rows) by `weight`."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n])
        for name, n in zip("xy", weight.shape, strict=True)
    ]
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="m")
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "product.onnx")
    return tmp_path / "product.onnx"


def test_the_file_made_is_the_same_to_the_last_byte(tmp_path):
    """Records name the digest of the file that they were made with."""
    weight = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    simulate.rewrite(product(tmp_path, weight), tmp_path / "w4a4.onnx", 4, 4)
    assert store.sha256(tmp_path / "w4a4.onnx") == "bdc09cf827c8c73e85e82b20a6766392520ccdfb611aedf3c30ca29baee2bbac"


def run(file, x):
    return victim._session(file, 1, True).run(None, {"x": np.array([x], np.float32)})[0][0]


def test_activations_are_rounded_by_hand(tmp_path):
    """The product with the identity shows them: 2 bits over [-1, 2] are the levels -1, 0, 1, 2."""
    source = product(tmp_path, np.eye(5, dtype=np.float32))
    simulate.rewrite(source, tmp_path / "a2.onnx", None, 2)
    assert run(tmp_path / "a2.onnx", [-1, -0.4, 0.4, 0.6, 2]).tolist() == pytest.approx([-1, 0, 0, 1, 2])
    assert run(tmp_path / "a2.onnx", [1, 3, 2, 3, 3]).tolist() == pytest.approx([1, 3, 2, 3, 3]), "zero is in the range"
    assert run(tmp_path / "a2.onnx", [0, 0, 0, 0, 0]).tolist() == [0, 0, 0, 0, 0], "no division by a range of zero"


@example(x=[0.0] * 5 + [float(np.finfo(np.float32).tiny)])
@given(x=st.lists(st.floats(-50, 50, width=32), min_size=6, max_size=6))
def test_activations_are_those_of_the_kernel(tmp_path_factory, x):
    """8 bits against DynamicQuantizeLinear and back."""
    room = tmp_path_factory.getbasetemp()
    if not (room / "a8.onnx").exists():
        simulate.rewrite(product(room, np.eye(6, dtype=np.float32)), room / "a8.onnx", None, 8)
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
        ]
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 6]) for name in "xy"]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(made, room / "kernel.onnx")
    step = (max(0, *x) - min(0, *x)) / 255
    ours, kernel = run(room / "a8.onnx", x), run(room / "kernel.onnx", x)
    assert np.abs(ours - kernel).max() <= max(step * 1.001, formula.TINY), "a tie may fall to either side"
    assert np.isfinite(ours).all()


@pytest.mark.parametrize("bits", [2, 5, 8, 9, 16])
def test_stored_integers_answer_to_the_last_bit_as_stored_floats(tmp_path, bits):
    numbers = np.random.default_rng(bits)
    weight, x = numbers.standard_normal((7, 6)).astype(np.float32), numbers.standard_normal(7)
    simulate.rewrite(product(tmp_path, weight), tmp_path / "codes.onnx", bits, None)
    floats = product(tmp_path, simulate.values(*simulate.symmetric_codes(weight, bits)))
    assert np.array_equal(run(tmp_path / "codes.onnx", x), run(floats, x))


def test_a_file_takes_about_a_byte_a_weight(tiny):
    whole, rounded = (weights.size(pipeline.variant(tiny, name) / "model.onnx") for name in ("fp32", "w4"))
    assert rounded < 0.3 * whole


def test_bytes_are_those_of_the_width(tiny):
    sizes = {name: about(tiny, name)["bytes"] for name in ("fp32", "w2", "w8", "w16", "a4", "int8-dynamic")}
    assert sizes["a4"] == sizes["fp32"] > sizes["w16"] > sizes["w8"] > sizes["w2"]
    assert sizes["w8"] == pytest.approx(sizes["int8-dynamic"], rel=0.1)


def test_simulation_is_said(tiny):
    assert about(tiny, "w8a8")["simulated"] is True and about(tiny, "int8-dynamic")["simulated"] is False
    assert all(
        entry.simulated == (name in catalog.SWEEP)
        for name, entry in catalog.VARIANTS.items()
        if entry.checkpoint == "base"
    )


@pytest.mark.parametrize("bits", [-1, 0, 1, 17, 32])
def test_bits_outside_the_range_are_named(tmp_path, bits):
    source = product(tmp_path, np.eye(2, dtype=np.float32))
    for pair in ((bits, None), (None, bits), (8, bits)):
        with pytest.raises(BadParameter, match=rf"bits={bits} .*\[2, 16\]"):
            simulate.rewrite(source, tmp_path / "out.onnx", *pair)
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("name", ["w1", "a17", "w4a32", "w0a8"])
def test_variants_of_such_bits_are_named(name):
    with pytest.raises(BadParameter, match=r"bits=\d+ is out of range"):
        config.check("variant", name)


def test_a_file_without_weights_is_named(tmp_path):
    model = onnx.load(product(tmp_path, np.eye(2, dtype=np.float32)))
    model.graph.node[0].input[1] = "x"
    onnx.save(model, tmp_path / "none.onnx")
    with pytest.raises(BadCheckpoint, match="none.onnx"):
        simulate.rewrite(tmp_path / "none.onnx", tmp_path / "out.onnx", 8, None)
