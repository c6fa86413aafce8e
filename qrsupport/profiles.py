"""What a profile runs: the names to cross, the parameters that differ from the defaults, and how it is spread over a queue.

A profile is one file, `nbs/profiles/NAME.toml` or any other, and no more than that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import attack_catalog, catalog, config, declared, project
from .declared import items, keys, once
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
    """`chapters`: which are run; `grid`: the names to cross; `parameters`: what differs from the defaults; `per`: what differs
    for one name or chapter; `shards`: attacks that are cut into so many jobs; `resources`: what jobs ask of a queue, "" those
    of every job, then by chapter or "shard"."""

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


def settled(name: str) -> str:
    """A profile's name as it is; the path of a file as it is from any folder."""
    return name if name in files() or not Path(name).is_file() else str(Path(name).absolute())


def read(name: str) -> Profile:
    """The profile of a name or in a file, checked.

    Raises UnknownName for an unknown profile, key, parameter or chapter, BadParameter for a bad value or what cannot be
    combined, naming the file.
    """
    known = files()
    file = known.get(name) or (Path(name) if name.endswith(".toml") and Path(name).is_file() else None)
    if not file:
        raise UnknownName("profile", name, known)
    content = keys(f"key of {file}", declared.read(file, "mend it, or take another profile"), KEYS, ("grid",))
    grid = _grid(content["grid"], file)
    profile = Profile(
        str(content.get("help", "")), _chapters(content.get("chapters"), file), grid,
        _parameters(content.get("parameters", {}), f"parameter in {file}"), _per(content.get("per", {}), grid, file),
        _shards(content.get("shards", {}), grid, file), _resources(content.get("resources", {}), file),
    )  # fmt: skip
    _possible(profile, file)
    return profile


def _grid(given, file: Path) -> dict[str, tuple]:
    keys(f"name of the grid of {file}", given, GRID, ("dataset", "backbone", "attack"))
    for name, values in given.items():
        once(f"{name} in the grid of {file}", items(f"{name} in the grid of {file}", values))
    return {name: tuple(config.check(name, value) for value in values) for name, values in given.items()}


def _chapters(given, file: Path) -> tuple[str, ...]:
    """The chapters that are run, in the book's order; all if none is named."""
    known, kind = tuple(project.chapters()), f"chapter of {file}"
    chosen = known if given is None else keys(kind, dict.fromkeys(map(str, items(kind, given))), known)
    return tuple(name for name in known if name in chosen)


def _per(given, grid: Mapping, file: Path) -> dict[str, dict]:
    crossed = [str(value) for values in grid.values() for value in values]
    keys(f"name or chapter under [per] of {file}", given, [*crossed, *project.chapters(), *catalog.PAPER_VARIANTS])
    return {name: _parameters(changes, f"parameter for {name} in {file}") for name, changes in given.items()}


def _parameters(given, kind: str) -> dict[str, object]:
    for name, value in keys(kind, given, config.FIELDS).items():
        config.check(name, value)
    return given


def _shards(given, grid: Mapping, file: Path) -> dict[str, int]:
    for name, parts in keys(f"attack under [shards] of {file}", given, grid["attack"]).items():
        _counted(f"{file}: shards of {name}", parts)
    return given


def _resources(given, file: Path) -> dict[str, dict]:
    """By chapter, "shard" or "" (every job), from a table of values and tables."""
    keys(f"resource or chapter under [resources] of {file}", given, (*QUEUE, SHARD, *project.chapters()))
    found = {"": {name: value for name, value in given.items() if name in QUEUE}}
    found |= {name: value for name, value in given.items() if name not in QUEUE}
    for asked in found.values():
        asks(asked, str(file))
    return found


def asks(given, where: str) -> None:
    """Checks what is asked of a queue.  Raises UnknownName or BadParameter."""
    for name, value in keys(f"resource in {where}", given, QUEUE).items():
        if QUEUE[name][0] is int:
            _counted(f"{where}: {name}", value)
        elif not isinstance(value, str) or not value:
            raise BadParameter(f"{where}: {name}={value!r} must be a name")


def _counted(what: str, value: object) -> None:
    if type(value) is not int or value < 1:
        raise BadParameter(f"{what}={value!r} must be a whole number from 1")


def _possible(profile: Profile, file: Path) -> None:
    """Refuses what each is valid and together cannot be, with the nearest that can."""
    for attack in profile.grid["attack"]:
        n, words = (_of_attack(profile, attack, name) for name in ("n", "resources"))
        if profile.shards.get(attack, 1) > n:
            raise BadParameter(f"{file}: {attack} has n={n} examples; give it {n} shards at most, not {profile.shards[attack]}")
        if attack in attack_catalog.ATTACKS and words not in attack_catalog.suppliers(attack):
            raise BadParameter(
                f"{file}: {attack} cannot run with resources={words!r} ({attack_catalog.described(attack)}); the nearest that can: "
                f"{attack_catalog.instead(attack, words)}"
            )


def _of_attack(profile: Profile, attack: str, name: str):
    """The value of a parameter in the jobs of an attack."""
    tables = (profile.parameters, profile.per.get("attack", {}), profile.per.get(attack, {}))
    return next((table[name] for table in reversed(tables) if name in table), config.FIELDS[name].default)
