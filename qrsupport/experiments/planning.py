"""`qrsupport plan`: what a profile will do on this machine, before anything starts.

Attacks and fine-tunings are those that the chapters make, each counted once and less what the run directory already
holds.  Expected queries come from records: those of the run directory, else those in `book/results/queries.json`.
"""

import dataclasses
import statistics
from collections.abc import Callable
from pathlib import Path

from .. import catalog, config, project, recorded
from ..attacks import tasks
from ..book import build, chapters
from ..data import embedded, origins
from ..training import backbones, fine_tuning
from . import pace

QUERIES = "book/results/queries.json"
VOCABULARY = 30_522
CONTENT = ("fp32", "int8-dynamic")
COUNTED = (*chapters.PLACED, "bitwidths", "ensembles", "compare")
"""Chapters whose attacks and fine-tunings `attacks_of` and `tunings_of` know."""


@dataclasses.dataclass(frozen=True)
class Attack:
    """One attack on one variant: examples wanted and already there, expected queries an example and where that is from."""

    p: config.Parameters
    variant: str
    stage: str
    there: int
    queries: float = 0.0
    source: str = ""

    @property
    def left(self) -> int:
        return max(self.p.n - self.there, 0)

    @property
    def asked(self) -> float:
        """Expected queries of the examples that are left."""
        return self.left * self.queries


@dataclasses.dataclass(frozen=True)
class Tuning:
    """One fine-tuning: how many examples it goes over in all (0 if its checkpoint is there)."""

    p: config.Parameters
    which: str
    examples: int


def attacks_of(job: chapters.Job, p: config.Parameters) -> list[tuple[config.Parameters, str, str]]:
    """(parameters, variant, stage) of each attack that a chapter makes, as its notebook names them."""
    change = dataclasses.replace
    named = {
        "attack": [p.variant],
        "adversarial": catalog.PAPER_VARIANTS,
        "bitwidths": config.split(p.variants),
        "controls": ["fp32"],
        "aware": [*CONTENT, "ensemble-mean"],
        "ensembles": [*CONTENT, "ensemble-mean", "ensemble-vote", "ensemble-random"],
    }.get(job.chapter, [])
    found = [(p, name, "attacks") for name in named]
    if job.chapter == "aware":
        found.append((change(p, joint="int8-dynamic"), "fp32", "attacks"))
        found += [(change(p, margin=margin), "fp32", "attacks") for margin in (0.2, 0.4, 0.6)]
    if job.chapter == "architectures":
        found += [(change(p, backbone=b), name, "attacks") for b in config.split(p.backbones) for name in CONTENT]
    if "adversarial" in named:
        q = change(p, attack=p.adversarial_attack, n=p.adversarial_examples, attack_seed=p.seed)
        found.append((q, "fp32", "training-attacks"))
    return found


def tunings_of(job: chapters.Job, p: config.Parameters) -> list[tuple[config.Parameters, str]]:
    """(parameters, checkpoint) of each fine-tuning that a chapter needs."""
    if job.chapter == "architectures":
        return [(dataclasses.replace(p, backbone=b), "base") for b in config.split(p.backbones)]
    if job.chapter == "compare":
        return []
    more = {"adversarial": ["adversarial"], "controls": ["other-seed"], "aware": ["other-seed"]}.get(job.chapter, [])
    return [(p, which) for which in ["base", *more]]


def parameters(job: chapters.Job, run_dir: Path) -> config.Parameters:
    """All parameters of a job."""
    return config.make(**job.parameters | {"run_dir": str(run_dir)})


def attacks(jobs: list[chapters.Job], run_dir: Path, known: list[dict]) -> list[Attack]:
    """The distinct attacks of the jobs, with what is there and what is expected."""
    found: dict[Path, Attack] = {}
    for job in jobs:
        for p, variant, stage in attacks_of(job, parameters(job, run_dir)):
            p = tasks.aimed(p, variant)
            made_by = config.key(config.identity(p, variant, attack=True))
            folder = run_dir / stage / tasks.name(p, variant, p.attack, made_by)
            if folder not in found or found[folder].p.n < p.n:
                there = sum(r.position < p.n for r in recorded.Folder(folder).load()) if folder.is_dir() else 0
                found[folder] = Attack(p, variant, stage, there, *expected(p, known))
    return list(found.values())


