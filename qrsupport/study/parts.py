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


def having(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the models on which fp32 and all of `NAMES` were attacked themselves."""
    return limits.having(findings.usual(rows), [SOURCE, *NAMES])


def worst(rows: pd.DataFrame) -> pd.DataFrame:
    """Outcomes of each part against all attacks made on all parts and all texts replayed on all of them."""
    return outcomes.worst_case(rows, [SOURCE, *NAMES])


def compared(rows: pd.DataFrame, n: int = gains.DRAWS) -> Html:
    """By model and part: accuracy attacked itself, and with the texts made for others as well; gains over fp32."""
    found = []
    for key, part in having(rows).groupby(outcomes.MODEL):
        sides = {"attacked itself": outcomes.direct(part), "others' texts as well": worst(part)}
        for name in (SOURCE, *NAMES):
            row = dict(zip(outcomes.MODEL, key, strict=True)) | {"variant": name}
            for head, side in sides.items():
                row[head] = percent(float(side.loc[side["variant"] == name, "right"].mean()))
                row[f"gain, {head}"] = "" if name == SOURCE else interval(gains.pooled(side, name, SOURCE, n))
            found.append(row)
    return table(pd.DataFrame(found), "The parts of 8 bits: accuracy attacked itself, and if texts that fooled others are tried as well; gains over fp32")


def said(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """What each half gains against its own attack and against others' texts as well, one sentence a model."""
    out = []
    for (dataset, backbone, seed), part in having(rows).groupby(outcomes.MODEL):
        sides = outcomes.direct(part), worst(part)
        both = [
            f"{NAMES[name]} {' and '.join(interval(gains.pooled(side, name, SOURCE, n)) for side in sides)}" for name in HALVES
        ]
        out.append(
            f"On `{backbone}` on {dataset}, seed {seed}, gains attacked itself, and if the texts made for others are tried as "
            f"well: {'; '.join(both)}."
        )
    return " ".join(out) or "No record yet."


def halved(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """What weights and activations gain, each rounded alone, one sentence; empty without records of both."""
    found = outcomes.direct(limits.having(rows, [SOURCE, *HALVES]))
    weights, activations = (gains.pooled(found, name, SOURCE, n) for name in HALVES)
    if not weights["places"]:
        return ""
    others = gains.pooled(worst(having(rows)), HALVES[1], SOURCE, n)
    tried = f", and {interval(others)} if the texts made for the others are tried as well" if others["places"] else ""
    return (
        f"With the weights alone in 8 bits the gain is {interval(weights)}, with the activations alone {interval(activations)}{tried} "
        f"({', '.join(weights['datasets'])}). "
    )
