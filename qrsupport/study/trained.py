"""int8 beside adversarial training: how many texts were made for it, and what each gains attacked itself.

Adversarial training is a baseline only as far as it was done well, so how much it learned from stands beside its gain.
"""

from collections.abc import Iterable

import pandas as pd

from .. import catalog
from ..analysis import gains, outcomes, paper_claims
from ..report.tables import Html, percent, table
from . import findings, limits, plan_file
from .findings import STRONGER, interval

NAMES = [name for name, entry in catalog.VARIANTS.items() if entry.checkpoint in catalog.LEARNED_FROM]
"""Variants of a checkpoint that learned from adversarial examples."""
CONTROL = next(control for control, which in catalog.LONGER.items() if which == STRONGER)
"""What learned for as long from the same texts, unattacked."""
ANEW = {findings.VARIANT: "int8-dynamic", "anew-1": "examples made once", "anew-3": "made anew three times"}
"""What the figure of limits sets side by side, on the models that have all of it."""

_CLAIM = next(c for c in paper_claims.CLAIMS if c.baseline == "adversarial" and c.measure == "adversarial")


def counts(units: Iterable[tuple[plan_file.Unit, dict]]) -> Html:
    """How many training texts were attacked for each checkpoint, and how many were added, from units and their manifests.

    A checkpoint that several units share is listed once.  An older manifest does not say how many of them succeeded.
    """
    rows, seen = [], set()
    for unit, about in units:
        attacked = unit.make().adversarial_examples
        new = {name: made for name, made in about.get("checkpoints", {}).items() if made not in seen and name in catalog.ADVERSARIAL}
        seen |= set(new.values())
        for which in new:
            ended = about.get("adversarial_examples", {}).get(which, {})
            row = {"unit": unit.name, "checkpoint": which, "made for": catalog.ADVERSARIAL[which], "training texts attacked": attacked}
            names = {"succeeded": "added", "failed": "failed", "skipped": "skipped"}
            rows.append(row | {head: ended.get(name, "not noted") for name, head in names.items()})
    return table(pd.DataFrame(rows), "Adversarial training: texts attacked and added, before each fine-tuning; skipped texts had a wrong label unattacked")


def beside(rows: pd.DataFrame, n: int = gains.DRAWS) -> Html:
    """By model, attack and adversarially trained variant: its clean accuracy, accuracy of fp32, int8 and itself under
    direct attack, its gain over fp32, and int8's accuracy minus its."""
    found, unattacked = outcomes.direct(rows), outcomes.clean(rows)
    clean = unattacked.groupby([*outcomes.MODEL, "variant"])["right"].mean()
    parts = []
    for key, part in found.groupby([*outcomes.MODEL, "attack"]):
        there = part.groupby("variant")["right"].mean()
        for name in (name for name in NAMES if name in there):
            row = dict(zip([*outcomes.MODEL, "attack"], key, strict=True)) | {"variant": name}
            row["clean"] = percent(clean.get((*key[:-1], name), float("nan")))
            row |= {side: percent(there[side]) for side in (findings.SOURCE, findings.VARIANT)}
            row |= {"it": percent(there[name]), "gain over fp32": interval(gains.pooled(part, name, findings.SOURCE, n))}
            parts.append(row | {"int8-dynamic minus it": interval(gains.pooled(part, findings.VARIANT, name, n))})
    return table(pd.DataFrame(parts), "Adversarial training: its clean accuracy; accuracy of fp32, int8-dynamic and it, each attacked itself; 95 % intervals over examples")


def short(rows: pd.DataFrame, n: int = gains.DRAWS) -> list[str]:
    """One sentence for the answer: int8 beside the strongest adversarial training, over all attacks made on both; none
    without records."""
    found = outcomes.direct(limits.having(rows, [findings.SOURCE, findings.VARIANT, STRONGER]))
    if not len(found):
        return []
    gained, behind = gains.pooled(found, STRONGER, findings.SOURCE, n), gains.pooled(found, findings.VARIANT, STRONGER, n)
    longer = gains.pooled(found, STRONGER, CONTROL, n)
    beyond = f" and {interval(longer)} over as many epochs on the same texts unattacked" if longer["places"] else ""
    where = f"{', '.join(gained['datasets'])} ({gained['seeds']} seed{'s' if gained['seeds'] > 1 else ''}, {gained['n']} examples)"
    return [
        f"**Beside adversarial training**, on {where}. With examples made anew before each of three further epochs it gains {interval(gained)} over "
        f"`fp32`{beyond}; `int8-dynamic` differs from it by {interval(behind)}, where the paper reports {_CLAIM.percent:+.2f} % over "
        "adversarial training."
    ]


def said(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """What the strongest adversarial training gains, over fp32 and over its control, how int8 stands beside it, and what
    its own int8 adds, attack by attack."""
    found = outcomes.direct(limits.having(rows, [findings.SOURCE, findings.VARIANT, STRONGER]))
    if not len(found):
        return "No record of adversarial training with examples made anew yet."
    parts = [
        f"under {attack} `{STRONGER}` gains {interval(gains.pooled(part, STRONGER, findings.SOURCE, n))} over `fp32` (over its control `{CONTROL}`: "
        f"{interval(gains.pooled(part, STRONGER, CONTROL, n))}), and `int8-dynamic` differs from `{STRONGER}` by {interval(gains.pooled(part, findings.VARIANT, STRONGER, n))}, `{STRONGER}-int8` by "
        f"{interval(gains.pooled(part, f'{STRONGER}-int8', STRONGER, n))}"
        for attack, part in found.groupby("attack")
    ]
    cost, longer = (gains.pooled(outcomes.clean(rows), name, findings.SOURCE, n) for name in (STRONGER, CONTROL))
    return (
        f"Attacked itself, {'; '.join(parts)}. Clean accuracy of `{STRONGER}` differs from that of `fp32` by {interval(cost)}, "
        f"that of `{CONTROL}` by {interval(longer)}."
    )
