"""Chapters: the shape of the templates, their parameters, and refusal before any work."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qrsupport import config, project
from qrsupport.book import chapters
from qrsupport.errors import BadChapter, StorageError, UnknownName

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"^(\w+): (\w+) = (.+?)  # (.+)$")


def notebook(chapter):
    return json.loads(project.chapter(chapter).read_text("utf-8"))


def code_cells(chapter):
    return [c for c in notebook(chapter)["cells"] if c["cell_type"] == "code"]


def parameter_cells(chapter):
    return [c for c in notebook(chapter)["cells"] if "parameters" in c["metadata"].get("tags", [])]


every = pytest.mark.parametrize("chapter", project.chapters())


def test_chapters_are_the_notebooks_of_the_folder_in_the_order_of_their_numbers():
    found = [path.name for path in project.chapters().values()]
    assert found == sorted(f.name for f in (ROOT / "nbs").glob("*.ipynb"))
    assert [path.stem[3:] for path in project.chapters().values()] == list(project.chapters())


@every
def test_parameters_cell_says_what_config_says(chapter):
    (cell,) = parameter_cells(chapter)
    matches = [LINE.match(line.rstrip("\n")) for line in cell["source"]]
    assert all(matches)
    assert [m[1] for m in matches] == list(project.parameters(chapter))
    for m in matches:
        field = config.FIELDS[m[1]]
        assert m[2] == type(field.default).__name__
        assert ast.literal_eval(m[3]) == field.default and type(ast.literal_eval(m[3])) is type(field.default)
        assert m[4] == field.description


def cells(*sources):
    """A notebook of cells with these sources, all tagged `parameters`."""
    return json.dumps({"cells": [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": s} for s in sources]})


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The folder nbs of an empty project, which is the working directory."""
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "nbs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "nbs"


def test_a_notebook_in_the_folder_is_a_chapter_and_its_cell_says_what_it_takes(elsewhere):
    with pytest.raises(StorageError, match="inside a checkout"):
        project.chapter("attack")
    for name in ("100-late", "2-early", "notes", "03-attack"):
        (elsewhere / f"{name}.ipynb").write_text(cells('n: int = 7  # how many\nattack: str = "pso"'), "utf-8")
    assert list(project.chapters()) == ["early", "attack", "late"]
    assert project.parameters("late") == ("n", "attack")
    assert config.read("late", {"n": 3, "attack": "pwws"}).n == 3
    with pytest.raises(UnknownName, match="did you mean 'attack'"):
        config.read("late", {"atack": "pwws"})
    with pytest.raises(UnknownName, match="did you mean 'late'"):
        project.chapter("lte")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "cannot be read as a notebook"),
        ("[]", "cannot be read as a notebook"),
        ('{"cells": []}', "has 0 cells"),
        (cells("n: int = 1", "n: int = 1"), "has 2 cells"),
        (cells("n = 1"), "'n = 1' declares no parameter"),
        (cells("n: int"), "'n: int' declares no parameter"),
        (cells("n: int = ("), "cannot be read as a notebook"),
    ],
)
def test_a_notebook_that_declares_nothing_is_named(elsewhere, content, said):
    (elsewhere / "01-some.ipynb").write_text(content, "utf-8")
    with pytest.raises(BadChapter, match=re.escape(said)):
        project.parameters("some")


def test_two_chapters_of_one_name_are_refused(elsewhere):
    for name in ("01-some", "02-some"):
        (elsewhere / f"{name}.ipynb").write_text(cells("n: int = 1"), "utf-8")
    with pytest.raises(BadChapter, match="rename one"):
        project.chapters()


@every
def test_papermill_finds_the_parameters(chapter):
    import papermill

    found = papermill.inspect_notebook(str(project.chapter(chapter)))
    assert list(found) == list(project.parameters(chapter))
    assert all(p["help"] for p in found.values())


@every
def test_parameters_are_read_in_the_next_cell(chapter):
    cells = code_cells(chapter)
    assert "parameters" in cells[0]["metadata"]["tags"]
    assert f'p = config.read("{chapter}", globals())' in "".join(cells[1]["source"])


@every
def test_cells_that_a_reader_sees_are_short(chapter):
    for cell in code_cells(chapter):
        if not {"parameters", "remove-input"} & set(cell["metadata"].get("tags", [])):
            assert len(cell["source"]) <= 15, "".join(cell["source"])


@every
def test_templates_are_stripped(chapter):
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code_cells(chapter))
    assert notebook(chapter)["metadata"]["kernelspec"]["name"] == "python3"


@every
def test_pages_have_the_same_frame(chapter):
    text = "\n".join("".join(c["source"]) for c in notebook(chapter)["cells"] if c["cell_type"] == "markdown")
    first = notebook(chapter)["cells"][0]
    assert first["cell_type"] == "markdown" and re.match(r"# [^\d#]", first["source"][0])
    places = [text.find(part) for part in FRAME]
    assert -1 not in places and places == sorted(places), dict(zip(FRAME, places, strict=True))


FRAME = ("**You will be able to**", "**Time", "**Prerequisites", "\n## Findings", "\n## Exercises", "\n## What next", "\n## References")


@every
def test_prose_holds_no_measured_numbers(chapter):
    """Evidence is derived: decimals and shares stand in formulas worked by hand, in code, or are the paper's, and say so."""
    for cell in notebook(chapter)["cells"]:
        if cell["cell_type"] == "markdown":
            text = re.sub(r"<svg.*?</svg>|\$\$.*?\$\$|\$[^$]*\$|```.*?```|`[^`]*`|\(\S*\)", "", "".join(cell["source"]), flags=re.DOTALL)
            for sentence in re.split(r"(?<=[.?!])\s", text):
                assert not re.search(r"\d\.\d|\d ?(%|per cent|points)", sentence.replace("95 %", "")) or "paper" in sentence, sentence


@pytest.mark.parametrize("where", [".", "nbs"])
@pytest.mark.slow
def test_misspelt_parameter_stops_a_chapter_before_any_work(where, tmp_path):
    template = project.chapter("attack")
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
            str(project.chapter("attack")), None, given | {"run_dir": str(tmp_path / "runs")}, progress_bar=False
        )
    assert not (tmp_path / "runs").exists()


def test_plan_of_every_profile_gives_only_own_parameters_in_a_runnable_order():
    from qrsupport import catalog, profiles

    for profile in profiles.files():
        entry = profiles.read(profile)
        jobs, seen = chapters.plan(profile), set()
        assert len({j.name for j in jobs}) == len(jobs)
        for job in jobs:
            assert set(job.parameters) <= set(project.parameters(job.chapter))
            config.make(**job.parameters)
            assert {*job.after, *job.reads} <= seen
            seen.add(job.name)
        models = len(entry.grid["dataset"]) * len(entry.grid["backbone"])
        attacks = len(entry.grid["attack"]) * len(catalog.PAPER_VARIANTS)
        once = {"architectures", "compare"}
        assert len(jobs) == models * (len(project.chapters().keys() - once - {"attack"}) + attacks) + len(once)
        assert {job.chapter for job in jobs} == set(project.chapters())


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
