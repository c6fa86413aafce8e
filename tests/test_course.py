"""The student edition: what it holds, what it leaves out, what it overwrites; and checks of answers."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from qrsupport import project
from qrsupport.book import course, exercises
from qrsupport.errors import UnknownName

ROOT = Path(__file__).parents[1]
MYST = """---
file_format: mystnb
kernelspec:
  name: python3
---

# The claim

A {term}`seed` as {cite:t}`some2024` says; [attack](../../nbs/01-attack.ipynb#one), [method](../method.md), [far](https://example.org), `[code](../method.md)`.

```{code-cell} python3
total = 12
shares = [0.25, 0.5]
```

## Exercises

**Exercise 1 (reading).** Why?

:::{dropdown} Solution
Because of the secret one.

```python
# Not a heading, secret two
```
:::

**Exercise 2 (code).** How many?

```{code-cell} python3
:tags: [solution, hide-cell]
answer_2 = total // 2
print("secret three")
```

**Exercise 3 (code).** Which shares?

````{dropdown} Solution
As in the secret four.
:::
````

```{code-cell} python3
:tags: [solution]
answer_3 = [share * answer_2 for share in shares]
```

**Exercise 4 (project).** Plot it.

```{code-cell} python3
start = 1
```

```{code-cell} python3
:tags: [solution]
assert start == 1, "secret five"
```

## What next

More.
"""


def cell(kind, source, *tags):
    made = {"cell_type": kind, "metadata": {"tags": list(tags)} if tags else {}, "source": source}
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


CHAPTER = [
    cell("markdown", "# Attack it\n\n**Exercise** is a word too."),
    cell("code", "n: int = 7  # how many", "parameters"),
    cell("markdown", "**Exercise 1 (code).** Twice?\n\n**Exercise 2 (code).** A word?"),
    cell("code", "answer_2 = 'Margin' if n else ''\ntolerance_2 = 0.1", "hide-cell"),
    cell("markdown", "## What next"),
    cell("code", "answer_2 = 'not a solution'"),
]


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A project of one chapter and one page, which is the working directory."""
    (tmp_path / "nbs").mkdir()
    (tmp_path / "book" / "ideas").mkdir(parents=True)
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nchapters:\n- file: book/ideas/claim\n- file: nbs/01-attack\n"
    )
    (tmp_path / "_config.yml").write_text("title: A small book\n")
    (tmp_path / "book" / "ideas" / "claim.md").write_text(MYST, "utf-8")
    notebook = {"cells": CHAPTER, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    (tmp_path / "nbs" / "01-attack.ipynb").write_text(json.dumps(notebook), "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sources(notebook):
    return [c["source"] for c in notebook.cells]


def test_exercises_are_found_with_their_solutions(book):
    found = exercises.parts(exercises.read(exercises.page("claim")))
    assert exercises.numbers(found) == [1, 2, 3, 4]
    assert [[p.kind for p in exercises.solution(found, n)] for n in (1, 2, 3, 4)] == [
        ["markdown"],
        ["code"],
        ["markdown", "code"],
        ["code"],
    ]
    assert [exercises.has_answer(found, n) for n in (1, 2, 3, 4)] == [False, True, True, False]
    assert found[-1].source.startswith("## What next") and found[-1].exercise == 0
    found = exercises.parts(exercises.read(exercises.page("attack")))
    assert exercises.numbers(found) == [1, 2]
    assert [p.exercise for p in found if p.solution] == [2]  # untagged, but it sets the answer


def test_student_edition_has_every_cell_but_the_solutions(book):
    written, kept = course.write(book / "out")
    assert [f.name for f in written] == ["README.md", "claim.ipynb", "01-attack.ipynb"] and not kept
    claim = nbformat.read(book / "out" / "claim.ipynb", 4)
    nbformat.validate(claim)
    assert "secret" not in (book / "out" / "claim.ipynb").read_text("utf-8")
    text = sources(claim)
    for kept_text in ("total = 12", "**Exercise 1 (reading).** Why?", "start = 1", "## What next"):
        assert any(kept_text in source for source in text), kept_text
    first = text.index("**Exercise 1 (reading).** Why?")
    assert text[first:] == [
        "**Exercise 1 (reading).** Why?", course.PROSE,
        "**Exercise 2 (code).** How many?", f"{course.CODE}\nanswer_2 = None  # in place of None",
        'from qrsupport.book import course\n\ncourse.check("claim", 2, answer_2)',
        "**Exercise 3 (code).** Which shares?", course.PROSE, f"{course.CODE}\nanswer_3 = None  # in place of None",
        'from qrsupport.book import course\n\ncourse.check("claim", 3, answer_3)',
        "**Exercise 4 (project).** Plot it.", "start = 1", course.CODE,
        "## What next\n\nMore.",
    ]  # fmt: skip
    attack = nbformat.read(book / "out" / "01-attack.ipynb", 4)
    assert attack.cells[1].metadata.tags == ["parameters"]
    assert "answer_2 = 'not a solution'" in sources(attack) and "Margin" not in str(attack)


def test_markdown_is_readable_without_myst_and_links_lead_somewhere(book):
    course.write(book / "out")
    text = sources(nbformat.read(book / "out" / "claim.ipynb", 4))[0]
    assert (
        "A seed as (some2024) says; [attack](01-attack.ipynb#one), method, [far](https://example.org), `[code](../method.md)`."
        in text
    )
    assert "1. [The claim](claim.ipynb)\n2. [Attack it](01-attack.ipynb)" in (book / "out" / "README.md").read_text(
        "utf-8"
    )


def test_a_second_run_overwrites_what_the_first_wrote_and_nothing_else(book):
    out = book / "out"
    out.mkdir()
    (out / "README.md").write_text("mine")
    (out / "other.txt").write_text("mine too")
    written, kept = course.write(out)
    assert [f.name for f in kept] == ["README.md"] and (out / "README.md").read_text() == "mine"
    before = {f.name: f.read_bytes() for f in out.iterdir()}
    course.write(out)
    assert {f.name: f.read_bytes() for f in out.iterdir()} == before
    (out / "claim.ipynb").write_text("answered")
    source = book / "nbs" / "01-attack.ipynb"
    source.write_text(source.read_text("utf-8").replace("Twice?", "Thrice?"), "utf-8")
    written, kept = course.write(out)
    assert [f.name for f in written] == ["01-attack.ipynb"] and {f.name for f in kept} == {"README.md", "claim.ipynb"}
    assert (out / "claim.ipynb").read_text() == "answered" and "Thrice?" in (out / "01-attack.ipynb").read_text("utf-8")
    (out / "claim.ipynb").unlink()
    written, _ = course.write(out)
    assert (out / "claim.ipynb") in written and (out / "other.txt").read_text() == "mine too"


def test_a_run_that_fails_leaves_whole_files_that_the_next_run_knows(book, monkeypatch):
    out, write = book / "out", course.store.write_text

    def full(path, text):
        if path.name == "01-attack.ipynb":
            raise course.store.StaleArtefact("stopped")
        write(path, text)

    monkeypatch.setattr(course.store, "write_text", full)
    with pytest.raises(course.store.StaleArtefact):
        course.write(out)
    monkeypatch.undo()
    monkeypatch.chdir(book)
    assert sorted(f.name for f in out.iterdir()) == ["README.md", "claim.ipynb", "course.json"]
    written, kept = course.write(out)
    assert len(written) == 3 and not kept


@pytest.mark.parametrize(
    ("number", "answer", "said"),
    [
        (2, 6, "right."),
        (2, 6.0, "right."),
        (2, 7, "not right yet. Expected is a whole number; given was a whole number."),
        (2, "6", "not right yet. Expected is a whole number; given was a text."),
        (2, None, "no answer yet."),
        (3, [1.5, 3.001], "right."),
        (3, (1.5, 3.2), "not right yet. Expected is a list of 2; given was a list of 2."),
    ],
)
def test_check_says_right_or_wrong_and_never_the_answer(book, capsys, number, answer, said):
    given = {"total": 12, "shares": [0.25, 0.5], "answer_2": answer}
    before = dict(given)
    course.check("claim", number, answer, given)
    out = capsys.readouterr().out
    assert out == f"Exercise {number} of claim: {said}\n"
    assert given == before


def test_check_takes_the_records_at_hand_and_the_solutions_own_tolerance(book):
    assert course.solved("claim", 2, {"total": 40, "shares": []})[0] == 20
    assert course.solved("claim", 2, {"total": 40})[1] == course.CLOSE
    assert course.solved("attack", 2, {"n": 7}) == ("Margin", 0.1)


def test_a_students_own_value_is_not_taken_for_the_answer(book, capsys):
    """Where the solution does not come as far as setting it."""
    course.check("claim", 2, 5, {"answer_2": 5})
    assert "cannot be checked; run all cells above the exercise once more (NameError" in capsys.readouterr().out


def test_unknown_pages_and_exercises_are_named(book):
    with pytest.raises(UnknownName, match="did you mean 'claim'"):
        course.check("clam", 2, 1)
    with pytest.raises(UnknownName, match="choose one of: 2, 3"):
        course.check("claim", 1, 1)


@pytest.mark.parametrize(
    ("given", "right", "expected"),
    [
        (0.5011, 0.5, True), (0.504, 0.5, False), (50.0, 0.5, False), (0, 0.0, True), (1e-3, 0.0, False),
        (True, 1, False), (1, True, False), (True, True, True), (False, True, False),
        (" the  Margin", "`the margin`", True), ("margins", "margin", False),
        ([1, 2], (1, 2), True), ([1], [1, 2], False), ({"a": 1.0}, {"a": 1.001}, True), ({"b": 1.0}, {"a": 1.0}, False),
        ({1, 2}, {2, 1}, True), ([1, 2], {1, 2}, False), (None, 0, False), (float("nan"), float("nan"), True),
    ],
)  # fmt: skip
def test_same(given, right, expected):
    assert course.same(given, right) is expected


def test_numpy_and_pandas_count_as_the_numbers_they_hold():
    import numpy as np
    import pandas as pd

    assert (
        course.same(np.float32(0.5), 0.5)
        and course.same(0.5, np.float64(0.5))
        and course.same([1, 2], np.array([1, 2]))
    )
    assert course.same(pd.Series([1.0, 2.0]), [1.0, 2.0]) and course.same(pd.DataFrame({"a": [1]}), {"a": [1]})
    assert course.same(np.bool_(True), True) and not course.same(np.int64(3), 4)


def test_overview_counts_the_exercises_by_kind_in_the_order_of_the_book(book):
    found = course.overview()
    assert found.to_dict("records") == [
        {"page": "The claim", "reading": 1, "by hand": 0, "code": 2, "project": 1, "checked": "2, 3"},
        {"page": "Attack it", "reading": 0, "by hand": 0, "code": 2, "project": 0, "checked": "2"},
    ]
    page = book / "book" / "ideas" / "claim.md"
    page.write_text(
        page.read_text("utf-8").replace("(project)", "(small project)").replace("2 (code)", "2 (riddle)"), "utf-8"
    )
    (first, _) = course.overview().to_dict("records")
    assert (first["code"], first["project"], first["other"]) == (1, 1, 1)


def test_command_writes_the_edition_and_names_what_it_left(book):
    (book / "out").mkdir()
    (book / "out" / "claim.ipynb").write_text("mine")
    done = subprocess.run(
        [sys.executable, "-m", "qrsupport", "course", "--out", "out"],
        check=True,
        capture_output=True,
        text=True,
        cwd=book,
    )
    assert done.stdout.splitlines() == ["out/README.md", "out/01-attack.ipynb"]
    assert "left as it is" in done.stderr and "out/claim.ipynb" in done.stderr


@pytest.mark.slow
def test_a_student_notebook_runs_unanswered_and_answered(book):
    """In a kernel: neither what the solution prints nor what it sets reaches the student."""
    from nbclient import NotebookClient

    course.write(book / "out")
    notebook = nbformat.read(book / "out" / "claim.ipynb", 4)
    said = executed(NotebookClient, notebook, book)
    assert said.count("no answer yet.") == 2
    for c in notebook.cells:
        c.source = c.source.replace("answer_2 = None", "answer_2 = 6").replace("answer_3 = None", "answer_3 = [1.5, 4]")
    notebook.cells.append(nbformat.v4.new_code_cell("answer_2, answer_3"))
    said = executed(NotebookClient, notebook, book)
    assert "Exercise 2 of claim: right." in said and "Exercise 3 of claim: not right yet." in said
    assert "secret" not in said and "(6, [1.5, 4])" in said


def executed(client, notebook, folder):
    client(notebook, resources={"metadata": {"path": str(folder)}}, kernel_name="python3").execute()
    return json.dumps([c.get("outputs", []) for c in notebook.cells])


WITH_EXERCISES = [n for n in exercises.pages() if exercises.numbers(exercises.parts(exercises.read(exercises.page(n))))]


def test_every_chapter_has_exercises():
    assert set(project.chapters()) <= set(WITH_EXERCISES)


@pytest.mark.parametrize("name", WITH_EXERCISES)
def test_every_page_has_four_exercises_in_order_and_each_its_solution(name):
    found = exercises.parts(exercises.read(exercises.page(name)))
    numbers = exercises.numbers(found)
    assert len(numbers) >= 4 and numbers == list(range(1, len(numbers) + 1))
    assert [n for n in numbers if not exercises.solution(found, n)] == []
    assert any(exercises.has_answer(found, n) for n in numbers), "no exercise whose answer can be checked"
    text = "".join(part.source for part in found if not part.solution)
    assert not re.search(r"\{dropdown\} *Solution", text)


def test_no_answer_of_the_book_is_in_its_student_edition():
    for name, path in exercises.pages().items():
        found = exercises.parts(exercises.read(path))
        text = [c.source for c in course.student(name, path, {}).cells]
        for part in found:
            assert not part.solution or part.source not in text
    assert set(project.chapters()) <= set(exercises.pages())


CITED = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)[:,] exercises? (\d[\d, and]*)")


@pytest.mark.parametrize("page", sorted((ROOT / "book" / "course").glob("*.md")), ids=lambda path: path.stem)
def test_exercises_that_the_course_names_exist_under_the_title_of_their_page(page):
    cited = CITED.findall(page.read_text("utf-8"))
    for title, target, named in cited:
        source = exercises.read((page.parent / target).resolve())
        known = exercises.numbers(exercises.parts(source))
        assert title == course._title(source), target
        assert {int(n) for n in re.findall(r"\d+", named)} <= set(known), (target, named)
    assert cited or page.stem == "projects"
