"""The study's analysis, on made-up rows whose right answers are worked out by hand."""

from math import comb, log

import numpy as np
import pandas as pd
import pytest

from qrsupport import config
from qrsupport.analysis import boundary, classes, gains, loyalty, null, outcomes, transfers
from qrsupport.study import findings, read

PLACE = {"dataset": "mr", "backbone": "b", "seed": 0}
AIMS = {name: getattr(config.Parameters(), name) for name in config.AIM}


def frame(rows):
    """Published rows: those columns that a row names, else none."""
    made = pd.DataFrame(rows).reindex(columns=[*PLACE, *read.SCHEMA.names])
    return made.assign(**{name: value if name not in rows[0] else made[name] for name, value in PLACE.items()})


def direct(variant, statuses, attack="pwws", seed=0, label=None, **aims):
    """A variant attacked: F failed, S succeeded, K skipped, E error; example i has label i % 2."""
    names = {"F": "failed", "S": "succeeded", "K": "skipped", "E": "error"}
    return [
        {**PLACE, "seed": seed, "kind": "direct", "variant": variant, "attack": attack, **AIMS, **aims, "example": f"e{i}",
         "position": i, "status": names[s], "label": i % 2, "answer": i % 2 if s == "F" else 1 - i % 2, "lead": -1.0}
        for i, s in enumerate(statuses)
    ]  # fmt: skip


def transfer(source, target, answers, attack="pwws", **aims):
    """A target's answers to what fooled the source: 1 right, 0 wrong, . not fooled."""
    return [
        {**PLACE, "kind": "transfer", "variant": source, "target": target, "attack": attack, **AIMS, **aims,
         "example": f"e{i}", "position": i, "status": "succeeded", "label": i % 2,
         "answer": i % 2 if c == "1" else 1 - i % 2}
        for i, c in enumerate(answers) if c != "."
    ]  # fmt: skip


def clean(variant, answers, leads=None):
    return [
        {**PLACE, "kind": "clean", "variant": variant, "example": f"e{i}", "position": i, "label": i % 2,
         "answer": i % 2 if c == "1" else 1 - i % 2, "lead": leads[i] if leads else 1.0}
        for i, c in enumerate(answers)
    ]  # fmt: skip


def test_direct_gain_and_exact_mcnemar_by_hand():
    rows = frame(direct("fp32", "FFSSSSKE") + direct("int8-dynamic", "FSFFFSKF"))
    found = gains.cells(outcomes.direct(rows), ["int8-dynamic"]).iloc[0]
    # e7 ended in an error for fp32: seven examples; fp32 keeps 2, int8 keeps 4; alone: int8 e2 e3 e4, fp32 e1
    assert (found["n"], found["only_variant"], found["only_against"]) == (7, 3, 1)
    assert (found["against"], found["accuracy"], found["gain"]) == pytest.approx((2 / 7, 4 / 7, 2 / 7))
    assert found["p"] == pytest.approx(2 * (comb(4, 0) + comb(4, 1)) / 2**4) == found["p_holm"]


def test_holm_runs_over_all_cells():
    rows = frame(
        direct("fp32", "S" * 8) + direct("int8-dynamic", "F" * 8)
        + direct("fp32", "S" * 8, attack="textfooler") + direct("int8-dynamic", "F" + "S" * 7, attack="textfooler")
    )  # fmt: skip
    found = gains.cells(outcomes.direct(rows), ["int8-dynamic"]).set_index("attack")
    assert found.loc["pwws", "p"] == pytest.approx(2 / 2**8)
    assert found.loc["pwws", "p_holm"] == pytest.approx(2 * 2 / 2**8)
    assert found.loc["textfooler", "p_holm"] == 1.0


