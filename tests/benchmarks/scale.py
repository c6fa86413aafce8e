"""`make scale`: what the workflow itself costs, for the page on clusters (book/results/scale.json).

Planning: a dry run of the real workflow over so many jobs.  Overhead: jobs that sleep, and one small attack as bare calls, as
shards on one core and as shards on all.  Files and bytes: those of that attack.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qrsupport import config, pipeline, profiles, project, store
from qrsupport.book import chapters
from qrsupport.experiments import measure

OUT = "book/results/scale.json"
JOBS = (10, 1_000, 100_000)
SHARDS = 1_000
SLEEPS, NAP = 20, 1.0
PLAN = """
chapters = ["attack"]
[grid]
dataset = ["embedded"]
backbone = ["bert-small"]
seed = [{seeds}]
attack = ["pwws"]
variant = ["fp32"]
[parameters]
n = 1000
[shards]
pwws = {shards}
"""
SMALL = """
chapters = ["quantize", "attack"]
[grid]
dataset = ["embedded"]
backbone = ["bert-small"]
attack = ["pso"]
variant = ["fp32"]
[parameters]
n = 400
latency_repeats = 10
[shards]
pso = 4
"""
SLEEP = """
rule all:
    input: expand("{{i}}.txt", i=range({n}))
rule one:
    output: "{{i}}.txt"
    shell: "sleep {nap}; touch {{output}}"
"""


def timed(command: list[str], env: dict) -> tuple[float, float]:
    """Seconds and megabytes of a command; ends the benchmark with what it said if it fails."""
    started = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{said.decode('utf-8', 'replace')[-2000:]}")
    return time.monotonic() - started, used.ru_maxrss / 1024


def planned(room: Path, jobs: int) -> dict:
    """How long the workflow takes to plan so many jobs, and how much memory."""
    shards = min(SHARDS, jobs)
    (room / "plan.toml").write_text(PLAN.format(seeds=", ".join(map(str, range(jobs // shards))), shards=shards))
    snakefile = str(project.sources() / "nbs" / "Snakefile")
    seconds, megabytes = timed(
        [sys.executable, "-m", "snakemake", "records", "-s", snakefile, "--nolock", "--dry-run", "--quiet", "all",
         "--cores", "1", "--config", f"profile={room / 'plan.toml'}"],
        {"QRSUPPORT_RUNS": str(room / "runs")},
    )  # fmt: skip
    print(f"{jobs} jobs planned: {seconds:.1f} s, {megabytes:.0f} MB", file=sys.stderr, flush=True)
    return {"jobs": jobs, "seconds": round(seconds, 1), "megabytes": round(megabytes)}


def overhead(room: Path) -> float:
    """Seconds that the engine adds to a job, of jobs that sleep, one at a time."""
    (room / "sleep.smk").write_text(SLEEP.format(n=SLEEPS, nap=NAP))
    seconds, _ = timed(
        [sys.executable, "-m", "snakemake", "-s", str(room / "sleep.smk"), "--directory", str(room / "sleep"), "--quiet", "all",
         "--cores", "1"], {},
    )  # fmt: skip
    return round(seconds / SLEEPS - NAP, 2)


def attacked(room: Path) -> dict:
    """The seconds of one small attack: as bare calls, as shards on one core, as shards on all; its records' files and bytes."""
    (room / "small.toml").write_text(SMALL)
    (job,) = (job for job in chapters.plan(str(room / "small.toml")) if job.chapter == "attack")
    found = {}
    for name, cores in (("one", 1), ("all", os.cpu_count() or 1)):
        folder = room / name
        p = config.make(**job.parameters, run_dir=str(folder))
        pipeline.variant(p, "fp32")
        words = ["book", "--profile", str(room / "small.toml"), "--records", "--cores", str(cores)]
        found[name], _ = timed([sys.executable, "-m", "qrsupport", *words], {"QRSUPPORT_RUNS": str(folder)})
    p = config.make(**job.parameters, run_dir=str(room / "bare"))
    pipeline.variant(p, "fp32")
    started = time.monotonic()
    n = len(pipeline.attack(p, progress=False))
    bare = time.monotonic() - started
    files = list(pipeline.attack_folder(p).path.iterdir())
    size = sum(f.stat().st_size for f in files) / n
    return {
        "n": n, "shards": profiles.read(str(room / "small.toml")).shards["pso"], "cores": os.cpu_count(),
        "bare": round(bare, 1), "one": round(found["one"], 1), "all": round(found["all"], 1),
        "files": len(files), "bytes_a_record": round(size),
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=OUT)
    out = parser.parse_args().out
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        (room / "sleep").mkdir()
        found = {"planning": [planned(room, jobs) for jobs in JOBS], "overhead": overhead(room), "attack": attacked(room)}
    store.write_json(Path(out), measure.made_on() | found | {"load": load})
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
