"""Sentences beside the tables and figures of the chapters 6 to 10: what they say of rows, of none, and of rows of zeros."""

import numpy as np
import pandas as pd
import pytest

from qrsupport.report import readings


def grid(**clean):
    """Rows of the headline: fp32 at 0.9 with an interval from 0.85, and variants of other clean accuracies."""
    rows = [{"variant": "fp32", "clean": 0.9, "clean_lower": 0.85}]
    return pd.DataFrame(rows + [{"variant": name, "clean": value, "clean_lower": value - 0.05} for name, value in clean.items()])


def test_widths_are_told_apart_by_the_lower_end_of_fp32s_interval():
    said = readings.breaking(grid(w4=0.5, w6=0.86, a8=0.85))
    assert "at least 85.0 %" in said
    assert "Weights: held at 6 bits, lost at 4 (50.0 %) bits; activations: held at 8 bits." in said


def test_widths_without_fp32_or_without_a_width_say_so():
    assert "not among the variants" in readings.breaking(grid(w4=0.5).iloc[1:])
    assert "No simulated width was run" in readings.breaking(grid())


def moved(n, recovery=None, gain=None):
    return pd.DataFrame({
        "variant": [f"w{i}" for i in range(n)], "moved": np.arange(n, dtype=float) + 1,
        "recovery": np.arange(n) / 10 if recovery is None else recovery,
        "gain": -np.arange(n, dtype=float) if gain is None else gain,
    })  # fmt: skip


def test_movement_has_the_rank_correlations_and_names_the_best():
    said = readings.movement(moved(5))
    assert "recovery is +1.00" in said and "direct gain it is -1.00" in said
    assert "`w4` recovers most (40.0 %); attacked itself it differs from `fp32` by -4.0 points" in said


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (moved(0), readings.NOTHING),
        (moved(5, recovery=np.nan), readings.NOTHING),
        (moved(3), "3 variants cannot show"),
        (moved(1), "1 variant cannot show"),
        (moved(5, gain=0.0), "it cannot be told (all are equal)"),
    ],
)
def test_movement_claims_nothing_from_too_little(rows, expected):
    assert expected in readings.movement(rows)


def pairs(*p_holm):
    return pd.DataFrame({
        "protocol": "direct", "backbone": "b", "variant_b": [f"v{i}" for i in range(len(p_holm))], "n": 20,
        "difference": 0.125, "p_holm": p_holm,
    }, columns=["protocol", "backbone", "variant_b", "n", "difference", "p_holm"])  # fmt: skip


def test_tests_name_those_that_differ():
    said = readings.tested(pairs(0.01, 0.4))
    assert "Of 2 variants on 20 examples, `v0` by +12.5 points differs from" in said
    assert "none differ" in readings.tested(pairs(0.3)) and "smallest corrected p is" in readings.tested(pairs(0.3))
    assert readings.tested(pairs()) == "No pair of variants was tested."


def test_a_smallest_file_is_set_against_fp32():
    rows = pd.DataFrame({"variant": ["fp32", "w4"], "accuracy": [0.9, 0.8], "bytes": [100, 25]})
    assert "`w4` has the smallest file, 0.25 of `fp32`'s, and a clean accuracy of 80.0 % beside 90.0 %." == readings.smallest(rows)
    assert "not among the variants" in readings.smallest(rows.iloc[1:])


