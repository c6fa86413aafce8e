"""What the published study says beside a chapter's own records, one sentence each: for the end of a chapter.

Pages of results show everything; a chapter quotes the one difference that it is about.
"""

from functools import lru_cache

import pandas as pd

from .. import project
from ..analysis import gains, outcomes, transfers
from . import findings, parts, plan_file, read, status, words

DRAWS = 2_000
"""Bootstrap draws of an interval beside a chapter; the page of results and the answer draw `gains.DRAWS`."""


@lru_cache(1)
def rows() -> pd.DataFrame:
    """The published rows on which the study's verdict rests."""
    return findings.main(_published(blind=False))


def _published(blind: bool) -> pd.DataFrame:
    return read.load(project.sources() / read.FOLDER, _units(blind))


def _units(blind: bool) -> list[str]:
    return [unit.name for unit in plan_file.read().units if unit.blind == blind]


def bears(unit: plan_file.Unit) -> bool:
    """Whether `findings.main` keeps attacks of a unit: the verdict rests on them."""
    where = (unit.parameters["dataset"] in findings.DATASETS, unit.parameters["backbone"] == findings.BACKBONE)
    return all(where) and any(step.attack in findings.ATTACKS for step in unit.steps)


def direct(variant: str, against: str = "fp32") -> str:
    """Accuracy under attack, each attacked itself."""
    found = gains.pooled(outcomes.direct(rows()), variant, against, DRAWS)
    return _said(f"`{variant}` attacked itself minus `{against}` attacked itself, accuracy under attack", found)


def recovered(variant: str, against: str = "other-seed") -> str:
    """What two targets recover of the texts that fooled fp32."""
    found = gains.pooled(transfers.outcomes(rows()), variant, against, DRAWS)
    return _said(f"recovery of the texts that fooled `fp32`, `{variant}` minus `{against}`", found)


def clean(variant: str, against: str = "fp32") -> str:
    """Accuracy on the whole evaluation split."""
    return _said(f"clean accuracy, `{variant}` minus `{against}`", gains.pooled(outcomes.clean(rows()), variant, against, DRAWS))


def widths() -> str:
    """Which widths gain or lose, attacked themselves."""
    said = words.widths(rows())
    return f"In the published study: {said[0].lower()}{said[1:]}"


def halves() -> str:
    """What weights and activations, each rounded alone, gain against their own attack and against others' texts as well."""
    said = parts.said(pd.concat([_published(blind) for blind in (False, True)], ignore_index=True), DRAWS)
    return f"The published study asks this of weights and activations, each rounded alone to 8 bits. {said}"


def answer() -> str:
    """The study's answer as the front page and the README give it, in Markdown: the verdict, then a list of what it rests on."""
    plan = plan_file.read()
    found = status.status(plan, project.sources() / read.FOLDER)
    units = status.whole(found[found["unit"].isin([unit.name for unit in plan.units if bears(unit)])])
    verdict, *parts = [*words.answer(rows(), units), *words.apart(_published(blind=True))]
    return "\n".join([verdict, "", *(f"- {part}" for part in parts)])


def _said(what: str, found: dict) -> str:
    if not found["places"]:
        return f"In the published study there is no record yet of this: {what}."
    size = f"{findings.BACKBONE} on {', '.join(found['datasets'])}; at least {found['seeds']} seed(s), up to {found['n']} examples each"
    return f"In the published study ({size}): {what}: {findings.interval(found)}."
