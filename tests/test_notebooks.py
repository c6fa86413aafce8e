"""Chapters: the shape of the templates, their parameters, and refusal before any work."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qrsupport import config
from qrsupport.book import chapters

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"^(\w+): (\w+) = (.+?)  # (.+)$")


def notebook(chapter):
    return json.loads((ROOT / "nbs" / f"{chapters.TEMPLATES[chapter]}.ipynb").read_text("utf-8"))


def code_cells(chapter):
    return [c for c in notebook(chapter)["cells"] if c["cell_type"] == "code"]


def parameter_cells(chapter):
    return [c for c in notebook(chapter)["cells"] if "parameters" in c["metadata"].get("tags", [])]


every = pytest.mark.parametrize("chapter", chapters.TEMPLATES)


def test_chapters_are_those_of_config_and_the_folder():
    assert set(chapters.TEMPLATES) == set(config.CHAPTERS)
    assert {f.stem for f in (ROOT / "nbs").glob("*.ipynb")} == set(chapters.TEMPLATES.values())


@every
def test_parameters_cell_says_what_config_says(chapter):
    (cell,) = parameter_cells(chapter)
    matches = [LINE.match(line.rstrip("\n")) for line in cell["source"]]
    assert all(matches)
    assert [m[1] for m in matches] == list(config.CHAPTERS[chapter])
    for m in matches:
        field = config.FIELDS[m[1]]
        assert m[2] == type(field.default).__name__
        assert ast.literal_eval(m[3]) == field.default and type(ast.literal_eval(m[3])) is type(field.default)
        assert m[4] == field.metadata["help"]


@every
def test_papermill_finds_the_parameters(chapter):
    import papermill

    found = papermill.inspect_notebook(str(chapters.template(chapter)))
    assert list(found) == list(config.CHAPTERS[chapter])
    assert all(p["help"] for p in found.values())


@every
def test_parameters_are_read_in_the_next_cell(chapter):
    cells = code_cells(chapter)
    assert "parameters" in cells[0]["metadata"]["tags"]
    assert f'p = config.read("{chapter}", globals())' in "".join(cells[1]["source"])


@every
def test_cells_are_short_and_define_nothing(chapter):
    for cell in code_cells(chapter):
        tree = ast.parse("".join(cell["source"]))
        assert not [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))]
        if "parameters" not in cell["metadata"].get("tags", []):  # those are one line a parameter
            assert len(cell["source"]) <= 10


@every
def test_templates_are_stripped(chapter):
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code_cells(chapter))
    assert notebook(chapter)["metadata"]["kernelspec"]["name"] == "python3"


@every
def test_pages_have_the_same_frame(chapter):
    text = "\n".join("".join(c["source"]) for c in notebook(chapter)["cells"] if c["cell_type"] == "markdown")
    first = notebook(chapter)["cells"][0]
    assert first["cell_type"] == "markdown" and first["source"][0].startswith("# ")
    for part in ("**Overview.**", "**Prerequisites.**", "## Summary", "## What's next"):
        assert part in text


@every
def test_prose_holds_no_measured_numbers(chapter):
    """Evidence is derived: markdown may number chapters, name 8 and 32 bits and show commands, and no more."""
    for cell in notebook(chapter)["cells"]:
        if cell["cell_type"] == "markdown":
            text = re.sub(
                r"`[^`]*`|\(\S*\)|^# \d+\.|[Cc]hapter \d+|\bT5\b|\b8[ -]bits?\b|32[ -]bit",
                "",
                "".join(cell["source"]),
                flags=re.MULTILINE,
            )
            assert not re.search(r"\d", text.replace("0.05", "")), text


@pytest.mark.parametrize("where", [".", "nbs"])
def test_misspelt_parameter_stops_a_chapter_before_any_work(where, tmp_path):
    template = chapters.template("attack")
    done = subprocess.run(
        [sys.executable, "-m", "papermill", str(template), str(tmp_path / "out.ipynb"), "-p", "atack", "pwws"],
        check=False,
        capture_output=True, text=True, cwd=ROOT / where, env=clean_environment(tmp_path),
    )  # fmt: skip
    assert done.returncode != 0
    assert "unknown parameter" in done.stderr and "did you mean 'attack'?" in done.stderr
    assert not (tmp_path / "runs").exists()


def clean_environment(tmp_path):
    import os

    return os.environ | {"QRSUPPORT_RUNS": str(tmp_path / "runs")}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("attack", "textfoler", "did you mean 'textfooler'?"),
        ("n", "0", "out of range"),
        ("n", "1.5", "must be of type int"),
    ],
)
def test_bad_value_stops_a_chapter_before_any_work(name, value, said, tmp_path):
    import papermill

    given = {name: ast.literal_eval(value) if value[0].isdigit() else value}
    with pytest.raises(papermill.PapermillExecutionError, match=re.escape(said)):
        papermill.execute_notebook(
            str(chapters.template("attack")), None, given | {"run_dir": str(tmp_path / "runs")}, progress_bar=False
        )
    assert not (tmp_path / "runs").exists()


def test_plan_of_every_profile_gives_only_own_parameters_in_a_runnable_order():
    from qrsupport import catalog, profiles

    for profile, entry in profiles.PROFILES.items():
        jobs, seen = chapters.plan(profile), set()
        assert len({j.name for j in jobs}) == len(jobs)
        for job in jobs:
            assert set(job.parameters) <= set(config.CHAPTERS[job.chapter])
            config.make(**job.parameters)
            assert {*job.after, *job.reads} <= seen
            seen.add(job.name)
        models = len(entry.grid["dataset"]) * len(entry.grid["backbone"])
        attacks = len(entry.grid["attack"]) * len(catalog.PAPER_VARIANTS)
        assert len(jobs) == models * (7 + attacks) + 2


def test_plan_takes_overrides_and_narrows_the_grid():
    jobs = chapters.plan("study", {"attack": "pso", "dataset": "mr", "n": 3})
    attacks = [j for j in jobs if j.chapter == "attack"]
    assert {j.parameters["attack"] for j in attacks} == {"pso"}
    assert {j.parameters["dataset"] for j in jobs if j.chapter != "compare"} == {"mr"}
    assert {j.parameters["n"] for j in attacks} == {3}
    pso = [j for j in chapters.plan("study") if j.parameters.get("attack") == "pso" and j.chapter == "attack"]
    assert {j.parameters.get("n") for j in pso} == {30}


def test_arguments_survive_the_command_line():
    import shlex

    for job in chapters.plan("paper"):
        words = shlex.split(job.arguments)
        pairs = [(words[i + 1], words[i + 2]) for i in range(0, len(words), 3)]
        assert chapters.parse(job.chapter, pairs) == job.parameters
