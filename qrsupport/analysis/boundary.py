"""Does distance explain recovery?  An attack stops just behind the boundary of the model that it attacks.

The *lead* of a classifier on a text is the label's logit minus the highest other.  On an adversarial
text the source's lead is below 0, by its distance behind the boundary.  A target's *shift* on a text is
its lead minus the source's.  If a target differs from its source by shifts that have nothing to do
with the attack, it recovers the texts whose distance its shift exceeds; so the share that it should
recover follows from its shifts on clean texts.  Nothing is fitted.
"""

import numpy as np
import pandas as pd

from . import transfers
from .outcomes import MODEL, ordinary

NAMES = [*transfers.CELL, "target", "n", "distance", "shift", "spread", "predicted", "observed"]


def share(distances: np.ndarray, shifts: np.ndarray) -> float:
    """The chance that a shift drawn at random exceeds a distance drawn at random; NaN without either."""
    if not len(distances) or not len(shifts):
        return np.nan
    ordered = np.sort(shifts)
    return float((len(ordered) - np.searchsorted(ordered, distances, side="right")).mean() / len(ordered))


def predictions(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a model, attack, source and other target, columns `NAMES`.

    `distance`: median over the texts that fooled the source; `shift` and `spread`: mean and standard
    deviation over the clean texts; `predicted` and `observed`: shares of the texts that fooled the source.
    """
    won = ordinary(rows[(rows["kind"] == "direct") & (rows["status"] == "succeeded")])
    behind = dict(list(won.groupby([*MODEL, "attack", "variant"])["lead"]))
    leads = rows[rows["kind"] == "clean"].pivot(index=[*MODEL, "example"], columns="variant", values="lead")
    found = []
    for key, part in transfers.answers(rows).groupby([*transfers.CELL, "target"]):
        *model, attack, source, target = key
        if source == target or not {source, target} <= set(leads):
            continue
        own = leads.loc[tuple(model)]
        distances = -behind[*model, attack, source].to_numpy(float)
        shifts = (own[target] - own[source]).dropna().to_numpy(float)
        about = [len(part), np.median(distances), shifts.mean(), shifts.std(), share(distances, shifts)]
        found.append([*key, *about, part["right"].mean()])
    return pd.DataFrame(found, columns=NAMES)


def agreement(found: pd.DataFrame) -> dict:
    """How well predicted shares meet observed ones: `n` pairs, mean absolute error, Spearman's rank correlation."""
    both = found.dropna(subset=["predicted", "observed"])
    error = (both["predicted"] - both["observed"]).abs().mean()
    return {"n": len(both), "error": error, "rank": both["predicted"].corr(both["observed"], method="spearman")}
