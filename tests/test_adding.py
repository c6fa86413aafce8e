"""The page "How to add": each example, its code taken from the page, carried out in a copy of the package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book" / "adding.md").read_text("utf-8")
BLOCK = r":\n\n```\w+\n(.*?)```"
EDIT = re.compile(r"^In `([^`]+)`, (above|below) the line that begins with `([^`]+)`" + BLOCK, re.DOTALL | re.MULTILINE)
WRITE = re.compile(r"^Write `([^`]+)`" + BLOCK, re.DOTALL | re.MULTILINE)
CELL = re.compile(r"^The (?:first|second|third) cell of `([^`]+)`(?:, tagged `(\w+)`)?" + BLOCK, re.DOTALL | re.MULTILINE)
PRINTS = re.compile(r"^Then this prints `([^`]+)`" + BLOCK, re.DOTALL | re.MULTILINE)
SECTIONS = dict(part.split("\n", 1) for part in PAGE.split("\n## ")[1:])


@pytest.fixture
def copy(tmp_path):
    """A checkout's copy with what a run needs; the working directory of what runs in it."""
    for name in ("qrsupport", "nbs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "_toc.yml", tmp_path)
    return tmp_path


def carry_out(text, folder):
    """Makes the changes that a section of the page shows; returns how many."""
    done = [insert(folder / file, side, anchor, code) for file, side, anchor, code in EDIT.findall(text)]
    for file, code in WRITE.findall(text):
        (folder / file).write_text(code, "utf-8")
    notebooks = {}
    for file, tag, code in CELL.findall(text):
        cell = nbformat.v4.new_code_cell(code.rstrip("\n"), metadata={"tags": [tag]} if tag else {})
        notebooks.setdefault(file, []).append(cell)
    for file, cells in notebooks.items():
        about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        (folder / file).write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=about)), "utf-8")
    return len(done) + len(WRITE.findall(text)) + len(notebooks)


def insert(file, side, anchor, code):
    """Puts code above or below the one line of a file that begins so."""
    lines = file.read_text("utf-8").splitlines(keepends=True)
    (place,) = (i for i, line in enumerate(lines) if line.strip().startswith(anchor))
    lines.insert(place if side == "above" else place + 1, code)
    file.write_text("".join(lines), "utf-8")


def python(folder, *words, **environment):
    """What a Python process prints whose package is the copy; no settings of this machine's but those given."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("QRSUPPORT_") or k == "QRSUPPORT_CACHE"}
    env = kept | {"PYTHONPATH": str(folder)} | environment
    done = subprocess.run([sys.executable, *words], cwd=folder, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shop(folder):
    """The files of the page's data set, each with the lines that the page shows."""
    lines = re.findall(r"^    ((?:good|bad): .*)$", PAGE, re.MULTILINE)
    assert len(lines) == 2
    (folder / "data" / "shop").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        (folder / "data" / "shop" / f"{split}.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return {"QRSUPPORT_DATA": str(folder / "data")}


def test_the_page_has_an_example_of_each():
    assert list(SECTIONS) == ["A variant", "A data set", "A backbone", "An attack", "A chapter"]
    for text in SECTIONS.values():
        assert len(PRINTS.findall(text)) == 1
        blocks = sum(len(pattern.findall(text)) for pattern in (EDIT, WRITE, CELL, PRINTS))
        assert text.count("```") == 2 * blocks, "a block that the test does not carry out"


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_the_example_works_and_without_it_there_is_no_such_thing(section, copy):
    text = SECTIONS[section]
    ((said, code),) = PRINTS.findall(text)
    environment = shop(copy) if section == "A data set" else {}
    with pytest.raises(AssertionError, match="Error|unknown"):
        python(copy, "-c", code, **environment)
    assert carry_out(text, copy)
    assert python(copy, "-c", code, **environment).splitlines()[-1] == said


def test_what_is_added_is_listed(copy):
    for text in SECTIONS.values():
        carry_out(text, copy)
    found = json.loads(python(copy, "-m", "qrsupport", "list", "--json"))
    for kind, name in (("variants", "adversarial-fp16"), ("variants", "int8-dynamic-narrow"), ("datasets", "shop"),
                       ("backbones", "bert-narrow"), ("chapters", "lengths")):  # fmt: skip
        assert name in found[kind]
    assert "bert-narrow" not in json.loads(python(ROOT, "-m", "qrsupport", "list", "--json"))["backbones"]
    parts = yaml.safe_load((copy / "_toc.yml").read_text("utf-8"))["parts"]
    assert any({"file": "nbs/11-lengths"} in part["chapters"] for part in parts)


def test_a_new_data_set_that_is_not_there_is_an_error_with_a_name(copy):
    carry_out(SECTIONS["A data set"], copy)
    for network in (False, True):
        code = f"import qrsupport as qr; qr.dataset(qr.parameters(dataset='shop', network={network}))"
        with pytest.raises(AssertionError, match="MissingResource: the dataset 'shop' is not on the hub"):
            python(copy, "-c", code)


@pytest.mark.slow
def test_the_new_chapter_runs(copy):
    carry_out(SECTIONS["A chapter"], copy)
    said = python(copy, "-m", "qrsupport", "run", "lengths", "-p", "dataset", "embedded-emotion", "-p", "run_dir", "runs")
    assert "validation" in said and "surprise" in said
