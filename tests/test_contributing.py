"""CONTRIBUTING.md shows the package as it is."""

import ast
import re
from pathlib import Path

import pytest
from test_imports import FOLDER, GROUND, MAY_IMPORT

import qrsupport

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAP = dict(re.findall(r"^\| `(\w+)/?` \| (.*) \|$", TEXT, flags=re.MULTILINE))


def test_the_map_names_every_room_once_after_those_it_may_import():
    assert set(MAP) == set(MAY_IMPORT)
    order = list(MAP)
    for room, needs in MAY_IMPORT.items():
        assert all(order.index(need) < order.index(room) for need in needs), room


def test_the_map_names_the_ground():
    (line,) = [line for line in TEXT.splitlines() if line.startswith("| ground |")]
    assert set(re.findall(r"`(\w+)`", line)) == GROUND


@pytest.mark.parametrize("room", sorted(p.parent.name for p in FOLDER.glob("*/__init__.py")))
def test_the_map_says_what_the_room_says(room):
    doc = ast.get_docstring(ast.parse((FOLDER / room / "__init__.py").read_text("utf-8")))
    first = " ".join(doc.split("\n\n")[0].split())
    assert first.partition(": ")[2].startswith(MAP[room])


def test_what_it_names_exists():
    for name in re.findall(r"`((?:tests|book|qrsupport)/[\w./]+)`", TEXT):
        assert (ROOT / name).exists(), name
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`make ([\w-]+)", TEXT) + re.findall(r"^    make ([\w-]+)", TEXT, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_changelog_has_what_is_not_released_yet():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in text and qrsupport.__version__ in text
