"""Files that appear whole or not at all, made once, by one process at a time, and checked when they are read.

What was made from something else, by other code, or was altered since is made again, with a line on
standard error that says why.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from . import provenance
from .disk import storage_errors
from .errors import StaleArtefact

META = "meta.json"
AGAIN = "made again: "
REMAKE = "restore it, or run again what makes it"
SETTLED = 2 * 10**9
"""Nanoseconds after its last change before a file's digest is remembered."""
LONGEST = 24
"""Most letters of a value in the line that says why something is made again."""


@contextlib.contextmanager
def writing(path: Path):
    """A binary file to be written, which is at `path` when the block ends: readers see the old content or the new, never a
    part; after an error, the old.

    Raises StorageError if the disk is full or the directory refuses.
    """
    path = Path(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as f:
                yield f
                f.flush()
                os.fsync(f.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file as `writing` says."""
    with writing(path) as f:
        f.write(content)


def write_text(path: Path, text: str) -> None:
    """As write_bytes, UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def dumps(content) -> str:
    """JSON as it is stored: sorted keys, indented, a newline at the end."""
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def write_json(path: Path, content) -> None:
    """As write_text, of `dumps(content)`."""
    write_text(path, dumps(content))


def sha256_of(content: bytes) -> str:
    """The SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal.

    A file is read once a process while the system says that nobody touched it: same place, size and times, the last
    change longer ago than a clock's tick.
    """
    about = os.stat(path)
    if time.time_ns() - max(about.st_ctime_ns, about.st_mtime_ns) < SETTLED:
        return _read_sha256(path)
    return _sha256(Path(path).absolute(), about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


def _read_sha256(path: Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@lru_cache(4096)
def _sha256(path: Path, *seen: int) -> str:
    """As `sha256` of a file that looks as `seen`."""
    return _read_sha256(path)


@contextlib.contextmanager
def lock(path: Path):
    """Holds `path` for this process; others wait.  The system frees it when its holder dies, however it dies."""
    path = Path(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(path.parent / f".{path.name}.lock")
        held.acquire()
    try:
        yield
    finally:
        held.release()


def read_json(path: Path, error: type = StaleArtefact, advice: str = REMAKE):
    """The content of a JSON file.

    Raises `error`, naming the file and ending in `advice`, if there is none, or one nested too deep to be read.
    """
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise error(f"{path} cannot be read ({type(e).__name__}: {str(e)[:200]}); {advice}") from e


def differences(old: dict, new: dict) -> list[str]:
    """`name: old → new` for each entry that differs, values shortened; of an entry that is a dict, each part that differs."""
    found = []
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            found += [f"{name}.{part}" for part in differences(a, b)]
        elif a != b:
            found.append(f"{name}: {_short(a)} → {_short(b)}")
    return found


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def again(path: Path, reason: str) -> None:
    """Says on standard error that what lies at `path` is made again, and why, in one line."""
    print(f"{AGAIN}{path.parent.name}/{path.name}: {' '.join(reason.split())}", file=sys.stderr, flush=True)


def stale(path: Path, depends: dict) -> str:
    """Why the artefact in folder `path` cannot be used for `depends`: what changed, or which file was altered; else empty."""
    try:
        changed = differences(intact(path)["depends"], depends)
    except StaleArtefact as e:
        return str(e)
    return "; ".join(changed)


def intact(path: Path) -> dict:
    """The meta of the artefact in folder `path`, after checking that its files are as they were written.

    Raises StaleArtefact naming the file otherwise.
    """
    meta = _meta(path)
    for name, digest in meta["files"].items():
        if not (path / name).is_file() or sha256(path / name) != digest:
            raise StaleArtefact(f"{path / name} is missing or was altered after it was made; {REMAKE}")
    return meta


def _meta(path: Path) -> dict:
    """The meta of an artefact: `depends`, `files` and `made`, each a dict.  Raises StaleArtefact if it is not that."""
    content = read_json(path / META)
    parts = ("depends", "files", "made")
    if not isinstance(content, dict) or not all(isinstance(content.get(part), dict) for part in parts):
        raise StaleArtefact(f"{path / META} is not an artefact's; {REMAKE}")
    return content


def made(path: Path, depends: dict, build: Callable[[Path], dict | None]) -> Path:
    """The folder `path`, built by `build(empty folder)` unless it is there already.

    `depends` (JSON) is what it is made from, its code among it: kept in its `meta.json` and compared
    at every later use.  If anything differs, or the folder was altered, it is built again, and takes
    the old one's place when it is whole.  `build` may return a dict that is kept as `made` in the
    meta.  Two processes that want the same folder: one builds, the other waits and uses it.

    Raises StorageError if the folder cannot be written.
    """
    path = Path(path)
    depends = json.loads(json.dumps(depends))
    with lock(path):
        if path.exists():
            reason = stale(path, depends)
            if not reason:
                return path
            again(path, reason)
        for left in path.parent.glob(f".{path.name}.part-*"):  # of a process that died
            shutil.rmtree(left, ignore_errors=True)
        with storage_errors(path):
            room = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.part-"))
            try:
                with storage_errors(path):  # while what there is of it still takes its space
                    notes = build(room) or {}
                files = {str(f.relative_to(room)): sha256(f) for f in sorted(room.rglob("*")) if f.is_file()}
                about = {"depends": depends, "files": files, "made": notes, "commit": provenance.commit()}
                write_json(room / META, about)
                os.chmod(room, 0o755)
                replace(room, path)
            except BaseException:
                shutil.rmtree(room, ignore_errors=True)
                raise
    return path


def replace(room: Path, path: Path) -> None:
    """Puts the folder `room` in the place of `path`; what was there is moved aside first, then removed."""
    if path.exists():
        old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.part-"))
        os.rename(path, old / path.name)
        os.rename(room, path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(room, path)


def meta(path: Path) -> dict:
    """The `made` notes of an artefact's meta."""
    return _meta(Path(path))["made"]
