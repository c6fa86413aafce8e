"""T5 and Switch as classifiers: what is exported answers as what was trained, routing included."""

import numpy as np
import pytest
import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers.models.switch_transformers.modeling_switch_transformers import SwitchTransformersSparseMLP

from qrsupport import config, pipeline, store
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint
from qrsupport.quantization import export, variants, victim
from qrsupport.training import architectures, backbones

pytestmark = pytest.mark.slow

LABELS = {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
SHAPE = {"size": 60, "end": 3, "layers": 2, "width": 16, "heads": 2, "inner": 32, "dropout": 0.1}
BUILD = {
    "t5": lambda: architectures.t5(**SHAPE, **LABELS).eval(),
    "switch": lambda: architectures.switch_encoder(**SHAPE, experts=4, **LABELS).eval(),
}


@pytest.fixture(scope="module", params=["t5-mini", "switch-mini"])
def made(request, tmp_path_factory):
    """Parameters of a run directory with a fine-tuned model of the architecture."""
    return config.make(backbone=request.param, train_limit=160, epochs=1, run_dir=str(tmp_path_factory.mktemp("runs")))


def texts_of(length, count=4):
    """Token ids as a tokenizer gives them: a start, `length` others, the end token; a different text a row."""
    ids = torch.randint(4, SHAPE["size"], (count, length + 2))
    ids[:, 0], ids[:, -1] = 2, SHAPE["end"]
    return ids


def answers(model, ids, mask=None):
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids) if mask is None else mask).logits


@pytest.mark.parametrize("kind", BUILD)
@pytest.mark.parametrize("length", [0, 1, 7, 90])
def test_traceable_form_answers_as_transformers_does(kind, length):
    torch.manual_seed(0)
    model = BUILD[kind]()
    ids = texts_of(length)
    torch.testing.assert_close(answers(architectures.traceable(model), ids), answers(model, ids), atol=1e-5, rtol=1e-5)


def choices(model, ids):
    """The routers' choices (one-hot, zero where a token was dropped): one array a sparse layer."""
    seen = []
    hooks = [
        part.router.register_forward_hook(lambda _, __, out: seen.append(out[0]))
        for part in model.modules()
        if isinstance(part, SwitchTransformersSparseMLP)
    ]
    answers(model, ids)
    for hook in hooks:
        hook.remove()
    return seen


def test_tokens_go_to_several_experts_and_too_many_for_one_are_dropped_alike():
    torch.manual_seed(0)
    model, ids = BUILD["switch"](), texts_of(40)
    (chosen,) = choices(model, ids)
    assert (chosen.sum((0, 1)) > 0).sum() > 1 and (chosen.sum(-1) == 1).all()
    free = answers(model, ids)
    for part in model.modules():
        if isinstance(part, SwitchTransformersSparseMLP):
            part.router.expert_capacity = 2
    (chosen,) = choices(model, ids)
    assert (chosen.sum(-1) == 0).any() and chosen.sum(1).max() == 2
    limited = answers(model, ids)
    assert not torch.allclose(free, limited, atol=1e-6)
    torch.testing.assert_close(answers(architectures.traceable(model), ids), limited, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", BUILD)
def test_padding_changes_no_answer(kind):
    torch.manual_seed(0)
    model = architectures.traceable(BUILD[kind]())
    ids = texts_of(6)
    padded, mask = torch.nn.functional.pad(ids, (0, 5)), torch.nn.functional.pad(torch.ones_like(ids), (0, 5))
    torch.testing.assert_close(answers(model, padded, mask), answers(model, ids), atol=1e-5, rtol=1e-5)


def test_others_are_traced_as_they_are():
    model = torch.nn.Linear(2, 2)
    assert architectures.traceable(model) is model


def test_checkpoint_to_int8(made):
    fp32, int8 = (pipeline.classifier(made, name) for name in ("fp32", "int8-dynamic"))
    found = store.meta(fp32.path)
    assert found["label_agreement"] == 1 and found["max_logit_difference"] < 1e-4
    assert (int8.path / "model.onnx").stat().st_size < 0.5 * fp32.bytes
    texts = datasets.load(made).test.texts[:40]
    difference = np.abs(fp32(texts) - int8(texts)).max()
    assert 0 < difference < 0.1
    assert np.array_equal(int8(texts), np.concatenate([int8([text]) for text in texts]))
    assert len(variants.weight_error(fp32.path, int8.path)) > 0.9 * store.meta(pipeline.checkpoint(made))["parameters"]


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("int8-static-minmax", 1e-7, 0.3), ("int8-weights", 1e-7, 0.05), ("fp16", 1e-7, 0.05), ("w4a4", 1e-4, 2)],
)
def test_every_kind_of_precision_runs(made, name, least, most):
    fp32, other = (pipeline.classifier(made, v) for v in ("fp32", name))
    texts = datasets.load(made).test.texts[:20]
    assert least < np.abs(fp32(texts) - other(texts)).max() < most


