"""Jobs as a workflow: shards through it are one run; what a queue is asked, says and leaves undone is said."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time

import pytest
from stored import all_records

from qrsupport import config, pipeline, profiles
from qrsupport.book import chapters, grid
from qrsupport.errors import BadParameter, CannotRun, UnknownName

MINI = """
help = "two jobs and their shards"
chapters = ["quantize", "attack"]
[grid]
dataset = ["embedded"]
backbone = ["bert-small"]
attack = ["pwws"]
variant = ["fp32"]
[parameters]
n = 5
epochs = 1
train_limit = 1200
latency_repeats = 10
[shards]
pwws = 3
"""


@pytest.fixture
def mini(tmp_path):
    """The file of a small profile."""
    file = tmp_path / "mini.toml"
    file.write_text(MINI)
    return file


def book(file, run_dir, *words):
    """`qrsupport book` with a profile, its jobs only."""
    command = [sys.executable, "-m", "qrsupport", "book", "--profile", str(file), "--records", "--cores", "2", *words]
    env = os.environ | {"QRSUPPORT_RUNS": str(run_dir)}
    return subprocess.run(command, check=False, env=env, capture_output=True, text=True)


def attack(file, run_dir):
    """What `qrsupport attack` says of the last job of a small profile."""
    arguments = shlex.split(chapters.plan(str(file))[-1].arguments)
    command = [sys.executable, "-m", "qrsupport", "attack", *arguments]
    env = os.environ | {"QRSUPPORT_RUNS": str(run_dir)}
    return subprocess.run(command, check=True, env=env, capture_output=True, text=True).stdout


def content(run_dir):
    """All records under a run directory, as lines without their timing."""
    return [json.dumps(vars(r) | {"timing": {}}) for r in all_records(run_dir)]


@pytest.mark.slow
def test_shards_through_the_workflow_are_one_run(mini, tmp_path):
    cut = book(mini, tmp_path / "cut")
    assert cut.returncode == 0, cut.stderr
    assert "5 jobs: 5 done, 0 reused, 0 missing" in cut.stderr and "about" in cut.stderr
    again = book(mini, tmp_path / "cut")
    assert "5 jobs: 0 done, 5 reused, 0 missing" in again.stderr
    said = attack(mini, tmp_path / "cut")
    kept, won = (sum(r.status == status for r in all_records(tmp_path / "cut")) for status in ("failed", "succeeded"))
    assert re.search(rf"fp32 +{100 * kept / 5:.1f} % \[.*\], n 5\b", said)
    assert re.search(rf"0\.0 % \[.*\], n {won}\b" if won else "no text fooled the source", said)
    mini.write_text(MINI.replace("pwws = 3", "pwws = 1"))
    whole = book(mini, tmp_path / "whole")
    assert "2 jobs: 2 done" in whole.stderr
    assert content(tmp_path / "cut") == content(tmp_path / "whole") and len(content(tmp_path / "cut")) == 5


@pytest.mark.slow
def test_a_failing_shard_stops_what_depends_on_it_and_no_more(mini, tmp_path):
    mini.write_text(MINI.replace('variant = ["fp32"]', 'variant = ["fp32", "int8-dynamic"]'))
    job = next(job for job in chapters.plan(str(mini)) if job.name.endswith("pwws-fp32"))
    folder = pipeline.attack_folder(config.make(**job.parameters, run_dir=str(tmp_path / "runs"))).shard(2, 3).path
    folder.parent.mkdir(parents=True)
    folder.touch()  # a file where the shard's folder should be
    done = book(mini, tmp_path / "runs")
    assert done.returncode == 1
    assert f"missing: {job.name}-2-of-3, {job.name}; " in done.stderr and "9 jobs: 7 done, 0 reused, 2 missing" in done.stderr
    assert str(folder) in done.stderr
    assert "running it again goes on from what is done" in done.stderr
    assert chapters.output("03-attack-embedded-bert-small-pwws-int8-dynamic", tmp_path / "runs", page=False).exists()


def test_what_is_asked_of_a_queue_is_checked():
    assert grid.asked([("partition", "long"), ("minutes", "30")]) == {"partition": "long", "minutes": 30}
    with pytest.raises(UnknownName, match="did you mean 'partition'"):
        grid.asked([("partitoin", "long")])
    with pytest.raises(BadParameter, match="-q: minutes='an hour' must be a whole number"):
        grid.asked([("minutes", "an hour")])


def programs(folder, monkeypatch, **scripts):
    """Programs of these names, alone on PATH but for the system's own."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(folder))


