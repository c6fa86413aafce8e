"""The page of the public names, made from their docstrings when the book is built.

A docstring is one line, further paragraphs, then parts that begin with a word of `PARTS` and a colon: text after it, or
items `name: text`, indented, with their further lines indented once more; the example is a session of Python.
"""

import inspect
import re
import textwrap

import qrsupport

from ..escaping import markdown

PARTS = ("Parameters", "Returns", "Raises", "Example")


def page() -> str:
    """Markdown of all public names, in their order."""
    return "\n\n".join(entry(name, getattr(qrsupport, name)) for name in qrsupport.PUBLIC)


def entry(name: str, function) -> str:
    """Markdown of one name: heading, signature, what it does, its parts."""
    about, parts = split(inspect.getdoc(function) or "")
    shown = [_text(paragraph) for paragraph in about.split("\n\n")]
    for part, said in parts.items():
        shown.append(_example(said) if part == "Example" else f"**{part}**\n\n{_items(said)}")
    return "\n\n".join([f"## `{name}`", f"```python\nqr.{name}{signature(function)}\n```", *shown])


def signature(function) -> str:
    """The signature without annotations."""
    found = inspect.signature(function)
    plain = [p.replace(annotation=p.empty) for p in found.parameters.values()]
    return str(found.replace(parameters=plain, return_annotation=found.empty))


def split(doc: str) -> tuple[str, dict[str, str]]:
    """A docstring's text before the parts, and {part: its text with line ends}."""
    about, *rest = re.split(rf"^({'|'.join(PARTS)}):", doc, flags=re.MULTILINE)
    return about.strip(), dict(zip(rest[::2], rest[1::2], strict=True))


def _example(said: str) -> str:
    return f"**Example**\n\n```pycon\n{textwrap.dedent(said).strip()}\n```"


def _items(said: str) -> str:
    """A part as a list, or as a paragraph if its text begins on the part's own line."""
    first, _, rest = said.partition("\n")
    if first.strip():
        return _text(said)
    items = re.split(r"\n(?=\S)", textwrap.dedent(rest).strip())
    return "\n".join("- **{}**: {}".format(*map(_text, item.split(":", 1))) for item in items)


def _text(said: str) -> str:
    """Text of a docstring as one line of Markdown: what stands in backticks is code, *one word* is stressed, no more is markup."""
    pieces = re.split(r"(`[^`]+`|\*\w+\*)", " ".join(said.split()))
    return "".join(piece if i % 2 else markdown(piece) for i, piece in enumerate(pieces))
