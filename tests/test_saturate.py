"""The saturating 8-bit product: right by its definition, and equal to the real kernel where a machine has it."""

import dataclasses
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from qrsupport import catalog, pipeline
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint
from qrsupport.quantization import batching, classifiers, saturate

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 7), st.integers(1, 5))


def by_definition(activations, weight):
    """Pair by pair, number by number."""
    total = np.zeros((len(activations), weight.shape[1]), np.int64)
    for (row, column), _ in np.ndenumerate(total):
        products = [int(a) * int(w) for a, w in zip(activations[row], weight[:, column], strict=True)]
        total[row, column] = sum(min(max(sum(products[i : i + 2]), -32768), 32767) for i in range(0, len(products), 2))
    return total


def run(file, activations, option=True):
    session = onnxruntime.InferenceSession(file, batching.options(1, option), providers=batching.PROVIDERS)
    return session.run(None, {"x": activations})[0]


def rewritten(weight, folder):
    """(what `rewrite` returned, the file)."""
    file = folder / "product.onnx"
    file.write_bytes(batching.product(weight))
    return saturate.rewrite(file), file


def numbers(rng, shape, often):
    """Weights and activations of which a share of `often` are at an end, so that pairs saturate."""
    rows, inner, columns = shape
    weight = rng.integers(-128, 128, (inner, columns)).astype(np.int8)
    ends = rng.random(weight.shape) < often
    weight[ends] = rng.choice(np.array([-128, 127], np.int8), ends.sum())
    activations = rng.integers(0, 256, (rows, inner)).astype(np.uint8)
    return np.where(rng.random(activations.shape) < often, 255, activations).astype(np.uint8), weight


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.9]))
def test_the_product_is_the_definitions(tmp_path_factory, shape, seed, often):
    activations, weight = numbers(np.random.default_rng(seed), shape, often)
    found, file = rewritten(weight, tmp_path_factory.mktemp("product"))
    assert np.array_equal(run(file, activations), by_definition(activations, weight))
    assert found["of"] == -(-shape[1] // 2) * shape[2] and 0 <= found["pairs"] <= found["of"]


def test_pairs_are_those_that_the_largest_activations_saturate():
    weight = np.array([[127, 127, -128, 64, 127], [127, -127, -128, 64, 1], [0, 0, 0, 127, 2]], np.int8)
    lines, columns = saturate.pairs(weight)
    # 255 * (127 + 127) and 255 * (-128 - 128) exceed; 255 * 127 and 255 * (64 + 64) = 32,640 do not; a last row has zeros beside it
    assert list(zip(lines.tolist(), columns.tolist(), strict=True)) == [(0, 0), (0, 2)]
    assert saturate.pairs(np.array([[65], [64]], np.int8))[1].tolist() == [0]  # 255 * 129 = 32,895


def test_a_product_that_cannot_saturate_is_left_as_it_is(tmp_path):
    weight = np.full((8, 3), 64, np.int8)
    found, file = rewritten(weight, tmp_path)
    assert found == {"pairs": 0, "of": 12}
    assert [node.op_type for node in onnx.load(file).graph.node] == ["MatMulInteger"]


def test_the_real_kernel_where_a_machine_has_it(tmp_path):
    if batching.kernel_is_exact(False):
        pytest.skip("the fastest 8-bit kernel of this machine does not saturate")
    activations, weight = numbers(np.random.default_rng(0), (6, 64, 32), 0.5)
    _, file = rewritten(weight, tmp_path)
    assert np.array_equal(run(batching.product(weight), activations, option=False), run(file, activations))


def test_a_variant_differs_from_the_paper_s_only_where_pairs_saturate(tiny):
    texts = datasets.load(tiny).eval_split().texts[:20]
    found = {}
    for per_channel in (False, True):
        p = dataclasses.replace(tiny, per_channel=per_channel)
        there, right = (pipeline.classifier(p, name) for name in ("int8-saturating", "int8-dynamic"))
        assert (there.together, there.bytes) == (1, right.bytes)
        found[per_channel] = np.abs(there(texts) - right(texts)).max()
    p = dataclasses.replace(tiny, reduce_range=True)  # 7-bit weights: two never exceed 255 * 64 * 2
    there, right = (pipeline.classifier(p, name) for name in ("int8-saturating", "int8-dynamic"))
    assert np.array_equal(there(texts), right(texts))
    assert found[True] > 0


def test_with_the_ends_out_of_reach_it_is_int8_dynamic_to_the_last_bit(tiny, tmp_path):
    p = dataclasses.replace(tiny, per_channel=True)  # where many pairs can saturate
    shutil.copytree(pipeline.variant(p, "int8-saturating"), tmp_path / "wide")
    model = onnx.load(tmp_path / "wide" / "model.onnx")
    ends = [t for t in model.graph.initializer if not t.dims and numpy_helper.to_array(t) in (saturate.LOW, saturate.HIGH)]
    for end in ends:
        end.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(end) * np.float32(1e4), end.name))
    onnx.save(model, tmp_path / "wide" / "model.onnx")
    texts = datasets.load(tiny).eval_split().texts[:20]
    assert len(ends) > 2 and np.array_equal(classifiers.load(tmp_path / "wide")(texts), pipeline.classifier(p, "int8-dynamic")(texts))


def test_records_say_that_it_is_emulated_and_unsigned_weights_are_refused(tiny):
    assert catalog.execution("int8-saturating") == "emulated"
    with pytest.raises(BadCheckpoint, match="no product of signed 8-bit weights"):
        pipeline.variant(dataclasses.replace(tiny, weight_type="QUInt8"), "int8-saturating")
