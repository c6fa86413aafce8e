"""The student edition of the book: every page with exercises, without its solutions; and a check of an answer.

    from qrsupport.book import course

    course.check("quantize", 2, answer_2)

A check holds no answer.  It runs the solution of the page, as the book's sources have it, on a copy of the reader's own
variables, and compares.  So an answer that depends on a model is right for the reader's model, seed and machine, where a
stored value would be right for one machine only.  Whoever looks into the sources finds the solutions, as on the site.
"""

import contextlib
import inspect
import json
import math
import os
import re
import runpy
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
import yaml

from .. import project, store
from ..escaping import visible
from . import exercises

PROSE = "*Your answer here.*"
CODE = "# Your code here"
LIST = "course.json"
"""In the folder of the student edition: the files written there, with the SHA-256 of each."""
CLOSE = 0.005
"""Relative difference up to which a number with decimals is right; a solution may set `tolerance_2`."""
MARKUP = re.compile(
    r"(?P<fence>(?ms:^ {0,3}```.*?^ {0,3}```))|\{(?P<role>[\w:]+)\}`(?P<text>[^`]+)`|(?P<code>`[^`\n]+`)"
    r"|(?<!!)\[(?P<said>[^\]\n]*)\]\((?P<target>[^)#\s]+)(?P<place>#[^)\s]*)?\)"
)
START = """# {title}: student edition

These notebooks are the book's pages with exercises, without the solutions. They need Jupyter and the package of the book.

{pages}

Work through them in this order. Below an exercise, write your answer where a cell asks for it. Where a cell begins with
`course.check`, run the cells above it, set the answer and run the check: it says whether the answer is right, for the
model and the records of your own run.
"""


def write(out: Path) -> tuple[list[Path], list[Path]]:
    """Writes the student edition into the folder `out`; returns the files written and those left alone.

    A file appears whole or not at all.  A file that the student edition did not write, or that was changed since, is
    left as it is.  Raises StorageError if the folder cannot be written, and as `project.chapters`.
    """
    out = Path(out)
    files, before = edition(), _listed(out)
    written, kept = [], []
    for name, text in files.items():
        path, digest = out / name, store.sha256_of(text.encode("utf-8"))
        if path.exists() and store.sha256(path) not in (before.get(name), digest):
            kept.append(path)
            continue
        store.write_text(path, text)
        before[name] = digest
        store.write_json(out / LIST, before)  # at once: what a run that is stopped here wrote is known to the next
        written.append(path)
    return written, kept