def test_attacks_with_a_further_aim_are_not_ordinary():
    rows = frame(direct("fp32", "FF") + direct("fp32", "SS", margin=0.3))
    assert outcomes.direct(rows)["right"].all() and len(outcomes.direct(rows)) == 2
    (row,) = transfers.aimed(rows).to_dict("records")
    assert row["success"] == 1.0 and row["success_n"] == 2 and row["plain"] == 0.0


def test_bootstrap_of_equal_differences_has_no_width():
    rows = frame(direct("fp32", "SSSS") + direct("int8-dynamic", "FFFF"))
    found = gains.pooled(outcomes.direct(rows), "int8-dynamic")
    assert (found["gain"], found["lower"], found["upper"], found["seeds"], found["n"]) == (1, 1, 1, 1, 4)


def test_bootstrap_over_examples_has_the_binomial_width():
    half = "F" * 50 + "S" * 50
    d = gains.differences(outcomes.direct(frame(direct("fp32", "S" * 100) + direct("int8-dynamic", half))), "int8-dynamic", "fp32")
    drawn = gains.draws(d)
    assert drawn.mean() == pytest.approx(0.5, abs=0.005)
    assert drawn.std() == pytest.approx((0.5 * 0.5 / 100) ** 0.5, rel=0.05)


def test_bootstrap_carries_seeds():
    """Seeds that differ and examples that do not: of two seeds, a draw has both, or one of them twice."""
    rows = direct("fp32", "SSSS") + direct("int8-dynamic", "FFFF")
    rows += direct("fp32", "SSSS", seed=1) + direct("int8-dynamic", "SSSS", seed=1)
    drawn = gains.draws(gains.differences(outcomes.direct(frame(rows)), "int8-dynamic", "fp32"))
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [0.0, 0.5, 1.0]
    assert counts / len(drawn) == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_a_seed_fine_tuned_again_counts_only_where_the_first_has_not_both_sides():
    sides = [direct("fp32", "SSSS", seed="0"), direct("int8-dynamic", "FFSS", seed="0")]
    again = [direct("fp32", "SSSS", seed="0b"), direct("int8-dynamic", "FFFF", seed="0b"), direct("w8", "FSSS", seed="0b")]
    again += [direct(name, statuses, "textfooler", seed="0b") for name, statuses in (("fp32", "SSSS"), ("int8-dynamic", "FSSS"))]
    found = outcomes.direct(frame(sum(sides + again, [])))
    assert gains.pooled(found, "int8-dynamic", n=20)["gain"] == pytest.approx((0.5 + 0.25) / 2)
    assert gains.pooled(found, "w8", n=20)["gain"] == 0.25
    assert gains.cells(found, ["int8-dynamic"])[["attack", "seed"]].to_numpy().tolist() == [["pwws", "0"], ["textfooler", "0b"]]


def test_seeds_of_unequal_samples_count_alike():
    rows = direct("fp32", "SSSS") + direct("int8-dynamic", "FFFF")
    rows += direct("fp32", "SS", seed=1) + direct("int8-dynamic", "SS", seed=1)
    found = gains.pooled(outcomes.direct(frame(rows)), "int8-dynamic")
    assert found["gain"] == 0.5 and found["seeds"] == 2


def cell(variant, gain, seed=0, attack="pwws"):
    return {**PLACE, "seed": seed, "attack": attack, "variant": variant, "gain": gain}


def test_null_exchanges_the_variant_with_its_noise():
    """Three models, each with two controls that gain nothing: the variant is highest with chance (1/3)³."""
    cells = pd.DataFrame([cell(v, g, seed) for seed in range(3) for v, g in (("int8", 0.3), ("a", 0.0), ("b", 0.0))])
    found = null.against_noise(cells, "int8", ["a", "b"])
    assert found["excess"] == pytest.approx(0.3) and found["models"] == 3
    assert found["p"] == pytest.approx(1 / 27, abs=0.006)
    down = null.against_noise(cells.assign(gain=-cells["gain"]), "int8", ["a", "b"])
    assert down["p"] == pytest.approx(1.0)  # one-sided: a loss is no gain


