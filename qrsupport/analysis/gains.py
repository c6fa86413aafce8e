"""Gains: how much more of the same examples one variant keeps right than another, with intervals and tests.

The interval carries seeds and examples: each draw takes fine-tuning seeds with replacement, and
examples with replacement; an example drawn is drawn for every seed and attack.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from . import metrics
from .outcomes import MODEL, number

DRAWS = 10_000
CELL = [*MODEL, "attack"]
PLACE = ["dataset", "backbone"]


def differences(outcomes: pd.DataFrame, variant: str, against: str) -> pd.DataFrame:
    """One row an example that both variants have, on the first fine-tuning of a seed that has both under an attack.

    Columns `CELL`, example, variant and against (right: 1, wrong: 0), d (their difference).
    """
    sides = [
        outcomes[outcomes["variant"] == name].set_index([*CELL, "example"])["right"].astype(float).rename(column)
        for name, column in ((variant, "variant"), (against, "against"))
    ]
    both = pd.concat(sides, axis=1, join="inner").reset_index()
    first = both.groupby([*PLACE, number(both), "attack"])["seed"].transform("min")
    both = both[both["seed"] == first].reset_index(drop=True)
    return both.assign(d=both["variant"] - both["against"])


def cells(outcomes: pd.DataFrame, variants: list[str], against: str = "fp32") -> pd.DataFrame:
    """One row a cell and variant: accuracy of both, gain, discordant counts, p of the exact McNemar test.

    `p_holm` is Holm's correction over all rows.
    """
    rows = []
    for name in variants:
        for key, part in differences(outcomes, name, against).groupby(CELL):
            only = int((part["d"] > 0).sum()), int((part["d"] < 0).sum())
            means = {"accuracy": part["variant"].mean(), "against": part["against"].mean(), "gain": part["d"].mean()}
            counts = {"n": len(part), "only_variant": only[0], "only_against": only[1], "p": metrics.exact(*only)}
            rows.append(dict(zip(CELL, key, strict=True)) | {"variant": name} | means | counts)
    columns = [*CELL, "variant", "accuracy", "against", "gain", "n", "only_variant", "only_against", "p"]
    found = pd.DataFrame(rows, columns=columns)
    return found.assign(p_holm=multipletests(found["p"], method="holm")[1] if len(found) else [])


def draws(d: pd.DataFrame, n: int = DRAWS, seed: int = 0) -> np.ndarray:
    """`n` bootstrap means of the gain on one data set and backbone, from rows of `differences`.

    Each is the mean over attacks of the mean over seeds.  With one seed it carries examples alone.
    """
    examples, seeds = pd.Index(sorted(d["example"].unique())), sorted(d["seed"].unique())
    weights = _weights(len(examples), n, seed)
    chosen = np.random.default_rng([seed, 1]).integers(len(seeds), size=(n, len(seeds)))
    found = []
    for _, part in d.groupby("attack"):
        table = part.pivot(index="example", columns="seed", values="d").reindex(examples, columns=seeds)
        found.append(_mean(table.to_numpy(np.float32), weights, chosen))
    return np.mean(found, axis=0)


@lru_cache(4)
def _weights(size: int, n: int, seed: int) -> np.ndarray:
    """How often each of `size` examples is drawn, in `n` draws of as many: shape (n, size)."""
    drawn = np.random.default_rng(seed).integers(size, size=(n, size), dtype=np.int32) + size * np.arange(n)[:, None]
    return np.bincount(drawn.ravel(), minlength=n * size).reshape(n, size).astype(np.float32)


def _mean(table: np.ndarray, weights: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Means over the chosen seeds, shape (draws,), of the weighted means of a table (examples × seeds; NaN: not there).

    A seed that lacks the attack, or all examples drawn, is left out of its draw.
    """
    there = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        means = (weights @ np.where(there, table, 0.0)) / (weights @ there)
    taken = np.take_along_axis(means, chosen, axis=1)
    fallback = np.nanmean(means, axis=1)
    counts = (~np.isnan(taken)).sum(axis=1)
    return np.where(counts > 0, np.nansum(taken, axis=1) / np.maximum(counts, 1), fallback)


def point(d: pd.DataFrame) -> float:
    """The gain on one data set and backbone: the mean over attacks of the mean over seeds."""
    return float(d.groupby(["attack", "seed"])["d"].mean().groupby("attack").mean().mean())


def pooled(outcomes: pd.DataFrame, variant: str, against: str = "fp32", n: int = DRAWS) -> dict:
    """The gain over all data sets and backbones in `outcomes`, each counted alike.

    Keys: gain, lower, upper (95 %), seeds (fewest of a data set), n (most examples of one), places (how many), datasets
    (their names).  NaN where there is nothing.
    """
    parts = [part for _, part in differences(outcomes, variant, against).groupby(PLACE)]
    if not parts:
        return {"gain": np.nan, "lower": np.nan, "upper": np.nan, "seeds": 0, "n": 0, "places": 0, "datasets": ()}
    drawn = np.mean([draws(part, n, seed=i) for i, part in enumerate(parts)], axis=0)
    lower, upper = np.percentile(drawn, (2.5, 97.5))
    return {
        "gain": float(np.mean([point(part) for part in parts])),
        "lower": float(lower),
        "upper": float(upper),
        "seeds": min(part["seed"].nunique() for part in parts),
        "n": max(part["example"].nunique() for part in parts),
        "places": len(parts),
        "datasets": tuple(sorted({part["dataset"].iloc[0] for part in parts})),
    }


def table(outcomes: pd.DataFrame, variants: list[str], against: str = "fp32", n: int = DRAWS) -> pd.DataFrame:
    """One row a data set, backbone, attack and variant: what `pooled` says of it."""
    rows = []
    for key, part in outcomes.groupby([*PLACE, "attack"]):
        there = set(part["variant"].unique())
        for name in (name for name in variants if {name, against} <= there):
            rows.append(dict(zip([*PLACE, "attack"], key, strict=True)) | {"variant": name} | pooled(part, name, against, n))
    return pd.DataFrame(rows, columns=[*PLACE, "attack", "variant", "gain", "lower", "upper", "seeds", "n", "places"])
