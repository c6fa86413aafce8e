"""The linter of the prose: what it finds and where, and what it does not read."""

import json

import prose
import pytest

LONG = " ".join(f"word{i}" for i in range(prose.RULES["longest"] + 1))


def found(tmp_path, text, name="page.md"):
    (tmp_path / name).write_text(text, "utf-8")
    return [(line, rule) for line, rule, _ in prose.found(tmp_path / name)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n\nOne.\nIt is simply so.", [(4, "words")]),
        ("- one\n- done in order\n  to see", [(2, "words")]),
        ("It wins back and WON BACK.", [(1, "words"), (1, "words")]),
        ("It adjusts the justice of it, robustly.", []),
        (f"Short. {LONG}.", [(1, "length")]),
        (f"| a | b |\n|---|---|\n| {LONG} | simply |", [(3, "words")]),
        ("One — two — three.", [(1, "dashes")]),
        ("One — two. Three — four.", []),
        ("See Jin et al. (2020) for it, e.g. Table 2.", []),
        ("`simply` $just$ [x](https://a.b/simply)\n\n```python\nsimply = 1\n```\n\n$$\njust\n$$", []),
        ("It is the the one.", [(1, "lexical_illusions")]),
        ("A {term}`simply` and {cite:t}`simply2020`.", [(1, "words")]),
        ("Text.\n\n:::{dropdown} Solution\n:class: x\nIt is\nsimply so.\n:::", [(6, "words")]),
        ("```{code-cell} python3\n:tags: [x]\nsimply = 1\n```", []),
    ],
)
def test_what_is_found_and_on_which_line(tmp_path, text, expected):
    assert found(tmp_path, text) == expected


def test_front_matter_is_no_prose(tmp_path):
    assert found(tmp_path, "---\ntitle: simply\n---\n\nIt is simply so.") == [(5, "words")]


def test_cells_of_a_notebook_are_read_and_lines_are_those_of_its_file(tmp_path):
    cells = [
        {"cell_type": "code", "metadata": {}, "source": ["simply = 1\n", "It is simply so.\n"]},
        {"cell_type": "markdown", "metadata": {}, "source": ["# A\n", "\n", "One.\n", "It is simply so.\n"]},
    ]
    text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}, indent=1)
    (line,) = [line for line, _ in found(tmp_path, text, "page.ipynb")]
    assert json.loads(text.splitlines()[line - 1]) == "It is simply so.\n"
    assert line > text.splitlines().index('    "It is simply so.\\n"') + 1


def test_command_names_file_line_and_rule_and_fails(tmp_path, capsys):
    (tmp_path / "a.md").write_text("It is simply so.")
    (tmp_path / "b.md").write_text("It is so.")
    assert prose.main([str(tmp_path / "a.md")]) == 1
    assert f"{tmp_path / 'a.md'}:1: words: 'simply': leave it out" in capsys.readouterr().out
    assert prose.main([str(tmp_path / "b.md")]) == 0


def test_files_held_to_the_rules_exist():
    for pattern in prose.RULES["enforce"]:
        assert list(prose.ROOT.glob(pattern)), pattern
