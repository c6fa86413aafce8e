"""Attacks: upstream's parts and settings, our words; all three succeed, fail and skip as they should."""

import os
import random
from collections import OrderedDict
from unittest import mock

import numpy as np
import pytest

from qrsupport.attacks import wiring
from qrsupport.data import embedded
from qrsupport.errors import BadParameter, UnknownName
from qrsupport.lexicons import resources

REAL = os.environ.get("QRSUPPORT_DATA", "")
NAMES = ("textfooler", "pwws", "pso")


class Bag:
    """Adds up words: common words of a positive group count 1, of a negative one -1, and each group's last word the reverse."""

    labels = ("negative", "positive")

    def __init__(self):
        sign = {"positive": 1.0, "negative": -1.0}
        self.weights = {}
        for concept in embedded.lexicon():
            for i, word in enumerate(concept.words):
                last = i == len(concept.words) - 1
                self.weights.setdefault(word, sign.get(concept.cls, 0.0) * (-2 if last else 1))

    def __call__(self, texts):
        z = np.array([sum(self.weights.get(w, 0) for w in t.lower().split()) + 0.1 for t in texts], np.float32)
        return np.stack([-z, z], axis=1)


def attacked(name, text, label, source="embedded", budget=0, model=None):
    wrapper = wiring.Wrapper(model or Bag())
    built = wiring.build(name, resources.load(source, attack=name), wrapper, budget)
    random.seed(0)
    np.random.seed(0)
    return built.attack(OrderedDict(text=text), label), wrapper


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["the film is good", "a wonderful story that is moving", "good"])
def test_embedded_attacks_succeed_with_synonyms(name, text):
    result, wrapper = attacked(name, text, 1)
    assert type(result).__name__ == "SuccessfulAttackResult"
    before, after = text.split(), result.perturbed_result.attacked_text.text.split()
    assert before != after and len(before) == len(after) and wrapper.asked > 1
    find = resources.load("embedded").substitutes
    assert all(b == a or a in find(b) for b, a in zip(before, after, strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", "\U0001f600 \U0001f600", "...", "the", "xyzzy " * 30, "a\0b", "12 34"])
def test_texts_without_a_word_to_change_fail(name, text):
    result, _ = attacked(name, text, 1)
    assert type(result).__name__ == "FailedAttackResult"


@pytest.mark.parametrize("name", NAMES)
def test_wrong_answers_are_skipped(name):
    result, wrapper = attacked(name, "the film is bad", 1)
    assert type(result).__name__ == "SkippedAttackResult" and wrapper.asked == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_text(name):
    texts = {
        attacked(name, "a good plot and a boring good movie", 1)[0].perturbed_result.attacked_text.text for _ in "ab"
    }
    assert len(texts) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_budget_ends_the_search(name):
    result, _ = attacked(name, "good good good great great plot and a wonderful movie", 1, budget=5)
    assert type(result).__name__ == "FailedAttackResult" and result.num_queries <= 5


def settings(part, drop=()):
    """What a part of an attack is set to: its class and its plain attributes."""
    plain = (str, int, float, bool, type(None), set, list)
    found = {k: v for k, v in vars(part).items() if isinstance(v, plain) and not k.startswith("_") and k not in drop}
    kind = next(k for k in type(part).__mro__ if k.__module__.startswith("textattack"))
    return kind.__name__, found


def upstream(name):
    """TextAttack's own recipe, with only the loading of data left out."""
    from textattack.shared import WordEmbedding
    from textattack.transformations import WordSwapHowNet, WordSwapWordNet
    from textattack.transformations.word_swaps.word_swap import WordSwap

    def hownet(self, max_candidates=-1):
        WordSwap.__init__(self)
        self.max_candidates = max_candidates

    empty = WordEmbedding(np.zeros((1, 1)), {}, {}, np.zeros((1, 1)))
    with (
        mock.patch.object(WordEmbedding, "counterfitted_GLOVE_embedding", staticmethod(lambda: empty)),
        mock.patch.object(WordSwapHowNet, "__init__", hownet),
        mock.patch.object(WordSwapWordNet, "__init__", lambda self, language="eng": WordSwap.__init__(self)),
    ):
        return wiring.RECIPES[name].build(wiring.Wrapper(Bag()))


@pytest.mark.parametrize("name", NAMES)
def test_parts_and_settings_are_upstreams(name):
    ours = wiring.build(name, resources.load("embedded", attack=name), wiring.Wrapper(Bag()))
    theirs = upstream(name)
    for role in ("goal_function", "search_method"):
        assert settings(getattr(ours, role)) == settings(getattr(theirs, role))
    assert settings(ours.transformation, ("language", "pos_dict"))[1] == settings(theirs.transformation)[1]
    assert isinstance(ours.transformation, type(theirs.transformation))
    assert ours.pre_transformation_constraints
    for role in ("constraints", "pre_transformation_constraints"):
        pairs = list(zip(getattr(ours, role), getattr(theirs, role), strict=True))
        for mine, yours in pairs:
            drop = ("threshold", "model", "tagger", "stopwords") if name != "textfooler" else ("model", "tagger")
            assert settings(mine, drop)[1] == {k: v for k, v in settings(yours, drop)[1].items() if k != "_tfhub_url"}


def test_settings_that_the_papers_name():
    ours = {n: wiring.build(n, resources.load("embedded", attack=n), wiring.Wrapper(Bag())) for n in NAMES}
    fooler, swarm = ours["textfooler"], ours["pso"].search_method
    assert fooler.transformation.max_candidates == 50
    assert fooler.search_method.wir_method == "delete" and ours["pwws"].search_method.wir_method == "weighted-saliency"
    distance, tags, encoder = fooler.constraints
    assert distance.min_cos_sim == 0.5 and tags.allow_verb_noun_swap
    assert (encoder.window_size, encoder.skip_text_shorter_than_window, encoder.metric) == (15, True, "angular")
    assert not encoder.compare_against_original
    assert (swarm.pop_size, swarm.max_iters, swarm.post_turn_check) == (60, 20, True)
    assert ours["pwws"].goal_function.query_budget == float("inf")


def test_building_leaves_textattack_as_it_was():
    changed = (*wiring.stand_ins(None), wiring.WordEmbedding)
    before = {cls: dict(vars(cls)) for cls in changed}
    wiring.build("pwws", resources.load("embedded", attack="pwws"), wiring.Wrapper(Bag()))
    assert before == {cls: dict(vars(cls)) for cls in changed}


def test_two_resource_sets_do_not_mix():
    a = resources.load("embedded", attack="pso")
    other = resources.Resources("local", {}, sememes=lambda w, p: ["zyx"], tagger=lambda ws: ["NOUN"] * len(ws),
                                stop_words=frozenset())  # fmt: skip
    first = wiring.build("pso", a, wiring.Wrapper(Bag()))
    wiring.build("pso", other, wiring.Wrapper(Bag()))
    from textattack.shared import AttackedText

    texts = [t.text for t in first.get_transformations(AttackedText("good film"), AttackedText("good film"))]
    assert texts and not any("zyx" in t for t in texts)


def test_case_is_kept():
    words = wiring.HowNet(lambda w, p: ["fine"], lambda ws: ["ADJ"] * len(ws))
    assert words._get_replacement_words("Good", "ADJ") == ["Fine"] and words._get_replacement_words("GOOD", "ADJ") == [
        "FINE"
    ]
    assert words._get_replacement_words("Good", "DET") == []


def test_errors_before_work():
    r = resources.load("embedded", attack="pwws")
    with pytest.raises(UnknownName, match="textfooler"):
        wiring.build("textfoler", r, wiring.Wrapper(Bag()))
    with pytest.raises(BadParameter, match="sememes"):
        wiring.build("pso", r, wiring.Wrapper(Bag()))
    with pytest.raises(BadParameter, match="-1"):
        wiring.build("pwws", r, wiring.Wrapper(Bag()), query_budget=-1)


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="QRSUPPORT_DATA is not set")
@pytest.mark.parametrize("name", NAMES)
def test_local_attacks(name):
    class Counter(Bag):
        def __call__(self, texts):
            z = np.array([1.5 - sum(w not in text for w in t.split()) for t in texts], np.float32)
            return np.stack([-z, z], axis=1)

    text = "a great cast and a beautiful story make this movie wonderful to watch with friends and family tonight"
    result, _ = attacked(name, text, 1, source="local", model=Counter())
    assert type(result).__name__ == "SuccessfulAttackResult"
    after = result.perturbed_result.attacked_text.text
    r = resources.load("local", attack=name)
    assert 0.5 < r.similarity(text, after) < 1
    find = {
        "textfooler": r.neighbours,
        "pwws": r.substitutes,
        "pso": lambda w: [c for p in ("NOUN", "VERB", "ADJ", "ADV") for c in r.sememes(w, p)],
    }
    assert all(b == a or a in find[name](b) for b, a in zip(text.split(), after.split(), strict=True))
