"""What a value of a parameter may be: a name of the catalogue, a path, a text, a number in a range; with pydantic's annotations."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field
from pydantic_core import core_schema

from . import catalog
from .errors import BadParameter, UnknownName

KINDS = (".csv", ".tsv", ".jsonl", ".parquet")
"""Files of labelled texts that can be read."""
LONGEST_NAME, LONGEST_PATH = 255, 4095
"""Bytes, on the file systems in use."""


def is_own(dataset: str) -> bool:
    """Whether a dataset is the user's own, a path or a hub id `owner/name`, and not one of the catalogue's."""
    known = dataset in catalog.DATASETS or not dataset
    return not known and ("/" in dataset or Path(dataset).suffix.lower() in KINDS or Path(dataset).exists())


def split(names: str) -> list[str]:
    """The items of a comma-separated parameter."""
    return [item.strip() for item in names.split(",") if item.strip()]


def absolute(value: str) -> str:
    """A path seen from the working directory, so that it means the same from any other; what is none stays as it is."""
    known = {*catalog.BACKBONES, *catalog.DATASETS, ""}
    return value if value in known or not _is_path(value) else os.path.abspath(os.path.expanduser(value))


def _is_path(value: str) -> bool:
    return value.startswith((".", "/", "~")) or os.path.exists(value)


def import_path(value: str) -> bool:
    """Whether `value` has the form of an import path, or of a class inside a function.  Raises BadParameter if it has a
    colon and another form."""
    if ":" not in value:
        return False
    parts = [part for side in value.split(":") for part in side.split(".")]
    if value.count(":") > 1 or not all(part.isidentifier() or part == "<locals>" for part in parts):
        raise BadParameter(f"attack={value!r} is not an import path of the form package.module:Class")
    return True


def _check_width(name: str) -> None:
    """Raises BadParameter for the name of a simulated variant, such as `w4a8`, with a width that cannot be."""
    for bits in re.findall(r"\d+", name) if re.fullmatch(r"[wa]\d+|w\d+a\d+", name) else ():
        if not catalog.LOWEST_BITS <= int(bits) <= catalog.HIGHEST_BITS:
            raise BadParameter(
                f"bits={bits} is out of range in {name!r}; it must lie in [{catalog.LOWEST_BITS}, {catalog.HIGHEST_BITS}]"
            )


class Names(NamedTuple):
    """A parameter's valid names, for its annotation: one of `choices`, or with `each` any number of them with commas between;
    and what `others(name)` is true of."""

    choices: Iterable[str]
    each: bool = False
    others: Callable[[str], bool] | None = None

    def check(self, value: str, info) -> str:
        for item in split(value) if self.each else [value]:
            if item not in self.choices and not (self.others and self.others(item)):
                _check_width(item)
                raise UnknownName(info.field_name, item, self.choices)
        return value

    def __get_pydantic_core_schema__(self, source, handler):
        return core_schema.with_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema, handler) -> dict:
        return handler(schema) | {"examples" if self.each or self.others else "enum": list(self.choices)}


def _text(value: str, info) -> str:
    """Refuses what no file system takes as a path or a name: other than UTF-8, or too long."""
    if re.search("[\0\ud800-\udfff]", value):
        raise BadParameter(f"{info.field_name}={value!r} is not UTF-8; if it should be, set PYTHONUTF8=1")
    if max(len(part.encode()) for part in re.split("[/,]", value)) > LONGEST_NAME or len(value.encode()) > LONGEST_PATH:
        raise BadParameter(
            f"{info.field_name}={value[:20]!r}… has {len(value)} characters; a name has at most {LONGEST_NAME} bytes, "
            f"a path {LONGEST_PATH}"
        )
    return value


Text = Annotated[str, AfterValidator(_text)]
VARIANTS = Names(catalog.VARIANTS, each=True)


def about(help: str, **limits):
    """A parameter's help, one line, and its range: `ge` its least value, `le` its largest."""
    return Field(description=help, **limits)
