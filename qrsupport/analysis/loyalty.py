"""How closely a variant follows fp32 on clean texts (Xu et al. 2021): the share of equal labels, and 1 − √JS.

JS is the Jensen-Shannon divergence of the two distributions, in bits: 0 where they are the same, 1 where they exclude
each other.
"""

import numpy as np
import pandas as pd
from scipy.spatial.distance import jensenshannon

from . import metrics
from .outcomes import MODEL


def loyalty(rows: pd.DataFrame, against: str = "fp32") -> pd.DataFrame:
    """One row a model and variant: `labels` with its Wilson interval, `probabilities` (mean of 1 − √JS over the texts)."""
    clean = rows[rows["kind"] == "clean"]
    base = clean[clean["variant"] == against].set_index([*MODEL, "example"])[["answer", "probabilities"]]
    found = []
    for key, part in clean[clean["variant"] != against].groupby([*MODEL, "variant"]):
        both = part.set_index([*MODEL, "example"]).join(base, rsuffix="_base", how="inner")
        if len(both):
            ours, theirs = (np.stack(both[name].to_list()).astype(float) for name in ("probabilities", "probabilities_base"))
            same = metrics.proportion((both["answer"] == both["answer_base"]).sum(), len(both), "labels")
            distance = np.nan_to_num(jensenshannon(ours, theirs, base=2, axis=1))  # NaN where rounding makes it less than 0
            row = dict(zip([*MODEL, "variant"], key, strict=True)) | same
            found.append(row | {"probabilities": float((1 - distance).mean())})
    names = [*MODEL, "variant", "labels", "labels_lower", "labels_upper", "labels_n", "probabilities"]
    return pd.DataFrame(found, columns=names)
