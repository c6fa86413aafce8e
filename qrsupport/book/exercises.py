"""Pages as notebooks, and the exercises in them: where an exercise begins, what is its solution, what its answer.

An exercise begins at `**Exercise 2 (code).**` at the start of a line of Markdown and ends at the next one or at a
heading.  Its solution is every cell tagged `solution`, every block `:::{dropdown} Solution` and every code cell that
sets `answer_2`, the value that a reader's answer is compared with.
"""

import ast
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import nbformat

from .. import project
from ..errors import UnknownName

IDEAS = "book/ideas"
BEGIN = re.compile(r"^\*\*Exercise (\d+)\b[^*\n]*\*\*", re.MULTILINE)
HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)
DROPDOWN = re.compile(r"^(:{3,}|`{3,}) ?\{dropdown\} *Solution\b.*$")
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,}|:{3,})")
ANSWER, TOLERANCE = "answer_{}", "tolerance_{}"


@dataclass
class Part:
    """A cell, or a piece of a cell of Markdown: its kind (`markdown`, `code`, `raw`), text and metadata.

    `exercise` is the number of the exercise that it belongs to, 0 outside any; `title` says that the exercise begins
    here; `solution` that a student is not to see it.
    """

    kind: str
    source: str
    metadata: dict = field(default_factory=dict)
    exercise: int = 0
    title: bool = False
    solution: bool = False


def pages() -> dict[str, Path]:
    """The pages that may hold exercises by name: the ideas, then the chapters."""
    ideas = sorted((project.sources() / IDEAS).glob("*.md"))
    return {path.stem: path for path in ideas} | project.chapters()


def page(name: str) -> Path:
    """The source of a page.  Raises UnknownName."""
    found = pages()
    if name not in found:
        raise UnknownName("page with exercises", name, found)
    return found[name]


def read(path: Path) -> nbformat.NotebookNode:
    """A page as a notebook without outputs: a notebook's own cells, or those of MyST Markdown."""
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        return nbformat.reads(text, as_version=4)
    from myst_nb.core.read import read_myst_markdown_notebook
    from myst_parser.config.main import MdParserConfig

    settings = MdParserConfig(enable_extensions={"colon_fence", "dollarmath"})
    return read_myst_markdown_notebook(text, config=settings, path=path)


def parts(notebook: nbformat.NotebookNode) -> list[Part]:
    """The cells of a page in order, Markdown cut where an exercise or a solution begins or ends."""
    found: list[Part] = []
    number = 0
    for cell in notebook.cells:
        tagged = "solution" in cell.metadata.get("tags", ())
        whole = Part(cell.cell_type, cell.source, dict(cell.metadata), solution=tagged)
        for part in [whole] if tagged or whole.kind != "markdown" else _cut(whole):
            number = _number(part, number)
            part.exercise = number
            part.solution |= part.kind == "code" and bool(assigned(part.source) & _names(number))
            found.append(part)
    return found


def _number(part: Part, number: int) -> int:
    """The exercise that a part belongs to, after one of the exercise `number`."""
    if part.title:
        return int(BEGIN.findall(part.source)[0])
    outside = part.kind == "markdown" and not part.solution and HEADING.match(part.source)
    return 0 if outside else number


def _names(number: int) -> set[str]:
    return {ANSWER.format(number)} if number else set()


def _cut(part: Part) -> list[Part]:
    """A cell of Markdown as pieces: an exercise with what follows it, a solution, a heading with what follows it."""
    pieces, lines, close, inside = [], [], "", ""
    for line in part.source.split("\n"):
        if not close and not inside and (match := DROPDOWN.match(line)):
            pieces, lines, close = [*pieces, (lines, False)], [], match[1]
        elif close and re.fullmatch(rf"{re.escape(close[0])}{{{len(close)},}} *", line):
            pieces, lines, close = [*pieces, ([*lines, line], True)], [], ""
            continue
        elif not close:
            inside = _fence(line, inside)
            if not inside and (BEGIN.match(line) or HEADING.match(line)):
                pieces, lines = [*pieces, (lines, False)], []
        lines.append(line)
    found = []
    for text, solution in [*pieces, (lines, bool(close))]:
        source = "\n".join(text).strip("\n")
        if source.strip():
            title = bool(BEGIN.match(source)) and not solution
            found.append(replace(part, source=source, title=title, solution=solution))
    return found


def _fence(line: str, inside: str) -> str:
    """The fence of the block that the next line stands in; empty outside."""
    match = FENCE.match(line)
    if not match:
        return inside
    if not inside:
        return match[1]
    closes = match[1].startswith(inside) and not line.strip(inside[0] + " ")
    return "" if closes else inside


def assigned(source: str) -> set[str]:
    """The names that code assigns at its top level; none if it is not Python."""
    try:
        lines = ast.parse(source).body
    except SyntaxError:
        return set()
    targets = [t for line in lines if isinstance(line, ast.Assign) for t in line.targets]
    targets += [line.target for line in lines if isinstance(line, ast.AnnAssign) and line.value]
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def numbers(found: list[Part]) -> list[int]:
    """The numbers of the exercises, in order."""
    return [part.exercise for part in found if part.title]


def solution(found: list[Part], number: int) -> list[Part]:
    """The parts that solve an exercise."""
    return [part for part in found if part.exercise == number and part.solution]


def has_answer(found: list[Part], number: int) -> bool:
    """Whether code solves the exercise with a value that a reader's answer can be compared with."""
    code = [part.source for part in solution(found, number) if part.kind == "code"]
    return bool(number) and any(ANSWER.format(number) in assigned(source) for source in code)
