"""Texts are asked together only where each gets the answer that it gets alone; the 8-bit kernel is measured, not guessed."""

import dataclasses
import json
import pickle
import random
import shutil

import numpy as np
import pytest

from qrsupport import config, pipeline
from qrsupport.attacks import running, tasks
from qrsupport.data import datasets
from qrsupport.errors import DependentAnswers, MissingResource
from qrsupport.quantization import batching, classifiers, controls, export, precisions, victim
from qrsupport.recorded import Folder
from qrsupport.training import pretrained

LENGTHS, SIZES = range(3, 65), range(1, 33)
PROVED = ("fp32", "int8-weights", "int4-weights", "int8-static-minmax", "w4", "activation-noise-1", "fp32-shifted")


def some(length):
    """So chosen that 62 lengths meet all 32 sizes."""
    return {1 + length * 11 % 32, 1 + (length * 7 + 5) % 32}


def differing(model, lengths, sizes):
    """The (length, number of texts) at which random token ids, asked together, get other answers than alone."""
    numbers, found = np.random.default_rng(0), []
    for length in lengths:
        wanted = sorted(sizes(length))
        ids = numbers.integers(5, model.tokenizer.get_vocab_size(), (wanted[-1], length)).tolist()
        alone = np.concatenate([model._ask([row]) for row in ids])
        found += [(length, n) for n in wanted if not np.array_equal(model._ask(ids[:n]), alone[:n])]
    return found


@pytest.fixture(scope="module")
def few(tiny):
    return dataclasses.replace(tiny, calibration_examples=16)


@pytest.fixture
def texts(tiny):
    return datasets.load(tiny).eval_split().texts[:200]


def test_the_table_names_every_precision_and_its_reason():
    assert set(batching.WHY) == {"fp32", *precisions.MADE, *(precision for _, precision in controls.DRAWN.values())}
    assert all(reason for _, reason in batching.WHY.values())


def test_what_takes_a_range_at_hand_or_half_precision_is_asked_alone():
    for name in (*precisions.MADE, "unknown"):
        if "dynamic" in name or name.startswith("a") or "a" in name[1:] and name.startswith("w") or name in ("fp16", "unknown"):
            assert batching.most(name, "bert") == 1, name


def test_architectures_to_which_the_reasons_do_not_apply_are_asked_alone():
    for name in ("switch_transformers", "t5", ""):
        assert batching.most("fp32", name) == 1


def test_together_on_x86_only_and_never_if_told_so(monkeypatch):
    monkeypatch.setattr(batching.platform, "machine", lambda: "x86_64")
    assert batching.most("fp32", "bert") == batching.LARGEST == SIZES[-1]
    monkeypatch.setattr(batching.platform, "machine", lambda: "arm64")
    assert batching.most("fp32", "bert") == 1
    monkeypatch.setattr(batching.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("QRSUPPORT_ALONE", "1")
    assert batching.most("fp32", "bert") == 1


def test_margins_are_complete():
    assert set().union(*map(some, LENGTHS)) == set(SIZES)


@pytest.mark.parametrize("name", PROVED)
@pytest.mark.slow
def test_company_changes_no_answer_of_bert_small(few, name):
    model = pipeline.classifier(few, name)
    assert model.together == batching.most("fp32", "bert")
    assert not differing(model, LENGTHS, some)


@pytest.mark.slow
def test_company_changes_no_answer_at_any_length_and_any_size(few):
    assert not differing(pipeline.classifier(few, "fp32"), LENGTHS, lambda _: SIZES)


def test_company_changes_int8_answers(few):
    """What the check is for: it finds what there is to find."""
    assert len(differing(pipeline.classifier(few, "int8-dynamic"), (3, 20, 64), some)) > 3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "lengths"), [("minilm-l6", LENGTHS), ("mpnet-base", (*LENGTHS[::8], 64))])
def test_company_changes_no_answer_of_pretrained_backbones(name, lengths, tmp_path):
    model = victim.Victim(exported(name, tmp_path))
    assert not differing(model, lengths, some)


