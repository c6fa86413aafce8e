"""Has the threshold moved?  Accuracy under attack class by class, and the mean shift of the logits.

Rounding that moves logits towards one class makes that class resist and another yield; a gain over
all classes that comes with such a shift is one of the threshold.
"""

import numpy as np
import pandas as pd

from . import metrics, outcomes
from .outcomes import MODEL, ordinary

LEAST = 1e-30
"""Probabilities are at least this before their logarithm is taken."""


def by_class(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy under direct attack, with its Wilson interval: one row a model, attack, variant and true class."""
    by = [*MODEL, "attack", "variant", "label"]
    parts = [
        dict(zip(by, key, strict=True)) | metrics.proportion(part["right"].sum(), len(part), "accuracy")
        for key, part in outcomes.direct(rows).groupby(by)
    ]
    return pd.DataFrame(parts, columns=[*by, "accuracy", "accuracy_lower", "accuracy_upper", "accuracy_n"])


def logits(probabilities: pd.Series) -> np.ndarray:
    """Logits, shape (texts, classes), each text's with mean 0: what probabilities say of them."""
    logs = np.log(np.maximum(np.stack(probabilities.to_list()).astype(float), LEAST))
    return logs - logs.mean(axis=1, keepdims=True)


def shifts(rows: pd.DataFrame, against: str = "fp32") -> pd.DataFrame:
    """Mean shift of each class's logit from `against` to each variant: one row a model, texts, variant and class.

    `texts` is `clean` (the evaluation split) or `perturbed` (what fooled `against`, any ordinary
    attack); `shift` with the standard deviation over texts, `spread`.
    """
    keys = [*MODEL, "attack", "example"]
    clean = rows[rows["kind"] == "clean"].assign(attack="", answerer=lambda d: d["variant"])
    replayed = ordinary(rows[(rows["kind"] == "transfer") & (rows["variant"] == against)])
    replayed = replayed.assign(answerer=replayed["target"])
    found = []
    for texts, part in (("clean", clean), ("perturbed", replayed)):
        base = part[part["answerer"] == against].set_index(keys)["probabilities"]
        for key, mine in part[part["answerer"] != against].groupby([*MODEL, "answerer"]):
            both = mine.set_index(keys)[["probabilities"]].join(base.rename("base"), how="inner")
            if len(both):
                moved = logits(both["probabilities"]) - logits(both["base"])
                sizes = zip(moved.mean(0), moved.std(0), strict=True)
                found += [[*key, texts, label, m, s, len(both)] for label, (m, s) in enumerate(sizes)]
    return pd.DataFrame(found, columns=[*MODEL, "variant", "texts", "label", "shift", "spread", "n"])