def test_null_keeps_attacks_on_one_model_together():
    cells = pd.DataFrame(
        [cell(v, g, attack=attack) for attack in ("pwws", "textfooler") for v, g in (("int8", 0.2), ("a", 0.0))]
    )
    assert null.against_noise(cells, "int8", ["a"])["p"] == pytest.approx(0.5, abs=0.02)
    assert null.against_noise(cells, "int8", ["c"]) == {"excess": pytest.approx(np.nan, nan_ok=True), "p": 1.0, "models": 0}


def test_spread_ranks_the_variant_among_its_controls():
    found = null.spread(pd.DataFrame([cell("int8", 0.1), cell("a", 0.2), cell("b", -0.1)]), "int8", ["a", "b"])
    assert found[["lowest", "highest", "controls", "rank"]].values.tolist() == [[-0.1, 0.2, 2, 2]]


def test_worst_case_counts_every_attack_of_the_suite():
    both = ["fp32", "int8-dynamic"]
    rows = frame(
        direct("fp32", "FFSK") + direct("int8-dynamic", "FFFK")
        + direct("fp32", "FFF", "textfooler") + direct("int8-dynamic", "FFF", "textfooler")
        + direct("fp32", "SSSS", "pso")  # not made on int8: no part of the suite
        + transfer("fp32", "int8-dynamic", "..1.") + transfer("int8-dynamic", "fp32", "....")
        + direct("fp32", "SFF", joint="int8-dynamic") + transfer("fp32", "int8-dynamic", "0..", joint="int8-dynamic")
        + transfer("fp32", "fp32", "0..", joint="int8-dynamic")
    )  # fmt: skip
    found = outcomes.worst_case(rows, both).pivot(index="example", columns="variant", values="right")
    assert list(found.index) == ["e0", "e1", "e2"]  # what all parts attacked
    assert found["fp32"].tolist() == [False, True, False]
    assert found["int8-dynamic"].tolist() == [False, True, True]


def test_worst_case_leaves_out_errors_and_models_without_all_variants():
    rows = frame(direct("fp32", "FE") + direct("int8-dynamic", "FF"))
    assert set(outcomes.worst_case(rows, ["fp32", "int8-dynamic"])["example"]) == {"e0"}
    assert len(outcomes.worst_case(rows, ["fp32", "noise-1"])) == 0


def test_worst_case_of_a_model_without_the_whole_core_is_that_of_the_pair():
    pair = direct("fp32", "FFS") + direct("int8-dynamic", "FSF")
    rows = pd.concat([frame(pair), frame(pair + direct("noise-1", "FFF")).assign(seed=1)], ignore_index=True)
    found = outcomes.worst_case(rows, ["fp32", "int8-dynamic", "noise-1"], ["fp32", "int8-dynamic"])
    assert found.groupby("seed")["variant"].unique().map(list).tolist() == [
        ["fp32", "int8-dynamic"],
        ["fp32", "int8-dynamic", "noise-1"],
    ]


def test_recovery_and_one_sided_tests_by_hand():
    rows = frame(
        direct("fp32", "SSSSS") + transfer("fp32", "int8-dynamic", "11110") + transfer("fp32", "noise-1", "00010")
        + transfer("fp32", "fp32", "00000")
    )  # fmt: skip
    found = transfers.matrix(rows).set_index("target")
    assert found["recovery"].to_dict() == {"int8-dynamic": 0.8, "noise-1": 0.2}
    tests = transfers.against(rows, "int8-dynamic", ["noise-1", "other-seed"]).set_index("direction")
    assert (tests["only_variant"] == 3).all() and (tests["only_control"] == 0).all()
    assert tests["p"].to_dict() == {"more": pytest.approx(1 / 8), "less": 1.0}
    assert tests["p_holm"].to_dict() == {"more": pytest.approx(2 / 8), "less": 1.0}


