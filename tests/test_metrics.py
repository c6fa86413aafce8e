"""Measures: cases that can be counted by hand, and laws."""

import random
from dataclasses import replace
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrsupport.analysis import metrics, paper_claims
from qrsupport.errors import BadParameter, StaleArtefact
from qrsupport.records import Record, Replay, Status

F, S, K, E = Status.failed, Status.succeeded, Status.skipped, Status.error


def record(position=0, status=F, variant="fp32", **kwargs):
    content = {
        "example": f"mr/test/{position:05d}", "position": position, "dataset": "mr", "backbone": "bert-small", "seed": 0,
        "variant": variant, "attack": "pwws", "resources": "local", "attack_seed": 0, "status": status, "label": 1,
        "text": "a good film", "words": 3,
    }  # fmt: skip
    return Record(**(content | kwargs))


def attacks(statuses, variant="fp32", **kwargs):
    return [record(i, s, variant, **kwargs) for i, s in enumerate(statuses)]


def replay(of: Record, target: str, right: bool):
    names = set(Record.__dataclass_fields__) & set(Replay.__dataclass_fields__)
    given = {name: getattr(of, name) for name in names}
    return Replay(**given, source=of.variant, target=target, clean=1, replayed=1 if right else 0,
                  probabilities_clean=[0.5, 0.5], probabilities_replayed=[0.5, 0.5])  # fmt: skip


def replays(attacked, target, rights):
    return [replay(r, target, right) for r, right in zip(attacked, rights, strict=True)]


def predictions(rights, variant="fp32", **kwargs):
    content = {
        "dataset": "mr", "backbone": "bert-small", "seed": 0, "variant": variant, "split": "test",
        "class_names": ["negative", "positive"], "ids": [f"mr/test/{i:05d}" for i in range(len(rights))],
        "labels": [1] * len(rights), "predicted": [1 if right else 0 for right in rights], "bytes": 1000,
    }  # fmt: skip
    return content | kwargs


def test_wilson_of_eight_in_ten():
    assert metrics.interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)  # Wilson 1927, by hand


def test_wilson_of_none_is_one_sided_and_of_nothing_undefined():
    lower, upper = metrics.interval(0, 10)
    assert lower == 0 and upper == pytest.approx(1.959964**2 / (10 + 1.959964**2), abs=1e-6)
    assert np.isnan(metrics.interval(0, 0)).all()


@settings(deadline=None)
@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_contain_the_estimate_and_stay_within_0_and_1(case):
    count, n = case
    lower, upper = metrics.interval(count, n)
    assert 0 <= lower <= count / n <= upper <= 1


def test_direct_counts_skipped_as_wrong_and_leaves_errors_out():
    row = metrics.direct(metrics.frames(attacks([F, F, S, K, E]))).iloc[0]
    assert (row.examples, row.failed, row.succeeded, row.skipped, row.error) == (5, 2, 1, 1, 1)
    assert row.accuracy == 2 / 4 and row.accuracy_n == 4
    assert row.success == 1 / 3 and row.success_n == 3


def test_direct_queries_over_attacked_and_changes_over_successes():
    made = [
        record(0, F, queries=30, evaluations=9, words_changed=3),
        record(1, S, queries=10, evaluations=5, words_changed=1, words=4, similarity=0.5, timing={"seconds": 2.0}),
        record(2, S, queries=11, evaluations=4, words_changed=2, words=4, similarity=1.0, timing={"seconds": 1.0}),
        record(3, K, queries=1000, similarity=0.0),
    ]
    row = metrics.direct(metrics.frames(made)).iloc[0]
    assert row.queries_mean == 17 and row.queries_median == 11 and row.evaluations_mean == 6
    assert row.changed_mean == (0.25 + 0.5) / 2 and row.similarity_mean == 0.75 and row.seconds == 3.0


