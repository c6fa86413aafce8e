"""Rankings: words in another variant's order or a random one; restarts: other random states for the same examples."""

import dataclasses

import numpy as np
import pytest

from qrsupport import pipeline
from qrsupport.attacks import one_example, ranking, tasks
from qrsupport.data import datasets
from qrsupport.errors import CannotRun
from qrsupport.records import Status

both = pytest.mark.parametrize("stock", [True, False], ids=["stock", "faster"])


@pytest.fixture(scope="module")
def p(tiny):
    return dataclasses.replace(tiny, n=8, attack="pwws")


def examples(p, n):
    split = datasets.load(p).eval_split()
    places = enumerate(datasets.sample(split, n, 0))
    return [tasks.Example(k, split.ids[i], split.texts[i], split.labels[i]) for k, i in places]


def task(p, variant="fp32"):
    return pipeline.task(p, variant)


def outcome(record):
    return record.status, record.perturbed, record.queries, record.probabilities_after, record.note


def attacked(p):
    return pipeline.attack(p, "fp32", progress=False)


@pytest.mark.parametrize("attack", ["textfooler", "pwws"])
@both
def test_a_ranking_by_the_variant_itself_changes_nothing(p, attack, stock):
    q = dataclasses.replace(p, attack=attack)
    itself = dataclasses.replace(q, ranking="int8-dynamic")
    plain, ranked = (one_example.Searcher(task(some, "int8-dynamic"), stock) for some in (q, itself))
    kinds = [isinstance(searcher.attack.search_method, ranking.Elsewhere) for searcher in (plain, ranked)]
    assert kinds == [False, True]
    for example in examples(p, 6):
        a, b = plain(example), ranked(example)
        assert outcome(a) == outcome(b) and a.note == "" and b.evaluations <= b.queries
    assert tasks.aimed(itself, "int8-dynamic") == q, "so that records are the same ones"


def order(searcher, example):
    """The places of a text's words as an attack takes them."""
    built = searcher.attack
    text = searcher.text(example.text)
    built.goal_function.init_attack_example(text, example.label)
    return built.search_method._get_index_order(text)[0].tolist()


@pytest.mark.parametrize("attack", ["textfooler", "pwws"])
@both
@pytest.mark.slow
def test_words_are_taken_in_the_order_of_the_variant_that_ranks_them(p, attack, stock):
    q = dataclasses.replace(p, attack=attack)
    fp32, int8, other = (one_example.Searcher(task(q, name), stock) for name in ("fp32", "int8-dynamic", "other-seed"))
    by_fp32 = dataclasses.replace(q, ranking="fp32")
    ranked = [one_example.Searcher(task(by_fp32, name), stock) for name in ("int8-dynamic", "other-seed")]
    differ = []
    for example in examples(p, 8):
        wanted = order(fp32, example)
        assert [order(searcher, example) for searcher in ranked] == [wanted, wanted]
        differ.append((order(int8, example) != wanted, order(other, example) != wanted))
    assert np.any(differ, axis=0)[1], "a test that could not fail otherwise"


@pytest.mark.slow
def test_a_ranked_attack_ends_on_the_answers_of_the_variant_attacked(p):
    q = dataclasses.replace(p, ranking="other-seed")
    found, again = attacked(q), pipeline.replay(q, "fp32", "fp32")
    for record, answer in zip(found, again, strict=True):
        assert record.ranking == answer.ranking == "other-seed"
        assert (answer.replayed != record.label) == (record.status in (Status.succeeded, Status.skipped))
    assert [r.perturbed for r in found] != [r.perturbed for r in attacked(p)]


def test_a_ranking_needs_a_greedy_search(p, monkeypatch):
    monkeypatch.setattr(pipeline, "variant", lambda *_: pytest.fail("work was done"))
    with pytest.raises(CannotRun, match="greedy search by word importance, and Swarm is none; take textfooler or pwws"):
        pipeline.attack(dataclasses.replace(p, attack="pso", ranking="int8-dynamic"), "fp32")


def test_restarts_differ_where_numbers_are_drawn_and_repeat_themselves(p):
    assert len({tasks.example_seed(0, "a"), tasks.example_seed(0, "a", 1), tasks.example_seed(0, "a", 2)}) == 3

    def found(**settings):
        searcher = one_example.Searcher(task(dataclasses.replace(p, **settings)))
        return [outcome(searcher(example)) for example in examples(p, 6)]

    plain = found()
    assert found(restart=1) == plain, "a greedy search draws no number"
    first = found(ranking="random", restart=1)
    assert first == found(ranking="random", restart=1) and first != found(ranking="random", restart=2) and first != plain
    assert found(attack="pso") != found(attack="pso", restart=1)
