"""Which part of 8 bits gains: rounded weights, rounded activations, or any error in the activations.

Each part is attacked itself.  Then it is also asked about the texts that fooled the others, of those sets that were replayed on
all: a gain over fp32 that shrinks so was one of texts that its own attack did not find.
"""

import pandas as pd

from ..analysis import gains, outcomes
from ..report.tables import Html, percent, table
from . import findings, limits
from .findings import SOURCE, VARIANT, interval

NAMES = {VARIANT: "int8-dynamic", "w8": "weights rounded", "a8": "activations rounded", "activation-noise-1": "activations noisy"}
"""What is set side by side, on the models that have all of it."""
HALVES = ("w8", "a8")
"""Those of them that are one half of int8 each."""
SUGGESTED = {"dataset": "sst2", "backbone": "mpnet-base"}
"""Where the records were seen from which the plan takes H7."""


def having(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the models on which fp32 and all of `NAMES` were attacked themselves."""
    return limits.having(findings.usual(rows), [SOURCE, *NAMES])


def worst(rows: pd.DataFrame) -> pd.DataFrame:
    """Outcomes of each part against all attacks made on all parts and all texts replayed on all of them."""
    return outcomes.worst_case(rows, [SOURCE, *NAMES])


def compared(rows: pd.DataFrame, n: int = gains.DRAWS) -> Html:
    """By model: accuracy of fp32 and gains of each part over it, attacked itself, and with the texts made for others as well."""
    found = []
    for key, part in having(rows).groupby(outcomes.MODEL):
        for tried, side in {"its own attack": outcomes.direct(part), "others' texts as well": worst(part)}.items():
            row = dict(zip(outcomes.MODEL, key, strict=True)) | {"tried": tried}
            row[SOURCE] = percent(float(side.loc[side["variant"] == SOURCE, "right"].mean()))
            found.append(row | {name: interval(gains.pooled(side, name, SOURCE, n), "") for name in NAMES})
    return table(pd.DataFrame(found), "The parts of 8 bits: accuracy of fp32 under attack, and gains over it in points, by what is tried on each")


def said(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """What each half gains against its own attack, and what is left if others' texts are tried as well, by backbone."""
    found = {backbone: halved(part, n) for backbone, part in having(rows).groupby("backbone")}
    return " ".join(f"On `{backbone}`: {text[0].lower()}{text[1:]}" for backbone, text in found.items()) or "No record yet."


def found_by_others(rows: pd.DataFrame) -> pd.DataFrame:
    """Outcomes: right is an example that withstood the variant's own attack and not the texts made for the other parts."""
    cell, there = [*outcomes.MODEL, "variant", "example"], having(rows)
    both = outcomes.direct(there).merge(worst(there)[[*cell, "right"]], on=cell, suffixes=("", "_worst"))
    return both.assign(right=both["right"] & ~both["right_worst"].astype(bool))[outcomes.OUTCOME]


def tested(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """H7, in one sentence: what rounded activations gain, and how much of it the texts made for others undo, on the data
    sets from which the plan did not take it."""
    fresh = having(rows[(rows["backbone"] == SUGGESTED["backbone"]) & (rows["dataset"] != SUGGESTED["dataset"])])
    found = [gains.pooled(read(fresh), HALVES[1], SOURCE, n) for read in (outcomes.direct, found_by_others)]
    if not found[0]["places"]:
        return "H7, hard to find: no record yet of a data set from which it was not taken."
    verdict = "Confirmed" if all(each["lower"] > 0 for each in found) else "Not confirmed"
    return (
        f"H7, hard to find ({limits.named(fresh)}): attacked itself, `{HALVES[1]}` gains {interval(found[0])} over `fp32`; the texts made for the "
        f"others undo {interval(found[1])} of it. **{verdict}**."
    )


def halved(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """What weights and activations gain, each rounded alone, in two sentences; empty without records of both."""
    found = outcomes.direct(limits.having(rows, [SOURCE, *HALVES]))
    weights, activations = (gains.pooled(found, name, SOURCE, n) for name in HALVES)
    if not weights["places"]:
        return ""
    return (
        f"With the weights alone in 8 bits the gain is {interval(weights)}, with the activations alone {interval(activations)} "
        f"({', '.join(weights['datasets'])}).{_tried(activations, having(rows), n)}"
    )


def _tried(own: dict, rows: pd.DataFrame, n: int) -> str:
    """What is left of a gain if the texts made for others are tried as well, and what that says; empty without a record."""
    others = gains.pooled(worst(rows), HALVES[1], SOURCE, n)
    if not others["places"]:
        return ""
    most = own["lower"] > 0 and others["gain"] < own["gain"] / 2
    hard = ": most of it was due to texts that are hard to find, not hard to reach" if most else ""
    return f" If the texts made for the others are tried as well, the latter is {interval(others)}{hard}.{_kept(rows, n) if most else ''}"


def _kept(rows: pd.DataFrame, n: int) -> str:
    """The models that are an exception, where rounded activations gain against all those texts too; empty without any."""
    found = {key: gains.pooled(worst(part), HALVES[1], SOURCE, n) for key, part in rows.groupby(outcomes.MODEL)}
    kept = [f"{interval(each)} ({dataset}, seed {seed})" for (dataset, _, seed), each in found.items() if each["lower"] > 0]
    return f" Even so a gain is left on {len(kept)} of {len(found)} models: {', '.join(kept)}." if kept else ""