def test_text_without_words_has_no_share_of_words_changed():
    df = metrics.frames([record(0, S, text="", words=0)])
    assert np.isnan(df.loc[0, "changed"])
    assert np.isnan(metrics.direct(df).loc[0, "similarity_mean"])


def test_transfer_accuracy_and_recovery():
    source = attacks([S, S, S, F, K])
    row = metrics.transfer(metrics.replay_frames(replays(source, "int8-dynamic", [1, 0, 0, 1, 1]))).iloc[0]
    assert (row.source, row.target, row.accuracy, row.accuracy_n) == ("fp32", "int8-dynamic", 3 / 5, 5)
    assert row.recovery == 1 / 3 and row.recovery_n == 3
    assert row.gain == pytest.approx(2 / 5) and row.gain_skipped == 1 / 5  # fp32 had 1 of 5; of 2 more, 1 was skipped


def test_clean_accuracy_and_agreement_with_fp32():
    df = metrics.clean([predictions([1, 1, 0, 0], "int8-dynamic"), predictions([1, 1, 1, 0])]).set_index("variant")
    assert df.index.tolist() == ["fp32", "int8-dynamic"]
    assert df.loc["fp32", "accuracy"] == 3 / 4 and df.loc["int8-dynamic", "accuracy"] == 2 / 4
    assert df.loc["fp32", "agreement"] == 1 and df.loc["int8-dynamic", "agreement"] == 3 / 4


def test_agreement_without_fp32_is_undefined():
    assert np.isnan(metrics.clean([predictions([1], "int8-dynamic")]).loc[0, "agreement"])


def test_resource_sets_are_never_mixed():
    made = attacks([F, F], resources="local") + attacks([S, S], resources="embedded")
    df = metrics.direct(metrics.frames(made))
    assert dict(zip(df["resources"], df["accuracy"], strict=True)) == {"local": 1.0, "embedded": 0.0}
    for r in ("local", "embedded"):
        made += attacks([F, F], "int8-dynamic", resources=r)
    for table in (metrics.headline(made, [], []), metrics.pairs(made)):
        assert sorted(table["resources"].unique()) == ["embedded", "local"]
    ours = metrics.paper_comparison(made, [], []).query("protocol == 'direct'").groupby("resources")["ours"].first()
    assert ours.to_dict() == {"embedded": 100.0, "local": 0.0}


def test_two_runs_under_one_name_are_refused():
    with pytest.raises(StaleArtefact, match="variant=fp32.*aaa, bbb.*runs.load"):
        metrics.frames([record(0, made_by="aaa"), record(0, made_by="bbb")])
    with pytest.raises(StaleArtefact, match="variant=fp32"):
        metrics.clean([predictions([1]), predictions([0])])


def test_mcnemar_is_the_exact_binomial():
    a, b = [F] * 7 + [S] + [F] * 4, [S] * 7 + [F] + [F] * 4  # 7 right by fp32 alone, 1 by int8 alone
    row = metrics.pairs(attacks(a) + attacks(b, "int8-dynamic")).iloc[0]
    assert (row.variant_a, row.variant_b, row.n, row.only_a, row.only_b) == ("fp32", "int8-dynamic", 12, 7, 1)
    assert row.p == pytest.approx(2 * (comb(8, 0) + comb(8, 1)) / 2**8)
    assert row.difference == pytest.approx(-6 / 12)


def test_pairs_use_only_the_examples_that_both_have():
    row = metrics.pairs(attacks([F, F, E, F]) + attacks([S, F, F], "int8-dynamic")).iloc[0]
    assert (row.n, row.only_a, row.only_b) == (2, 1, 0)


def test_pairs_without_common_examples_have_no_p():
    df = metrics.pairs([record(0), record(1, variant="int8-dynamic")])
    assert df.loc[0, "n"] == 0 and np.isnan(df.loc[0, "p"]) and np.isnan(df.loc[0, "p_holm"])


