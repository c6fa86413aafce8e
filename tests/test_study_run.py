"""Running, publishing and checking the study's plan, on generated data: every step for real."""

import dataclasses
import json
import os
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from stored import all_records
from test_study import SMALL

from qrsupport import cli, store
from qrsupport.analysis import outcomes
from qrsupport.errors import BelowFloor, NoRecords, StaleArtefact, StudyIncomplete
from qrsupport.study import check, jobs, plan_file, published, read, run, status

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(plan file, run directory, folder of published files) after the first unit was run and published."""
    room = tmp_path_factory.mktemp("study")
    file, run_dir, out = room / "plan.toml", room / "runs", room / "out"
    file.write_text(SMALL, "utf-8")
    plan, said = plan_file.read(file), []
    run.run(plan, [plan.unit("a-s0")], run_dir, 1, said.append)
    assert len(said) == len(jobs.jobs(plan)["a-s0"]) and "h to the unit's end" in said[-1]
    published.export(run_dir, plan.unit("a-s0"), plan.version, out)
    return file, run_dir, out


def test_published_rows_are_those_of_the_records(place):
    file, run_dir, out = place
    rows = read.rows(out, "a-s0")
    plain = [r for r in all_records(run_dir) if not (r.joint or r.spare or r.ranking or r.restart)]
    made = {r.example: r for r in plain if r.variant == "fp32"}
    direct = outcomes.ordinary(rows[(rows["kind"] == "direct") & (rows["variant"] == "fp32")])
    assert len(direct) == 8 == len(made)
    for row in direct.itertuples():
        r = made[row.example]
        assert (row.status, row.answer, row.queries, row.position) == (r.status.value, r.after, r.queries, r.position)
        assert row.probabilities == pytest.approx(r.probabilities_after, abs=1e-6)
        assert (row.lead > 0) == (r.after == r.label)
        assert (row.perturbed == row.text) == (r.perturbed == r.text)


def test_no_text_is_published(place):
    _, run_dir, out = place
    whole = "".join(f.read_bytes().decode("latin-1") for f in out.iterdir())
    table = pq.read_table(out / "a-s0.parquet").to_pylist()
    held = json.dumps(table) + whole
    for r in all_records(run_dir):
        assert r.text not in held and r.perturbed not in held
    assert str(run_dir) not in held


def test_manifest_says_what_made_it(place):
    file, run_dir, out = place
    about = read.manifest(out, "a-s0")
    assert about["complete"] and about["version"] == 1 and about["command"].endswith("--unit a-s0")
    (weights,) = {store.sha256(f) for f in run_dir.glob("checkpoints/*-s0-*/model.safetensors")}
    assert about["checkpoints"]["base"] == weights and set(about["models"]) == {"fp32", "int8-dynamic"}
    assert about["seconds"]["direct"] > 0 and about["validation"]["base"] >= 0.6
    assert set(about["code"]) == set(run.STAGES)
    assert set(about["columns"]) == set(pq.read_schema(out / "a-s0.parquet").names) and all(about["columns"].values())


def test_status_says_what_is_missing(place):
    file, _, out = place
    plan = plan_file.read(file)
    found = status.status(plan, out)
    first, second = found[found["unit"] == "a-s0"], found[found["unit"] == "a-s1"]
    assert first["met"].all() and first["planned"].tolist()[:4] == [2, 800, 24, 6]
    assert not second["met"].any() and second["present"].sum() == 0
    more = dataclasses.replace(plan.units[0].steps[2], n=9)
    longer = dataclasses.replace(plan.units[0], steps=(more,))
    row = status.status(dataclasses.replace(plan, units=(longer,)), out).iloc[0]
    assert (row["planned"], row["present"], row["met"]) == (27, 24, False)


def test_what_is_there_is_not_done_again(place):
    file, run_dir, _ = place
    plan, said = plan_file.read(file), []
    before = {f: f.stat().st_mtime_ns for f in run_dir.rglob("*.jsonl")}
    run.run(plan, [plan.unit("a-s0")], run_dir, 1, said.append)
    assert said == ["a-s0: all of it is there"]
    assert before == {f: f.stat().st_mtime_ns for f in run_dir.rglob("*.jsonl")}


def test_a_checkpoint_below_the_floor_stops_its_unit_only(place):
    file, run_dir, _ = place
    plan = plan_file.read(file)
    high = dataclasses.replace(plan.unit("a-s0"), floor=1.0, name="high")
    with pytest.raises(BelowFloor, match="floor is 1.0"):
        run.one(high, jobs.jobs(plan)["a-s0"], run_dir, 1, lambda line: None)
    both, said = dataclasses.replace(plan, units=(high, plan.unit("a-s0"))), []
    with pytest.raises(StudyIncomplete, match="1 of 2 units.*high"):
        run.run(both, list(both.units), run_dir, 1, said.append)
    assert said[-1] == "a-s0: all of it is there"
    assert not plan_file.noted(run_dir, high)


def test_a_unit_with_other_resources_than_the_published_ones_stops_before_any_work(place, tmp_path):
    file, run_dir, out = place
    given = ["study", "run", "--plan", str(file), "--unit", "a-s0", "--workers", "1"]
    same = CliRunner().invoke(cli.cli, [*given, "--run-dir", str(run_dir), "--results", str(out)])
    assert same.exit_code == 0 and "all of it is there" in same.output
    about = store.read_json(out / "a-s0.json")
    about["resources"]["direct pwws"] = "0123456789ab"
    store.write_json(tmp_path / "out" / "a-s0.json", about)
    other = CliRunner().invoke(cli.cli, [*given, "--run-dir", str(tmp_path / "runs"), "--results", str(tmp_path / "out")])
    said = "direct pwws: .*sentence encoder are others .*qrsupport fetch .* than those of the published unit a-s0.* and 0123456789ab\\)"
    assert isinstance(other.exception, StudyIncomplete) and re.search(said, other.output)
    there = CliRunner().invoke(cli.cli, [*given, "--run-dir", str(run_dir), "--results", str(tmp_path / "out")])
    assert there.exit_code == 0 and "all of it is there" in there.output
    assert {f.name for f in (tmp_path / "runs").rglob("*")} == {"study", ".a-s0.lock"}


def test_altered_files_are_refused(place, tmp_path):
    file, run_dir, out = place
    with pytest.raises(NoRecords, match="a-s1"):
        published.export(run_dir, plan_file.read(file).unit("a-s1"), 1, tmp_path)
    for name in ("a-s0.json", "a-s0.parquet"):
        (tmp_path / name).write_bytes((out / name).read_bytes())
    (tmp_path / "a-s0.parquet").write_bytes(b"other")
    with pytest.raises(StaleArtefact, match="a-s0.parquet"):
        read.rows(tmp_path, "a-s0")


def test_published_records_can_be_made_again(place, tmp_path):
    """From scratch: fine-tuned, quantized and attacked in another run directory."""
    file, _, out = place
    plan = plan_file.read(file)
    found = check.check(plan.unit("a-s0"), out, tmp_path, 4)
    assert found.alike and found.good and len(found.table) == 8 and "8 of 8" in found.said
    assert (found.table["queries"] == found.table["queries again"]).all()
    other = found.table.assign(again="error")
    assert not check.Check(other).good and not check.Check(other, ("checkpoint",)).good
    one = found.table.assign(**{"same text": [False] + [True] * 7})  # another text from another checkpoint is no fault
    assert not check.Check(one).good and check.Check(one, ("resources",)).good
    assert "the sentence encoder are others" in check.Check(one, ("resources",)).said
    with pytest.raises(NoRecords, match="a-s1"):
        check.check(plan.unit("a-s1"), out, tmp_path, 4)


@pytest.mark.timeout(3600)
def test_a_sample_of_the_books_records_is_made_again(tmp_path):
    """The cheapest published unit: ten examples of its first attack, on two variants.  Fine-tuning takes ten minutes."""
    plan, folder = plan_file.read(ROOT / plan_file.FILE), ROOT / read.FOLDER
    there = [unit for unit in plan.units if read.manifest(folder, unit.name)]
    if not there or not os.environ.get("QRSUPPORT_DATA"):
        pytest.skip("no unit is published yet" if not there else "QRSUPPORT_DATA is not set")
    work = jobs.jobs(plan)
    unit = min(there, key=lambda unit: next(job.seconds for job in work[unit.name] if job.step.does == "tune") or 1e9)
    found = check.check(unit, folder, tmp_path, 10)
    assert found.good, f"{unit.name}: {found.said}\n{found.table}"


def test_commands(place, tmp_path):
    file, run_dir, out = place
    runner = CliRunner()
    found = runner.invoke(cli.cli, ["study", "export", "--plan", str(file), "--run-dir", str(run_dir), "--out", str(tmp_path)])
    assert found.exit_code == 0 and "a-s0.parquet" in found.output and "a-s1" not in found.output
    assert (tmp_path / "a-s0.parquet").read_bytes() == (out / "a-s0.parquet").read_bytes()
    found = runner.invoke(cli.cli, ["study", "status", "--plan", str(file), "--results", str(tmp_path)])
    assert isinstance(found.exception, StudyIncomplete) and "1 of 2 units" in str(found.exception)
    one = file.with_name("one.toml")
    one.write_text("\n".join(line for line in file.read_text("utf-8").splitlines() if "a-s1" not in line), "utf-8")
    found = runner.invoke(cli.cli, ["study", "status", "--plan", str(one), "--results", str(tmp_path)])
    assert found.exit_code == 0 and "1 of 1 units" in found.output
    found = runner.invoke(cli.cli, ["study", "run", "--unit", "a-s9", "--plan", str(file), "--run-dir", str(run_dir)])
    assert "'a-s1'" in str(found.exception) or "'a-s0'" in str(found.exception)
