"""The study's hypotheses, each with its numbers and what they say: the plan's rules, in code.

A rule is the same for all: a difference speaks *for* the paper if its 95 % interval lies above 0,
*against* it if the interval lies below `SMALLEST`, and leaves it *undecided* otherwise.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import attack_catalog, catalog
from ..analysis import gains, null, outcomes, transfers
from ..report.tables import p_value

SMALLEST = 0.03
"""The smallest gain that counts as one, as a share."""
LEVEL = 0.05
VARIANT, SOURCE, AVERAGE = "int8-dynamic", "fp32", "noise"
NOISE = [name for name in catalog.VARIANTS if name.startswith("logit-noise")]
CORE = [SOURCE, VARIANT, "other-seed", *NOISE]
DATASETS, BACKBONE, ATTACKS = ("mr", "sst2", "emotion"), "minilm-l6", ("textfooler", "pwws")
STRONGER = catalog.ANEW[-1]
"""The stronger adversarial training, beside `adversarial` where the paper names one."""
FOR, AGAINST, UNDECIDED, MISSING = "for", "against", "undecided", "missing"


@dataclass(frozen=True)
class Finding:
    """One hypothesis: what was compared, the difference (`gains.pooled`), beside noise, p of the test where one is due."""

    name: str
    what: str
    gain: dict
    excess: dict | None = None
    p: float | None = None

    @property
    def verdict(self) -> str:
        """`for`, `against`, `undecided` or `missing`."""
        parts = [self.gain] if self.excess is None else [self.gain, self.excess]
        if any(np.isnan(part["gain"]) for part in parts):
            return MISSING
        if all(part["lower"] > 0 for part in parts) and (self.p is None or self.p < LEVEL):
            return FOR
        return AGAINST if any(part["upper"] < SMALLEST for part in parts) else UNDECIDED

    @property
    def said(self) -> str:
        """One sentence with the numbers."""
        if self.verdict == MISSING:
            there = "" if np.isnan(self.gain["gain"]) else f"{interval(self.gain)}; beside noise: "
            return f"{self.name}: {self.what}: {there}no record yet."
        beside = f"; {interval(self.excess)} beyond the mean of the noise controls" if self.excess else ""
        test = "" if self.p is None else f" (permutation test against noise: p {p_value(self.p)})"
        places = f"{self.gain['places']} data set{'s' if self.gain['places'] > 1 else ''}"
        size = f"{places}, {self.gain['seeds']} or more seeds, up to {self.gain['n']} examples"
        return f"{self.name}: {self.what}: {interval(self.gain)}{beside}{test}; {size}. **{self.verdict.capitalize()}**."


def interval(found: dict, unit: str = " points") -> str:
    """A difference in points with its 95 % interval; where a table's caption names the unit, without it."""
    if np.isnan(found["gain"]):
        return "not run"
    return f"{100 * found['gain']:+.1f}{unit} [{100 * found['lower']:+.1f}, {100 * found['upper']:+.1f}]"