def test_the_papers_way_of_counting_by_hand():
    """Of e0 to e4 fp32 keeps e0, loses e1 and e2, and had e3 and e4 wrong unattacked."""
    rows = frame(
        direct("fp32", "FSSKK") + transfer("fp32", "int8-dynamic", ".10..")
        + clean("fp32", "11100") + clean("int8-dynamic", "11110")
    )  # fmt: skip
    (row,) = transfers.whole_set(rows).to_dict("records")
    assert (row["accuracy"], row["source_accuracy"], row["n"]) == (3 / 5, 1 / 5, 5)
    assert (row["gain"], row["gain_skipped"]) == pytest.approx((2 / 5, 1 / 5))


def test_share_that_shifts_explain_by_hand():
    assert boundary.share(np.array([1.0, 2.0]), np.array([0.0, 1.5, 3.0, 4.0])) == (3 / 4 + 2 / 4) / 2
    assert boundary.share(np.array([1.0]), np.array([1.0])) == 0  # on the boundary is not over it
    assert np.isnan(boundary.share(np.array([]), np.array([1.0])))


def test_predicted_recovery_from_rows():
    rows = direct("fp32", "SSFF") + transfer("fp32", "int8-dynamic", "10..")
    rows += clean("fp32", "1111", [2.0, 2.0, 2.0, 2.0]) + clean("int8-dynamic", "1111", [4.0, 2.0, 2.5, 3.5])
    (row,) = boundary.predictions(frame(rows)).to_dict("records")
    assert row["predicted"] == 2 / 4 and row["observed"] == 1 / 2  # distance 1; shifts 2, 0, 0.5, 1.5
    assert (row["distance"], row["shift"], row["n"]) == (1.0, 1.0, 2)
    assert boundary.agreement(boundary.predictions(frame(rows)))["error"] == 0


def test_accuracy_class_by_class():
    found = classes.by_class(frame(direct("fp32", "FSFSKS"))).set_index("label")
    assert found["accuracy"].to_dict() == {0: 2 / 3, 1: 0.0} and (found["accuracy_n"] == 3).all()


def test_a_moved_threshold_is_a_shift_of_the_logits():
    def answers(variant, p):
        return [{**row, "probabilities": [1 - p, p]} for row in clean(variant, "11")]

    found = classes.shifts(frame(answers("fp32", 0.5) + answers("int8-dynamic", 0.8))).set_index("label")
    assert found["shift"].to_dict() == pytest.approx({0: -log(4) / 2, 1: log(4) / 2})
    assert found["spread"].tolist() == pytest.approx([0, 0])


def test_loyalty_by_hand():
    """Equal distributions are 1, ones that exclude each other 0; labels are counted apart."""
    def answers(variant, right, chances):
        return [{**row, "probabilities": p} for row, p in zip(clean(variant, right), chances, strict=True)]

    rows = answers("fp32", "11", [[1.0, 0.0], [0.5, 0.5]]) + answers("int8-dynamic", "01", [[0.0, 1.0], [0.5, 0.5]])
    (row,) = loyalty.loyalty(frame(rows)).to_dict("records")
    assert row["labels"] == 0.5 and row["probabilities"] == pytest.approx(0.5)


# The plan's rules ---------------------------------------------------------------------------------------------------


def gain(low, middle, high):
    return {"gain": middle, "lower": low, "upper": high, "seeds": 1, "n": 10, "places": 1}


