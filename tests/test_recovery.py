"""One-sided tests of recovery against controls: by hand, as laws, and never against the source."""

import dataclasses
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_metrics import F, K, S, attacks, predictions, replays

from qrsupport.analysis import metrics, recovery
from qrsupport.report import published_variants, show

COUNT = st.integers(0, 60)


def two(int8, noise, statuses):
    source = attacks(statuses)
    answers = [("fp32", [s is F for s in statuses]), ("int8-dynamic", int8), ("noise-1", noise)]
    return source, [r for target, rights in answers for r in replays(source, target, rights)]


def test_the_binomial_by_hand_over_what_fooled_the_source_alone():
    _, made = two([1] * 7 + [0] + [1, 1], [0] * 7 + [1] + [0, 0], [S] * 8 + [F, K])
    df = recovery.against_controls(made, ["int8-dynamic"]).set_index("direction")
    assert df["n"].tolist() == [8, 8] and df["only_variant"].tolist() == [7, 7] and df["only_control"].tolist() == [1, 1]
    assert df.loc["more", "p"] == pytest.approx((comb(8, 0) + comb(8, 1)) / 2**8)
    assert df.loc["more", "p_holm"] == pytest.approx(2 * df.loc["more", "p"]) and df.loc["less", "p"] > 0.99


@given(COUNT, COUNT)
def test_laws_of_one_sided_tests(a, b):
    more, less = (recovery.one_sided(a, b, direction) for direction in ("more", "less"))
    assert more + less >= 1 and 0 <= min(more, less) and max(more, less) <= 1
    assert more == pytest.approx(recovery.one_sided(b, a, "less"))  # the two change places
    assert recovery.one_sided(a + 1, b, "more") <= more + 1e-12  # one more win is never weaker evidence


def test_no_test_against_the_source_under_transfer_anywhere():
    source, made = two([1, 1, 0], [1, 0, 0], [S, S, K])
    tests = recovery.against_controls(made, ["fp32", "int8-dynamic"], ["fp32", "noise-1"])
    assert set(tests["variant"]) == {"int8-dynamic"} and set(tests["control"]) == {"noise-1"}
    pairs = metrics.pairs(source, made, [predictions([1])])
    moved = pairs[pairs["protocol"].isin(["transfer", "recovery"])]
    assert len(moved) == 2 and not (moved[["variant_a", "variant_b"]] == "fp32").any(axis=None)


def test_the_sentence_has_its_direction_and_says_when_nothing_was_tested():
    _, made = two([1] * 12, [0] * 12, [S] * 12)
    said = recovery.said(recovery.against_controls(made, ["int8-dynamic"]), "int8-dynamic")
    assert "recovers more than `noise-1` and less than no control, on 12 texts a comparison" in said and "raise" not in said
    _, made = two([0] * 12, [1] * 12, [S] * 12)
    said = recovery.said(recovery.against_controls(made, ["int8-dynamic"]), "int8-dynamic")
    assert "more than no control and less than `noise-1`" in said
    assert "nothing was tested" in recovery.said(recovery.against_controls([], ["int8-dynamic"]), "int8-dynamic")


def test_the_tables_say_the_direction_and_that_nothing_fooled_the_source():
    _, made = two([1] * 3, [0] * 3, [S] * 3)
    shown = show.recovered_table(recovery.against_controls(made, ["int8-dynamic"])).text
    assert "int8-dynamic recovers more than noise-1" in shown and "int8-dynamic recovers less than noise-1" in shown
    _, made = two([1] * 3, [0] * 3, [F] * 3)
    table = show.transfer_table(metrics.transfer(metrics.replay_frames(made)))
    assert "no text fooled the source" in table.text and "not run" not in table.text


def test_files_of_measures_show_no_test_against_the_source_and_the_old_ones_none_against_controls():
    from test_measure import RESULTS

    for path in (path for path in RESULTS if path.name.startswith("variants-")):
        found = published_variants.read(path)
        assert "transfer" not in set(found.pairs["protocol"])
        for shown in (found, dataclasses.replace(found, controls=found.controls.iloc[:0])):
            assert ("whole set" in published_variants.against_controls(shown)) == (not len(shown.controls))
