"""Executable classifiers by their folder: opened, or the one that this process has at hand; told apart by a digest."""

import os
from functools import lru_cache
from pathlib import Path

from .. import store
from ..errors import BadCheckpoint
from . import batching, ensembles, victim, weights

OPEN = 8
"""Classifiers that a process keeps at hand."""


def load(path: Path, threads: int = 1, device: str = "cpu"):
    """The classifier in folder `path`, a `victim.Victim` or an `ensembles.Ensemble`, with `threads` threads inside an operation,
    asked on `device` where it can be (`batching.place`).

    Raises BadCheckpoint naming the file if one is missing or unreadable, or the member of an
    ensemble that is not the one that it was made of.
    """
    path = Path(path)
    made_of = _members(path)
    if not made_of:
        return _open(path, threads, device)
    members = [_open(path.parent / member["folder"], threads, device) for member in made_of["members"]]
    for member, about in zip(members, made_of["members"], strict=True):
        if member.digest != about["digest"]:
            raise BadCheckpoint(f"{member.path} has changed since {path} was made of it; delete {path}")
    return ensembles.Ensemble(path, made_of["rule"], members, made_of["seed"])


def _open(path: Path, threads: int, device: str) -> victim.Victim:
    """A Victim, the one that this process has at hand if its files and what decides on its kernel are as they were."""
    files = [path / name for name in ("model.onnx", weights.FILE, "tokenizer.json", "variant.json")]
    seen = [(name.name, store.sha256(name)) for name in files if name.is_file()]
    return _opened(path.absolute(), threads, device, tuple(seen), batching.saturates(), os.environ.get("QRSUPPORT_ALONE"))


@lru_cache(OPEN)
def _opened(path: Path, threads: int, device: str, *seen) -> victim.Victim:
    return victim.Victim(path, threads, device=device)


def _members(path: Path) -> dict:
    """What variant.json in folder `path` says of an ensemble: rule, seed, members; empty if it is none."""
    if not (path / "variant.json").is_file():
        return {}  # Victim says what is missing
    content = store.read_json(path / "variant.json", BadCheckpoint, f"delete {path}")
    if not isinstance(content, dict) or "members" not in content:
        return {}
    try:
        members = [{key: str(member[key]) for key in ("folder", "digest")} for member in content["members"]]
        if any(Path(member["folder"]).name != member["folder"] or not member["folder"] for member in members):
            raise ValueError("a member is not a folder beside it")
        return {"rule": str(content["rule"]), "seed": int(content["seed"]), "members": members}
    except (ValueError, KeyError, TypeError, OverflowError) as e:
        raise BadCheckpoint(f"{path / 'variant.json'} is not an ensemble's ({e}); delete {path}") from e


def digest(path: Path) -> str:
    """The digest of the classifier in folder `path`, without opening it: `weights.digest`, or `Ensemble.digest`."""
    made_of = _members(Path(path))
    if not made_of:
        return weights.digest(Path(path))
    members = [weights.digest(Path(path).parent / member["folder"]) for member in made_of["members"]]
    return ensembles.digest(made_of["rule"], made_of["seed"], members)