def main(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows on which the verdict rests: the paper's data sets, one backbone, two attacks."""
    return usual(rows[rows["dataset"].isin(DATASETS) & (rows["backbone"] == BACKBONE)])


def usual(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the two attacks that the hypotheses are about, and of clean texts."""
    return rows[~rows["attack"].isin(set(attack_catalog.ATTACKS) - set(ATTACKS))]


def direct(rows: pd.DataFrame, n: int = gains.DRAWS) -> Finding:
    """H1: int8 attacked itself against fp32 attacked itself."""
    return _robust("H1, direct gain", "`int8-dynamic` attacked itself minus `fp32` attacked itself", outcomes.direct(rows), n)


def worst(rows: pd.DataFrame, n: int = gains.DRAWS) -> Finding:
    """H2: the same over the whole suite."""
    return _robust("H2, worst case", "accuracy over the suite, `int8-dynamic` minus `fp32`", suite(rows), n)


def suite(rows: pd.DataFrame) -> pd.DataFrame:
    """Outcomes of the suite: of the core, on a model without it of the pair alone."""
    return outcomes.worst_case(rows, CORE, [SOURCE, VARIANT])


def _robust(name: str, what: str, found: pd.DataFrame, n: int) -> Finding:
    whole = outcomes.average(found, NOISE, AVERAGE)
    cells = gains.cells(found, [VARIANT, *NOISE], SOURCE)
    test = null.against_noise(cells, VARIANT, NOISE)
    beside = gains.pooled(whole, VARIANT, AVERAGE, n)
    return Finding(name, what, gains.pooled(whole, VARIANT, SOURCE, n), beside, test["p"])


def recovery(rows: pd.DataFrame, n: int = gains.DRAWS) -> Finding:
    """H3: what int8 recovers of fp32's texts beside what noise recovers."""
    whole = outcomes.average(transfers.outcomes(rows), NOISE, AVERAGE)
    what = "recovery of the texts that fool `fp32`, `int8-dynamic` minus the mean of the noise controls"
    return Finding("H3, transfer", what, gains.pooled(whole, VARIANT, AVERAGE, n))


def seed(rows: pd.DataFrame, n: int = gains.DRAWS) -> dict:
    """Recovery of the texts that fool fp32: another seed minus int8."""
    return gains.pooled(transfers.outcomes(rows), "other-seed", VARIANT, n)


def direction(rows: pd.DataFrame, n: int = gains.DRAWS) -> Finding:
    """H4: int8's recovery of fp32's texts minus fp32's of int8's, on the examples that fooled both."""
    forward = transfers.outcomes(rows, SOURCE).query("variant == @VARIANT").assign(variant="forward")
    back = transfers.outcomes(rows, VARIANT).query("variant == @SOURCE").assign(variant="back")
    what = "recovery from `fp32` to `int8-dynamic` minus that from `int8-dynamic` to `fp32`"
    both = pd.concat([forward, back], ignore_index=True)
    return Finding("H4, direction", what, gains.pooled(both, "forward", "back", n))


def whole_set(rows: pd.DataFrame) -> pd.DataFrame:
    """The targets' answers to fp32's whole adversarial set as outcomes: unturned members are the examples themselves."""
    attacked = outcomes.ordinary(rows[(rows["kind"] == "direct") & (rows["variant"] == SOURCE) & (rows["status"] != "error")])
    answered = transfers.answers(rows).query("source == @SOURCE").rename(columns={"target": "variant"})
    kept = attacked[attacked["status"] != "succeeded"][[*outcomes.MODEL, "attack", "example"]]
    same = kept.merge(outcomes.clean(rows).drop(columns="attack"), on=[*outcomes.MODEL, "example"])
    targets = answered[[*outcomes.MODEL, "attack", "variant"]].drop_duplicates()
    same = same.merge(targets, on=[*outcomes.MODEL, "attack", "variant"])
    return pd.concat([answered[outcomes.OUTCOME], same[outcomes.OUTCOME]], ignore_index=True)


def replayed(rows: pd.DataFrame, n: int = gains.DRAWS) -> tuple[dict, dict]:
    """Gains over fp32 on its whole adversarial set, the paper's way of counting as we read it: int8's, and the mean of noise."""
    whole = outcomes.average(whole_set(rows), NOISE, AVERAGE)
    return gains.pooled(whole, VARIANT, SOURCE, n), gains.pooled(whole, AVERAGE, SOURCE, n)


def all_of(rows: pd.DataFrame, n: int = gains.DRAWS) -> list[Finding]:
    """The four hypotheses on `rows`."""
    return [make(rows, n) for make in (direct, worst, recovery, direction)]


def verdict(found: list[Finding]) -> str:
    """`robust`, `only different`, `undecided` or `missing`, from H1 and H2."""
    said = [finding.verdict for finding in found[:2]]
    if MISSING in said:
        return MISSING
    if said == [FOR, FOR]:
        return "robust"
    return "only different" if AGAINST in said else UNDECIDED
