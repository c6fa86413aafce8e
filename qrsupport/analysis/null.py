"""Is a variant's gain larger than what noise of its size gains by chance?

On one model (data set, backbone, seed) the variant and its noise controls were each attacked
themselves.  If nothing but the size of the change mattered, any of them could have been the variant.
"""

import numpy as np
import pandas as pd

from .outcomes import MODEL

DRAWS = 10_000


def gains(cells: pd.DataFrame, variant: str, noise: list[str]) -> dict[tuple, np.ndarray]:
    """From `gains.cells`, by model: gains, shape (attacks, 1 + controls), the variant's first.

    Only attacks that all of them have; models without any control are left out.
    """
    found = {}
    for key, part in cells.groupby(MODEL):
        wide = part.pivot(index="attack", columns="variant", values="gain")
        names = [name for name in (variant, *noise) if name in wide]
        wide = wide.reindex(columns=names).dropna()
        if names[:1] == [variant] and len(names) > 1 and len(wide):
            found[key] = wide.to_numpy()
    return found


def against_noise(cells: pd.DataFrame, variant: str, noise: list[str], draws: int = DRAWS, seed: int = 0) -> dict:
    """The permutation test, one-sided.

    `excess`: mean over models and attacks of the variant's gain minus the controls' mean gain.  `p`:
    how often a draw that puts, on each model, any one of them in the variant's place has as large an
    excess; 1 if there is nothing to exchange.  `models`: how many.
    """
    tables = list(gains(cells, variant, noise).values())
    if not tables:
        return {"excess": np.nan, "p": 1.0, "models": 0}
    rng, sums = np.random.default_rng(seed), np.zeros(draws)
    for table in tables:
        excess = each_excess(table)
        sums += excess[rng.integers(len(excess), size=draws)]
    observed = sum(each_excess(table)[0] for table in tables)
    p = (1 + (sums >= observed - 1e-12).sum()) / (1 + draws)
    return {"excess": float(observed / len(tables)), "p": float(p), "models": len(tables)}


def each_excess(table: np.ndarray) -> np.ndarray:
    """For each column in the variant's place: the mean over attacks of its gain minus the others' mean gain."""
    k = table.shape[1]
    others = (table.sum(axis=1, keepdims=True) - table) / (k - 1)
    return (table - others).mean(axis=0)


def spread(cells: pd.DataFrame, variant: str, noise: list[str]) -> pd.DataFrame:
    """One row a model and attack: the variant's gain, the lowest and highest gain of the controls, its rank (1: highest)."""
    rows = []
    for key, part in cells.groupby([*MODEL, "attack"]):
        named = part.set_index("variant")["gain"]
        controls = named[[name for name in noise if name in named]]
        if variant in named and len(controls):
            rank = 1 + int((controls > named[variant]).sum())
            rows.append([*key, named[variant], controls.min(), controls.max(), len(controls), rank])
    return pd.DataFrame(rows, columns=[*MODEL, "attack", "gain", "lowest", "highest", "controls", "rank"])