def test_a_queue_that_is_not_there(mini, tmp_path, monkeypatch):
    profile = profiles.read(str(mini))
    grid.check(grid.Place(), profile)
    with pytest.raises(BadParameter, match="add --executor slurm"):
        grid.check(grid.Place(leave=True), profile)
    programs(tmp_path / "none", monkeypatch)
    with pytest.raises(CannotRun, match="sbatch is not on PATH"):
        grid.check(grid.Place("slurm"), profile)
    programs(tmp_path / "deaf", monkeypatch, sbatch="", scontrol="echo Slurmctld is DOWN; exit 1")
    with pytest.raises(CannotRun, match="does not answer .scontrol ping: Slurmctld is DOWN"):
        grid.check(grid.Place("slurm"), profile)
    programs(tmp_path / "there", monkeypatch, sbatch="", scontrol="", sinfo="echo main; echo long")
    grid.check(grid.Place("slurm", asked={"partition": "long"}), profile)
    with pytest.raises(UnknownName, match="unknown partition of the queue 'lang'; did you mean 'long'"):
        grid.check(grid.Place("slurm", asked={"partition": "lang"}), profile)


def test_a_failure_names_what_is_missing_the_log_and_the_resource_to_raise(tmp_path):
    files = [tmp_path / "chapters" / f"{name}.ipynb" for name in ("one", "two", "three")]
    files[0].parent.mkdir()
    for file in files[:2]:
        file.touch()
    os.utime(files[0], (10, 10))
    started = time.time() - 60
    assert grid.summary(files, started) == "3 jobs: 1 done, 1 reused, 1 missing"
    assert grid.failure(files, started, tmp_path).startswith("some jobs failed, see above; missing: three;")
    log = tmp_path / ".snakemake" / "slurm_logs" / "rule_attack" / "three" / "7.log"
    log.parent.mkdir(parents=True)
    log.write_text("slurmstepd-vm: error: *** STEP 3.0 ON vm CANCELLED AT 2026-11-26T10:13:41 DUE TO TIME LIMIT ***")
    said = grid.failure(files, started, tmp_path)
    assert str(log) in said and "a job took too long: raise minutes" in said and "memory" not in said
    os.utime(log, (10, 10))
    assert "too long" not in grid.failure(files, started, tmp_path), "the log of an earlier run"
    assert "missing: the site; " in grid.failure(files[:2], started, tmp_path)


TOML = re.compile(r"^```toml\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_the_profile_on_the_page_is_whole(tmp_path):
    page = (chapters.project.sources() / "book" / "cluster.md").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(TOML.search(page)[1])
    jobs = chapters.plan(str(tmp_path / "mine.toml"))
    assert {job.shards for job in jobs if job.parameters.get("attack") == "pso"} == {6}


@pytest.mark.parametrize(("recipe", "pattern"), [("Dockerfile", r"^COPY (.*) \S+$"), ("Apptainer.def", r"^    (\S+) /qrsupport/$")])
def test_a_container_holds_what_the_installation_needs(recipe, pattern):
    root = chapters.project.sources()
    text = (root / recipe).read_text("utf-8")
    held = {name for names in re.findall(pattern, text, re.MULTILINE) for name in names.split()}
    assert held == {"requirements.lock", "pyproject.toml", "README.md", "LICENSE", "Makefile", "qrsupport", "nbs", "book", "tests", "_config.yml", "_toc.yml"}
    assert all((root / name).exists() for name in held) and "make env" in text
    assert "python:3.11-slim-bookworm" in text and "QRSUPPORT_CACHE=/opt/qrsupport-cache" in text


def test_jobs_run_again_when_code_has_changed_and_only_then(tmp_path, monkeypatch):
    file = grid.code(tmp_path)
    os.utime(file, (10, 10))
    assert grid.code(tmp_path).stat().st_mtime == 10
    shutil.copytree(chapters.provenance.FOLDER, tmp_path / "qrsupport", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(chapters.provenance, "FOLDER", tmp_path / "qrsupport")
    assert grid.code(tmp_path).stat().st_mtime == 10, "where the code lies does not count"
    with open(tmp_path / "qrsupport" / "catalog.py", "a") as f:
        f.write("\n")
    assert grid.code(tmp_path).stat().st_mtime > 10
