"""Sentence encoders: similarity behaves, the threshold is the best one, text vectors learn who keeps company with whom."""

import gzip
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from qrsupport.errors import BadData, MissingResource
from qrsupport.lexicons import word_encoder

REAL = os.environ.get("QRSUPPORT_DATA", "")
CONCEPTS = {"good": ["good"], "fine": ["good"], "bad": ["bad"]}


def test_angular_similarity():
    a, b = np.array([[1.0, 0], [1, 0], [1, 0], [0, 0]]), np.array([[3.0, 0], [0, 2], [-1, 0], [1, 0]])
    assert word_encoder.angular(a, b) == pytest.approx([1, 0.5, 0, 0.5])


def test_concepts_tell_synonyms_from_others():
    e = word_encoder.Concepts(CONCEPTS, frozenset({"the", "is"}))
    text = "the film is good"
    assert e.similarity(text, text) == pytest.approx(1)
    assert e.similarity(text, "the film is fine") > e.threshold > e.similarity(text, "the film is bad")
    assert e.similarity(text, "this film was good") > e.similarity(text, "the book is good")


@pytest.mark.parametrize("text", ["", "!?", "\U0001f600", "word " * 10_000, "\ud800", "a\0b"])
def test_any_string_has_a_finite_vector(text):
    e = word_encoder.Concepts(CONCEPTS, frozenset())
    (vector,) = e.encode([text])
    assert vector.shape == (e.dimensions,) and np.isfinite(vector).all() and np.linalg.norm(vector) > 0
    assert e.encode([]).shape == (0, e.dimensions)


def test_an_encoding_does_not_depend_on_company():
    e = word_encoder.Concepts(CONCEPTS, frozenset())
    texts = ["a good film", "a bad one", ""]
    assert np.array_equal(e.encode(texts), np.concatenate([e.encode([t]) for t in texts]))


def test_youden_finds_the_best_threshold():
    rng = np.random.default_rng(0)
    for _ in range(20):
        similarities, same = rng.random(30), rng.random(30) < 0.4
        same[:2] = True, False
        threshold, j = word_encoder.youden(similarities, same)
        by_hand = [(similarities >= t)[same].mean() - (similarities >= t)[~same].mean() for t in similarities]
        assert j == pytest.approx(max(by_hand))
        assert (similarities >= threshold)[same].mean() - (similarities >= threshold)[~same].mean() == pytest.approx(j)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data directory with reviews in which `cat` and `dog` keep the same company and `car` another."""
    rng = random.Random(0)
    animal, machine = ["fur", "paw", "tail", "vet", "purr"], ["wheel", "road", "fuel", "gear", "brake"]
    (tmp_path / "imdb").mkdir()
    with gzip.open(tmp_path / word_encoder.REVIEWS, "wt") as f:
        for _ in range(300):
            head, near = rng.choice([("cat", animal), ("dog", animal), ("car", machine), ("bus", machine)])
            text = f"the {head} " + " ".join(rng.choices(near, k=4)) + "<br />the end"
            f.write(json.dumps({"text": text}) + "\n")
    (tmp_path / "sts" / "stsbenchmark").mkdir(parents=True)
    rows = [
        (5, "the cat", "the dog"),
        (4.5, "the car", "the bus"),
        (1, "the cat", "the car"),
        (0, "the dog", "the bus"),
    ]
    lines = "".join(f"main\tx\ty\t{i}\t{g}\t{a}\t{b}\n" for i, (g, a, b) in enumerate(rows))
    for part in ("dev", "test"):
        (tmp_path / word_encoder.STS.format(part)).write_text(lines)
    monkeypatch.setitem(word_encoder.MADE, "dimensions", 3)
    monkeypatch.setattr(word_encoder.Text, "dimensions", 3)
    return tmp_path


def test_vectors_learn_from_text(data, tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    assert word_encoder.build(data, room)["words"] > 10
    e = word_encoder.Text(room)
    assert e.similarity("the cat", "the dog") > e.threshold - 1e-6 > e.similarity("the cat", "the car")
    assert e.similarity("the cat", "the zyx") < e.similarity("the cat", "the dog"), "an unknown word is no free swap"
    dev, test = json.loads((room / "calibration.json").read_text("utf-8"))["parts"]
    assert (dev["part"], test["part"]) == ("dev", "test")
    assert dev["same that pass"] == 1 and dev["different that pass"] == 0


def test_malformed_files_are_named(data):
    with gzip.open(data / word_encoder.REVIEWS, "at") as f:
        f.write("not json\n")
    with pytest.raises(BadData, match=r"unsup\.jsonl\.gz:301"):
        list(word_encoder.read_reviews(data / word_encoder.REVIEWS, 1000))
    path = data / word_encoder.STS.format("dev")
    path.write_text("a\tb\n")
    with pytest.raises(BadData, match=r"sts-dev\.csv:1"):
        word_encoder.read_sts(path)
    with pytest.raises(MissingResource, match="sts-none"):
        word_encoder.read_sts(data / word_encoder.STS.format("none"))


@pytest.mark.skipif(not REAL, reason="QRSUPPORT_DATA is not set")
def test_published_grades_parse():
    grades, left, right = word_encoder.read_sts(Path(REAL) / word_encoder.STS.format("dev"))
    assert len(grades) == len(left) == len(right) == 1500 and grades.min() == 0 and grades.max() == 5
