"""Habits of the code that no linter checks: what a reader can hold in the head."""

import ast
from pathlib import Path

import pytest

import qrsupport

FOLDER = Path(qrsupport.__file__).parent
FILES = {str(file.relative_to(FOLDER)): file.read_text("utf-8") for file in FOLDER.rglob("*.py")}
LINES_OF_A_FUNCTION, LINES_OF_A_FILE = 40, 400


def long_functions(text):
    """`name: lines` of the functions, with decorators and docstring, that are longer than a reader should be asked to read."""
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    first = {node: min(n.lineno for n in (node, *node.decorator_list)) for node in found}
    lines = {node.name: node.end_lineno - first[node] + 1 for node in found}
    return [f"{name}: {n} lines" for name, n in lines.items() if n > LINES_OF_A_FUNCTION]


@pytest.mark.parametrize("file", sorted(FILES))
def test_files_and_functions_are_short(file):
    assert len(FILES[file].splitlines()) <= LINES_OF_A_FILE
    assert long_functions(FILES[file]) == []


def test_a_long_function_is_found():
    body = "\n".join("    x = 1" for _ in range(LINES_OF_A_FUNCTION - 1))
    assert long_functions(f"def short():\n{body}") == []
    assert long_functions(f"@decorated\ndef long():\n{body}") == [f"long: {LINES_OF_A_FUNCTION + 1} lines"]
