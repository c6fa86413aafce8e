"""What one attack is given and what becomes of it: the task, its examples, its words, the record of an outcome."""

import dataclasses
import hashlib
import platform
import time
from pathlib import Path

from .. import catalog, config, records
from ..data import datasets
from ..errors import BadParameter
from ..lexicons import resources
from ..quantization import batching


@dataclasses.dataclass(frozen=True)
class Task:
    """What a worker needs to know: parameters, the variant and its folder, the records' `made_by`; a recipe of the
    user's own in place of `p.attack`; the folders of further variants that the attack must fool at the same time."""

    p: config.Parameters
    variant: str
    model: Path
    made_by: str
    recipe: type | None = None
    others: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True)
class Example:
    """One text to attack, its place in the seeded sample and its id."""

    position: int
    id: str
    text: str
    label: int


def examples(split: datasets.Split, n: int, seed: int) -> list[Example]:
    """The first `n` examples of a split's seeded sample."""
    chosen = enumerate(datasets.sample(split, n, seed))
    return [Example(position, split.ids[i], split.texts[i], split.labels[i]) for position, i in chosen]


def example_seed(seed: int, example: str) -> int:
    """The seed of one example's random state, from the run's seed and the example's id alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{example}".encode()).digest()[:4], "big")


def name(p: config.Parameters, *parts: str) -> str:
    """The readable part of an artefact's folder name."""
    return "-".join((config.dataset_name(p.dataset), Path(p.backbone).name, f"s{p.seed}", *parts)).replace(":", "-")


def aimed(p: config.Parameters, variant: str) -> config.Parameters:
    """`p` for an attack on `variant`: `joint` names each other variant once, in the catalogue's order."""
    named = {*config.split(p.joint)} - {variant}
    return dataclasses.replace(p, joint=",".join(name for name in catalog.VARIANTS if name in named))


def settled(p: config.Parameters, recipe: type | None = None) -> tuple[config.Parameters, type | None]:
    """`p` with the recipe's name in it, and the class if it is the reader's own (given, or named by import path)."""
    if not recipe and ":" not in p.attack:
        return p, None
    from . import recipes

    recipe = recipe or recipes.find(p.attack)
    p = dataclasses.replace(p, attack=recipes.name(recipe))
    return p, None if p.attack in catalog.ATTACKS else recipe


def supply(p: config.Parameters, recipe: type | None = None) -> resources.Resources:
    """What the attack draws on; all that would stop it is said here, before any work, as `recipes.supply` does."""
    if recipe:
        from . import recipes

        return recipes.supply(p, recipe)
    goal = catalog.ATTACKS[p.attack].goal
    if (p.margin or p.joint) and goal != catalog.AttackEntry.goal:
        raise BadParameter(f"margin and joint need an attack that seeks another label; {p.attack} seeks {goal}")
    return resources.load(p.resources, p.network, p.attack)


def identity(p: config.Parameters, variant: str, recipe: type | None = None) -> dict:
    """The parameters that records of an attack depend on; for a recipe of the reader's own, its source too."""
    found = config.identity(p, variant, attack=True)
    if recipe:
        from . import recipes

        found["recipe"] = recipes.digest(recipe)
    return found


def timing(start: float, among: int = 1) -> dict:
    """A record's `timing`: seconds since `start` (`time.time()`), shared `among` so many; the machine's name, its 8-bit
    kernel, start.

    The kernel belongs here because it changes how long an answer takes, never the answer.
    """
    kernel = "exact" if batching.saturates() else "fastest"
    seconds = round((time.time() - start) / among, 4)
    return {"seconds": seconds, "host": platform.node(), "kernel": kernel, "started": round(start, 3)}


def record(task: Task, example: Example, **outcome) -> records.Record:
    """The record of an example: what was asked, and the fields in `outcome` that say how it ended."""
    p = task.p
    return records.Record(
        example=example.id, position=example.position, dataset=config.dataset_name(p.dataset), backbone=p.backbone, seed=p.seed,
        variant=task.variant, attack=p.attack, resources=p.resources, attack_seed=p.attack_seed, query_budget=p.query_budget,
        margin=p.margin, joint=p.joint, label=example.label, execution=catalog.execution(task.variant),
        text=example.text, made_by=task.made_by, **outcome,
    )  # fmt: skip
