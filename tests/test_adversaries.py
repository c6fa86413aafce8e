"""Adversaries: margins, several variants at once, budgets, matrices, letters and masked language models."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from stored import all_records

from qrsupport import attack_catalog, config, pipeline, records
from qrsupport.analysis import metrics
from qrsupport.attacks import goals, one_example, tasks, wiring
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint, BadParameter, MissingResource, NoNetwork
from qrsupport.lexicons import resources, sources
from qrsupport.quantization import victim
from qrsupport.records import Replay, Status
from qrsupport.report import show


@pytest.fixture(scope="module")
def p(tiny):
    return dataclasses.replace(tiny, n=8, attack="pwws")


def examples(p, n):
    split = datasets.load(p).eval_split()
    return [
        tasks.Example(k, split.ids[i], split.texts[i], split.labels[i]) for k, i in enumerate(datasets.sample(split, n, 0))
    ]


def task(p, variant="fp32"):
    return pipeline.task(tasks.aimed(p, variant), variant)


def outcome(record):
    return record.status, record.perturbed, record.queries, record.probabilities_after, record.note


def attacked(p, variant="fp32"):
    return pipeline.attack(p, variant, progress=False)


def lead(record):
    wrong = [x for i, x in enumerate(record.probabilities_after) if i != record.label]
    return max(wrong) - record.probabilities_after[record.label]


# margin --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ["textfooler", "pwws", "pso", "deepwordbug"])
@pytest.mark.parametrize("stock", [True, False])
@pytest.mark.slow
def test_a_margin_of_zero_is_the_ordinary_attack(p, attack, stock):
    made_for = task(dataclasses.replace(p, attack=attack))
    plain, zero = one_example.Searcher(made_for, stock), one_example.Searcher(made_for, stock=True)
    goals.aim(zero.attack, 0.0)
    if not stock:
        zero = one_example.Searcher(made_for)
        ordinary = wiring.build(attack, zero.words, zero.wrapper)
        zero.attack = one_example.faster.accelerate(goals.aim(ordinary, 0.0))
        assert type(zero.attack.goal_function) is one_example.faster.MarginGoal
    seen = set()
    for example in examples(p, 6):
        a, b = plain(example), zero(example)
        assert outcome(a) == outcome(b)
        seen.add(a.status)
    assert Status.succeeded in seen


def test_a_margin_is_reached_and_takes_no_fewer_queries(p):
    plain, far = attacked(p), attacked(dataclasses.replace(p, margin=0.6))
    for a, b in zip(plain, far, strict=True):
        assert b.margin == 0.6 and a.margin == 0 and b.queries >= a.queries
        assert (a.status is Status.skipped) == (b.status is Status.skipped)
        if b.status is Status.succeeded:
            assert a.status is Status.succeeded and lead(b) >= 0.6
    reached = [b for b in far if b.status is Status.succeeded]
    assert reached and any(lead(a) < 0.6 for a in plain if a.status is Status.succeeded)


OTHER_GOALS = [{"margin": 0.4}, {"joint": "int8-dynamic"}, {"spare": "other-seed"}, {"joint": "noise-1", "spare": "other-seed"}]


@pytest.mark.parametrize("settings", OTHER_GOALS)
@pytest.mark.slow
def test_faster_parts_change_nothing_under_another_goal(p, settings):
    made_for = task(dataclasses.replace(p, **settings))
    stock, ours = one_example.Searcher(made_for, stock=True), one_example.Searcher(made_for)
    assert type(ours.attack.goal_function) is one_example.faster.MarginGoal
    for example in examples(p, 8):
        a, b = stock(example), ours(example)
        assert outcome(a) == outcome(b) and a.note == "" and b.engine == "qrsupport"


def test_a_goal_of_another_kind_is_refused():
    from textattack.goal_functions import TargetedClassification

    built = wiring.build("pwws", resources.load("embedded", attack="pwws"), wiring.Wrapper(None))
    built.goal_function.__class__ = TargetedClassification
    with pytest.raises(BadParameter, match="TargetedClassification"):
        goals.aim(built, 0.1)


# joint ---------------------------------------------------------------------------------------------------


class Fixed:
    labels, path = ("a", "b", "c"), Path("fixed")

    def __init__(self, *rows):
        self.rows = np.log(np.maximum(np.array(rows, np.float32), 1e-9))

    def __call__(self, texts):
        return self.rows[[int(t) for t in texts]]


def test_several_answer_as_the_member_hardest_to_fool():
    one = Fixed((0.5, 0.3, 0.2), (0.2, 0.7, 0.1), (0.45, 0.30, 0.25))
    two = Fixed((0.6, 0.3, 0.1), (0.3, 0.4, 0.3), (0.49, 0.51, 0.00))
    several = goals.Several([one, two])
    found = victim.probabilities(several(["0", "1", "2"]))
    np.testing.assert_allclose(found, [[0.6, 0.3, 0.1], [0.3, 0.4, 0.3], [0.45, 0.30, 0.25]], atol=1e-6)
    several.truth = 1
    assert victim.probabilities(several(["0"])).round(3).tolist() == [[0.5, 0.3, 0.2]] and several.asked == 4


def test_several_with_different_labels_are_refused():
    other = Fixed((1.0, 1.0, 1.0))
    other.labels, other.path = ("x", "y"), Path("other")
    with pytest.raises(BadCheckpoint, match="fixed has .* other has"):
        goals.Several([Fixed((1.0, 1.0, 1.0)), other])


@pytest.mark.slow
def test_a_joint_attack_succeeds_if_and_only_if_every_member_is_fooled(p):
    q = dataclasses.replace(p, joint="other-seed")
    joint = attacked(q)
    assert all(r.joint == "other-seed" for r in joint)
    members = {t: pipeline.replay(q, "fp32", t) for t in ("fp32", "other-seed")}
    for record, *answers in zip(joint, *members.values(), strict=True):
        wrong = [a.replayed != a.label for a in answers]
        assert all(wrong) == (record.status in (Status.succeeded, Status.skipped))
    assert Status.succeeded in {r.status for r in joint}


def test_joint_names_each_other_variant_once_in_a_fixed_order(p):
    q = dataclasses.replace(p, joint="noise-1,int8-dynamic,fp32,int8-dynamic")
    assert tasks.aimed(q, "fp32").joint == "int8-dynamic,noise-1"
    assert tasks.aimed(q, "int8-dynamic").joint == "fp32,noise-1"
    assert tasks.aimed(p, "fp32") == p
    for change in ({"margin": 0.1}, {"joint": "int8-dynamic"}, {"spare": "int8-dynamic"}, {"ranking": "random"}, {"restart": 1}):
        assert config.identity(dataclasses.replace(p, **change), "fp32", True) != config.identity(p, "fp32", True)


# spare ---------------------------------------------------------------------------------------------------


def test_a_spared_member_counts_with_its_first_two_classes_exchanged():
    one = Fixed((0.7, 0.2, 0.1), (0.2, 0.7, 0.1), (0.30, 0.60, 0.10), (0.2, 0.7, 0.1))
    two = Fixed((0.6, 0.3, 0.1), (0.3, 0.6, 0.1), (0.55, 0.05, 0.40), (0.9, 0.1, 0.0))
    several = goals.Several([one], [two])
    found = victim.probabilities(several(["0", "1", "2", "3"]))
    np.testing.assert_allclose(found, [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.40, 0.05, 0.55], [0.2, 0.7, 0.1]], atol=1e-6)
    assert found.argmax(1).tolist() == [0, 0, 2, 1], "wrong where the first is wrong and the second right"


def test_a_text_that_a_spared_member_gets_wrong_unattacked_is_wrong_from_the_beginning():
    right, wrong = Fixed((0.9, 0.1, 0.0)), Fixed((0.4, 0.5, 0.1))
    several = goals.Several([right], [wrong])
    assert several(["0"]).argmax() == 0
    several.begins = True
    assert several(["0"]).argmax() == 1
    assert goals.Several([wrong], [right])(["0"]).argmax() == 1


@pytest.mark.parametrize(("variant", "spare"), [("fp32", "other-seed"), ("other-seed", "fp32"), ("w3a3", "fp32")])
@pytest.mark.slow
def test_what_is_spared_still_gives_the_label_and_what_is_attacked_does_not(p, variant, spare):
    q = dataclasses.replace(p, spare=spare, n=12)
    found = attacked(q, variant)
    own, kept = (pipeline.replay(q, variant, t) for t in (variant, spare))
    assert all((r.spare, a.spare) == (spare, spare) for r, a in zip(found, own, strict=True))
    for record, a, b in zip(found, own, kept, strict=True):
        if record.status is Status.succeeded:
            assert a.replayed != record.label == b.replayed
        assert (record.status is Status.skipped) == (a.clean != record.label or b.clean != record.label)
    assert Status.succeeded in {r.status for r in found}


def test_a_variant_cannot_be_fooled_and_spared(p):
    for change in ({"spare": "fp32"}, {"spare": "int8-dynamic", "joint": "int8-dynamic"}):
        with pytest.raises(BadParameter, match="cannot be fooled and spared"):
            attacked(dataclasses.replace(p, **change))
    assert tasks.aimed(dataclasses.replace(p, spare="noise-1,int8-dynamic"), "fp32").spare == "int8-dynamic,noise-1"


def test_what_is_not_asked_for_leaves_no_trace_in_a_record_or_its_identity(p):
    plain = attacked(p)[0]
    fields = {f.name for f in dataclasses.fields(plain)}
    assert set(json.loads(records.to_line(plain))) == fields - {"setting", *config.LATER}
    assert not set(config.LATER) & set(config.identity(p, "fp32", True))
    for name, value in (("spare", "other-seed"), ("ranking", "random"), ("restart", 2)):
        changed = dataclasses.replace(plain, **{name: value})
        assert json.loads(records.to_line(changed))[name] == value
        assert records.from_line(records.to_line(changed), records.Record) == changed


# one run directory, several adversaries -------------------------------------------------------------------


@pytest.mark.slow
def test_adversaries_are_cells_of_their_own_and_laws_hold(p):
    attacked(dataclasses.replace(p, query_budget=20))
    extras = [{"spare": "other-seed"}, {"ranking": "other-seed"}, {"ranking": "random", "restart": 1}]
    for change in ({}, {"margin": 0.6}, {"joint": "other-seed"}, {"query_budget": 20}, *extras):
        q = dataclasses.replace(p, **change)
        pipeline.matrix(q, ["fp32"], ["fp32", "other-seed"])
    run = config.run_dir(p)
    found = [r for r in all_records(run) if r.attack == "pwws" and r.variant == "fp32"]
    replays = [r for r in all_records(run, Replay) if r.attack == "pwws" and r.source == "fp32"]
    table = metrics.direct(metrics.frames(found))
    assert {*zip(table["query_budget"], table["margin"], table["joint"])} >= {
        (0, 0.0, ""), (0, 0.6, ""), (0, 0.0, "other-seed"), (20, 0.0, ""),
    }  # fmt: skip
    law = metrics.replay_law(found, replays)
    assert len(law) >= 5 and law["holds"].all() and set(law["joint"] + law["spare"]) == {""}
    assert set(law["ranking"]) == {"", "other-seed", "random"}
    plain = metrics.headline(found, replays, [])
    assert (plain[list(metrics.EXTRAS)] == list(metrics.EXTRAS.values())).all(axis=None)
    kinds = metrics.outcomes_direct(metrics.frames(found))["protocol"]
    assert set(kinds) == {"direct", "joint", "spare"}
    assert {*table["spare"]} == {"", "other-seed"} and {*table["restart"]} == {0, 1}
    assert set(metrics.paper_comparison(found, replays, [])["cells"]) <= {0, 1}
    shown = repr(show.direct_table(table))
    assert "other-seed" in shown and "margin" in shown


@pytest.mark.slow
def test_a_matrix_reruns_no_attack(p, monkeypatch):
    names = ["fp32", "int8-dynamic"]
    for name in names:
        attacked(p, name)
    monkeypatch.setattr(one_example.Searcher, "__init__", lambda *_: pytest.fail("an attack was run"))
    made = pipeline.matrix(p, names, [*names, "noise-1"])
    table = metrics.transfer(metrics.replay_frames(made))
    assert len(table) == 6
    figure = show.transfer_matrix(table)
    assert figure.png and "from int8-dynamic: fp32 " in figure.alt and "noise-1" in figure.alt
    assert "recovery" in show.transfer_matrix(table, "recovery").alt


def test_budget_curves_fall_to_the_direct_accuracy_and_bound_what_a_budget_really_gives(p):
    frame = metrics.frames(attacked(p))
    budgets = (1, 5, 20, 60, 10**9)
    curve = metrics.budget_curve(frame, budgets)["accuracy"].tolist()
    direct = metrics.direct(frame)["accuracy"].iloc[0]
    assert curve == sorted(curve, reverse=True) and curve[-1] == direct < curve[0]
    cut = metrics.direct(metrics.frames(attacked(dataclasses.replace(p, query_budget=20))))["accuracy"].iloc[0]
    assert direct <= cut <= curve[2]
    assert f"{int(1e9):,}" in show.budget_curves(metrics.budget_curve(frame, budgets)).alt
    with pytest.raises(BadParameter, match="budget of 0"):
        metrics.budget_curve(frame, [0])


# further recipes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["fp32", "int8-dynamic"])
def test_letters_are_changed_as_textattack_changes_them(p, variant):
    made_for = task(dataclasses.replace(p, attack="deepwordbug"), variant)
    stock, ours = one_example.Searcher(made_for, stock=True), one_example.Searcher(made_for)
    seen = set()
    for example in examples(p, 10):
        a, b = stock(example), ours(example)
        assert outcome(a) == outcome(b) and a.note == "" and b.evaluations <= b.queries
        seen.add(a.status)
    assert Status.succeeded in seen


def test_every_attack_has_parts_and_a_recipe():
    assert set(attack_catalog.ATTACKS) == set(wiring.RECIPES) == set(resources.PARTS)
    wanted = {part for parts in resources.PARTS.values() for part in parts}
    for name, table in sources.LOADERS.items():
        assert wanted <= set(table) | set(attack_catalog.ABSENT[name]) and not set(table) & set(attack_catalog.ABSENT[name])


@pytest.fixture(scope="module")
def masked(tiny, tmp_path_factory):
    """A data directory with a masked language model of random weights over the embedded vocabulary."""
    import torch
    import transformers as hf


    room = tmp_path_factory.mktemp("data")
    tokenizer = hf.AutoTokenizer.from_pretrained(pipeline.checkpoint(tiny))
    torch.manual_seed(0)
    settings = hf.BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                             intermediate_size=32, max_position_embeddings=512)  # fmt: skip
    hf.BertForMaskedLM(settings).save_pretrained(room / "masked-lm")
    tokenizer.save_pretrained(room / "masked-lm")
    return room


def test_bae_takes_its_words_from_a_masked_language_model(p, masked, monkeypatch):
    monkeypatch.setenv("QRSUPPORT_DATA", str(masked))
    model, files = sources.LOADERS["local"]["masked_lm"]()
    assert "masked-lm/model.safetensors" in files
    words = dataclasses.replace(
        resources.load("embedded", attack="textfooler"), stop_words=frozenset({"the"}), masked_lm=model
    )
    wrapper = wiring.Wrapper(pipeline.classifier(p, "fp32"))
    built = wiring.build("bae", words, wrapper)
    assert built.transformation._language_model is model[0] and built.transformation.max_candidates == 50
    encoded = next(c for c in built.constraints if isinstance(c, wiring.Encoded))
    assert encoded.threshold == pytest.approx(np.cos(np.pi * (1 - words.encoder.threshold)))
    built.constraints = []  # random words pass none
    example = next(e for e in examples(p, 20) if wrapper([e.text]).argmax() == e.label)
    results = [built.attack(example.text, example.label) for _ in "ab"]
    assert results[0].perturbed_result.attacked_text.text == results[1].perturbed_result.attacked_text.text
    assert results[0].perturbed_result.attacked_text.text != example.text and results[0].num_queries > 1


def test_bae_says_what_to_set(tmp_path, monkeypatch):
    with pytest.raises(MissingResource, match="resources='published' with network=True"):
        resources.load("embedded", attack="bae")
    with pytest.raises(NoNetwork, match="network=True"):
        resources.load("published", attack="bae")
    monkeypatch.setenv("QRSUPPORT_DATA", str(tmp_path))
    with pytest.raises(MissingResource, match="masked-lm.*network=True"):
        sources.LOADERS["local"]["masked_lm"]()
