"""Every command that a chapter, the README or a page suggests, one after the other in one run directory; then chapter 5
and the headline.  A command in the catalogue of suggestions that breaks another chapter breaks this test."""

import ast
import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from qrsupport import config, project
from qrsupport.analysis import runs
from qrsupport.book import chapters
from qrsupport.data import datasets
from qrsupport.report import show

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "nbs").glob("*.ipynb")), ROOT / "README.md", *sorted((ROOT / "book").rglob("*.md"))]
COMMAND = re.compile(r"(?:^|[`/\s])((?:qrsupport run |papermill nbs/)[^`\n]*)", re.MULTILINE)
SMALL = {"n": 3, "epochs": 1, "train_limit": 300, "latency_repeats": 10, "adversarial_examples": 8, "workers": 1}
BACKBONES = {"minilm-l6": "bert-small", "mpnet-base": "distilbert-small"}


def text_of(page):
    if page.suffix != ".ipynb":
        return page.read_text("utf-8")
    cells = json.loads(page.read_text("utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def suggested():
    """(page, command) of each command, in the order of the pages, each once."""
    found = {}
    for page in PAGES:
        for command in COMMAND.findall(text_of(page)):
            found.setdefault(command.strip().rstrip(".,;"), page.name)
    return [(page, command) for command, page in found.items()]


def parsed(command):
    """(chapter, parameters) of a command of either kind."""
    words = shlex.split(command, comments=True)
    stem = {f"nbs/{path.name}": chapter for chapter, path in project.chapters().items()}
    chapter = words[2] if words[0] == "qrsupport" else stem[words[1]]
    pairs = [(words[i + 1], words[i + 2]) for i, word in enumerate(words) if word == "-p"]
    return chapter, chapters.parse(chapter, pairs)


def made_small(chapter, given):
    """The parameters with sizes added; what was suggested is kept, but for numbers of examples and large backbones."""
    own = project.parameters(chapter)
    given = {name: value for name, value in given.items() if name not in ("n", "run_dir")}
    if "adversarial_examples" in given:
        given["adversarial_examples"] = SMALL["adversarial_examples"] + 1  # another number than usual, as suggested
    small = {name: value for name, value in SMALL.items() if name in own} | {"backbone": "bert-small"}
    given = {name: value for name, value in (small | {"variants": "fp32,int8-dynamic,w4"} | given).items() if name in own}
    if "device" in given and not torch.cuda.is_available():
        given["device"] = "cpu"
    if "backbones" in own:
        given["backbones"] = ",".join(BACKBONES.get(b, b) for b in config.split(given.get("backbones", "bert-small")))
    return given


def own_file(folder):
    """The file that the pages call reviews.csv: 300 of the generated sentences with their classes."""
    rows = datasets.generated("embedded")["train"][:300]
    with open(folder / "reviews.csv", "w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([("text", "label"), *((text, ("bad", "good")[label]) for text, label in rows)])
    return str(folder / "reviews.csv")


def own_recipe(folder):
    """The module that the pages call mypackage.mymodule, with a recipe of the reader's own in it."""
    (folder / "mypackage").mkdir()
    code = "from textattack.attack_recipes import PWWSRen2019\n\n\nclass Mine(PWWSRen2019):\n    pass\n"
    (folder / "mypackage" / "mymodule.py").write_text(code, "utf-8")


def execute(chapter, given):
    """The chapter's code in this process, as papermill would run it."""
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.instance()  # glue shows through it
    cells = [c for c in json.loads(project.chapter(chapter).read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
    namespace = {}
    exec("".join(cells[0]["source"]), namespace)
    namespace.update(given)
    namespace = {name: value for name, value in namespace.items() if name != "__annotations__"}
    for cell in cells[1:]:
        tree = ast.parse("".join(cell["source"]))
        exec(compile(tree, chapter, "exec"), namespace)


def runnable(chapter, given):
    """Why a suggestion cannot run here; empty if it can."""
    if given.get("network"):
        return "needs network"
    if given.get("dataset") in ("trec", "agnews", "mr", "sst2", "emotion") or given.get("resources") == "local":
        folder = Path(os.environ.get("QRSUPPORT_DATA") or "/nonexistent")
        return "" if (folder / given.get("dataset", "hownet")).is_dir() else "needs QRSUPPORT_DATA"
    return ""


def test_suggestions_are_found_and_their_parameters_exist():
    found = suggested()
    assert {parsed(command)[0] for _, command in found} == set(project.chapters())
    assert any(command.startswith("papermill") for _, command in found)


@pytest.mark.slow
@pytest.mark.parametrize("turn", [1, -1], ids=["in the book's order", "backwards"])
def test_no_suggested_command_breaks_a_chapter(turn, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("QRSUPPORT_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(ROOT)
    own_recipe(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    execute("attack", made_small("attack", {}))  # what the others differ from
    execute("adversarial", made_small("adversarial", {}))
    ran = []
    for page, command in suggested()[::turn]:
        chapter, given = parsed(command)
        if given.get("dataset") == "reviews.csv":
            given["dataset"] = own_file(tmp_path)
        reason = "done below" if chapter == "compare" else runnable(chapter, given)
        if not reason:
            execute(chapter, made_small(chapter, given))
        ran.append(f"{page}: {command}" + (f" (left out: {reason})" if reason else ""))
    execute("compare", {})
    execute("compare", {"setting": "per_channel=false"})
    shown = show.headline_text(tmp_path / "runs")
    with capsys.disabled():
        print("\n" + "\n".join(ran))
    assert len([line for line in ran if "left out" not in line]) >= 9
    names = {r.variant for r in runs.load(tmp_path / "runs")[0]}
    assert {"adversarial", "int8-dynamic"} <= {name.partition(" (")[0] for name in names}
    assert "fp32" in shown and "adversarial (adversarial_" in shown


@pytest.mark.slow
def test_a_relative_run_directory_is_one_folder_from_wherever_the_command_is_given(tmp_path):
    """From nbs/, a sub-directory: the kernel works in the project's folder, but the run is where the caller meant it."""
    below = os.path.relpath(tmp_path, ROOT / "nbs")
    small = [word for name, value in made_small("finetune", {}).items() for word in ("-p", name, str(value))]
    for given, environment in ((["-p", "run_dir", f"{below}/one"], {}), ([], {"QRSUPPORT_RUNS": f"{below}/two"})):
        command = [sys.executable, "-m", "qrsupport", "run", "finetune", *small, *given]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=ROOT / "nbs",
            env={k: v for k, v in os.environ.items() if k != "QRSUPPORT_RUNS"} | environment | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    for name in ("one", "two"):
        assert sorted(f.name for f in (tmp_path / name).iterdir()) == ["chapters", "checkpoints", "clean", "variants"]


@pytest.mark.parametrize("name", ["run_dir", "backbone", "backbones"])
def test_paths_among_parameters_are_those_of_the_callers_directory(tmp_path, monkeypatch, name):
    (tmp_path / "here" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    for text in ("mine", "./mine", "../here/mine", str(tmp_path / "here" / "mine")):
        value = config.parse(name, text)
        assert value == str(tmp_path / "here" / "mine"), text
        monkeypatch.chdir(tmp_path)
        assert config.parse(name, value) == value
        monkeypatch.chdir(tmp_path / "here")
    assert config.parse("backbone", "google/switch-base-8") == "google/switch-base-8"
    assert config.parse("backbone", "bert-small") == "bert-small"


def test_directories_of_the_environment_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in config.ENVIRONMENT:
        monkeypatch.setenv(name, "some/where")
    config.settle_places()
    assert {os.environ[name] for name in config.ENVIRONMENT} == {str(tmp_path / "some" / "where")}
