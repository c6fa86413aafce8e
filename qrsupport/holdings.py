"""What a run directory holds, one entry an artefact, folder of records or executed chapter (`qrsupport runs`)."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from . import config, recorded, store
from .errors import StaleArtefact, UnknownName

DAY, HOUR, MINUTE = 86400, 3600, 60
RECORDED = ("attacks", "training-attacks", "replays")


@dataclass(frozen=True)
class Entry:
    """`name` is the path below the run directory; `age` in seconds since it was last written; `records` how many (None
    where there are none to count); `about` its parameters that differ from the defaults."""

    name: str
    bytes: int
    age: float
    records: int | None
    about: str


def entries(run_dir: Path) -> list[Entry]:
    """Everything that a run directory holds, by name."""
    run = Path(run_dir)
    found = [path for path in run.glob("*/*") if not path.name.startswith(".")]
    found += [path for path in run.glob("*/*/superseded-*") if path.is_dir()]
    return [_entry(run, path) for path in sorted(found)]


def _entry(run: Path, path: Path) -> Entry:
    inside = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    inside = [f for f in inside if not any(part.startswith("superseded-") for part in f.relative_to(path).parts)]
    latest = max((f.stat().st_mtime for f in inside), default=path.stat().st_mtime)
    name = path.relative_to(run)
    return Entry(
        str(name),
        sum(f.stat().st_size for f in inside),
        max(0.0, time.time() - latest),
        _count(path) if name.parts[0] in RECORDED else None,
        _about(path),
    )


def _count(path: Path) -> int:
    files = [path / name for name in (recorded.RECORDS, recorded.JOURNAL)]
    return sum(file.read_bytes().count(b"\n") for file in files if file.is_file())


def _about(path: Path) -> str:
    """`name=value` of each parameter that is not the default; of replays those of the source, then of the target."""
    try:
        content = store.read_json(path / store.META)
        p = content["depends"]["parameters"]
        sides = [p["source"], p["target"]] if "source" in p else [p]
        return " → ".join(", ".join(_differing(side)) for side in sides)
    except (StaleArtefact, KeyError, TypeError, AttributeError):
        return ""


def _differing(p: dict) -> list[str]:
    usual = {name: field.default for name, field in config.FIELDS.items() if name != "variant"}
    return [f"{name}={value}" for name, value in p.items() if value != usual.get(name)]


def table(found: list[Entry]) -> pd.DataFrame:
    """The entries for people."""
    rows = [[e.name, "" if e.records is None else e.records, f"{e.bytes / 1e6:.1f}", age(e.age), e.about] for e in found]
    return pd.DataFrame(rows, columns=["name", "records", "MB", "age", "parameters that differ from the defaults"])


def age(seconds: float) -> str:
    """The largest whole unit: `3 days`, `2 h`, `5 min`."""
    for size, unit in ((DAY, "days"), (HOUR, "h")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // MINUTE)} min"


def remove(run_dir: Path, names) -> list[Entry]:
    """Removes the entries named (all or none); returns them.

    Raises UnknownName for a name that the run directory does not hold, before anything is removed.
    """
    held = {entry.name: entry for entry in entries(run_dir)}
    chosen = [held[name] for name in dict.fromkeys(name.rstrip("/") for name in names) if _known(name, held)]
    for entry in chosen:
        path = Path(run_dir) / entry.name
        with store.storage_errors(path), store.lock(path):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    return chosen


def _known(name: str, held: dict) -> bool:
    if name not in held:
        raise UnknownName("entry of the run directory", name, held)
    return True