def transfer(recovery, n=10, **more):
    rows = [{"source": "fp32", "target": "fp32", "recovery": 0.0, "recovery_n": n, "accuracy": 0.2} | more]
    rows += [
        {"source": "fp32", "target": name, "recovery": value, "recovery_n": n, "accuracy": 0.2 + value,
         "recovery_lower": value / 2, "recovery_upper": min(1, 2 * value)} | more
        for name, value in recovery.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_recovery_is_said_beside_the_other_targets():
    said = readings.recovered(transfer({"int8-dynamic": 0.3, "noise-1": 0.2}), "int8-dynamic")
    assert "`int8-dynamic` recovers 30.0 %" in said and "; `noise-1` 20.0 %." in said and "above zero" not in said


def test_bars_and_curves_that_all_lie_at_zero_are_said_to():
    none = {"int8-dynamic": 0.0, "noise-1": 0.0}
    assert "no bar stands above zero" in readings.recovered(transfer(none), "int8-dynamic")
    over = pd.concat([transfer(none, margin=margin) for margin in (0.0, 0.4)])
    assert "Every curve lies at zero" in readings.margins(over)


def test_without_a_success_there_is_nothing_to_say():
    lost = transfer({"int8-dynamic": np.nan, "noise-1": np.nan}, n=0, margin=0.0)
    assert readings.recovered(lost, "int8-dynamic") == readings.margins(lost) == readings.diagonal(lost) == readings.NOTHING
    assert readings.crossed(np.zeros(0), {}) == readings.NOTHING
    assert readings.predicted(pd.DataFrame(columns=["target", "clean", "adversarial", "predicted", "observed"])) == readings.NOTHING
    assert readings.power(pd.DataFrame()) == ""


def test_margins_give_both_ends_and_the_wins():
    over = pd.concat([transfer({"int8-dynamic": 0.3}, margin=0.0), transfer({"int8-dynamic": 0.1}, n=8, margin=0.4)])
    assert readings.margins(over) == (
        "From margin 0 to 0.4 recovery goes: `int8-dynamic` 30.0 % to 10.0 %. The attack wins 10 examples at the first and 8 at the last."
    )


def test_lines_above_zero_are_counted():
    said = readings.crossed(np.array([-0.1, -0.2, -0.6]), {"t": np.array([0.1, -0.1, 0.2]), "u": -np.ones(3)})
    assert "3 texts lies 0.20 logits behind" in said and "the furthest 0.60" in said and "2 in `t`, 0 in `u`" in said


def test_predictions_and_what_they_assume():
    rows = pd.DataFrame({"target": ["a", "b"], "clean": [1.0, 2.0], "adversarial": [2.0, 2.0], "predicted": [0.5, 0.1], "observed": [0.2, 0.1]})
    said = readings.predicted(rows)
    assert "15 points apart in the mean, and most for `a` (50 % predicted, 20 % observed)" in said
    assert "1.0 to 2.0 times as far" in said


@pytest.mark.parametrize(("most", "able"), [(6, False), (7, True)])
def test_power_knows_how_few_texts_can_settle_nothing(most, able):
    tests = pd.DataFrame({"only_variant": [most, 1], "only_control": [0, 0]} | {"p": 1.0})
    tests = pd.concat([tests] * 3)  # 0.05 / 6 needs 2 ** -7
    said = readings.power(tests)
    assert "7 discordant texts" in said and ("could find" in said) == able


def test_controls_are_said_by_how_much_they_move():
    assert "`n` by 0.50 times as much" in readings.matched({"int8-dynamic": 2.0, "n": 1.0}, "int8-dynamic")
    assert "moves no lead" in readings.matched({"int8-dynamic": 0.0, "n": 1.0}, "int8-dynamic")


def test_half_of_the_successes_within_a_budget():
    curve = pd.DataFrame({"variant": "v", "budget": [1, 8, 16], "accuracy": [0.9, 0.5, 0.1]})
    assert "`v`: half of its successes within 8 queries, 10.0 % left" in readings.budget(curve)
    assert "no success at any budget" in readings.budget(curve.assign(accuracy=0.9))
    assert readings.budget(curve.iloc[:0]) == readings.NOTHING


def attacked(*statuses, queries=10.0):
    return pd.DataFrame({"example": range(len(statuses)), "status": statuses, "queries": queries, "changed": 0.1})


def test_a_joint_attack_is_paid_on_the_examples_that_both_win():
    said = readings.price(attacked("succeeded", "succeeded"), attacked("succeeded", "failed", queries=14.0), "int8-dynamic")
    assert "wins 2, the one that must fool `int8-dynamic` too 1. On the 1 that both win, the second asks +4.0 queries" in said
    assert readings.price(attacked("failed"), attacked("failed"), "int8-dynamic") == readings.NOTHING


def test_ensembles_are_said_by_cost_and_on_their_own_diagonal():
    clean = pd.DataFrame({"variant": ["fp32", "ensemble-mean"], "bytes": [100, 125]})
    latency = {"fp32": {"median": 1.0}, "ensemble-mean": {"median": 1.5}}
    assert "`ensemble-mean` takes 1.5 times the time and 1.25 times the bytes" in readings.cost(latency, clean)
    own = pd.DataFrame([
        {"source": "ensemble-mean", "target": "ensemble-mean", "accuracy": 0.3, "recovery": 0.0, "recovery_n": 5},
        {"source": "fp32", "target": "ensemble-mean", "accuracy": 0.5, "recovery": 0.4, "recovery_n": 5},
    ])  # fmt: skip
    assert "30.0 % under attacks on itself, 50.0 % to 50.0 % on the sets" in readings.diagonal(own)
    assert "all zero" in readings.diagonal(own.assign(recovery=0.0)) and "all zero" not in readings.diagonal(own)


def test_attacks_that_end_otherwise_are_counted():
    frame = pd.DataFrame({
        "backbone": "b", "variant": ["fp32", "fp32", "w4", "w4"], "example": [0, 1, 0, 1],
        "status": ["failed", "failed", "failed", "succeeded"],
    })  # fmt: skip
    assert "`w4` on 1 of 2" in readings.alike(frame)
    assert "only `fp32`" in readings.alike(frame[frame["variant"] == "fp32"]).replace("Only", "only")


def test_backbones_are_compared_with_their_own_eight_bits():
    rows = pd.DataFrame({"backbone": ["a", "b"], "κ of activations, middle": [5.0, 9.0], "int8 moves a logit by (rms)": [0.1, 0.4]})
    assert "is the order by movement" in readings.outliers(rows)
    assert "is not the order by movement" in readings.outliers(rows.assign(**{"int8 moves a logit by (rms)": [0.4, 0.1]}))
    assert "a second backbone is needed" in readings.outliers(rows.iloc[:1])
    assert readings.outliers(rows.iloc[:0]) == "No backbone was measured."
    clean = pd.DataFrame({"backbone": ["a", "a"], "variant": ["fp32", "int8-dynamic"], "bytes": [100, 30], "agreement": [1.0, 0.95]})
    assert readings.smaller(clean) == "In 8 bits the file of `a` shrinks to 0.30, and 95.0 % of its labels stay."
    assert "No backbone" in readings.smaller(clean.iloc[:1])
    assert "`a` 2.0 times as fast" in readings.faster({"a": [4.0, 2.0]}) and readings.faster({}) == "Nothing was timed."


def test_backbones_without_a_success_have_no_text_to_recover():
    table = pairs(1.0).assign(variant_b="int8-dynamic")
    rows = pd.DataFrame([{"backbone": "b", "variant": "int8-dynamic", "recovery": np.nan, "recovery_n": 0}])
    assert "+12.5 points" in readings.by_backbone(rows, table) and "no text to recover" in readings.by_backbone(rows, table)
    assert "No pair" in readings.by_backbone(rows, table.iloc[:0])


def test_names_cannot_leave_their_code():
    assert readings.code("a`<b>\n").count("`") == 2 and "\n" not in readings.code("a\nb")
    assert readings.listed(["a", "b", "c"]) == "`a`, `b` and `c`" and readings.listed([]) == "none"