def tunings(jobs: list[chapters.Job], run_dir: Path) -> list[Tuning]:
    """The distinct fine-tunings of the jobs; those whose checkpoint is there count no example."""
    found = {}
    for job in jobs:
        for p, which in tunings_of(job, parameters(job, run_dir)):
            q = dataclasses.replace(p, seed=p.seed + 1) if which == "other-seed" else p
            kind = "base" if which == "other-seed" else which
            stem = (q.dataset, backbones.slug(q.backbone), f"s{q.seed}", *([kind] if kind != "base" else []))
            folder = run_dir / "checkpoints" / "-".join((*stem, config.key(fine_tuning.identity(q, kind))))
            found[folder] = Tuning(q, which, 0 if folder.is_dir() else examples(q))
    return list(found.values())


def examples(p: config.Parameters) -> int:
    """How many training examples a fine-tuning goes over, in all its epochs."""
    p = config.settled(p)
    published = origins.SOURCES.get(p.dataset)
    size = published.sizes[0] if published and published.sizes else embedded.SIZES["train"]
    return min(size, p.train_limit or size) * p.epochs


def observed(run_dir: Path) -> list[dict]:
    """Mean queries an example of the attacks under a run directory, a row for each data set, backbone and attack."""
    groups: dict[tuple, list[int]] = {}
    for meta in sorted(Path(run_dir).glob("attacks/*/meta.json")):
        for r in recorded.Folder(meta.parent).load():
            if r.variant in CONTENT and not (r.joint or r.spare or r.ranking or r.margin or r.query_budget):
                groups.setdefault((r.dataset, r.backbone, r.attack, r.resources), []).append(r.queries)
    names = ("dataset", "backbone", "attack", "resources")
    return [
        dict(zip(names, key, strict=True)) | {"n": len(q), "queries": round(statistics.fmean(q), 1), "source": "this run directory"}
        for key, q in sorted(groups.items())
    ]


def expected(p: config.Parameters, known: list[dict]) -> tuple[float, str]:
    """Queries an example and where that is from: of the rows of this attack, the one with most in common with `p`."""
    rows = [row for row in known if row["attack"] == p.attack]
    if not rows:
        return 0.0, f"no record of {p.attack}: counted as nothing"
    row = max(rows, key=lambda r: [r["resources"] == p.resources, r["dataset"] == p.dataset, r["backbone"] == p.backbone])
    return row["queries"], f"{row['source']}: {row['dataset']}, {row['backbone']}, {row['resources']}, n {row['n']}"


def seconds(attack: Attack, pace_of: pace.Pace) -> float:
    """Of one core.  What asks both precisions costs both; all that is not int8 costs as fp32."""
    members = {*catalog.VARIANTS[attack.variant].members, *config.others(attack.p)} | {attack.variant}
    both = len(members) > 1
    each = pace_of.fp32 + pace_of.int8 if both else pace_of.int8 if attack.variant.startswith("int8") else pace_of.fp32
    return attack.asked * each


def purpose(attack: Attack) -> str:
    """What an attack is for or has beyond its recipe; empty if nothing."""
    if attack.stage == "training-attacks":
        return "training"
    beyond = [f"{name} {value}" for name in ("margin", *config.LATER) if (value := getattr(attack.p, name))]
    return ", ".join(filter(None, [attack.p.joint, *beyond]))


def gigabytes(attacked: list[Attack], tuned: list[Tuning]) -> float:
    """Of checkpoints (4 bytes a weight) and variants (fp32 shares the checkpoint's; noise 4, all others 1 byte a weight)."""
    total = sum(4 * _weights(t.p.backbone) for t in tuned if t.examples)
    made = {(a.p.dataset, a.p.backbone, a.variant) for a in attacked if a.left}
    for _, backbone, variant in made:
        entry = catalog.VARIANTS[variant]
        if not entry.members and entry.precision != "fp32":
            total += _weights(backbone) * (4 if "noise" in variant else 1)
    return total / 1e9


def _weights(backbone: str) -> int:
    size = pace.shape(backbone)
    vocabulary = backbones.VOCABULARY if backbones.is_small(backbone) else VOCABULARY
    return pace.weights(size) + vocabulary * size[1]


