"""Running attacks: which examples, in which order, by how many processes; one record an example; resume."""

import dataclasses
import hashlib
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from tqdm.auto import tqdm

from . import catalog, company, config, data, provenance, records, resources, store, variants, victim, workers
from .errors import AttackFailures, BadParameter, UnknownName

VERSIONS = ("qrsupport", "textattack", "onnxruntime", "tokenizers", "nltk", "numpy")


@dataclasses.dataclass(frozen=True)
class Task:
    """What a worker needs to know: parameters, the variant and its folder, the records' `made_by`; a recipe of the
    user's own in place of `p.attack`; the folders of further variants that the attack must fool at the same time, of
    those that it must spare, and of the one by which it ranks words."""

    p: config.Parameters
    variant: str
    model: Path
    made_by: str
    recipe: type | None = None
    others: tuple[Path, ...] = ()
    spared: tuple[Path, ...] = ()
    ranking: Path | None = None


@dataclasses.dataclass(frozen=True)
class Example:
    """One text to attack, its place in the seeded sample and its id."""

    position: int
    id: str
    text: str
    label: int


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
    ordered = {name: ",".join(v for v in catalog.VARIANTS if v in some) for name, some in named.items()}
    return dataclasses.replace(p, **ordered, ranking="" if p.ranking == variant else p.ranking)


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
    if (p.margin or p.joint or p.spare) and goal != catalog.AttackEntry.goal:
        raise BadParameter(f"margin, joint and spare need an attack that seeks another label; {p.attack} seeks {goal}")
    words = resources.load(p.resources, p.network, p.attack)
    if p.ranking:
        from . import attacks, ranking, recipes

        ranking.check(recipes.blank(p, attacks.RECIPES[p.attack], words.part))
    return words


def identity(p: config.Parameters, variant: str, recipe: type | None = None) -> dict:
    """The parameters that records of an attack depend on; for a recipe of the reader's own, its source too."""
    found = config.identity(p, variant, attack=True)
    if recipe:
        from . import recipes

        found["recipe"] = recipes.digest(recipe)
    return found


def depends(
    p: config.Parameters, variant: str, split: data.Split, model: victim.Victim, recipe: type | None = None
) -> dict:
    """What the records of an attack are made from: parameters, texts in the order of the sample, model, resources,
    library versions, code."""
    order = data.sample(split, len(split.texts), p.attack_seed)
    texts = "\0".join(f"{split.ids[i]}\t{split.texts[i]}\t{split.labels[i]}" for i in order)
    return {
        "parameters": identity(p, variant, recipe),
        "examples": hashlib.sha256(texts.encode("utf-8", "surrogatepass")).hexdigest(),
        "model": model.digest,
        "others": {name: victim.load(variants.build(p, name)).digest for name in config.others(p)},
        "resources": supply(p, recipe).digest,
        "versions": {v: version(v) for v in VERSIONS},
        "code": provenance.code("attack"),
    }


def attack(p: config.Parameters, variant: str | None = None, progress: bool = True, recipe: type | None = None) -> Path:
    """Attacks `variant` (default `p.variant`) with `p.attack` on `p.n` seeded examples of the evaluation split.

    `recipe`: any class of TextAttack's AttackRecipe kind, in place of the attack that `p.attack` names; what
    `attacks.stand_ins` lists comes from the resource set.  Returns the folder of records; what is
    already there is not attacked again.  Raises CannotRun, MissingResource, NoNetwork or
    BadParameter before any work if the attack cannot run, AttackFailures after the run if examples ended in an error.
    """
    variant = variant or p.variant
    if variant not in catalog.VARIANTS:
        raise UnknownName("variant", variant, catalog.VARIANTS)
    return run(p, variant, data.load(p).eval_split(), "attacks", progress, recipe)


