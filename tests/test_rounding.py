"""Quantization-aware fine-tuning: rounds as execution does, lets gradients through, leaves no trace, and helps."""

import dataclasses

import numpy as np
import pytest
import torch
import transformers as hf

from qrsupport import pipeline, store
from qrsupport.data import datasets
from qrsupport.quantization import export, simulate
from qrsupport.training import rounding


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_rounds_as_the_simulation_does(bits):
    w = np.random.default_rng(bits).standard_normal((20, 30)).astype(np.float32)
    t = torch.tensor(w)
    assert rounding.symmetric(t, bits).numpy() == pytest.approx(simulate.values(*simulate.symmetric_codes(w, bits)), abs=1e-5)
    assert rounding.asymmetric(t, bits, (0, 1)).numpy() == pytest.approx(simulate.values(*simulate.asymmetric_codes(w, bits)), abs=1e-5)


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


def test_its_checkpoints_are_their_own(tiny, four):
    weights = {
        which: store.sha256(pipeline.checkpoint(tiny, which) / "model.safetensors") for which in ("base", "qat8", "qat4")
    }
    assert len(set(weights.values())) == 3
    assert pipeline.checkpoint(tiny, "qat4") == pipeline.checkpoint(dataclasses.replace(tiny, per_channel=True), "qat4")
    model = hf.AutoModelForSequenceClassification.from_pretrained(pipeline.checkpoint(tiny, "qat4"))
    weight = model.bert.encoder.layer[0].output.dense.weight
    assert len(weight.unique()) > 1000, "the weights kept are those before rounding"


def test_records_say_how_each_is_executed(four):
    assert {name: found["execution"] for name, found in four.items()} == {
        "w4a4": "simulated", "qat4": "simulated", "qat4-fp32": "kernel", "qat8": "kernel",
    }  # fmt: skip


def test_it_learns(four):
    """Better than chance by far, executed as it learnt."""
    for name in ("qat4", "qat8"):
        right = np.equal(four[name]["labels"], four[name]["predicted"])
        assert right.mean() > 0.6, name
