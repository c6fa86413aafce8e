"""What one attack is given and what becomes of it: the task, its examples, its words, the record of an outcome."""

import dataclasses
import hashlib
import platform
import time
from importlib.metadata import version
from pathlib import Path

from .. import attack_catalog, catalog, config, provenance, records
from ..data import datasets
from ..errors import BadParameter
from ..lexicons import resources
from ..quantization import batching, classifiers

VERSIONS = ("qrsupport", "textattack", "onnxruntime", "tokenizers", "nltk", "numpy")


@dataclasses.dataclass(frozen=True)
class Task:
    """What a worker needs to know: parameters, the variant and its folder, the records' `made_by`; a recipe of the
    user's own in place of `p.attack`; the folders of further variants that the attack must fool at the same time, of
    those that it must spare, and of the one by which it ranks words; that of answers kept (None: none are)."""

    p: config.Parameters
    variant: str
    model: Path
    made_by: str
    recipe: type | None = None
    others: tuple[Path, ...] = ()
    spared: tuple[Path, ...] = ()
    ranking: Path | None = None
    answers: Path | None = None


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


def example_seed(seed: int, example: str, restart: int = 0) -> int:
    """The seed of one example's random state, from the run's seed, the restart and the example's id alone."""
    drawn = f"{seed}:{restart}:{example}" if restart else f"{seed}:{example}"
    return int.from_bytes(hashlib.sha256(drawn.encode()).digest()[:4], "big")


def name(p: config.Parameters, *parts: str) -> str:
    """The readable part of an artefact's folder name."""
    return "-".join((config.dataset_name(p.dataset), Path(p.backbone).name, f"s{p.seed}", *parts)).replace(":", "-")


def aimed(p: config.Parameters, variant: str) -> config.Parameters:
    """`p` for an attack on `variant`: `joint` and `spare` name each other variant once, in the catalogue's order, and
    `ranking` none if it is by that variant itself.

    Raises BadParameter if a variant is to be fooled and spared.
    """
    joint, spare = {*config.split(p.joint)} - {variant}, {*config.split(p.spare)}
    if both := spare & (joint | {variant}):
        raise BadParameter(f"spare={p.spare!r}: {min(both)} cannot be fooled and spared; leave it out of one")
    named = {"joint": joint, "spare": spare}
    ordered: dict = {name: ",".join(v for v in catalog.VARIANTS if v in some) for name, some in named.items()}
    return dataclasses.replace(p, **ordered, ranking="" if p.ranking == variant else p.ranking)


def settled(p: config.Parameters, recipe: type | None = None) -> tuple[config.Parameters, type | None]:
    """`p` with the recipe's name in it, and the class if it is the reader's own (given, or named by import path)."""
    if not recipe and ":" not in p.attack:
        return p, None
    from . import recipes

    recipe = recipe or recipes.find(p.attack)
    p = dataclasses.replace(p, attack=recipes.name(recipe))
    return p, None if p.attack in attack_catalog.ATTACKS else recipe


def supply(p: config.Parameters, recipe: type | None = None) -> resources.Resources:
    """What the attack draws on; all that would stop it is said here, before any work, as `recipes.supply` does."""
    if recipe:
        from . import recipes

        return recipes.supply(p, recipe)
    goal = attack_catalog.ATTACKS[p.attack].goal
    if (p.margin or p.joint or p.spare) and goal != attack_catalog.AttackEntry.goal:
        raise BadParameter(f"margin, joint and spare need an attack that seeks another label; {p.attack} seeks {goal}")
    words = resources.load(p.resources, p.network, p.attack)
    if p.ranking:
        from . import ranking, recipes, wiring

        ranking.check(recipes.blank(p, wiring.RECIPES[p.attack], words.part))
    return words


def identity(p: config.Parameters, variant: str, recipe: type | None = None) -> dict:
    """The parameters that records of an attack depend on; for a recipe of the reader's own, its source too."""
    found = config.asked(p, variant, attack=True)
    if recipe:
        from . import recipes

        found["recipe"] = recipes.digest(recipe)
    return found


def made_from(job: Task, split: datasets.Split) -> dict:
    """What the records of an attack are made from: parameters, texts in the order of the sample, model, resources,
    library versions, code."""
    p, others = job.p, (*job.others, *job.spared, *filter(None, [job.ranking]))
    order = datasets.sample(split, len(split.texts), p.attack_seed)
    texts = "\0".join(f"{split.ids[i]}\t{split.texts[i]}\t{split.labels[i]}" for i in order)
    return {
        "parameters": identity(p, job.variant, job.recipe),
        "examples": hashlib.sha256(texts.encode("utf-8", "surrogatepass")).hexdigest(),
        "model": classifiers.digest(job.model),
        "others": {name: classifiers.digest(folder) for name, folder in zip(config.others(p), others, strict=True)},
        "resources": supply(p, job.recipe).digest,
        "versions": {v: version(v) for v in VERSIONS},
        "code": provenance.code("attack"),
    }


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
        margin=p.margin, joint=p.joint, spare=p.spare, ranking=p.ranking, restart=p.restart, label=example.label,
        execution=catalog.execution(task.variant), text=example.text, made_by=task.made_by, **outcome,
    )  # fmt: skip