def test_holm_over_the_family():
    made = attacks([F] * 10) + attacks([S] * 10, "int8-dynamic") + attacks([F] * 9 + [S], "adversarial")
    df = metrics.pairs(made).set_index(["variant_a", "variant_b"])
    raw = [df.loc[pair, "p"] for pair in (("fp32", "int8-dynamic"), ("int8-dynamic", "adversarial"))]
    assert raw == pytest.approx([2 / 2**10, 2 / 2**9])
    assert df.loc[("fp32", "int8-dynamic"), "p_holm"] == pytest.approx(3 * raw[0])
    assert df.loc[("int8-dynamic", "adversarial"), "p_holm"] == pytest.approx(2 * raw[1])
    assert df.loc[("fp32", "adversarial"), "p_holm"] == 1


def test_headline_has_a_row_a_variant_and_says_what_was_not_run():
    source = attacks([F, S])
    df = metrics.headline(
        source + attacks([S, S], "int8-dynamic"),
        replays(source, "int8-dynamic", [1, 1]),
        [predictions([1, 1, 1, 0])],
    ).set_index("variant")
    assert df.index.tolist() == ["fp32", "int8-dynamic"]
    assert df.loc["fp32", ["clean", "direct"]].tolist() == [0.75, 0.5] and df.loc["fp32", "transfer_n"] == 0
    assert df.loc["int8-dynamic", ["direct", "transfer"]].tolist() == [0.0, 1.0]
    assert np.isnan(df.loc["int8-dynamic", "clean"]) and df.loc["int8-dynamic", "clean_n"] == 0


def test_transfer_in_the_headline_comes_from_fp32_alone():
    other = attacks([F, F], "int8-dynamic")
    assert (metrics.headline(other, replays(other, "int8-dynamic", [1, 1]), [])["transfer_n"] == 0).all()


def test_paper_comparison_by_hand():
    source = attacks([F, S, S, S])
    made = source + attacks([F, F, S, S], "int8-dynamic") + attacks([F, F, F, F], "adversarial")
    again = [
        r for t, x in (("fp32", "1000"), ("int8-dynamic", "1110"), ("adversarial", "1100"))
        for r in replays(source, t, [c == "1" for c in x])
    ]  # fmt: skip
    clean = [predictions([1, 1, 1, 1]), predictions([1, 1, 1, 0], "int8-dynamic")]
    df = metrics.paper_comparison(made, again, clean).set_index(["claim", "protocol"])["ours"]
    first, cost, last = (c.name for c in paper_claims.CLAIMS)
    assert df[first, "transfer"] == 50 and df[first, "direct"] == 25 and df[cost, "clean"] == -25
    assert df[last, "transfer"] == 25 and df[last, "direct"] == -50


def test_paper_comparison_is_a_mean_over_cells():
    big = attacks([S] * 8) + attacks([S] * 8, "int8-dynamic")
    small = attacks([S] * 2, attack="pso") + attacks([F] * 2, "int8-dynamic", attack="pso")
    row = metrics.paper_comparison(big + small, [], []).query("protocol == 'direct'").iloc[0]
    assert (row.ours, row.lowest, row.highest, row.cells, row.n) == (50, 0, 100, 2, 10)


def test_paper_comparison_without_records_says_none_and_keeps_the_papers_numbers():
    df = metrics.paper_comparison([], [], [])
    assert df["ours"].tolist() == [None] * 7 and (df["cells"] == 0).all()
    said = {claim.name: (claim.percent, claim.source) for claim in paper_claims.CLAIMS}
    assert {row.claim: (row.paper, row.source) for row in df.itertuples()} == said


