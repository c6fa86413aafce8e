"""The plan's steps, one job a checkpoint, variant or pair, with how long each should take."""

from collections.abc import Iterator
from dataclasses import dataclass

from .. import catalog, config
from . import plan_file
from .plan_file import Plan, Step, Unit

TURNED = 0.8
"""Share of attacked examples counted as turned where time is estimated: only their texts are put to a target anew."""
HOUR = 3600


@dataclass(frozen=True)
class Job:
    """One job of a step: `names` is a checkpoint, a variant, or a source and a target; `seconds` of one core, estimated."""

    step: Step
    names: tuple[str, ...]
    seconds: float

    @property
    def label(self) -> str:
        return f"{self.step.label}: {' to '.join(self.names)}"


def jobs(plan: Plan) -> dict[str, list[Job]]:
    """Everything that each unit does, in order; what an earlier step or unit has done already costs nothing."""
    done, found = {}, {unit.name: [] for unit in plan.units}
    for unit in plan.units:
        for step in unit.steps:
            for names in _named(step):
                key, n = _key(unit, step, names), unit.attacked(step) if step.attack else 1
                left = max(n - done.get(key, 0), 0) / n
                cost = seconds(unit, step, names[-1], plan.rates[unit.parameters["backbone"]])
                found[unit.name].append(Job(step, names, left * cost))
                done[key] = max(n, done.get(key, 0))
    return found


def _key(unit: Unit, step: Step, names: tuple[str, ...]) -> tuple:
    """What a job makes: two jobs of one key make the same thing."""
    seed = unit.seed
    if names == ("other-seed",) and step.does == "tune":  # the next seed's own
        seed, names = seed + 1, ("base",)
    return unit.model, seed, step.does, step.attack, step.given, names


def _named(step: Step) -> Iterator[tuple[str, ...]]:
    if step.does == "transfer":
        yield from ((source, target) for source in step.sources for target in step.targets)
    else:
        yield from ((name,) for name in step.checkpoints or step.variants)


def seconds(unit: Unit, step: Step, name: str, rates: dict) -> float:
    """What a job that has yet to be done should take: of one core, from the plan's rates."""
    if step.does == "tune":
        return _tuning(unit, name, rates)
    if step.does == "clean":
        return unit.size() * rates["ask"]
    n, others = unit.attacked(step), len(catalog.VARIANTS[name].members) or 1
    if step.does == "transfer":
        return TURNED * n * rates["ask"] * others
    named = config.split(",".join(str(value) for _, value in step.given))
    return n * rates[step.attack] * (others + sum(item in catalog.VARIANTS for item in named))


def _tuning(unit: Unit, which: str, rates: dict) -> float:
    p = unit.make()
    size = plan_file.split_size(p.dataset, "train")
    limit = min(p.train_limit, size) if p.train_limit > 0 else size
    attacked = p.adversarial_examples * rates[p.adversarial_attack] if which in catalog.ADVERSARIAL else 0
    return limit * (1 if which in catalog.STARTED_FROM else p.epochs) * rates["tune"] + attacked


def hours(work: list[Job], cores: int = 2) -> float:
    """Estimated hours of jobs on `cores` cores."""
    return sum(job.seconds for job in work) / HOUR / cores