def plan(profile: str, given: dict, budget: float, say: Callable[[str], None]) -> dict:
    """Everything that `qrsupport plan` shows.  Raises UnknownName or BadParameter before anything is measured.

    Keys: run_dir, jobs, attacks (rows), tunings (rows), totals, assumptions.
    """
    from .. import store

    jobs, run_dir = chapters.plan(profile, given), build.runs(profile, given)
    file = project.folder() / QUERIES
    known = observed(run_dir) + (store.read_json(file) if file.is_file() else [])
    attacked, tuned = attacks(jobs, run_dir, known), tunings(jobs, run_dir)
    names = sorted({a.p.backbone for a in attacked} | {t.p.backbone for t in tuned})
    speeds = pace.paces(names, budget, say)
    rows: list[dict] = [
        {"dataset": a.p.dataset, "backbone": a.p.backbone, "variant": a.variant, "attack": a.p.attack,
         "for": purpose(a), "n": a.p.n, "there": a.there, "queries": round(a.asked), "hours": seconds(a, speeds[a.p.backbone]) / 3600}
        for a in attacked
    ]  # fmt: skip
    tuning: list[dict] = [
        {"dataset": t.p.dataset, "backbone": t.p.backbone, "checkpoint": t.which, "examples": t.examples,
         "hours": t.examples * speeds[t.p.backbone].tuning / 3600}
        for t in tuned
    ]  # fmt: skip
    totals = {"queries": sum(r["queries"] for r in rows), "attack_hours": sum(r["hours"] for r in rows),
              "tuning_hours": sum(r["hours"] for r in tuning), "gigabytes": gigabytes(attacked, tuned)}  # fmt: skip
    return {"run_dir": str(run_dir), "jobs": len(jobs), "attacks": rows, "tunings": tuning, "totals": totals,
            "assumptions": assumptions(attacked, speeds) + uncounted(jobs)}  # fmt: skip


def assumptions(attacked: list[Attack], speeds: dict[str, pace.Pace]) -> list[str]:
    """What the estimate takes for granted, a line each."""
    import torch

    where = "the GPU" if torch.cuda.is_available() else "one thread"
    lines = [
        f"{name}: {1000 * s.fp32:.1f} ms a query in fp32, {1000 * s.int8:.1f} in int8, {1000 * s.tuning:.0f} ms an example "
        f"of fine-tuning on {where} ({'measured' if s.measured else 'scaled by size from the largest measured'})"
        for name, s in speeds.items()
    ]
    lines += sorted({f"{a.p.attack} on {a.p.dataset}: {a.queries:g} queries an example ({a.source})" for a in attacked})
    return [
        *lines,
        f"texts have {pace.TOKENS} tokens; each backbone is a BERT of its depth and width with random weights",
        "attacks run on the CPU only, one text at a time; a GPU shortens the fine-tuning alone",
        "every query is asked anew, though the engine remembers those of one example; encoders and candidates cost nothing",
        "simulated variants cost as fp32; the examples that adversarial training adds, replays and clean predictions cost nothing",
    ]


def uncounted(jobs: list[chapters.Job]) -> list[str]:
    """A line for each chapter of which only the fine-tuning of its model is counted."""
    names = {job.chapter for job in jobs if job.chapter not in COUNTED}
    return [f"the chapter {name} is counted without its attacks" for name in sorted(names)]


def shown(found: dict, cores: int) -> str:
    """The plan as text: fine-tunings and attacks as tables, the assumptions, the totals last."""
    import pandas as pd

    from ..report import tables

    def table(rows: list[dict]) -> str:
        return tables.plain(pd.DataFrame([row | {"hours": f"{row['hours']:.2f}"} for row in rows]))

    t = found["totals"]
    hours = t["attack_hours"] + t["tuning_hours"]
    return "\n".join([
        "Fine-tuning (examples in all epochs; 0: its checkpoint is there)", table(found["tunings"]), "",
        "Attacks (queries and hours of the examples that are not there yet)", table(found["attacks"]), "",
        "Assumed", *(f"- {line}" for line in found["assumptions"]), "",
        f"{found['jobs']} jobs, run directory {found['run_dir']}",
        f"{t['queries']:,} queries: {t['attack_hours']:.1f} hours; fine-tuning: {t['tuning_hours']:.1f} hours (of one core)",
        f"together {hours:.1f} hours of one core, {hours / cores:.1f} on {cores}; {t['gigabytes']:.1f} GB of models",
    ])  # fmt: skip
