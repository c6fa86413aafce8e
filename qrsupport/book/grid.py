"""The jobs of a profile as a workflow: where they run, here or through a queue, how far they are, what became of them."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from .. import profiles, project, provenance, store
from ..errors import BadParameter, CannotRun, ChapterFailed, UnknownName
from . import chapters

EXECUTORS = ("local", "slurm")
START, CODE = "workflow.json", "code.json"
SITE, RECORDS = "site", "records"
"""Up to where a workflow goes: all jobs and the site, or all jobs."""
QUEUED = 100
"""Jobs that are in a queue at a time, unless told otherwise."""
TRIES = 2
"""How often a job that failed in a queue is tried again: nodes die, and what it had done is kept."""
EVERY = 5.0
"""Seconds between two looks at what jobs elsewhere have finished."""
RAISE = {"DUE TO TIME LIMIT": ("took too long", "minutes"), "oom_kill": ("took too much memory", "mem_mb")}
"""What a queue writes into the log of a job that it kills: what the job did, and the resource to raise."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where jobs run: `cores` at a time (None: as many as there are, in a queue `QUEUED`), `asked` of the queue for every job;
    `leave` them in the queue on Ctrl-C."""

    executor: str = "local"
    cores: int | None = None
    asked: Mapping[str, object] = dataclasses.field(default_factory=dict)
    leave: bool = False

    @property
    def arguments(self) -> list[str]:
        """Of the workflow engine."""
        if self.executor == "local":
            return ["--cores", str(self.cores or os.cpu_count() or 1)]
        return ["--executor", self.executor, "--jobs", str(self.cores or QUEUED), "--retries", str(TRIES), "--latency-wait", "60",
                "--slurm-init-seconds-before-status-checks", "10", "--slurm-status-command", _states()]  # fmt: skip


def asked(pairs) -> dict[str, object]:
    """What is asked of a queue, from (name, text) pairs.  Raises UnknownName or BadParameter."""
    found: dict[str, object] = {
        name: int(text) if name in profiles.QUEUE and profiles.QUEUE[name][0] is int and text.isdecimal() else text
        for name, text in pairs
    }
    profiles.asks(found, "-q")
    return found


def check(place: Place, profile: profiles.Profile) -> None:
    """Asks a queue, before any job, whether it is there and has the partitions asked for.

    Raises CannotRun if it does not answer, UnknownName for a partition, BadParameter for what only a queue can do.
    """
    if place.executor == "local":
        if place.leave or place.asked:
            raise BadParameter("--leave and -q are for a queue; add --executor slurm")
        return
    if not shutil.which("sbatch"):
        raise CannotRun("executor=slurm needs SLURM's commands: sbatch is not on PATH; run this where jobs are submitted")
    _queue("scontrol", "ping")
    known = _queue("sinfo", "--noheader", "--format=%R").split()
    for table in ({}, *profile.resources.values()):
        wanted = {**profile.resources.get("", {}), **table, **place.asked}.get("partition", known[0] if known else "")
        if wanted not in known:
            raise UnknownName("partition of the queue", wanted, known)


def _states() -> str:
    """The command that tells the states of jobs: the accounting's, or where a queue keeps no accounts, the queue's own."""
    try:
        _queue("sacct", "--noheader", "--allocations")
    except CannotRun:
        return "squeue"
    return "sacct"


def _queue(*command: str) -> str:
    """What a command of the queue says.  Raises CannotRun if it fails or takes half a minute."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise CannotRun(f"the queue does not answer ({' '.join(command)}: {e})") from e
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise CannotRun(f"the queue does not answer ({' '.join(command)}: {said})")
    return done.stdout


def run(profile: str, given: dict, run_dir: Path, place: Place, target: str = SITE) -> None:
    """Runs what has changed of a profile's jobs, up to the site or to the records.

    Raises ChapterFailed, after all that does not depend on it, if a job failed; StorageError if that was for want of
    space where the workflow keeps its notes; and as `check`.
    """
    root = project.folder()
    check(place, profiles.read(profile))
    command = _workflow(profile, given, target, place, "--keep-going", "--rerun-incomplete", "--quiet", "all")
    with store.storage_errors(root / ".snakemake"), store.lock(root / "_build" / "workflow"):
        started = time.time()
        code = _wait(command, os.environ | {"QRSUPPORT_RUNS": str(run_dir)}, run_dir, place)
        jobs = outputs(chapters.plan(profile, given), run_dir)
        say(summary(jobs, started))
        if code:
            raise ChapterFailed(failure(jobs, started, root))


def dry_run(profile: str, given: dict, run_dir: Path, target: str = SITE) -> str:
    """How many jobs of each chapter would run, as the workflow counts them; starts none.  Raises ChapterFailed if it cannot tell."""
    command = _workflow(profile, given, target, Place(), "--dry-run", "--quiet", "rules")
    env = os.environ | {"QRSUPPORT_RUNS": str(run_dir)}
    done = subprocess.run(command, check=False, env=env, capture_output=True, text=True)
    if done.returncode:
        raise ChapterFailed(f"the workflow could not be planned: {done.stderr[-2000:]}")
    table = done.stdout.partition("Job stats:")[2].partition("\n\n")[0].strip()
    return table or "nothing to do"


def _workflow(profile: str, given: dict, target: str, place: Place, *more: str) -> list[str]:
    """The command that runs a profile's jobs, as the workflow engine takes it."""
    return [sys.executable, "-m", "snakemake", target, "--snakefile", str(project.sources() / "nbs" / "Snakefile"),
            "--directory", str(project.folder()), *place.arguments, "--nolock", *more, "--config", f"profile={profile}",
            f"parameters={json.dumps(given)}", f"asked={json.dumps(dict(place.asked))}"]  # fmt: skip


