"""Quantization-aware fine-tuning: rounds as execution does, lets gradients through, leaves no trace, and helps."""

import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch
import transformers as hf
from onnx import TensorProto, helper, numpy_helper

from qrsupport import pipeline, store
from qrsupport.data import datasets
from qrsupport.quantization import export, simulate
from qrsupport.training import formula, rounding


@pytest.mark.parametrize("bits", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("steps", [formula.SYMMETRIC, formula.ASYMMETRIC])
def test_one_formula_the_same_bits_in_numpy_torch_and_onnx_runtime(bits, steps):
    x = np.random.default_rng(bits).standard_normal((20, 30)).astype(np.float32)
    in_numpy = formula.evaluate(steps, formula.constants(bits) | {"x": x}, formula.NUMPY)["rounded"]
    in_torch = formula.evaluate(steps, formula.constants(bits) | {"x": torch.tensor(x)}, formula.torch((0, 1)))["rounded"]
    executed = in_onnx_runtime(steps, bits, x)
    assert np.array_equal(in_numpy, in_torch.numpy()) and np.array_equal(in_numpy, executed)
    assert len(np.unique(in_numpy)) > 2 and np.abs(in_numpy - x).max() > 0


def in_onnx_runtime(steps, bits, x):
    """What ONNX Runtime makes of `x` by the steps as `simulate` writes them into a file."""
    given = [numpy_helper.from_array(np.float32(v), name) for name, v in formula.constants(bits).items()]
    nodes = simulate.operations("x", steps, dict.fromkeys(("ReduceMin", "ReduceMax"), {"keepdims": 0}))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in ("x", "x/rounded")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:], given), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


def test_a_range_is_one_texts_own():
    x = torch.tensor([[[0.0, 3.0]], [[0.0, 300.0]]])
    assert torch.equal(rounding.asymmetric(x, 2, (1, 2)), x)
    assert not torch.equal(rounding.asymmetric(x + torch.tensor([0.4, 0]), 2, (1, 2)), x + torch.tensor([0.4, 0]))


def test_gradients_pass_straight_through():
    for f in (lambda w: rounding.symmetric(w, 2), lambda w: rounding.asymmetric(w, 2, (0,))):
        w = torch.randn(6, requires_grad=True)
        f(w).sum().backward()
        assert torch.equal(w.grad, torch.ones(6))


def test_the_model_is_as_before_afterwards():
    layer = torch.nn.Sequential(torch.nn.Linear(4, 4))
    x, names = torch.randn(3, 4), set(layer.state_dict())
    before = layer(x)
    with rounding.rounded(layer, 2):
        assert not torch.equal(layer(x), before) and set(layer.state_dict()) == names
    assert torch.equal(layer(x), before)
    with rounding.rounded(layer, None):
        assert torch.equal(layer(x), before)


@pytest.mark.slow
def test_torch_while_rounding_is_what_is_executed(tiny, tmp_path):
    """The base checkpoint, rounded in torch, against its simulation in ONNX Runtime: the same labels, nearly the same logits."""
    texts = datasets.load(tiny).eval_split().texts[:60]
    executed = pipeline.classifier(tiny, "w6a6")
    model, _ = export._load(pipeline.checkpoint(tiny))
    with torch.no_grad(), rounding.rounded(model, 6):
        learnt = np.concatenate([model(torch.tensor([executed.ids(text)])).logits.numpy() for text in texts])
    ours, exact = executed(texts), pipeline.classifier(tiny, "fp32")(texts)
    assert (learnt.argmax(1) == ours.argmax(1)).mean() >= 0.98
    assert np.abs(learnt - ours).mean() < 0.25 * np.abs(exact - ours).mean()


@pytest.fixture(scope="module")
def four(tiny):
    """Clean accuracy at 3 epochs: of 4 bits after the fact, and of 4 bits learnt."""
    names = ("w4a4", "qat4", "qat4-fp32", "qat8")
    return {name: pipeline.clean(tiny, name) for name in names}


@pytest.mark.slow
def test_its_checkpoints_are_their_own(tiny, four):
    weights = {
        which: store.sha256(pipeline.checkpoint(tiny, which) / "model.safetensors") for which in ("base", "qat8", "qat4")
    }
    assert len(set(weights.values())) == 3
    assert pipeline.checkpoint(tiny, "qat4") == pipeline.checkpoint(dataclasses.replace(tiny, per_channel=True), "qat4")
    model = hf.AutoModelForSequenceClassification.from_pretrained(pipeline.checkpoint(tiny, "qat4"))
    weight = model.bert.encoder.layer[0].output.dense.weight
    assert len(weight.unique()) > 1000, "the weights kept are those before rounding"


@pytest.mark.slow
def test_records_say_how_each_is_executed(four):
    assert {name: found["execution"] for name, found in four.items()} == {
        "w4a4": "simulated", "qat4": "simulated", "qat4-fp32": "kernel", "qat8": "kernel",
    }  # fmt: skip


@pytest.mark.slow
def test_it_learns(four):
    """Better than chance by far, executed as it learnt."""
    for name in ("qat4", "qat8"):
        right = np.equal(four[name]["labels"], four[name]["predicted"])
        assert right.mean() > 0.6, name
