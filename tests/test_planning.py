"""`qrsupport plan`: the sum is the sum, what is there is taken off, and what it counts is what the chapters make."""

import dataclasses
import os
import subprocess
import sys

import pytest

from qrsupport import attack_catalog, catalog, config, pipeline
from qrsupport.attacks import tasks
from qrsupport.book import chapters
from qrsupport.experiments import pace, planning
from qrsupport.training import backbones

GIVEN = {"backbone": "bert-small", "backbones": "bert-small", "n": 3, "adversarial_examples": 4}


@pytest.fixture
def measured(monkeypatch):
    """One real measurement of the smallest shape, for all tests; nothing else is replaced."""
    found = pace.paces(["bert-small"], 60, lambda line: None)
    monkeypatch.setattr(pace, "paces", lambda names, seconds, say: dict.fromkeys(names, found["bert-small"]))
    return found["bert-small"]


def test_a_pace_is_positive_and_a_larger_shape_is_scaled_when_time_is_short():
    found = pace.paces(["bert-small", "bert-base-uncased"], 1, lambda line: None)
    small, base = found["bert-small"], found["bert-base-uncased"]
    assert small.measured and min(small.fp32, small.int8, small.tuning) > 0
    assert not base.measured
    assert base.fp32 / small.fp32 == pytest.approx(
        pace.weights(pace.shape("bert-base-uncased")) / pace.weights(pace.shape("bert-small"))
    )


def test_the_shape_of_a_small_backbone_is_that_of_what_is_built():
    for name in ("bert-small", "distilbert-small", "switch-mini"):
        assert pace.shape(name) == (backbones.LAYERS, backbones.WIDTH, backbones.HEADS)
    assert pace.shape("t5-mini") == (2 * backbones.LAYERS, backbones.WIDTH, backbones.HEADS)
    assert pace.shape("of/others") == pace.shape("bert-base-uncased") == (12, 768, 12)


def test_the_total_is_the_sum_of_the_rows(measured, tmp_path, monkeypatch):
    monkeypatch.setenv("QRSUPPORT_RUNS", str(tmp_path))
    found = planning.plan("quick", GIVEN, 60, lambda line: None)
    totals = found["totals"]
    assert totals["queries"] == sum(row["queries"] for row in found["attacks"]) > 0
    assert totals["attack_hours"] == pytest.approx(sum(row["hours"] for row in found["attacks"]))
    assert totals["tuning_hours"] == pytest.approx(sum(row["hours"] for row in found["tunings"]))
    assert found["jobs"] == len(chapters.plan("quick", GIVEN))
    said = planning.shown(found, 2)
    assert f"{totals['queries']:,} queries" in said and f"{totals['attack_hours'] + totals['tuning_hours']:.1f} hours" in said


def test_no_attack_is_counted_twice(tmp_path):
    jobs = chapters.plan("quick", GIVEN)
    found = planning.attacks(jobs, tmp_path, [])
    keys = [(a.stage, tasks.name(a.p, a.variant), str(config.identity(a.p, a.variant, attack=True))) for a in found]
    assert len(keys) == len(set(keys))


def test_a_larger_n_costs_in_proportion(tmp_path):
    def asked(n):
        jobs = chapters.plan("quick", GIVEN | {"n": n})
        known = [{"attack": a, "resources": "embedded", "dataset": "embedded", "backbone": "bert-small", "n": 1,
                  "queries": 7.0, "source": "a test"} for a in catalog.PAPER_ATTACKS]  # fmt: skip
        return [a.asked for a in planning.attacks(jobs, tmp_path, known) if a.stage == "attacks"]

    assert sum(asked(30)) == pytest.approx(10 * sum(asked(3)))


def test_the_nearest_record_is_taken_and_named():
    def row(resources, dataset, queries):
        return {"attack": "pwws", "resources": resources, "dataset": dataset, "backbone": "bert-small", "n": 9,
                "queries": queries, "source": "a test"}  # fmt: skip

    p = config.make(attack="pwws", resources="local", dataset="mr", backbone="bert-small")
    known = [row("embedded", "mr", 1.0), row("local", "sst2", 2.0), row("local", "mr", 3.0)]
    assert planning.expected(p, known) == (3.0, "a test: mr, bert-small, local, n 9")
    assert planning.expected(p, known[:2])[0] == 2.0
    assert "no record of textfooler" in planning.expected(dataclasses.replace(p, attack="textfooler"), known)[1]


def test_what_is_there_is_taken_off(tmp_path):
    """A real attack in the run directory, found under the very name that the plan computes."""
    given = GIVEN | {"epochs": 1, "train_limit": 64, "resources": "embedded"}
    jobs = [job for job in chapters.plan("quick", given) if job.chapter == "attack"][:1]
    p = planning.parameters(jobs[0], tmp_path)
    before = planning.attacks(jobs, tmp_path, [])
    tunings = planning.tunings(jobs, tmp_path)
    assert [(a.there, a.left) for a in before] == [(0, 3)] and [t.examples for t in tunings] == [64]
    made = pipeline.attack(dataclasses.replace(p, n=2), progress=False)
    after = planning.attacks(jobs, tmp_path, planning.observed(tmp_path))
    assert [(a.there, a.left) for a in after] == [(2, 1)]
    assert after[0].queries == pytest.approx(sum(r.queries for r in made) / 2, abs=0.05)
    assert [t.examples for t in planning.tunings(jobs, tmp_path)] == [0]


def test_the_full_grid_of_the_paper_is_one_parameter():
    some, everything = chapters.plan("paper"), chapters.plan("paper", {"n": 1000})
    assert {job.parameters["n"] for job in everything if job.parameters.get("attack", "") in attack_catalog.ATTACKS} == {1000}
    ns = {config.make(**job.parameters).n for job in some if job.chapter == "attack"}
    assert max(ns) < 1000 and len(some) == len(everything)


def test_a_chapter_whose_attacks_are_not_known_is_named():
    jobs = chapters.plan("quick")
    assert planning.uncounted(jobs) == []
    assert planning.uncounted([*jobs, chapters.Job("mine", "11-mine")]) == ["the chapter mine is counted without its attacks"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--profile", "papr"], "did you mean 'paper'?"), (["-p", "nn", "3"], "unknown parameter 'nn'")],
)
def test_an_unknown_profile_or_parameter_is_named_and_nothing_is_measured(arguments, said, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "qrsupport", "plan", *arguments], check=False, capture_output=True, text=True,
        env=os.environ | {"QRSUPPORT_RUNS": str(tmp_path / "runs")},
    )  # fmt: skip
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
