"""What the study's plan asks for beside what is published."""

from pathlib import Path

import pandas as pd

from .. import config
from . import plan_file, read
from .plan_file import Step, Unit

NAMES = ["unit", "step", "planned", "present", "met"]


def status(plan: plan_file.Plan, folder: Path) -> pd.DataFrame:
    """One row a unit and step, from the published files: checkpoints or rows planned and present, and whether it is met.

    Columns `NAMES`.  What transfer has to hold follows from the source's own rows: none planned while there are none,
    and it counts as not met.
    """
    found = [[unit.name, *row] for unit in plan.units for row in _unit(unit, folder)]
    return pd.DataFrame(found, columns=NAMES)


def _unit(unit: Unit, folder: Path) -> list[list]:
    about, rows = read.manifest(folder, unit.name), read.rows(folder, unit.name)
    return [[step.label, *COUNTS[step.does](unit, step, about, rows)] for step in unit.steps]


def _tune(unit: Unit, step: Step, about: dict, rows: pd.DataFrame) -> tuple[int, int, bool]:
    present = len(set(step.checkpoints) & set(about.get("checkpoints", ())))
    return len(step.checkpoints), present, present == len(step.checkpoints)


def _clean(unit: Unit, step: Step, about: dict, rows: pd.DataFrame) -> tuple[int, int, bool]:
    planned = len(step.variants) * unit.size()
    present = int(((rows["kind"] == "clean") & rows["variant"].isin(step.variants)).sum())
    return planned, present, present == planned


def aimed(rows: pd.DataFrame, unit: Unit, step: Step, kind: str) -> pd.DataFrame:
    """The rows of a kind that belong to a step's attack and sample."""
    p = plan_file.parameters(unit, step)
    same = (rows["kind"] == kind) & (rows["attack"] == step.attack) & (rows["position"] < step.n)
    for name in config.AIM:
        same &= rows[name] == getattr(p, name)
    return rows[same]


def _direct(unit: Unit, step: Step, about: dict, rows: pd.DataFrame) -> tuple[int, int, bool]:
    planned = len(step.variants) * unit.attacked(step)
    mine = aimed(rows, unit, step, "direct")
    present = int((mine["variant"].isin(step.variants) & (mine["status"] != "error")).sum())
    return planned, present, present == planned


def _transfer(unit: Unit, step: Step, about: dict, rows: pd.DataFrame) -> tuple[int, int, bool]:
    attacked = aimed(rows, unit, step, "direct")
    attacked = attacked[attacked["variant"].isin(step.sources)]
    planned = int((attacked["status"] == "succeeded").sum()) * len(step.targets)
    mine = aimed(rows, unit, step, "transfer")
    present = int((mine["variant"].isin(step.sources) & mine["target"].isin(step.targets)).sum())
    whole = len(attacked) == len(step.sources) * unit.attacked(step)
    return planned, present, whole and present == planned


COUNTS = {"tune": _tune, "clean": _clean, "direct": _direct, "transfer": _transfer}


def whole(found: pd.DataFrame) -> tuple[int, int]:
    """From `status`: how many units are published whole, and how many are planned."""
    met = found.groupby("unit")["met"].all()
    return int(met.sum()), len(met)


def said(found: pd.DataFrame) -> str:
    """How much of the plan is published, in Markdown: which units are whole, there in part, or missing, from `status`."""
    by = found.groupby("unit", sort=False)
    complete, some = by["met"].all(), by["present"].sum() > 0
    lists = {
        "Whole": complete.index[complete],
        "In part": complete.index[~complete & some],
        "Missing": complete.index[~some],
    }
    parts = [f"- {name}: {', '.join(f'`{unit}`' for unit in units) or 'none'}." for name, units in lists.items()]
    steps = f"{int(found['met'].sum())} of {len(found)} steps are met"
    return f"{whole(found)[0]} of {len(complete)} units of the plan are published whole; {steps}.\n\n" + "\n".join(parts)