def test_replay_law_holds_and_is_broken_by_one_answer():
    source = attacks([F, S, K, E])
    good = replays(source[:3], "fp32", [1, 0, 0])
    row = metrics.replay_law(source, good).iloc[0]
    assert row.holds and row.n == 3 and row.direct == row.replayed == 1 / 3
    swapped = replays(source[:3], "fp32", [0, 1, 0])  # the same accuracy by other examples
    row = metrics.replay_law(source, swapped).iloc[0]
    assert not row.holds and row.disagree == 2
    row = metrics.replay_law(source[:2], good).iloc[0]  # a replay of what was never attacked
    assert not row.holds and row.unknown == 1


def test_replay_law_looks_at_what_was_replayed_on_itself():
    source = attacks([F, S, S])
    row = metrics.replay_law(source, replays(source[:2], "fp32", [1, 0])).iloc[0]
    assert row.holds and row.n == 2 and row.direct == row.replayed == 1 / 2
    assert metrics.replay_law(source, replays(source, "int8-dynamic", [1, 1, 1])).empty


STATUS = st.lists(st.sampled_from(list(Status)), min_size=1, max_size=30)


@settings(max_examples=15, deadline=None)
@given(STATUS)
def test_replaying_a_source_on_itself_gives_its_direct_accuracy(statuses):
    source = attacks(statuses)
    again = [replay(r, "fp32", r.status is F) for r in source if r.status is not E]
    law = metrics.replay_law(source, again)
    assert law["holds"].all()
    direct, transfer = metrics.direct(metrics.frames(source)), metrics.transfer(metrics.replay_frames(again))
    if len(transfer):
        assert transfer.loc[0, "accuracy"] == direct.loc[0, "accuracy"] == law.loc[0, "direct"]


@settings(max_examples=4, deadline=None)
@given(STATUS, STATUS, st.randoms(use_true_random=False))
@pytest.mark.slow
def test_the_order_of_records_does_not_matter(one, two, rng: random.Random):
    made = attacks(one) + attacks(two, "int8-dynamic") + attacks(one, attack="pso")
    again = replays(attacks(one), "int8-dynamic", [i % 2 == 0 for i in range(len(one))])
    clean = [predictions([1, 0]), predictions([1, 1], "int8-dynamic")]

    def tables(a, b, c):
        return [metrics.direct(metrics.frames(a)), metrics.pairs(a, b, c), metrics.headline(a, b, c),
                metrics.paper_comparison(a, b, c), metrics.clean(c), metrics.missing(a, b, c)]  # fmt: skip

    mixed = [rng.sample(x, len(x)) for x in (made, again, clean)]
    for x, y in zip(tables(made, again, clean), tables(*mixed), strict=True):
        pd.testing.assert_frame_equal(x, y)


def test_missing_names_what_each_cell_lacks():
    source = attacks([F])
    df = metrics.missing(source, replays(source, "fp32", [1]), [predictions([1])])
    assert df[["variant", "lacks"]].to_numpy().tolist() == [["int8-dynamic", "clean, direct, transfer"]]
    df = metrics.missing(source, [], [], {"attack": ("pwws", "pso"), "dataset": ("mr",)}, variants=("fp32",))
    assert dict(zip(df["attack"], df["lacks"], strict=True)) == {
        "pwws": "clean, transfer",
        "pso": "clean, direct, transfer",
    }


def test_missing_does_not_cross_resource_sets_with_other_datasets():
    made = attacks([F]) + [replace(r, dataset="embedded", resources="embedded") for r in attacks([F])]
    df = metrics.missing(made, [], [], variants=("fp32",))
    assert set(zip(df["dataset"], df["resources"], strict=True)) == {("mr", "local"), ("embedded", "embedded")}


def test_per_class_by_hand():
    df = metrics.per_class([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2], ["a", "b", "c"])
    assert df["class"].tolist() == ["a", "b", "c"] and df["support"].tolist() == [3, 2, 1]
    assert df["precision"].tolist() == pytest.approx([1, 1 / 2, 1 / 2])
    assert df["recall"].tolist() == pytest.approx([2 / 3, 1 / 2, 1])
    assert df["f1"].tolist() == pytest.approx([4 / 5, 1 / 2, 2 / 3])