def run(
    p: config.Parameters, variant: str, split: data.Split, stage: str, progress: bool, recipe: type | None = None
) -> Path:
    """As `attack`, on any split, with the records in a folder of `stage`."""
    p, recipe = settled(aimed(p, variant), recipe)
    supply(p, recipe)
    model = victim.load(variants.build(p, variant))
    made_from = depends(p, variant, split, model, recipe)
    made_by = config.key(made_from["parameters"])
    folder = records.Folder(config.run_dir(p) / stage / name(p, variant, p.attack, made_by))
    task = aimed_task(Task(p, variant, model.path, made_by, recipe))
    with store.lock(folder.path):
        folder.open(made_from)
        done = {r.position for r in folder.load() if r.status is not records.Status.error}
        wanted = [
            Example(position, split.ids[i], split.texts[i], split.labels[i])
            for position, i in enumerate(data.sample(split, p.n, p.attack_seed))
        ]
        todo = [example for example in wanted if example.position not in done]
        bar = tqdm(total=len(wanted), initial=len(wanted) - len(todo), desc=f"{p.attack} on {variant}", unit="example",
                   disable=not progress)  # fmt: skip
        with bar:
            for record in outcomes(task, todo):
                folder.append(record)
                bar.update()
        folder.close()
    refuse_errors(folder, len(wanted))
    return folder.path


def aimed_task(task: Task) -> Task:
    """The task with the folders of the further variants that its parameters name."""
    others, spared = (tuple(variants.build(task.p, n) for n in config.split(names)) for names in (task.p.joint, task.p.spare))
    ranking = variants.build(task.p, task.p.ranking) if task.p.ranking in catalog.VARIANTS else None
    return dataclasses.replace(task, others=others, spared=spared, ranking=ranking)


def outcomes(task: Task, todo: list[Example]) -> Iterator[records.Record]:
    """The records of the examples in `todo`, as they finish, by `task.p.workers` processes."""
    if task.p.workers > 1 and len(todo) > 1:
        with workers.Crew(task, min(task.p.workers, len(todo))) as crew:
            yield from crew.outcomes(todo)
    elif todo:
        from .search import Searcher

        yield from map(Searcher(task), todo)


def refuse_errors(folder: records.Folder, n: int) -> None:
    """Raises AttackFailures if records of the folder ended in an error, saying how many and which first."""
    failed = [r for r in folder.load() if r.status is records.Status.error]
    if failed:
        raise AttackFailures(
            f"{len(failed)} of {n} examples ended in an error (first: {failed[0].example}: {failed[0].note}); "
            f"their records are in {folder.path}; rerunning tries them again"
        )


def timing(start: float, among: int = 1) -> dict:
    """A record's `timing`: seconds since `start` (`time.time()`), shared `among` so many; the machine's name, its 8-bit
    kernel, start.

    The kernel belongs here because it changes how long an answer takes, never the answer.
    """
    kernel = "exact" if company.saturates() else "fastest"
    seconds = round((time.time() - start) / among, 4)
    return {"seconds": seconds, "host": platform.node(), "kernel": kernel, "started": round(start, 3)}


def training_attack(p: config.Parameters, progress: bool = True) -> Path:
    """The attack that makes adversarial training examples: `p.adversarial_attack` on the FP32 base classifier over
    `p.adversarial_examples` seeded training examples.  Returns the folder of records."""
    q = dataclasses.replace(
        p,
        attack=p.adversarial_attack,
        n=p.adversarial_examples,
        attack_seed=p.seed,
        query_budget=0,
        margin=0.0,
        joint="",
        spare="",
        ranking="",
        restart=0,
    )
    return run(q, "fp32", data.load(q).train, "training-attacks", progress)


def adversarial_training_examples(p: config.Parameters) -> tuple[list[str], list[int]]:
    """The texts and labels that adversarial training adds: the successful perturbations of training examples.

    A text to which the model does not give its label is skipped, not attacked, and never added."""
    found = records.Folder(training_attack(p)).load()[: p.adversarial_examples]
    won = [r for r in found if r.status is records.Status.succeeded]
    return [r.perturbed for r in won], [r.label for r in won]


def record(task: Task, example: Example, **outcome) -> records.Record:
    """The record of an example: what was asked, and the fields in `outcome` that say how it ended."""
    p = task.p
    return records.Record(
        example=example.id, position=example.position, dataset=config.dataset_name(p.dataset), backbone=p.backbone, seed=p.seed,
        variant=task.variant, attack=p.attack, resources=p.resources, attack_seed=p.attack_seed, query_budget=p.query_budget,
        margin=p.margin, joint=p.joint, spare=p.spare, ranking=p.ranking, restart=p.restart, label=example.label,
        execution=catalog.execution(task.variant), text=example.text, made_by=task.made_by, **outcome,
    )  # fmt: skip
