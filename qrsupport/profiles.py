"""What a profile runs: the names to cross, the parameters that differ from the defaults, and how it is spread over a queue.

A profile is one file, `nbs/profiles/NAME.toml` or any other, and no more than that.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import catalog, config, project
from .errors import BadParameter, UnknownName

KEYS = ("help", "chapters", "grid", "parameters", "per", "shards", "resources")
GRID = ("dataset", "backbone", "seed", "attack", "variant")
SHARD = "shard"
QUEUE = {
    "partition": (str, "slurm_partition"),
    "account": (str, "slurm_account"),
    "minutes": (int, "runtime"),
    "mem_mb": (int, "mem_mb"),
    "cpus": (int, "cpus_per_task"),
    "gpus": (int, "gpu"),
}
"""What a job can ask of a queue: its type, and the workflow's name for it."""


@dataclass(frozen=True)
class Profile:
    """`chapters`: which are run; `grid`: the names to cross; `parameters`: what differs from the defaults; `per`: what differs for one name or chapter;
    `shards`: attacks that are cut into so many jobs; `resources`: what jobs ask of a queue, "" those of every job, then by
    chapter or "shard"."""

    help: str
    chapters: tuple[str, ...]
    grid: Mapping[str, tuple]
    parameters: Mapping[str, object]
    per: Mapping[str, Mapping[str, object]]
    shards: Mapping[str, int]
    resources: Mapping[str, Mapping[str, object]]

    def asks(self, job: str, more: Mapping[str, object]) -> dict[str, object]:
        """What a job of a chapter, or a shard, asks of a queue, by the workflow's names; `more` counts before the profile."""
        found = {**self.resources.get("", {}), **self.resources.get(job, {}), **more}
        return {QUEUE[name][1]: value for name, value in found.items()}


def files() -> dict[str, Path]:
    """The project's profiles by name."""
    return {file.stem: file for file in sorted((project.sources() / "nbs" / "profiles").glob("*.toml"))}


def read(name: str) -> Profile:
    """The profile of a name or in a file, checked.

    Raises UnknownName for an unknown profile, key, parameter or chapter, BadParameter for a bad value or what cannot be
    combined, naming the file.
    """
    known = files()
    file = known.get(name) or (Path(name) if name.endswith(".toml") and Path(name).is_file() else None)
    if not file:
        raise UnknownName("profile", name, known)
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise BadParameter(f"{file} is not a TOML file: {e}") from e
    return _checked(content, file)


def _checked(content: dict, file: Path) -> Profile:
    _known(content, KEYS, f"key of {file}")
    tables = {key: _table(content.get(key, {}), f"{file}: [{key}]") for key in KEYS[2:]}
    grid = {name: _values(name, value, file) for name, value in tables["grid"].items()}
    _known(grid, GRID, f"name of the grid of {file}")
    if missing := [name for name in ("dataset", "backbone", "attack") if not grid.get(name)]:
        raise BadParameter(f"{file}: the grid names no {missing[0]}; give it a list of one or more")
    _parameters(tables["parameters"], file)
    crossed = [str(value) for values in grid.values() for value in values]
    _known(tables["per"], [*crossed, *project.chapters(), *catalog.PAPER_VARIANTS], f"name or chapter under [per] of {file}")
    for name, changes in tables["per"].items():
        _parameters(_table(changes, f"{file}: per {name}"), file)
    profile = Profile(
        str(content.get("help", "")), _chapters(content.get("chapters"), file), grid, tables["parameters"], tables["per"],
        _shards(tables["shards"], grid, file), _resources(tables["resources"], file),
    )  # fmt: skip
    _possible(profile, file)
    return profile


def _chapters(given: object, file: Path) -> tuple[str, ...]:
    """The chapters that are run, in the book's order; all if none is named."""
    known = tuple(project.chapters())
    if given is None:
        return known
    if not isinstance(given, list) or not given:
        raise BadParameter(f"{file}: chapters={given!r} must be a list of one or more")
    _known(given, known, f"chapter of {file}")
    return tuple(name for name in known if name in given)


def _known(given, names, kind: str) -> None:
    for name in given:
        if name not in names:
            raise UnknownName(kind, str(name), names)


def _table(value: object, where: str) -> dict:
    if not isinstance(value, dict):
        raise BadParameter(f"{where} must be a table of names and values, not {value!r}")
    return value


def _values(name: str, value: object, file: Path) -> tuple:
    """The values of one name of the grid.  Raises as `config.check`, and BadParameter for what is not a list of different ones."""
    if name not in GRID:
        return ()
    if not isinstance(value, list) or len({str(v) for v in value}) < len(value):
        raise BadParameter(f"{file}: {name}={value!r} must be a list of different values")
    return tuple(config.check(name, v) for v in value)


def _parameters(given: dict, file: Path) -> None:
    for name, value in given.items():
        if name not in config.FIELDS:
            raise UnknownName(f"parameter in {file}", name, config.FIELDS)
        config.check(name, value)


def _shards(given: dict, grid: Mapping, file: Path) -> dict[str, int]:
    _known(given, grid["attack"], f"attack under [shards] of {file}")
    for name, parts in given.items():
        if type(parts) is not int or parts < 1:
            raise BadParameter(f"{file}: shards of {name}: {parts!r} must be a whole number from 1")
    return given


def _resources(given: dict, file: Path) -> dict[str, dict]:
    """By chapter, "shard" or "" (every job), from a table of values and tables."""
    found: dict[str, dict] = {"": {name: value for name, value in given.items() if not isinstance(value, dict)}}
    found |= {name: value for name, value in given.items() if isinstance(value, dict)}
    _known(set(found) - {""}, [*project.chapters(), SHARD], f"chapter under [resources] of {file}")
    for asked in found.values():
        asks(asked, str(file))
    return found


def asks(given: Mapping[str, object], where: str) -> None:
    """Checks what is asked of a queue.  Raises UnknownName or BadParameter."""
    _known(given, QUEUE, f"resource in {where}")
    for name, value in given.items():
        kind = QUEUE[name][0]
        if type(value) is not kind or not value:
            raise BadParameter(f"{where}: {name}={value!r} must be {'a whole number from 1' if kind is int else 'a name'}")


def _possible(profile: Profile, file: Path) -> None:
    """Refuses what each is valid and together cannot be, with the nearest that can."""
    for attack in profile.grid["attack"]:
        n, words = (_of_attack(profile, attack, name) for name in ("n", "resources"))
        if profile.shards.get(attack, 1) > n:
            raise BadParameter(f"{file}: {attack} has n={n} examples; give it {n} shards at most, not {profile.shards[attack]}")
        if attack in catalog.ATTACKS and words not in catalog.suppliers(attack):
            raise BadParameter(
                f"{file}: {attack} cannot run with resources={words!r} ({catalog.described(attack)}); the nearest that can: "
                f"{catalog.instead(attack, words)}"
            )


def _of_attack(profile: Profile, attack: str, name: str):
    """The value of a parameter in the jobs of an attack."""
    tables = (profile.parameters, profile.per.get("attack", {}), profile.per.get(attack, {}))
    return next((table[name] for table in reversed(tables) if name in table), config.FIELDS[name].default)
