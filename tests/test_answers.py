"""Answers kept in a file: looked up in place of asking, never trusted where they might be wrong."""

import dataclasses
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrsupport import config, pipeline, project
from qrsupport.attacks import answers
from qrsupport.errors import DependentAnswers
from qrsupport.quantization import victim
from qrsupport.recorded import RECORDS

TEXTS = ["a lovely film", "a dull and tedious film", "", "\ud800 half a pair", "a lovely film"]


class Counted:
    """A classifier that counts what it is asked."""

    def __init__(self, model):
        self.model, self.asked = model, 0

    def __getattr__(self, name):
        return getattr(self.model, name)

    def __call__(self, texts):
        self.asked += len(texts)
        return self.model(texts)


@pytest.fixture
def model(tiny):
    return Counted(pipeline.classifier(tiny, "int8-dynamic"))


@pytest.fixture
def never(monkeypatch):
    """No answer is asked again for a check."""
    monkeypatch.setattr(victim, "ONE_IN", 1e12)


def ended(kept):
    """What is in hand is written."""
    kept.written = 0.0
    kept._keep({})
    return kept.file


def test_a_text_is_asked_once_whatever_process_asks(model, tmp_path, never):
    right = model.model(TEXTS)
    first = answers.Kept(model, tmp_path)
    assert np.array_equal(first(TEXTS), right) and model.asked == 4
    assert np.array_equal(first(TEXTS[::-1]), right[::-1]) and model.asked == 4, "in hand, not yet written"
    ended(first)
    second = answers.Kept(model, tmp_path)
    assert np.array_equal(second(TEXTS), right) and model.asked == 4
    assert second([]).shape == (0, len(model.labels)) and second.labels == model.labels


def test_another_classifier_has_another_file(tiny, tmp_path):
    files = {answers.Kept(pipeline.classifier(tiny, name), tmp_path).file for name in ("fp32", "int8-dynamic")}
    assert len(files) == 2


def test_what_another_version_answered_is_not_read(model, tmp_path, monkeypatch):
    before = answers.Kept(model, tmp_path).file
    monkeypatch.setattr(victim.onnxruntime, "__version__", "0.0")
    assert answers.Kept(victim.Victim(model.path), tmp_path).file != before


def test_a_damaged_file_is_left_alone_with_a_line(model, tmp_path, capsys):
    file = answers.Kept(model, tmp_path).file
    file.write_bytes(b"no data base" * 1000)
    assert np.array_equal(answers.Kept(model, tmp_path)(TEXTS), model.model(TEXTS))
    assert f"answers are not kept: {file}" in capsys.readouterr().err
    assert file.read_bytes() == b"no data base" * 1000


def test_a_damaged_row_is_asked_again(model, tmp_path, never):
    first = answers.Kept(model, tmp_path)
    right = first(TEXTS)
    with sqlite3.connect(ended(first)) as base:
        base.execute("UPDATE answers SET logits = zeroblob(length(logits))")
    second = answers.Kept(model, tmp_path)
    assert np.array_equal(second(TEXTS), right) and model.asked == 8
    ended(second)
    assert np.array_equal(answers.Kept(model, tmp_path)(TEXTS), right) and model.asked == 8, "made good"


def test_a_wrong_answer_that_is_drawn_ends_the_run(model, tmp_path, monkeypatch):
    first = answers.Kept(model, tmp_path)
    first(TEXTS)
    key = answers.digest(TEXTS[0])
    with sqlite3.connect(ended(first)) as base:
        base.execute("UPDATE answers SET logits = ? WHERE text = ?", (answers.packed(key, np.zeros(2)), key))
    monkeypatch.setattr(victim, "ONE_IN", 1)
    with pytest.raises(DependentAnswers, match=r"delete it and the records"):
        answers.Kept(model, tmp_path)(TEXTS)


def test_a_full_file_is_read_only(model, tmp_path, never, monkeypatch):
    first = answers.Kept(model, tmp_path)
    first(TEXTS[:1])
    ended(first)
    monkeypatch.setattr(answers, "LIMIT", 1)
    second = answers.Kept(model, tmp_path)
    second(TEXTS)
    ended(second)
    assert model.asked == 4
    assert sqlite3.connect(second.file).execute("SELECT count(*) FROM answers").fetchone() == (1,)


def test_a_place_that_cannot_hold_it_costs_a_line(model, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert np.array_equal(answers.Kept(model, tmp_path / "file")(TEXTS), model.model(TEXTS))
    assert "answers are not kept" in capsys.readouterr().err


@given(st.binary(min_size=16, max_size=16), st.lists(st.floats(width=32), min_size=1, max_size=6), st.data())
@settings(max_examples=200, deadline=None)
def test_a_row_comes_back_and_one_changed_bit_does_not(key, logits, data):
    row = answers.packed(key, np.array(logits, np.float32))
    assert np.array_equal(answers.unpacked(key, row, len(logits)), np.array(logits, np.float32), equal_nan=True)
    bit = data.draw(st.integers(0, 8 * len(row) - 1))
    changed = bytearray(row)
    changed[bit // 8] ^= 1 << bit % 8
    assert answers.unpacked(key, bytes(changed), len(logits)) is None


@pytest.mark.slow
def test_records_are_the_same_with_answers_kept(tiny, tmp_path):
    """Attacks that differ in their goal, one after the other and each alone."""
    aims = [
        {},
        {"margin": 0.3},
        {"query_budget": 20},
        {"joint": "int8-dynamic"},
        {"spare": "int8-dynamic"},
        {"ranking": "int8-dynamic"},
    ]
    found = {}
    for name in ("together", "alone"):
        for i, aim in enumerate(aims):
            folder = tmp_path / (name if name == "together" else f"{name}-{i}")
            folder.mkdir(exist_ok=True)
            for kind in ("checkpoints", "variants"):
                if not (folder / kind).exists():
                    (folder / kind).symlink_to(config.run_dir(tiny) / kind)
            p = dataclasses.replace(tiny, attack="textfooler", n=6, workers=1, run_dir=str(folder), **aim)
            pipeline.attack(p, "fp32", progress=False)
            lines = (pipeline.attack_folder(p, "fp32").path / RECORDS).read_text("utf-8").splitlines()
            found[name, i] = [line.partition('"timing"')[0] for line in lines]
    assert len(found["together", 0]) == 6
    assert all(found["together", i] == found["alone", i] for i in range(len(aims)))


def test_the_page_says_the_limits_that_hold():
    said = (project.folder() / "book" / "engine.md").read_text("utf-8")
    assert f"grows to {answers.LIMIT // 2**20} MB" in said
    assert victim.ONE_IN == 100 and "One answer in a hundred is asked again" in said