@pytest.mark.parametrize("text", ["", "good", "good [SEP] bad", "[PAD]", "word " * 300, "x" * 500, "日本 \x00 🙂"])
def test_any_text_is_answered_as_torch_does(made, text):
    model = pipeline.classifier(made, "fp32")
    assert model.ids(text) == model._encode(text).ids and model.ids(text)[-1] == model._special[-1]
    found = export.compare(pipeline.checkpoint(made), model, [text, "fine"])
    assert found["max_logit_difference"] < 1e-4


def test_checkpoint_is_safetensors_and_the_same_twice(made, tmp_path):
    import dataclasses

    first = pipeline.checkpoint(made)
    assert not [f for f in first.rglob("*") if f.suffix in (".bin", ".pt", ".pth", ".pkl")]
    again = pipeline.checkpoint(dataclasses.replace(made, run_dir=str(tmp_path)))
    assert store.sha256(first / "model.safetensors") == store.sha256(again / "model.safetensors")


def published(folder, kind, end=True):
    """A directory as the hub holds it: an encoder-decoder for generation, a Unigram tokenizer with `</s>` behind."""
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), *((f"▁{w}", -2.0) for w in ("good", "bad", "film"))]
    tokenizer = Tokenizer(models.Unigram(words, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    if end:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip
    shape = {"vocab_size": 6, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2, "num_layers": 2}
    shape |= {"num_decoder_layers": 1, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    if kind == "t5":
        model = hf.T5ForConditionalGeneration(hf.T5Config(**shape))
    else:
        model = hf.SwitchTransformersForConditionalGeneration(
            hf.SwitchTransformersConfig(
                **shape, num_experts=3, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1
            )
        )
    model.save_pretrained(folder, safe_serialization=True)
    return model


@pytest.mark.parametrize("kind", ["t5", "switch"])
def test_published_layout_becomes_a_classifier(kind, tmp_path):
    source = published(tmp_path / "hub", kind)
    p = config.make(backbone=str(tmp_path / "hub"), train_limit=64, epochs=1, run_dir=str(tmp_path / "runs"))
    model, _ = backbones.build(p, datasets.load(p))
    theirs, ours = source.state_dict(), model.state_dict()
    loaded = [name for name in ours if name.removeprefix("transformer.") in theirs]
    assert len(loaded) > 15 and {name for name in ours if name not in loaded} <= {
        "classifier.weight", "classifier.bias",
        *(f"classification_head.{layer}.{part}" for layer in ("dense", "out_proj") for part in ("weight", "bias")),
    }  # fmt: skip
    for name in loaded:
        assert torch.equal(ours[name], theirs[name.removeprefix("transformer.")]), name
    assert all(torch.isfinite(w).all() and w.abs().max() < 100 for w in ours.values())
    found = pipeline.classifier(p, "int8-dynamic")
    assert not victim.by_piece(found.tokenizer) and found.ids("good film")[-1] == 1
    assert found(["good film", "", "unknown"]).shape == (3, 2)


def test_t5_without_an_end_token_is_refused(tmp_path):
    published(tmp_path, "t5", end=False)
    p = config.make(backbone=str(tmp_path), run_dir=str(tmp_path / "runs"))
    with pytest.raises(BadCheckpoint, match=r"end token \(id 1\)"):
        backbones.build(p, datasets.load(p))


def test_a_model_too_large_for_onnx_is_refused_before_training(tmp_path, monkeypatch):
    published(tmp_path, "switch")
    monkeypatch.setattr(backbones, "LARGEST", 1000)
    p = config.make(backbone=str(tmp_path), run_dir=str(tmp_path / "runs"))
    with pytest.raises(BadCheckpoint, match="fewer than 1,000.*name a smaller one"):
        pipeline.checkpoint(p)
    assert not list((tmp_path / "runs").glob("checkpoints/*/model.safetensors"))
