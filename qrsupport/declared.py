"""What a TOML file declares, checked: a table has no other keys than those it may have, a list is one and not empty."""

import tomllib
from pathlib import Path

from .errors import BadParameter, UnknownName


def read(file: Path, advice: str) -> dict:
    """The content of a TOML file.  Raises BadParameter, ending in `advice`, if it cannot be read."""
    try:
        return tomllib.loads(Path(file).read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise BadParameter(f"{file} cannot be read as TOML ({e}); {advice}") from e


def keys(kind: str, table, valid, needed=()) -> dict:
    """`table`, if it is one and has no key but `valid` and all that are `needed`."""
    if not isinstance(table, dict):
        raise BadParameter(f"{kind}: a table is expected, not {table!r}")
    for name in table:
        if name not in valid:
            raise UnknownName(kind, name, valid)
    if missing := [name for name in needed if name not in table]:
        raise BadParameter(f"{kind}: {', '.join(missing)} is missing in {table!r:.80}")
    return table


def items(kind: str, value) -> list:
    """`value`, if it is a list of one or more."""
    if not isinstance(value, list) or not value:
        raise BadParameter(f"{kind}: a list that is not empty is expected, not {value!r:.80}")
    return value


def once(kind: str, names) -> None:
    """Raises BadParameter for what stands twice."""
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise BadParameter(f"{kind}: {twice[0]!r} stands twice")
