"""The plan's page: tables made from the plan file."""

import pandas as pd

from ..report.tables import Html, table
from . import jobs, plan_file
from .plan_file import Plan


def units(plan: Plan) -> Html:
    """The units in order, with what they attack and estimated hours of two cores."""
    work, total, rows = jobs.jobs(plan), 0.0, []
    for unit in plan.units:
        hours = jobs.hours(work[unit.name])
        total += hours
        given = unit.parameters
        row = {"unit": unit.name, "dataset": given["dataset"], "backbone": given["backbone"], "seed": unit.seed}
        row |= {"program": unit.program, "examples": attacked(unit), "not looked at first": "yes" if unit.blind else ""}
        rows.append(row | {"hours": f"{hours:.1f}", "hours so far": f"{total:.1f}"})
    return table(pd.DataFrame(rows), "Units in the order in which they are run; hours of two cores are estimates")


def attacked(unit: plan_file.Unit) -> str:
    """Most examples by attack, for people: `textfooler 1000, pwws 500`."""
    most: dict[str, int] = {}
    for step in unit.steps:
        if step.does == "direct":
            most[step.attack] = max(most.get(step.attack, 0), unit.attacked(step))
    return ", ".join(f"{attack} {n}" for attack, n in most.items())


def models(plan: Plan) -> Html:
    """What is fine-tuned how, the floor on the validation split, and where the settings come from."""
    rows = [
        {
            "model": name,
            "epochs": model["epochs"],
            "learning rate": f"{model['learning_rate']:g}",
            "training examples": model.get("train_limit") or plan_file.split_size(model["dataset"], "train"),
            "word dropout": model.get("word_dropout", 0.0),
            "floor": model["floor"],
            "settings": model["because"],
        }
        for name, model in plan.models.items()
    ]
    return table(pd.DataFrame(rows), "Fine-tuning; batches of 32, all seeds of a model alike")


def program(plan: Plan, name: str) -> Html:
    """The steps of one program."""
    steps = next(unit.steps for unit in plan.units if unit.program == name)
    rows = [
        {"step": i, "what": step.label, "n": step.n or "", "which": _which(step, plan)} for i, step in enumerate(steps, 1)
    ]
    return table(pd.DataFrame(rows), f"The program {name}")


def programs(plan: Plan) -> list[str]:
    """The programs that units use, in the order of their first unit."""
    return list(dict.fromkeys(unit.program for unit in plan.units))


def _which(step: plan_file.Step, plan: Plan) -> str:
    if step.does == "transfer":
        return f"{_shortly(step.sources, plan)} → {_shortly(step.targets, plan)}"
    return ", ".join(step.checkpoints) or _shortly(step.variants, plan)


def _shortly(names: tuple[str, ...], plan: Plan) -> str:
    """Variants, those of a whole group by its name, the largest group first."""
    left, said = list(names), []
    for group, members in sorted(plan.groups.items(), key=lambda item: -len(item[1])):
        if set(members) <= set(left):
            left = [name for name in left if name not in members]
            said.append(group)
    return ", ".join([*said, *left])


def groups(plan: Plan) -> Html:
    """What the names of groups stand for."""
    rows = [{"group": name, "variants": ", ".join(members)} for name, members in plan.groups.items()]
    return table(pd.DataFrame(rows), "Groups of variants")


def summary(plan: Plan) -> str:
    """One sentence on the size of the plan."""
    work = jobs.jobs(plan)
    hours = sum(map(jobs.hours, work.values()))
    return (
        f"Version {plan.version} of the plan ({plan.changes[-1]}): {len(plan.units)} units, "
        f"{sum(map(len, work.values())):,} jobs, about {hours:.0f} hours of two cores by these rates: {plan.rates_from}."
    )