@pytest.mark.parametrize(
    "found, excess, p, verdict",
    [
        (gain(0.01, 0.05, 0.09), gain(0.01, 0.04, 0.08), 0.01, findings.FOR),
        (gain(0.01, 0.05, 0.09), gain(0.01, 0.04, 0.08), 0.2, findings.UNDECIDED),  # noise might gain as much
        (gain(0.01, 0.05, 0.09), gain(-0.02, 0.0, 0.02), 0.01, findings.AGAINST),  # noise gains as much
        (gain(-0.02, 0.0, 0.02), gain(-0.02, 0.0, 0.05), 0.5, findings.AGAINST),
        (gain(-0.01, 0.02, 0.05), gain(-0.01, 0.02, 0.05), 0.5, findings.UNDECIDED),
        (gain(-0.2, -0.1, -0.05), gain(-0.2, -0.1, -0.05), 1.0, findings.AGAINST),
        (gain(np.nan, np.nan, np.nan), gain(np.nan, np.nan, np.nan), 1.0, findings.MISSING),
    ],
)
def test_a_finding_follows_the_plans_rule(found, excess, p, verdict):
    made = findings.Finding("H", "what", found, excess, p)
    assert made.verdict == verdict
    assert ("no record" in made.said) == (verdict == findings.MISSING)


@pytest.mark.parametrize(
    "first, second, said",
    [
        (findings.FOR, findings.FOR, "robust"), (findings.FOR, findings.AGAINST, "only different"),
        (findings.AGAINST, findings.UNDECIDED, "only different"), (findings.FOR, findings.UNDECIDED, findings.UNDECIDED),
        (findings.AGAINST, findings.MISSING, findings.MISSING),
    ],
)  # fmt: skip
def test_both_primary_outcomes_are_demanded(first, second, said):
    made = {
        findings.FOR: gain(0.01, 0.05, 0.09), findings.AGAINST: gain(-0.02, 0.0, 0.02),
        findings.UNDECIDED: gain(-0.01, 0.02, 0.05), findings.MISSING: gain(np.nan, np.nan, np.nan),
    }  # fmt: skip
    assert findings.verdict([findings.Finding("H", "", made[v]) for v in (first, second)]) == said


def whole(robust, noise):
    """All that the verdict needs, on three seeds: of 40 examples int8 keeps `robust`, noise `noise`, fp32 none."""
    rows = []
    for seed in range(3):
        for name in findings.CORE:
            kept = {"int8-dynamic": robust, "fp32": 0}.get(name, noise)
            rows += direct(name, "F" * kept + "S" * (40 - kept), seed=seed)
            won = {"int8-dynamic": "0" * 10 + "1" * 30, "fp32": "0" * 40}.get(name, "1" * 10 + "0" * 30)
            rows += [{**row, "seed": seed} for row in transfer("fp32", name, won)]
            rows += [{**row, "seed": seed} for row in transfer("int8-dynamic", name, "." * robust + "0" * (40 - robust))]
    return frame(rows).assign(backbone=findings.BACKBONE)


def test_rows_that_show_a_robust_model_are_called_so():
    found = findings.all_of(findings.main(whole(20, 0)), 500)
    assert found[0].gain["gain"] == 0.5 and found[0].excess["gain"] == 0.5
    assert found[0].p == pytest.approx(1 / 4**3, abs=0.01)
    assert [f.verdict for f in found[2:]] == ["for", "for"]
    assert found[2].gain["gain"] == pytest.approx(20 / 40)  # int8 recovers 30 of 40, noise 10
    assert found[1].gain["gain"] == pytest.approx(10 / 40)  # fp32's texts win 10 of the 20 that int8 kept
    assert findings.verdict(found) == "robust"


def test_a_gain_that_noise_has_too_is_none():
    found = findings.all_of(findings.main(whole(20, 20)), 500)
    assert found[0].gain["gain"] == 0.5 and found[0].excess["gain"] == 0 and found[0].p == 1.0
    assert found[0].verdict == "against" and findings.verdict(found) == "only different"


def test_other_backbones_data_sets_and_attacks_stay_out_of_the_verdict():
    rows = whole(20, 0)
    assert len(findings.main(rows.assign(backbone="mpnet-base"))) == len(findings.main(rows.assign(dataset="trec"))) == 0
    assert len(findings.main(rows.assign(attack="pso"))) == 0 and len(findings.main(rows)) == len(rows)
