"""Runs of all stages that are killed at random points and resumed, against a run that was left alone (`make soak`).

A run is a process group: fine-tuning, variants, two attacks (with one worker and with two),
adversarial training, replays, clean predictions, tables.  It is killed (SIGKILL), the whole group
or its first process alone, and started again in the same run directory until it ends; then every
file there is compared with the undisturbed run's, times and host left out.  Rounds go on, each in
a fresh directory, until there were enough kills.  Then the command line is interrupted (SIGINT).
"""

import argparse
import csv
import dataclasses
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

SMALL = {"backbone": "bert-small", "train_limit": 1200, "epochs": 3, "n": 6, "adversarial_examples": 8}
VARIANTS = ("fp32", "int8-dynamic", "adversarial")
ATTACKS = {"textfooler": 2, "pwws": 1}  # workers
GRACE = 20.0
"""Seconds in which what a killed process left running must end by itself."""
INTERRUPTED = (130, -signal.SIGINT)
"""Exit codes of an interrupted command; a shell calls both 130.  Python ends itself by the signal, whatever `main` returns,
if the interrupt fell into the `exec` of a string, by which dataclasses and named tuples are made on import."""


# one run -------------------------------------------------------------------------------------------------------------


def stages(run_dir: Path, alone: bool) -> None:
    """Every stage into `run_dir`; `alone`: all attacks with one worker, which must not matter."""
    from qrsupport import config, pipeline

    p = config.make(run_dir=str(run_dir), **SMALL)
    pipeline.checkpoint(p)
    for variant in VARIANTS[:2]:
        pipeline.variant(p, variant)
    for attack, workers in ATTACKS.items():
        q = dataclasses.replace(p, attack=attack, workers=1 if alone else workers)
        for variant in VARIANTS[:2]:
            pipeline.attack(q, variant, progress=False)
        pipeline.replay(q, "fp32", "int8-dynamic")
        pipeline.replay(q, "fp32", "fp32")
    pipeline.variant(p, "adversarial")
    pipeline.attack(p, "adversarial", progress=False)
    for variant in VARIANTS:
        pipeline.clean(p, variant)
    tables(run_dir)


def tables(run_dir: Path) -> None:
    """The tables of a run directory as CSV, in its folder `tables`."""
    from stored import all_clean, all_records

    from qrsupport import records
    from qrsupport.analysis import frames, metrics

    found, replays = all_records(run_dir), all_records(run_dir, records.Replay)
    clean = all_clean(run_dir)
    made = {
        "direct": metrics.direct(frames.frames(found)),
        "transfer": metrics.transfer(frames.replay_frames(replays)),
        "clean": metrics.clean(clean),
        "pairs": metrics.pairs(found, replays, clean),
        "headline": metrics.headline(found, replays, clean),
        "law": metrics.replay_law(found, replays),
    }
    (run_dir / "tables").mkdir(exist_ok=True)
    for name, table in made.items():
        (run_dir / "tables" / f"{name}.csv").write_text(table.to_csv(index=False), "utf-8")


def start(run_dir: Path, log: Path, alone: bool = False) -> int:
    """The process id of a run, forked from this process (which has imported everything), leader of its own group."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        with open(log, "a") as f:
            os.dup2(f.fileno(), 1)
            os.dup2(f.fileno(), 2)
        stages(run_dir, alone)
        code = 0
    except BaseException:  # this process must not go on as its parent
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def left(group: int) -> list[int]:
    """The processes of a group that still run."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if process.info["status"] != psutil.STATUS_ZOMBIE and os.getpgid(process.pid) == group:
                found.append(process.pid)
        except ProcessLookupError:
            continue
    return found


def orphans(group: int) -> int:
    """How many processes of a group still run after the time they have to end by themselves; those are killed."""
    end = time.monotonic() + GRACE
    while left(group) and time.monotonic() < end:
        time.sleep(0.05)
    remaining = left(group)
    for pid in remaining:
        os.kill(pid, signal.SIGKILL)
    return len(remaining)


