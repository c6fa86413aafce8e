"""From records to measures, intervals and tests: pure functions that return tidy tables.

Proportions lie in [0, 1] and carry `n` and a 95 % Wilson interval (`lower`, `upper`).  A *cell* is
one dataset, backbone, seed, setting of the fine-tuning, resource set, attack, attack seed, query budget, margin, joint,
spare, ranking and restart; tables have one row a cell and variant, so that resource sets and seeds are never mixed.  Undefined measures are NaN.
"""

from itertools import combinations, product

import numpy as np
import pandas as pd
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from .. import catalog
from ..errors import BadParameter
from . import paper_claims
from .frames import (
    CELL,
    EXTRAS,
    MODEL,
    NO_ATTACK,
    OUTCOME,
    STATUSES,
    bare,
    frames,
    order,
    outcomes_clean,
    outcomes_direct,
    outcomes_recovery,
    outcomes_replay,
    outcomes_transfer,
    rank,
    replay_frames,
)

PROTOCOLS = ("transfer", "recovery", "direct")


def interval(count: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of `count` out of `n`; NaN for n = 0."""
    if n == 0:
        return np.nan, np.nan
    lower, upper = proportion_confint(int(count), int(n), method="wilson")
    return min(float(lower), count / n), max(float(upper), count / n)  # rounding may put 0 or 1 just outside


def proportion(count: int, n: int, name: str) -> dict:
    """`name`, `name_lower`, `name_upper` and `name_n`."""
    lower, upper = interval(count, n)
    return {name: count / n if n else np.nan, f"{name}_lower": lower, f"{name}_upper": upper, f"{name}_n": int(n)}


def _by(df: pd.DataFrame, by: list[str], measure) -> pd.DataFrame:
    """One row a group: the group's key and what `measure(group)` returns, a dict."""
    rows = [dict(zip(by, key, strict=True)) | measure(group) for key, group in df.groupby(by, sort=True)]
    return order(pd.DataFrame(rows), by) if rows else pd.DataFrame(columns=[*by, *measure(df)])


# --- measures ------------------------------------------------------------------------------------------


def _direct(group: pd.DataFrame) -> dict:
    counts = {s: int((group["status"] == s).sum()) for s in STATUSES}
    attacked = group[group["status"].isin(["failed", "succeeded"])]
    won = group[group["status"] == "succeeded"]
    return (
        {"examples": len(group), **counts}
        | proportion(counts["failed"], len(group) - counts["error"], "accuracy")
        | proportion(counts["succeeded"], len(attacked), "success")
        | {"queries_mean": attacked["queries"].mean(), "queries_median": attacked["queries"].median()}
        | {"evaluations_mean": attacked["evaluations"].mean(), "changed_mean": won["changed"].mean()}
        | {"similarity_mean": won["similarity"].mean(), "seconds": group["seconds"].sum()}
    )


def direct(df: pd.DataFrame) -> pd.DataFrame:
    """From `frames`, one row a cell and variant.

    Counts by status; `accuracy` under attack (failed / all but errors; skipped is wrong);
    `success` rate (succeeded / attacked); queries and evaluations over attacked examples; share of
    words changed and similarity over successes; total seconds.
    """
    return _by(df, [*CELL, "variant"], _direct)


def _transfer(group: pd.DataFrame) -> dict:
    right = group["replayed"] == group["label"]
    won = group["status"] == "succeeded"
    counts = proportion((right & won).sum(), won.sum(), "recovery") | proportion(right.sum(), len(group), "accuracy")
    kept, skipped = group["status"] == "failed", group["status"] == "skipped"
    n = len(group) or np.nan
    return counts | {"gain": (right.sum() - kept.sum()) / n, "gain_skipped": (right & skipped).sum() / n}


def transfer(replays: pd.DataFrame) -> pd.DataFrame:
    """From `replay_frames`, one row a cell, source and target.

    `recovery`: share of the successful adversarial texts that the target gets right, the measure of
    transfer.  `accuracy` of the target on the source's whole adversarial set; `gain`: that minus the
    source's; `gain_skipped`: the part of it that comes from texts that the source got wrong unattacked.
    """
    return _by(replays[replays["status"] != "error"], [*CELL, "source", "target"], _transfer)


def budget_curve(df: pd.DataFrame, budgets) -> pd.DataFrame:
    """From `frames`, one row a cell, variant and budget: `accuracy` if an attack had been allowed so many queries.

    Wrong are skipped examples and those on which the attack succeeded within `budget` queries; at a
    budget that no attack exceeded it is the accuracy under direct attack.  A search that is really
    cut off may also find a text among the candidates of its last, shortened round, so its accuracy
    is this or a little less.  Raises BadParameter for a budget below 1.
    """
    for budget in budgets:
        if budget < 1:
            raise BadParameter(f"a budget of {budget!r} queries must be at least 1")
    by, parts = [*CELL, "variant", "budget"], []
    df = df[df["status"] != "error"]
    for budget in sorted(set(budgets)):
        won = (df["status"] == "succeeded") & (df["queries"] <= budget)
        parts.append(df.assign(budget=budget, right=~(won | (df["status"] == "skipped"))))
    whole = pd.concat(parts, ignore_index=True) if parts else df.assign(budget=0, right=False).iloc[:0]
    return _by(whole, by, lambda group: proportion(group["right"].sum(), len(group), "accuracy"))


def clean(predictions) -> pd.DataFrame:
    """From clean predictions (`recorded.read_clean`), one row a dataset, backbone, seed and variant.

    `accuracy` on the whole evaluation split, `agreement` of labels with fp32 (NaN without fp32), bytes.
    """
    outcomes_clean(predictions)  # refuses two runs under one name
    predictions = [{"setting": ""} | p for p in predictions]
    reference = {tuple(p[k] for k in MODEL): p for p in predictions if p["variant"] == "fp32"}
    rows = []
    for p in predictions:
        base = reference.get(tuple(p[k] for k in MODEL))
        other = dict(zip(base["ids"], base["predicted"], strict=True)) if base else {}
        same = [other[i] == y for i, y in zip(p["ids"], p["predicted"], strict=True) if i in other]
        right = np.equal(p["labels"], p["predicted"])
        row = {name: p[name] for name in (*MODEL, "variant", "split")}
        row |= proportion(right.sum(), len(right), "accuracy") | proportion(sum(same), len(same), "agreement")
        rows.append(row | {"bytes": p.get("bytes", np.nan)})
    return order(pd.DataFrame(rows), [*MODEL, "variant"])


def per_class(labels, predicted, names) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class; `labels` and `predicted` are class numbers.

    Undefined values (a class never predicted, or without examples) are NaN.
    Raises BadParameter for a class number outside `names`.
    """
    from sklearn.metrics import precision_recall_fscore_support  # a second, which other tables need not wait for

    if strange := {*labels, *predicted} - set(range(len(names))):
        raise BadParameter(f"class number {min(strange)} is outside the {len(names)} classes {list(names)}")
    found = precision_recall_fscore_support(labels, predicted, labels=range(len(names)), zero_division=np.nan)
    return pd.DataFrame({"class": names} | dict(zip(("precision", "recall", "f1", "support"), found, strict=True)))


# --- comparisons -----------------------------------------------------------------------------------------


def _outcomes(records, replays, predictions) -> pd.DataFrame:
    replayed = replay_frames(replays)
    parts = [outcomes_direct(frames(records)), outcomes_transfer(replayed), outcomes_recovery(replayed)]
    parts.append(outcomes_clean(predictions))
    parts = [p for p in parts if len(p)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=OUTCOME)


def ordinary(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The rows of a recipe as it is, on one variant: without margin, others to fool or spare, another's ranking or a
    restart (and of no attack)."""
    return outcomes[(outcomes[list(EXTRAS)] == pd.Series(EXTRAS)).all(axis=1)]


def exact(only_a: int, only_b: int) -> float:
    """p of the exact two-sided McNemar test from the discordant counts."""
    return float(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue)


def _paired(outcomes: pd.DataFrame, against: str = "") -> pd.DataFrame:
    """Every pair of variants (with `against`: that variant and each other) on the examples both have, per cell and protocol."""
    rows, by = [], [*CELL, "protocol"]
    for key, group in outcomes.groupby(by, sort=True):
        table = group.pivot(index="example", columns="variant", values="right")
        names = sorted(table.columns, key=lambda v: (rank(v, list(catalog.VARIANTS)), v))
        for a, b in combinations(names, 2):
            if against not in ("", a, b):
                continue
            both = table[[a, b]].dropna().astype(bool)
            x, y = both[a].to_numpy(), both[b].to_numpy()
            only_a, only_b = int((x & ~y).sum()), int((y & ~x).sum())
            row = dict(zip(by, key, strict=True)) | {"variant_a": a, "variant_b": b, "n": len(both)}
            row |= {"accuracy_a": both[a].mean(), "accuracy_b": both[b].mean(), "only_a": only_a, "only_b": only_b}
            rows.append(row | {"p": exact(only_a, only_b) if len(both) else np.nan})
    names = [*by, "variant_a", "variant_b", "n", "accuracy_a", "accuracy_b", "only_a", "only_b", "p"]
    return order(pd.DataFrame(rows, columns=names), [*by, "variant_a", "variant_b"])


def pairs(records, replays=(), predictions=(), against: str = "", among=()) -> pd.DataFrame:
    """Exact McNemar test of every pair of variants on the same examples, per cell and protocol.

    `difference` is accuracy_b − accuracy_a, `only_a` and `only_b` count the examples that one alone
    gets right.  `p_holm` is Holm's correction over the family: all rows of one resource set and
    protocol in the table.  `among` keeps
    only these variants and `against` only the pairs with this one, before the correction.  A source is never tested under
    transfer or recovery: it loses its own set by construction (see `recovered` for tests there).
    """
    outcomes = _outcomes(records, replays, predictions)
    moved = outcomes["protocol"].isin(["transfer", "recovery"])
    outcomes = outcomes[~(moved & (outcomes["variant"].map(bare) == "fp32"))]
    df = _paired(outcomes[outcomes["variant"].map(bare).isin(among)] if among else outcomes, against)
    df["difference"] = df["accuracy_b"] - df["accuracy_a"]
    df["p_holm"] = np.nan
    for _, family in df[df["p"].notna()].groupby(["resources", "protocol"]):
        df.loc[family.index, "p_holm"] = multipletests(family["p"], method="holm")[1]
    return df


def headline(records, replays, predictions, variants=()) -> pd.DataFrame:
    """The grid: one row a cell and variant with `clean` and `direct` accuracy, and from fp32 `recovery` and `transfer`
    (accuracy over the whole set).

    `variants` keeps only these; attacks with a margin or on several variants are left out.  Each has `_lower`, `_upper`
    and `_n`; NaN and n = 0 where no record is at hand.
    """
    outcomes = ordinary(_outcomes(records, replays, predictions))
    outcomes = outcomes[outcomes["variant"].map(bare).isin(variants)] if variants else outcomes
    by, known = [*CELL, "variant"], {}
    for key, group in outcomes.groupby([*by, "protocol"]):
        known[key] = (int(group["right"].sum()), len(group))
    cells = {key[:-1] for key in known if key[-1] != "clean"}
    rows = []
    for cell in cells:
        row = dict(zip(by, cell, strict=True))
        counts = {p: known.get((*cell, p), (0, 0)) for p in ("direct", "recovery", "transfer")}
        counts["clean"] = known.get((*cell[: len(MODEL)], *NO_ATTACK.values(), row["variant"], "clean"), (0, 0))
        for protocol in ("clean", "direct", "recovery", "transfer"):
            row |= proportion(*counts[protocol], protocol)
        rows.append(row)
    return order(pd.DataFrame(rows), by) if rows else pd.DataFrame(columns=by)


def _gains(outcomes: pd.DataFrame, variant: str, baseline: str) -> pd.DataFrame:
    """Per cell and protocol, accuracy of `variant` − that of `baseline` on the examples both have, whatever their options."""
    both = _paired(outcomes[outcomes["variant"].map(bare).isin([variant, baseline])])
    first, second = both["variant_a"].map(bare), both["variant_b"].map(bare)
    both, second = both[(both["n"] > 0) & (first != second)], second[(both["n"] > 0) & (first != second)]
    sign = np.where(second == variant, 1.0, -1.0)
    return both.assign(gain=sign * (both["accuracy_b"] - both["accuracy_a"]))


def _claim(claim: paper_claims.Claim, gains: pd.DataFrame, resources: str, protocol: str) -> dict:
    found = gains[(gains["resources"] == resources) & (gains["protocol"] == protocol)]
    row = {"claim": claim.name, "resources": resources, "protocol": protocol, "paper": claim.percent}
    row |= {"ours": 100 * found["gain"].mean() if len(found) else None, "cells": len(found)}
    row |= {"lowest": 100 * found["gain"].min() if len(found) else None}
    row |= {"highest": 100 * found["gain"].max() if len(found) else None}
    return row | {"n": int(found["n"].sum()), "source": claim.source}


def paper_comparison(records, replays, predictions) -> pd.DataFrame:
    """The paper's three headline numbers beside ours, one row a claim, resource set and protocol.

    `paper` is the paper's, in per cent; `ours` the mean over the cells of the difference in accuracy
    on the same examples (attacks without budget, margin or joint), in percentage points, with the lowest and highest cell; None where no
    records are at hand.  `transfer` (every variant on fp32's whole adversarial set) is the paper's way
    of counting, as we read it; `recovery` counts only the texts that fooled fp32, of which fp32 itself
    gets none right.
    """
    outcomes = ordinary(_outcomes(records, replays, predictions))
    outcomes = outcomes[outcomes["query_budget"] == 0]
    sets = sorted(set(outcomes["resources"]) - {""}) or [""]
    rows = []
    for claim in paper_claims.CLAIMS:
        gains = _gains(outcomes, claim.variant, claim.baseline)
        if claim.measure == "clean":
            rows.append(_claim(claim, gains, "", "clean"))
        else:
            rows += [_claim(claim, gains, s, protocol) for s in sets for protocol in PROTOCOLS]
    df = pd.DataFrame(rows)
    return df.astype(dict.fromkeys(("ours", "lowest", "highest"), object)).where(df.notna(), None)


def replay_law(records, replays) -> pd.DataFrame:
    """The law: replaying a source on its own adversarial set gives exactly its direct accuracy.

    One row a cell and source replayed on itself (after attacks on several, which stop when others are
    fooled or spared too, it need not hold), over the examples replayed: both accuracies;
    `disagree` counts the examples on which the two differ, `unknown` the replays without a record;
    `holds` if both are 0.
    """
    replayed = replay_frames(replays)
    own = replayed[(replayed["source"] == replayed["target"]) & (replayed["joint"] + replayed["spare"] == "")]
    again = outcomes_replay(own).rename(columns={"right": "again"}).drop(columns="protocol")
    first = outcomes_direct(frames(records)).drop(columns="protocol")
    both = again.merge(first, on=[*CELL, "variant", "example"], how="left")
    return _by(both, [*CELL, "variant"], _law)


def _law(group: pd.DataFrame) -> dict:
    common = group.dropna(subset="right")
    one, two = common["right"].astype(bool), common["again"].astype(bool)
    disagree, unknown = int((one != two).sum()), len(group) - len(common)
    row = {"n": len(common), "direct": one.mean(), "replayed": two.mean()}
    return row | {"disagree": disagree, "unknown": unknown, "holds": not (disagree or unknown)}


def missing(records, replays, predictions, grid: dict | None = None, variants=("fp32", "int8-dynamic")):
    """The cells of the grid that lack something: one row a cell and variant, `lacks` names what.

    Expected is each model, resource set and seed seen, with each attack seen.  Or `grid` maps any of
    `CELL` to the names to cross (a profile's grid will do); what it leaves out is as seen.  Attacks with a margin or on several
    variants at once are not asked for.
    """
    outcomes = ordinary(_outcomes(records, replays, predictions))
    outcomes = outcomes.assign(variant=outcomes["variant"].map(bare))
    attacked = outcomes[outcomes["attack"] != ""]
    seen = {name: sorted((outcomes if name in MODEL else attacked)[name].unique()) for name in CELL}
    if grid:
        cells = list(product(*[list(grid.get(name) or seen[name]) for name in CELL]))
    else:
        runs = attacked[CELL].drop(columns="attack").drop_duplicates()
        cells = [tuple((r | {"attack": a})[k] for k in CELL) for r in runs.to_dict("records") for a in seen["attack"]]
    have = set(outcomes[[*CELL, "variant", "protocol"]].itertuples(index=False, name=None))
    rows = []
    for cell, variant in product(cells, variants):
        lacks = [p for p in ("direct", "transfer") if (*cell, variant, p) not in have]
        if (*cell[: len(MODEL)], *NO_ATTACK.values(), variant, "clean") not in have:
            lacks.insert(0, "clean")
        if lacks:
            rows.append([*cell, variant, ", ".join(lacks)])
    return order(pd.DataFrame(rows, columns=[*CELL, "variant", "lacks"]), [*CELL, "variant"])