def exported(name, room):
    """The folder of an fp32 variant of published weights with a seeded head."""
    import torch
    import transformers as hf

    try:
        source = pretrained.folder(name)
    except MissingResource as e:
        pytest.skip(f"needs the published weights: {e}")
    torch.manual_seed(0)
    model = hf.AutoModelForSequenceClassification.from_pretrained(source, num_labels=2, attn_implementation="eager")
    checkpoint, folder = room / "checkpoint", room / "fp32"
    folder.mkdir()
    model.save_pretrained(checkpoint)
    hf.AutoTokenizer.from_pretrained(source).save_pretrained(checkpoint)
    inputs = export.to_onnx(checkpoint, folder / "model.onnx")
    shutil.copy(checkpoint / "tokenizer.json", folder)
    about = {"labels": ["a", "b"], "max_length": 64, "pad_id": model.config.pad_token_id, "inputs": inputs, "precision": "fp32"}
    (folder / "variant.json").write_text(json.dumps(about))
    return folder


def test_the_first_shared_call_is_checked(few, texts):
    model = pipeline.classifier(few, "int8-dynamic")
    model.together = batching.LARGEST
    with pytest.raises(DependentAnswers, match="alone; delete the records .* QRSUPPORT_ALONE=1"):
        model(texts)


def test_a_run_stops_at_the_first_difference_and_records_no_error(few, monkeypatch):
    p = dataclasses.replace(few, attack="deepwordbug", n=3, attack_seed=71)
    pipeline.variant(p, "int8-dynamic")
    monkeypatch.setitem(batching.WHY, "int8-dynamic", (True, "a lie"))
    with pytest.raises(DependentAnswers):
        pipeline.attack(p, "int8-dynamic", progress=False)
    (folder,) = (config.run_dir(p) / "attacks").glob("[!.]*-int8-dynamic-deepwordbug-*")
    assert not Folder(folder).load()


def test_an_error_survives_the_way_from_a_worker():
    assert str(pickle.loads(pickle.dumps(DependentAnswers("said")))) == "said"


def test_about_one_answer_in_a_hundred_is_asked_again_and_nothing_else_changes(few, texts, monkeypatch):
    model = pipeline.classifier(few, "int8-dynamic")
    calls, ask, state = [], model._ask, random.getstate()
    monkeypatch.setattr(model, "_ask", lambda ids: calls.append(len(ids)) or ask(ids))
    for _ in range(20):
        model(texts)
    assert 4000 + 15 < len(calls) < 4000 + 80
    assert random.getstate() == state


def test_records_do_not_depend_on_how_much_is_asked_again(few, tmp_path, monkeypatch):
    p, found = dataclasses.replace(few, attack="deepwordbug", n=3), []
    split, model = datasets.load(p).eval_split(), pipeline.variant(p, "fp32")
    examples = [tasks.Example(i, split.ids[i], split.texts[i], split.labels[i]) for i in range(3)]
    for one_in in (1, 10**9):
        monkeypatch.setattr(victim, "ONE_IN", one_in)
        made = running.outcomes(tasks.Task(p, "fp32", model, "x"), examples)
        found.append([dataclasses.replace(r, timing={}) for r in made])
    assert found[0] == found[1]


def test_the_exact_kernel_is_exact():
    assert batching.kernel_is_exact(True)


def test_the_exact_kernel_is_taken_only_where_the_fastest_saturates(monkeypatch):
    assert batching.saturates() == (not batching.kernel_is_exact(False))
    for fastest, wanted in ((True, False), (False, True)):
        batching.saturates.cache_clear()
        monkeypatch.setattr(batching, "kernel_is_exact", lambda option, fastest=fastest: option or fastest)
        assert batching.saturates() == wanted
    batching.saturates.cache_clear()


def exact(model):
    """Whether a session was made with the option."""
    try:
        return model.session.get_session_options().get_session_config_entry(batching.EXACT[0]) == batching.EXACT[1]
    except RuntimeError:  # no such entry
        return False


@pytest.mark.parametrize("name", ["int8-dynamic", "int8-static-minmax"])
def test_either_kernel_can_be_forced_and_answers_the_same_where_both_are_exact(few, texts, monkeypatch, name):
    path, found = pipeline.variant(few, name), {}
    for saturates in (True, False):
        monkeypatch.setattr(batching, "saturates", lambda saturates=saturates: saturates)
        model = classifiers.load(path)
        assert exact(model) == saturates
        assert tasks.timing(0)["kernel"] == ("exact" if saturates else "fastest")
        found[saturates] = model(texts)
    if batching.kernel_is_exact(False):
        assert np.array_equal(found[True], found[False])
