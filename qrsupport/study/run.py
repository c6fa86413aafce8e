"""Running the study's plan: unit by unit, job by job, through the functions that chapters call.

All that is made lies in a run directory, where it is found again by the next run.  Beside it
`study/<unit>.json` notes which folder each job made: what `published` reads.  Several processes
may run the plan at once: a unit that one of them holds is passed over by the others.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from .. import config, pipeline, provenance, store
from ..errors import AttackFailures, BelowFloor, QRError, StudyIncomplete
from ..training import fine_tuning
from . import check, jobs, plan_file, read
from .jobs import HOUR, Job

STAGES = ("training", "variants", "attack", "replay")
Say = Callable[[str], None]


def run(plan: plan_file.Plan, units: list[plan_file.Unit], run_dir: Path, workers: int, say: Say, results: Path | None = None) -> None:
    """Does the units in order; what is there is not done again.  `results`: the folder of the published units, if any.

    A unit that stops on an error does not stop the others.  Raises StudyIncomplete at the end, naming them.
    """
    failed, work = [], jobs.jobs(plan)
    used = read.used(results, [unit.name for unit in plan.units]) if results else {}
    for i, unit in enumerate(units):
        held = FileLock(_ready(run_dir) / f".{unit.name}.lock")
        try:
            held.acquire(timeout=0)
        except Timeout:
            say(f"{unit.name}: another process is at it")
            continue
        try:
            later = sum(jobs.hours(work[other.name], workers) for other in units[i + 1 :])
            left_out = one(unit, work[unit.name], run_dir, workers, say, later, used)
            failed += [f"{unit.name} ({len(left_out)} jobs failed, first: {left_out[0]})"] if left_out else []
        except QRError as e:
            say(f"{unit.name} stopped: {e}")
            failed.append(f"{unit.name} ({type(e).__name__}: {e})")
        finally:
            held.release()
    if failed:
        raise StudyIncomplete(f"{len(failed)} of {len(units)} units are not whole: {'; '.join(failed)}")


def one(
    unit: plan_file.Unit, work: list[Job], run_dir: Path, workers: int, say: Say, later: float = 0.0, used: dict | None = None
) -> list[str]:
    """Does one unit; returns the labels of jobs whose attacks ended in errors.

    `later`: hours of the units behind it.  `used`: what `read.used` found; raises MissingResource before any job if it is not
    what attacks would use here.
    """
    about: dict = {"unit": plan_file.content(unit), "code": {s: provenance.code(s) for s in STAGES}}
    about = {"commit": provenance.commit(), "complete": False, "jobs": []} | about
    there, file = plan_file.noted(run_dir, unit), plan_file.index(run_dir, unit)
    if there.get("complete") and all(there.get(k) == _plain(about[k]) for k in ("unit", "code")):
        say(f"{unit.name}: all of it is there")
        return []
    check.same_resources(unit, used or {})
    clock, failed = _Clock(workers), []
    for i, job in enumerate(work, 1):
        start = time.monotonic()
        try:
            folder = DO[job.step.does](unit, job, run_dir, workers)
            entry = {"does": job.step.does, "names": job.names, "n": job.step.n, "label": job.label}
            about["jobs"].append(entry | {"folder": str(folder.relative_to(run_dir))})
            store.write_json(file, about)
        except AttackFailures as e:
            failed.append(job.label)
            say(f"{unit.name}: {job.label}: {e}")
        took = time.monotonic() - start
        left = clock.left(job.seconds, took, sum(j.seconds for j in work[i:]))
        ends = f"about {left:.1f} h to the unit's end, {left + later:.1f} to the last one's"
        say(f"{unit.name} {i}/{len(work)} {job.label}: {took:.0f} s; {ends}")
    store.write_json(file, about | {"complete": not failed})
    return failed


class _Clock:
    """Tells what is left from the plan's estimates and from how they have done so far."""

    def __init__(self, workers: int):
        self.workers, self.planned, self.spent = workers, 0.0, 0.0

    def left(self, planned: float, took: float, rest: float) -> float:
        """Hours that jobs of `rest` estimated seconds will take, after one of `planned` took `took`."""
        if took > 1:  # what was there already says nothing
            self.planned, self.spent = self.planned + planned, self.spent + took
        pace = self.spent / self.planned if self.planned and self.spent else 1 / self.workers
        return rest * pace / HOUR


def _ready(run_dir: Path) -> Path:
    folder = Path(run_dir) / "study"
    with store.storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _plain(content):
    return json.loads(json.dumps(content))


def _parameters(unit: plan_file.Unit, job: Job, run_dir: Path, workers: int) -> config.Parameters:
    return plan_file.parameters(unit, job.step, run_dir=str(run_dir), workers=workers)


def tune(unit: plan_file.Unit, job: Job, run_dir: Path, workers: int) -> Path:
    """A checkpoint.  Raises BelowFloor if one that is to be as good as `base` does not reach the unit's floor."""
    (which,) = job.names
    path = pipeline.checkpoint(_parameters(unit, job, run_dir, workers), which)
    reached = fine_tuning.validation_accuracy(path)
    if which in ("base", "other-seed") and reached < unit.floor:
        raise BelowFloor(
            f"{path.name} reaches {reached:.4f} on the validation split, the plan's floor is {unit.floor}; "
            f"change epochs or learning_rate of the model {unit.model!r} in {plan_file.FILE}"
        )
    return path


def clean(unit: plan_file.Unit, job: Job, run_dir: Path, workers: int) -> Path:
    """A variant's answers to the whole evaluation split."""
    p = _parameters(unit, job, run_dir, workers)
    pipeline.clean(p, *job.names)
    return pipeline.clean_folder(p, *job.names)


def direct(unit: plan_file.Unit, job: Job, run_dir: Path, workers: int) -> Path:
    """A variant attacked itself."""
    p = _parameters(unit, job, run_dir, workers)
    (variant,) = job.names
    pipeline.attack(p, variant, progress=sys.stderr.isatty())
    return pipeline.attack_folder(p, variant).path


def transfer(unit: plan_file.Unit, job: Job, run_dir: Path, workers: int) -> Path:
    """A source's adversarial set replayed on a target."""
    p = _parameters(unit, job, run_dir, workers)
    pipeline.replay(p, *job.names)
    return pipeline.replay_folder(p, *job.names).path


DO = {"tune": tune, "clean": clean, "direct": direct, "transfer": transfer}
