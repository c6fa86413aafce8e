"""What variants recover, against controls: one-sided exact tests on the texts that fooled the source.

A source recovers none of its own set by construction, so no variant is tested against it.
"""

import pandas as pd
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from .. import catalog
from .frames import CELL, bare, order, replay_frames

DIRECTIONS = ("more", "less")
NAMES = [*CELL, "source", "variant", "control", "direction", "n", "only_variant", "only_control", "p", "p_holm"]


def one_sided(only_variant: int, only_control: int, direction: str) -> float:
    """p of the exact McNemar test that the variant recovers `direction` ("more" or "less") than the control.

    The discordant texts are a binomial sample with one half; 1 where there is none.
    """
    n = only_variant + only_control
    return float(binomtest(only_variant, n, 0.5, {"more": "greater", "less": "less"}[direction]).pvalue) if n else 1.0


def against_controls(replays, variants, controls=catalog.CONTROLS) -> pd.DataFrame:
    """From replays: does each of `variants` recover more, or less, than each control?  Both directions are tested.

    One row a cell, source, variant, control and direction, over the `n` texts that fooled the source
    and that both answered; `only_variant` and `only_control` count those that one alone gets right.
    `p_holm` is Holm's correction over all rows of one resource set.
    """
    df = replay_frames(replays)
    df, rows = df[df["status"] == "succeeded"].assign(right=lambda d: d["replayed"] == d["label"]), []
    for key, group in df.groupby([*CELL, "source"], sort=True):
        table = group.pivot(index="example", columns="target", values="right").drop(columns=key[-1], errors="ignore")
        for variant in (v for v in table if bare(v) in variants):
            for control in (c for c in table if bare(c) in controls and c != variant):
                rows += [[*key, variant, control, *row] for row in _tests(table[[variant, control]].dropna())]
    found = pd.DataFrame(rows, columns=NAMES)
    for _, family in found.groupby("resources"):
        found.loc[family.index, "p_holm"] = multipletests(family["p"], method="holm")[1]
    return order(found, NAMES[: NAMES.index("control")])


def _tests(both: pd.DataFrame) -> list[list]:
    """From two columns of answers: direction, n, discordant counts, p, and an empty place, for each direction."""
    x, y = both.to_numpy(bool).T
    alone = int((x & ~y).sum()), int((y & ~x).sum())
    return [[direction, len(both), *alone, one_sided(*alone, direction), float("nan")] for direction in DIRECTIONS]


def said(tests: pd.DataFrame, variant: str, level: float = 0.05) -> str:
    """One or two sentences: which controls the variant recovers more or less than (Holm-corrected p below `level`)."""
    rows = tests[tests["variant"].map(bare) == variant]
    if not len(rows):
        return f"No text that fooled the source was put to `{variant}` and a control: nothing was tested."
    parts = []
    for direction in DIRECTIONS:
        some = rows[rows["direction"] == direction]
        named = [f"`{name}`" for name in dict.fromkeys(some.loc[some["p_holm"] < level, "control"])]
        parts.append(f"{direction} than {', '.join(named) or 'no control'}")
    least, most = rows["n"].min(), rows["n"].max()
    texts = f"on {least if least == most else f'{least} to {most}'} texts a comparison"
    verdict = f"`{variant}` recovers {parts[0]} and {parts[1]}, {texts} (Holm-corrected p below {level})."
    silent = not (rows["p_holm"] < level).any()
    return verdict + (" That settles nothing if the intervals are wide: raise `n`." if silent else "")
