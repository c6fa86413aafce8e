"""The project's folder and its chapters.

A chapter is a notebook `nbs/NN-name.ipynb`: the file's name gives its number and its name, its cell tagged `parameters`
declares what it takes, a line `name: type = default  # help` each.
"""

import ast
import json
import re
from importlib import metadata
from pathlib import Path

from .errors import BadChapter, StorageError, UnknownName

STEM = re.compile(r"[0-9]+-(\w[\w-]*)")


def folder() -> Path:
    """The nearest folder above the working directory that holds `_toc.yml`, else the working directory."""
    here = Path.cwd()
    return next((d for d in (here, *here.parents) if (d / "_toc.yml").exists()), here)


def sources() -> Path:
    """The folder with the chapters and the book's other sources: the project's, else that which was installed with the package."""
    if (folder() / "nbs").is_dir():
        return folder()
    try:
        files = metadata.files("qrsupport") or ()
    except metadata.PackageNotFoundError:
        files = ()
    return next((Path(f.locate()).resolve().parent for f in files if f.name == "_toc.yml"), folder())


def chapters() -> dict[str, Path]:
    """The chapters' notebooks by name, in the order of their numbers; none outside a project without an installed book.

    Raises BadChapter if two have one name.
    """
    found: dict[str, Path] = {}
    for path in sorted((sources() / "nbs").glob("*.ipynb"), key=_number):
        if match := STEM.fullmatch(path.stem):
            other = found.setdefault(match[1], path)
            if other != path:
                raise BadChapter(f"{other} and {path} are both the chapter {match[1]!r}; rename one")
    return found


def _number(path: Path) -> tuple[int, str]:
    digits = path.stem.partition("-")[0]
    return int(digits) if digits.isdecimal() else 0, path.stem


def chapter(name: str) -> Path:
    """The notebook of a chapter.

    Raises UnknownName if there is no such chapter, StorageError where there is none at all, and as `chapters`.
    """
    found = chapters()
    if not found:
        raise StorageError(f"{sources() / 'nbs'} holds no chapter; run this from inside a checkout of the project")
    if name not in found:
        raise UnknownName("chapter", name, found)
    return found[name]


def parameters(name: str) -> tuple[str, ...]:
    """The names of the parameters that a chapter declares, in its order.

    Raises as `chapter`, and BadChapter if the notebook does not have one cell with such declarations.
    """
    notebook = chapter(name)
    return tuple(_declared(line, notebook) for line in _lines(notebook))


def _declared(line: ast.stmt, notebook: Path) -> str:
    """The name that a line declares.  Raises BadChapter."""
    if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value:
        return line.target.id
    raise BadChapter(f"{notebook}: {ast.unparse(line)!r} declares no parameter; write `name: type = default  # help`")


def _lines(notebook: Path) -> list[ast.stmt]:
    """The lines of a notebook's cell tagged `parameters`, parsed; nothing is run.  Raises BadChapter."""
    try:
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
        tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
        lines = [line for cell in tagged for line in ast.parse("".join(cell["source"])).body]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError, RecursionError) as e:
        raise BadChapter(f"{notebook} cannot be read as a notebook ({type(e).__name__}: {e}); restore it") from e
    if len(tagged) != 1:
        raise BadChapter(f"{notebook} has {len(tagged)} cells tagged `parameters`; a chapter has one")
    return lines