def test_per_class_undefined_and_out_of_range():
    df = metrics.per_class([0, 0], [0, 1], ["a", "b", "c"])
    assert df["recall"].isna().tolist() == [False, True, True]
    assert df["precision"].isna().tolist() == [False, False, True] == df["f1"].isna().tolist() and df["support"].tolist() == [2, 0, 0]
    with pytest.raises(BadParameter, match="class number 3"):
        metrics.per_class([3], [0], ["a", "b", "c"])


def test_empty_records_give_empty_tables():
    assert metrics.direct(metrics.frames([])).empty and metrics.transfer(metrics.replay_frames([])).empty
    for df in (metrics.pairs([]), metrics.headline([], [], []), metrics.missing([], [], []), metrics.clean([])):
        assert df.empty


# --- adversaries ------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([F, S, K, E]), st.integers(1, 500)), min_size=1), st.sets(st.integers(1, 600))
)
def test_budget_curve_never_rises_and_ends_at_the_direct_accuracy(cases, budgets):
    df = metrics.frames([record(i, status, queries=queries) for i, (status, queries) in enumerate(cases)])
    curve = metrics.budget_curve(df, {*budgets, 500})
    values = curve["accuracy"].tolist()
    assert values == sorted(values, reverse=True) and curve["budget"].is_monotonic_increasing
    if (df["status"] != "error").any():
        last = curve[curve["budget"] >= 500]["accuracy"]
        assert (last == metrics.direct(df)["accuracy"].iloc[0]).all()


def test_budget_below_one_is_refused():
    with pytest.raises(BadParameter, match="budget of 0"):
        metrics.budget_curve(metrics.frames([record()]), [0])


def test_adversaries_are_cells_of_their_own_and_stay_out_of_the_headline_claims():
    plain, int8 = attacks([F, S, S, F]), attacks([F, F, S, F], "int8-dynamic")
    hard = attacks([S, S, S, S], "int8-dynamic", margin=0.5) + attacks([S, S, S, S], margin=0.5)
    both, cut = attacks([F, F, F, F], joint="int8-dynamic"), attacks([F, F, F, S], query_budget=9)
    everything = plain + int8 + hard + both + cut
    assert len(metrics.direct(metrics.frames(everything))) == 6
    assert set(metrics.outcomes_direct(metrics.frames(both))["protocol"]) == {"joint"}
    claims = [metrics.paper_comparison(found, [], []) for found in (plain + int8, everything)]
    pd.testing.assert_frame_equal(*claims)
    assert set(metrics.headline(everything, [], [])["joint"]) == {""}
    gaps = [metrics.missing(found, [], []) for found in (plain + int8, plain + int8 + hard + both)]
    pd.testing.assert_frame_equal(*gaps)


def test_pairs_can_be_kept_to_some_variants_before_the_correction():
    found = [r for v in ("fp32", "int8-dynamic", "noise-1", "noise-2") for r in attacks([F, S, F, F], v)]
    assert len(metrics.pairs(found)) == 6
    against = metrics.pairs(found, against="int8-dynamic")
    assert len(against) == 3 and (against[["variant_a", "variant_b"]] == "int8-dynamic").any(axis=1).all()
    among = metrics.pairs(found, among=("fp32", "noise-1"))
    assert among[["variant_a", "variant_b"]].to_numpy().tolist() == [["fp32", "noise-1"]]
    assert set(metrics.headline(found, [], [], ("fp32", "noise-2"))["variant"]) == {"fp32", "noise-2"}


def test_the_law_of_replaying_is_not_asked_of_joint_attacks():
    made = attacks([F, F], joint="int8-dynamic")
    assert metrics.replay_law(made, replays(made, "fp32", [False, True])).empty
    alone = attacks([F, F])
    assert not metrics.replay_law(alone, replays(alone, "fp32", [False, True]))["holds"].any()
