"""Ensembles: combined as they say, reproducible, and loaded, attacked and replayed like any variant."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrsupport import catalog, config, pipeline, records, store
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint
from qrsupport.quantization import classifiers, ensembles, variants, victim

RULES = {"ensemble-mean": "mean", "ensemble-vote": "vote", "ensemble-random": "random"}
EVERY = pytest.mark.parametrize("name", RULES)


class Fixed:
    """A classifier that gives every text the same probabilities."""

    def __init__(self, *probabilities, labels=None, name="fixed"):
        self.p, self.path = np.array(probabilities, float), Path(name)
        self.labels = labels or tuple("abcdefgh"[: len(probabilities)])
        self.bytes, self.digest, self.max_length = 10, config.key([list(map(float, self.p)), name]), 16

    def __call__(self, texts):
        return np.log(np.tile(np.maximum(self.p, 1e-9), (len(texts), 1)))

    def truncated(self, text):
        return len(text) > 99


def combined(rule, *rows, seed=0):
    whole = ensembles.Ensemble(Path("whole"), rule, [Fixed(*row) for row in rows], seed)
    return victim.probabilities(whole(["x"]))[0]


def test_mean_is_the_mean():
    np.testing.assert_allclose(combined("mean", (0.9, 0.1), (0.2, 0.8)), (0.55, 0.45), atol=1e-6)


def test_majority_wins_whatever_the_probabilities():
    assert combined("vote", (0.51, 0.49), (0.51, 0.49), (0.01, 0.99)).argmax() == 0


def test_a_tie_goes_to_the_higher_mean_and_then_to_the_first_class():
    assert combined("vote", (0.6, 0.4, 0.0), (0.0, 0.9, 0.1), (0.1, 0.1, 0.8)).argmax() == 1
    assert combined("vote", (0.75, 0.25), (0.25, 0.75)).argmax() == 0


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 6).flatmap(lambda k: st.lists(
    st.lists(st.floats(0.001, 1), min_size=k, max_size=k), min_size=1, max_size=5)))  # fmt: skip
def test_every_rule_gives_probabilities_and_vote_a_class_with_most_votes(rows):
    rows = [np.array(row) / sum(row) for row in rows]
    for rule in ensembles.RULES:
        assert combined(rule, *rows).sum() == pytest.approx(1)
    votes = Counter(int(row.argmax()) for row in rows)
    assert votes[int(combined("vote", *rows).argmax())] == max(votes.values())


def test_random_asks_one_member_the_same_for_the_same_text_and_both_about_equally():
    whole = ensembles.Ensemble(Path("whole"), "random", [Fixed(0.9, 0.1), Fixed(0.2, 0.8)], 3)
    texts = [f"text {i}" for i in range(400)]
    rows = whole(texts)
    np.testing.assert_array_equal(rows, np.concatenate([whole([t]) for t in texts]))
    first = (rows.argmax(1) == 0).sum()
    assert 140 < first < 260 and set(np.round(victim.probabilities(rows)[:, 0], 3)) == {0.9, 0.2}
    other = ensembles.Ensemble(Path("whole"), "random", whole.members, 4)
    assert not np.array_equal(other(texts), rows) and other.digest != whole.digest


def test_different_labels_are_refused_by_name():
    one, two = Fixed(0.5, 0.5, name="one"), Fixed(0.5, 0.5, labels=("x", "y"), name="two")
    with pytest.raises(BadCheckpoint, match=r"one has \['a', 'b'\], two has \['x', 'y'\]"):
        ensembles.Ensemble(Path("whole"), "mean", [one, two])
    with pytest.raises(BadCheckpoint, match="at least one"):
        ensembles.Ensemble(Path("whole"), "mean", [])


@EVERY
def test_a_built_ensemble_combines_its_members(tiny, name):
    path = pipeline.variant(tiny, name)
    whole, about = classifiers.load(path), json.loads((path / "variant.json").read_text())
    members = [pipeline.classifier(tiny, member) for member in catalog.VARIANTS[name].members]
    texts = [*datasets.load(tiny).eval_split().texts[:20], "", "\ud800"]
    each = np.stack([victim.probabilities(m(texts)) for m in members])
    found = victim.probabilities(whole(texts))
    assert whole.labels == members[0].labels and whole(texts).dtype == np.float32 and whole([]).shape == (0, 2)
    assert about["bytes"] == whole.bytes == sum(m.bytes for m in members)
    if name == "ensemble-mean":
        np.testing.assert_allclose(found, each.mean(0), atol=1e-6)
    elif name == "ensemble-random":
        picked = [ensembles.chosen(tiny.seed, t, 2) for t in texts]
        np.testing.assert_allclose(found, [each[m, i] for i, m in enumerate(picked)], atol=1e-6)
    else:
        most = np.eye(2)[each.argmax(2)].sum(0).argmax(1)
        np.testing.assert_array_equal(found.argmax(1), most)


@EVERY
def test_an_ensemble_is_attacked_measured_and_replayed_as_any_variant(tiny, name):
    p = dataclasses.replace(tiny, n=4, attack="pwws")
    made = pipeline.attack(p, name, progress=False)
    assert len(made) == 4 and all(r.variant == name and r.status is not records.Status.error for r in made)
    own = pipeline.replay(p, name, name)
    right = [r.status is records.Status.failed for r in made]
    assert right == [r.replayed == r.label for r in own]
    clean = pipeline.clean(p, name)
    assert clean["bytes"] == pipeline.classifier(p, name).bytes
    assert variants.latencies({name: pipeline.variant(p, name)}, ["a good film"], 3)[name]["median"] > 0


def test_a_changed_member_is_noticed(tiny, tmp_path):
    import shutil

    for folder in [pipeline.variant(tiny, "ensemble-mean"), *(pipeline.variant(tiny, m) for m in ("fp32", "int8-dynamic"))]:
        shutil.copytree(folder, tmp_path / folder.name)
    moved = tmp_path / pipeline.variant(tiny, "ensemble-mean").name
    assert classifiers.load(moved)(["fine"]).shape == (1, 2)  # the folders may move together
    member = tmp_path / json.loads((moved / "variant.json").read_text())["members"][0]["folder"]
    store.write_bytes(member / "model.onnx", (pipeline.variant(tiny, "noise-1") / "model.onnx").read_bytes())
    with pytest.raises(BadCheckpoint, match="has changed since"):
        classifiers.load(moved)


def test_options_of_an_ensemble_are_those_of_its_members():
    for entry in catalog.VARIANTS.values():
        for member in entry.members:
            assert set(catalog.VARIANTS[member].options) <= set(entry.options)
            assert not catalog.VARIANTS[member].members
