"""The page of flags names every error, status and remark of the package, and nothing else; nothing else is raised."""

import ast
import builtins
import dataclasses
import re
from pathlib import Path

import pytest
from docutils import nodes

import qrsupport
from qrsupport import errors, records
from qrsupport.book import flags

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book" / "flags.md").read_text("utf-8")
FOLDER = Path(qrsupport.__file__).parent
MODULES = {
    ".".join(f.relative_to(FOLDER).with_suffix("").parts): ast.parse(f.read_text("utf-8")) for f in FOLDER.rglob("*.py")
}
NAMES = flags.errors_of_the_package()
# What is raised for others to catch, and by whom it is caught.
INSIDE = {
    ("attacks.wiring", "KeyError"),  # as TextAttack's word embedding answers for an unknown word
    ("data.datasets", "ValueError"),  # by read_rows, which adds file and line
    ("lexicons.word_encoder", "NotImplementedError"),  # the abstract encoder
    ("attacks.faster", "ValueError"),  # as TextAttack raises it
    ("lexicons.published", "ValueError"),  # by Vectors itself, which names the file
    ("book.mathml", "ValueError"),  # by _shown itself, which makes it a warning of the site's build
    ("book.mathml", "SkipNode"),  # how a visitor of docutils says that a node is done
    ("quantization.classifiers", "ValueError"),  # by _members itself, which names the file
    ("records", "TypeError"),  # by from_line itself, which names the line
    ("cli", "KeyboardInterrupt"),  # by __main__, which says that the run was stopped
    ("offline", "OSError"),  # to a socket's caller, as the system refuses
    ("__init__", "AttributeError"),  # how Python learns that a module lacks a name
    ("offline", "AttributeError"),  # how Python learns that a module lacks a name
}


def section(title):
    """The names in the headings below a heading of the page."""
    body = PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^### `(.+)`$", body, re.MULTILINE)


def test_the_page_is_the_one_that_the_package_makes():
    assert flags.page() == PAGE, "run: python -m qrsupport.book.flags > book/flags.md"


def test_every_error_is_on_the_page_and_every_one_there_exists():
    assert section("Errors") == list(NAMES)
    assert {c.__name__ for c in errors.QRError.__subclasses__()} | {"QRError"} == set(NAMES)
    assert section("Statuses of a record") == [s.value for s in records.Status]
    assert section("Remarks beside a record or in a table") == list(flags.REMARKS)


@pytest.mark.parametrize("name", NAMES)
def test_every_error_says_when_what_and_what_to_do(name):
    said = flags.parts(NAMES[name])
    assert tuple(said) == flags.PARTS and all(len(text) > 15 for text in said.values())
    for text in said.values():
        assert text in PAGE


def test_remarks_are_about_what_there_is():
    fields = {f.name for f in dataclasses.fields(records.Record)}
    assert {"truncated", "engine", "similarity"} <= fields & set(flags.REMARKS)
    words = {node.value for tree in MODULES.values() for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert set(flags.REMARKS) - fields <= words
    assert {"textattack", *(s.value for s in records.Status)} <= words


def raised(tree):
    """The names of the classes that a module raises; of a variable, those of the errors it may stand for."""
    stands_for = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)} & set(NAMES)
            stands_for.setdefault(node.targets[0].id, set()).update(names)
        if isinstance(node, ast.arguments) and node.defaults:
            for argument, default in zip(node.args[-len(node.defaults) :], node.defaults, strict=True):
                stands_for.setdefault(argument.arg, set()).update({getattr(default, "id", "")} & set(NAMES))
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            what = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = what.attr if isinstance(what, ast.Attribute) else getattr(what, "id", ast.unparse(what))
            yield from stands_for.get(name) or {name}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_only_named_errors_are_raised(module):
    for name in raised(MODULES[module]):
        assert name in NAMES or (module, name) in INSIDE, f"{module} raises {name}: take a class from qrsupport.errors"


def test_every_error_is_raised_somewhere_and_every_exception_is_needed():
    everywhere = {(module, name) for module, tree in MODULES.items() for name in raised(tree)}
    assert {name for _, name in everywhere} >= set(NAMES) - {"QRError"}
    assert everywhere >= INSIDE and all(hasattr(builtins, name) or hasattr(nodes, name) for _, name in INSIDE)


def test_nothing_warns_but_by_what_is_on_the_page():
    """The package says what it has to say in errors, records and tables; a warning would need its place on the page."""
    for module, tree in MODULES.items():
        for node in ast.walk(tree) if module != "book.mathml" else ():  # to Sphinx, whose strict build stops on it
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in ("warn", "warning", "warn_explicit"), f"{module}, line {node.lineno}"