def _listed(out: Path) -> dict[str, str]:
    """The files of an earlier student edition with their digests; none where the list is not to be read."""
    try:
        found = json.loads((out / LIST).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def edition() -> dict[str, str]:
    """The files of the student edition, name → text, in the order of the book."""
    order = _order()
    pages = sorted(exercises.pages().items(), key=lambda item: order.get(item[1], len(order)))
    names = {path: f"{path.stem}.ipynb" for _, path in pages}
    files, lines = {}, []
    for i, (name, path) in enumerate(pages, 1):
        notebook = student(name, path, names)
        files[names[path]] = nbformat.writes(notebook) + "\n"
        lines.append(f"{i}. [{_title(notebook)}]({names[path]})")
    start = START.format(title=_settings("_config.yml").get("title", "The book"), pages="\n".join(lines))
    return {"README.md": start} | files


def _settings(name: str) -> dict:
    file = project.sources() / name
    return yaml.safe_load(file.read_text("utf-8")) or {} if file.is_file() else {}


def _order() -> dict[Path, int]:
    """The place of each page in the table of contents."""
    root, listed = project.sources(), re.findall(r"\bfile: *(\S+)", _contents())
    return {root / f"{name}{suffix}": i for i, name in enumerate(listed) for suffix in (".md", ".ipynb")}


def _contents() -> str:
    return yaml.safe_dump(_settings("_toc.yml"))


def _title(notebook) -> str:
    found = (
        re.search(r"^# (.+)$", cell.source, re.MULTILINE) for cell in notebook.cells if cell.cell_type == "markdown"
    )
    return next((match[1].strip() for match in found if match), "untitled")


def student(name: str, path: Path, names: dict[Path, str]) -> nbformat.NotebookNode:
    """The notebook of a page without its solutions, with a place for each answer and a check where there is one.

    `names` gives the file of each page of the edition; links to other files become their text.
    """
    source = exercises.read(path)
    found = exercises.parts(source)
    cells, placed = [], set()
    for part in found:
        if not part.solution:
            text = plain(part.source, path.parent, names) if part.kind == "markdown" else part.source
            cells.append(_cell(part.kind, text, part.metadata))
        elif part.exercise and part.exercise not in placed:
            placed.add(part.exercise)
            cells += _places(name, found, part.exercise)
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"  # the same in every edition
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def _places(name: str, found: list[exercises.Part], number: int) -> list:
    """The cells in which a student answers an exercise."""
    kinds = {part.kind for part in exercises.solution(found, number)}
    cells = [_cell("markdown", PROSE)] if "markdown" in kinds else []
    if exercises.has_answer(found, number):
        answer = exercises.ANSWER.format(number)
        check = f'from qrsupport.book import course\n\ncourse.check("{name}", {number}, {answer})'
        cells += [_cell("code", f"{CODE}\n{answer} = None  # in place of None"), _cell("code", check)]
    elif "code" in kinds:
        cells.append(_cell("code", CODE))
    return cells


def _cell(kind: str, source: str, metadata: Mapping | None = None):
    make = {
        "code": nbformat.v4.new_code_cell,
        "markdown": nbformat.v4.new_markdown_cell,
        "raw": nbformat.v4.new_raw_cell,
    }
    return make[kind](source, metadata=dict(metadata or {}))


def plain(text: str, folder: Path, names: dict[Path, str]) -> str:
    """Markdown that a notebook shows without MyST: terms as words, citations as their keys, links to files at hand only."""

    def shown(found: re.Match) -> str:
        if found["role"] == "term":
            return found["text"].partition("<")[0].strip()
        if (found["role"] or "").startswith("cite"):
            return f"({found['text']})"
        if not found["target"] or re.match(r"[a-z]+:", found["target"]):
            return found[0]
        file = names.get(Path(os.path.normpath(folder / found["target"])))
        return f"[{found['said']}]({file}{found['place'] or ''})" if file else found["said"]

    return MARKUP.sub(shown, text)


def check(name: str, number: int, answer: object, given: Mapping | None = None) -> None:
    """Prints whether an answer to an exercise of a page is right, and never the right one.

    The solution runs on a copy of `given`, else of the caller's variables: run the cells above the exercise first.
    Raises UnknownName if there is no such page or no such exercise with an answer.
    """
    if given is None:
        frame = inspect.currentframe()
        given = frame.f_back.f_globals if frame and frame.f_back else {}
    said = f"Exercise {number} of {name}: "
    if answer is None:
        print(f"{said}no answer yet.")
        return
    try:
        right, tolerance = solved(name, number, given)
    except Exception as e:
        if type(e).__module__ == "qrsupport.errors":
            raise
        error = visible(f"{type(e).__name__}: {str(e)[:200]}")
        print(f"{said}cannot be checked; run all cells above the exercise once more ({error}).")
        return
    if same(answer, right, tolerance):
        print(f"{said}right.")
    else:
        print(f"{said}not right yet. Expected is {kind(right)}; given was {kind(answer)}.")


def solved(name: str, number: int, given: Mapping) -> tuple[object, float]:
    """The answer that the solution of an exercise gives from the variables `given`, and its tolerance.

    The solutions of the exercises before it run first, in the order of the page.  Names in `given` keep their values.
    Raises UnknownName, and whatever the solutions raise.
    """
    found = exercises.parts(exercises.read(exercises.page(name)))
    valid = [n for n in exercises.numbers(found) if exercises.has_answer(found, n)]
    if number not in valid:
        raise exercises.UnknownName(f"exercise with an answer, of the page {name!r},", number, valid)
    until = exercises.numbers(found).index(number) + 1
    code = [
        part.source
        for n in exercises.numbers(found)[:until]
        for part in exercises.solution(found, n)
        if part.kind == "code"
    ]
    answer, tolerance = exercises.ANSWER.format(number), exercises.TOLERANCE.format(number)
    start = {k: v for k, v in given.items() if k not in (answer, tolerance)}
    with tempfile.TemporaryDirectory(prefix="qr-") as room, silent():
        file = Path(room, "solution.py")
        file.write_text("\n\n".join(code), "utf-8")
        after = runpy.run_path(str(file), start)
    return after[answer], float(after.get(tolerance, CLOSE))


@contextlib.contextmanager
def silent():
    """Nothing that runs inside prints or shows."""
    with contextlib.ExitStack() as stack:
        if "IPython" in sys.modules:
            from IPython.utils.capture import capture_output

            stack.enter_context(capture_output())
        else:
            sink = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(sink))
            stack.enter_context(contextlib.redirect_stderr(sink))
        yield


def same(given: object, right: object, tolerance: float = CLOSE) -> bool:
    """Whether an answer is the right one: whole numbers exactly, others within the relative `tolerance`, text without
    regard to case and spaces, lists and tables entry by entry, sets in any order."""
    given, right = simple(given), simple(right)
    if isinstance(right, dict):
        return (
            isinstance(given, dict)
            and given.keys() == right.keys()
            and all(same(given[k], right[k], tolerance) for k in right)
        )
    if isinstance(right, list):
        return (
            isinstance(given, list)
            and len(given) == len(right)
            and all(map(lambda a, b: same(a, b, tolerance), given, right))
        )
    if isinstance(right, str):
        return isinstance(given, str) and _words(given) == _words(right)
    if isinstance(right, bool) or not isinstance(right, (int, float)):
        return type(given) is type(right) and given == right
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return False
    if isinstance(right, int):
        return given == right
    return math.isclose(given, right, rel_tol=tolerance, abs_tol=1e-9) or (math.isnan(given) and math.isnan(right))


def _words(text: str) -> list[str]:
    return text.replace("`", "").casefold().split()


def simple(value: object) -> object:
    """A value as Python's own: arrays and columns as lists, a table as its columns, tuples as lists."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict("list")
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, tuple):
        return list(value)
    return set(value) if isinstance(value, frozenset) else value


def kind(value: object) -> str:
    """What a value is, in words that do not tell the value."""
    value = simple(value)
    named = {
        bool: "True or False",
        int: "a whole number",
        float: "a number",
        str: "a text",
        list: "a list",
        set: "a set",
        dict: "a dict",
    }
    if isinstance(value, (list, set, dict)):
        return f"{named[type(value)]} of {len(value)}"
    return named.get(type(value), f"a {type(value).__name__}")