def _wait(command: list[str], env: dict, run_dir: Path, place: Place) -> int:
    """The exit status of the workflow; of jobs elsewhere, a line is printed as they end.

    An interrupt, which a terminal sends to both, is passed on when the workflow has ended, and with it its jobs; to leave
    them in a queue, the workflow runs out of the terminal's reach and is killed before it can cancel them.
    """
    process = subprocess.Popen(command, env=env, start_new_session=place.leave)
    seen: set[Path] = set()
    try:
        while True:
            try:
                return process.wait(EVERY if place.executor != "local" else None)
            except subprocess.TimeoutExpired:
                _follow(run_dir, seen)
    except KeyboardInterrupt:
        if place.leave:
            process.kill()
            say("left in the queue (`squeue` shows them); running it again goes on from what they have done by then")
        process.wait()
        raise
    finally:
        if place.executor != "local":
            _follow(run_dir, seen)


def _follow(run_dir: Path, seen: set[Path]) -> None:
    """Prints a line for each job that has ended since the last look, and notes it in `seen`."""
    for file in ended(run_dir):
        if file not in seen:
            seen.add(file)
            say(progress(run_dir, file.stem, None))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# How far, and what became of it ---------------------------------------------------------------------------------------


def shard_output(job: str, part: int, of: int, run_dir: Path) -> Path:
    """The file that says that one part of a job's attack is done."""
    return chapters.output(f"{job}-{part}-of-{of}", run_dir, page=False)


def shard_outputs(job: chapters.Job, run_dir: Path) -> list[Path]:
    """The files of all parts of a job's attack; none if it is not cut."""
    parts = range(1, job.shards + 1) if job.shards > 1 else ()
    return [shard_output(job.name, part, job.shards, run_dir) for part in parts]


def outputs(jobs: list[chapters.Job], run_dir: Path) -> list[Path]:
    """What all jobs of a plan leave."""
    return [file for job in jobs for file in (*shard_outputs(job, run_dir), chapters.output(job.name, run_dir, job.page))]


def code(run_dir: Path) -> Path:
    """A file that is written anew when the package's files have changed: what jobs depend on in place of those files."""
    file = Path(run_dir) / "chapters" / CODE
    found = {f.relative_to(provenance.FOLDER).as_posix(): store.sha256(f) for f in chapters.sources()}
    if not file.exists() or store.read_json(file) != found:
        store.write_json(file, found)
    return file


def begin(run_dir: Path, jobs: int) -> None:
    """Notes that a workflow of so many jobs starts now."""
    say(f"{jobs} jobs to do (records in {run_dir})")
    store.write_json(run_dir / "chapters" / START, {"started": time.time(), "jobs": jobs})


def ended(run_dir: Path) -> list[Path]:
    """What jobs have left since the workflow began, oldest first; nothing before it."""
    file = Path(run_dir) / "chapters" / START
    if not file.exists():
        return []
    started = store.read_json(file)["started"]
    left = [*file.parent.glob("*.ipynb"), *(Path(run_dir) / chapters.ATTACKED).glob("*.json")]
    times = {f: f.stat().st_mtime for f in left}
    return sorted((f for f in left if times[f] >= started), key=lambda f: times[f])


def progress(run_dir: Path, label: str, seconds: float | None) -> str:
    """One line for a finished job: how many are done, how long it took if that is known, how long the rest will take.

    The pace is that since the first job ended, which runs alone and is longer than most.
    """
    done, ends = f"{label}: {'done' if seconds is None else tqdm.format_interval(seconds)}", ended(run_dir)
    if not (Path(run_dir) / "chapters" / START).exists():
        return done
    jobs = store.read_json(Path(run_dir) / "chapters" / START)["jobs"]
    line = "[{n_fmt}/{total_fmt}] {desc}" + (", about {remaining} left" if len(ends) > 1 else "")
    taken = ends[-1].stat().st_mtime - ends[0].stat().st_mtime if ends else 0
    return tqdm.format_meter(len(ends), jobs, taken, initial=1, prefix=done, bar_format=line)


def summary(files: list[Path], started: float) -> str:
    """One line: how many jobs were done since `started`, were there before, and are missing."""
    there = [file for file in files if file.exists()]
    done = sum(file.stat().st_mtime >= started for file in there)
    return f"{len(files)} jobs: {done} done, {len(there) - done} reused, {len(files) - len(there)} missing"


def failure(files: list[Path], started: float, root: Path) -> str:
    """What a workflow that failed left undone, what a queue wrote of the jobs that it killed, and where; it removes the logs
    of those that succeed."""
    missing = [file.stem for file in files if not file.exists()] or ["the site"]
    logs = sorted(f for f in (root / ".snakemake" / "slurm_logs").rglob("*.log") if f.stat().st_mtime >= started)
    text = "".join(f.read_text("utf-8", "replace") for f in logs)
    killed = [f"; a job {did}: raise {name}" for words, (did, name) in RAISE.items() if words in text]
    where = f"the queue's logs: {', '.join(map(str, logs[-3:]))}" if logs else "see above"
    return (
        f"some jobs failed, {where}{''.join(killed)}; missing: {', '.join(missing[:8])}"
        f"{f' and {len(missing) - 8} more' if len(missing) > 8 else ''}; running it again goes on from what is done"
    )