def run_out(pid: int, seconds: float) -> int | None:
    """The exit status of a run, None if it goes on after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def undisturbed(run_dir: Path, log: Path) -> float:
    """A run that is left alone; its seconds."""
    started = time.monotonic()
    code = run_out(start(run_dir, log, alone=True), 3600)
    if code != 0:
        raise SystemExit(f"the undisturbed run ended with {code}:\n{log.read_text()[-3000:]}")
    return time.monotonic() - started


def disturbed(run_dir: Path, log: Path, longest: float, rng: random.Random, counts: Counter, kills: int) -> float:
    """A run that is killed and resumed until it ends, or, once `kills` is reached, left to end; the seconds it ran."""
    began = time.monotonic()
    while True:
        pid = start(run_dir, log)
        wait = rng.uniform(0, longest) if counts["kills"] < kills else 3600
        code = run_out(pid, wait)
        if code is not None:
            counts["failed runs"] += code != 0
            counts["orphans"] += orphans(pid)
            if code == 0:
                return time.monotonic() - began
            raise SystemExit(f"a resumed run ended with {code}:\n{log.read_text()[-3000:]}")
        (os.killpg if rng.random() < 0.5 else os.kill)(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        counts["kills"] += 1
        counts["resumes"] += 1
        counts["orphans"] += orphans(pid)


# what it left --------------------------------------------------------------------------------------------------------


def content(file: Path) -> bytes:
    """What of a file must be the same whenever and wherever it was made: all but times, host and digests over them."""
    if file.suffix == ".jsonl":
        lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        return "".join(json.dumps(line | {"timing": {}}) + "\n" for line in lines).encode()
    if file.name == "meta.json":
        meta = json.loads(file.read_text("utf-8"))
        for name in ("timing", "seconds", "attack_seconds"):
            meta.get("made", {}).pop(name, None)
        meta.get("records", {}).pop("sha256", None)
        return json.dumps(meta).encode()
    if file.suffix == ".csv":
        rows = list(csv.reader(io.StringIO(file.read_text("utf-8"))))
        kept = [i for i, name in enumerate(rows[0]) if "seconds" not in name]
        return "\n".join(",".join(row[i] for i in kept) for row in rows).encode()
    return file.read_bytes()


def snapshot(run_dir: Path) -> dict[str, bytes]:
    """`content` of every file of a run directory by its path; locks, which are empty, are left out."""
    files = [f for f in sorted(run_dir.rglob("*")) if f.is_file() and not f.name.endswith(".lock")]
    return {str(f.relative_to(run_dir)): content(f) for f in files}


def compare(whole: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """The paths at which two snapshots differ."""
    return [name for name in sorted({*whole, *other}) if whole.get(name) != other.get(name)]


# SIGINT --------------------------------------------------------------------------------------------------------------


def interrupted(room: Path, after: float) -> str:
    """Interrupts `qrsupport run attack` and all its processes after so many seconds; what was wrong with its end."""
    given = {**SMALL, "n": 200, "attack": "pso", "workers": 2}
    arguments = [word for name, value in given.items() for word in ("-p", name, str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "qrsupport", "run", "attack", *arguments, "--out", str(room / "out.ipynb")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"QRSUPPORT_RUNS": str(room / "runs")},
    )  # fmt: skip
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, said = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return f"it did not stop within a minute of SIGINT after {after:.1f} s"
    faults = [f"exit code {process.returncode}"] if process.returncode not in INTERRUPTED else []
    lines = [line for line in said.splitlines() if line.strip()]
    if not lines or "running it again goes on from here" not in lines[-1] or "Traceback" in said:
        faults.append(f"it said {said[-600:]!r}")
    if (room / "out.ipynb").exists():
        faults.append("it left an executed chapter")
    if remaining := orphans(process.pid):
        faults.append(f"{remaining} processes went on")
    return f"after {after:.1f} s: " + "; ".join(faults) if faults else ""


# memory --------------------------------------------------------------------------------------------------------------


def resident(run_dir: Path, examples: int) -> list[float]:
    """Megabytes that one worker holds after each quarter of so many attacked training examples."""
    from qrsupport import config, pipeline
    from qrsupport.attacks import one_example, tasks
    from qrsupport.data import datasets
    from qrsupport.records import Status

    p = config.make(run_dir=str(run_dir), attack="textfooler", query_budget=60, **SMALL)
    task = tasks.Task(p, "int8-dynamic", pipeline.variant(p, "int8-dynamic"), "")
    searcher, split, found = one_example.Searcher(task), datasets.load(dataclasses.replace(p, train_limit=0)).train, []
    for i in range(examples):
        j = i % len(split.texts)
        record = searcher(tasks.Example(i, f"{i}", f"{split.texts[j]} {i}", split.labels[j]))
        if record.status is Status.error:
            raise SystemExit(record.note)
        if (i + 1) % (examples // 4) == 0:
            found.append(psutil.Process().memory_info().rss / 1e6)
    return found


def memory(run_dir: Path, examples: int) -> str:
    """What is wrong with the memory of a worker: more than a tenth larger after all examples than after half of them."""
    quarters = resident(run_dir, examples)
    said = ", ".join(f"{m:.0f}" for m in quarters)
    print(f"memory: {examples} examples in one worker, MB after each quarter: {said}", flush=True)
    return f"memory grows: {said} MB" if quarters[3] > 1.1 * quarters[1] else ""


# all of it -----------------------------------------------------------------------------------------------------------


def import_everything() -> None:
    """What a run imports, once, so that each begins at once."""
    import torch

    from qrsupport import pipeline  # noqa: F401

    torch.set_num_threads(1)


def soak(room: Path, kills: int, interrupts: int, examples: int, seed: int) -> int:
    """The whole of it; prints its figures; the number of things that were wrong."""
    import_everything()
    rng, counts, faults = random.Random(seed), Counter(), []
    seconds = undisturbed(room / "whole", room / "whole.log")
    whole = snapshot(room / "whole")
    statuses = Counter(
        json.loads(line)["status"] for name in whole if name.startswith("attacks/") and name.endswith(".jsonl")
        for line in whole[name].splitlines()
    )  # fmt: skip
    if not {"succeeded", "failed", "skipped"} <= set(statuses):
        faults.append(f"the run shows too little: {dict(statuses)}")
    print(f"undisturbed: {seconds:.1f} s, {len(whole)} files, records {dict(statuses)}", flush=True)
    while counts["kills"] < kills:
        counts["rounds"] += 1
        run_dir = room / f"round-{counts['rounds']}"
        took = disturbed(run_dir, run_dir.with_suffix(".log"), seconds, rng, counts, kills)
        seconds = min(seconds, took)  # the machine may have become quieter
        differ = compare(whole, snapshot(run_dir))
        counts["files"] += len(whole)
        counts["differences"] += len(differ)
        faults += [f"{run_dir.name}: {name}" for name in differ]
        print(f"round {counts['rounds']}: {counts['kills']} kills so far, differences {differ}", flush=True)
    for i in range(interrupts):
        (room / f"interrupt-{i}").mkdir()
        wrong = interrupted(room / f"interrupt-{i}", rng.uniform(1, 15))
        faults += [wrong] if wrong else []
        counts["interrupts"] += 1
        print(f"interrupt {i + 1}: {wrong or 'tidy'}", flush=True)
    if examples and (wrong := memory(room / "whole", examples)):
        faults.append(wrong)
    faults += [f"{counts['orphans']} orphans"] if counts["orphans"] else []
    for fault in faults:
        print(f"WRONG {fault}")
    print(
        f"soak: {counts['kills']} kills, {counts['resumes']} resumes, {counts['rounds']} runs, {counts['files']} files "
        f"compared, {counts['differences']} differences, {counts['orphans']} orphans, {counts['interrupts']} interrupts, "
        f"{len(faults)} faults"
    )
    return len(faults)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--interrupts", type=int, default=5)
    parser.add_argument("--examples", type=int, default=2000, help="attacked by one process, its memory measured")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
    with tempfile.TemporaryDirectory(prefix="qr-soak-") as room:
        sys.exit(1 if soak(Path(room), given.kills, given.interrupts, given.examples, given.seed) else 0)


if __name__ == "__main__":
    main()
