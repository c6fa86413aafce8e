"""Parameters from a command line or a chapter, the places they name, and the stable identity of a stage."""

import functools
import hashlib
import json
import os
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from . import catalog, project, store
from .errors import BadParameter, UnknownName
from .schema import FIELDS, Attack, Data, FineTuning, Parameters, Place, check, names
from .values import KINDS, is_own, split

OWN = names(Data)[1:]
MODEL = (*names(Data), *names(FineTuning))
ATTACK = names(Attack)
LATER = ("spare", "ranking", "restart")
"""Parameters of an attack that are part of its identity only where they are not the default: a run directory may hold records
of before there were these, which chapter 5 would else take for two runs of one name."""
AIM = ATTACK[ATTACK.index("attack_seed") + 1 :]
"""What an attack has beyond its recipe, words and sample."""
PLACE = names(Place)
ENVIRONMENT = ("QRSUPPORT_RUNS", "QRSUPPORT_DATA", "QRSUPPORT_CACHE")


def parse(name: str, value):
    """`value` of parameter `name` as it is given outside Python, checked: a text, or what papermill makes of one.

    Raises as `check`.
    """
    kind: Any = type(FIELDS[name].default) if name in FIELDS else str
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if kind is str or type(value) is kind:
        return check(name, value)
    try:
        text = str(value)
        return check(name, words[text.lower()] if kind is bool else kind(text))
    except (ValueError, KeyError) as e:
        raise BadParameter(f"{name} must be of type {kind.__name__}, not {value!r}") from e


def settle_places() -> None:
    """Makes the directories that the environment names absolute, before anything runs elsewhere."""
    for name in ENVIRONMENT:
        if os.environ.get(name):
            os.environ[name] = os.path.abspath(os.path.expanduser(os.environ[name]))


def make(**given) -> Parameters:
    """Parameters of everything else: the defaults, changed by what is given, checked before any work.

    Parameters:
        given: names and values, such as `n=10`; `qrsupport list` and the chapters name them all.
    Returns: A frozen `Parameters`: one attribute a parameter. `dataclasses.replace(p, n=20)` gives a changed copy.
    Raises:
        UnknownName: for a name or a choice that does not exist, with the nearest that does.
        BadParameter: for a wrong type, or a number out of its range.
    Example:
        >>> import qrsupport as qr
        >>> p = qr.parameters(backbone="bert-small", train_limit=1200, epochs=3, n=10)
        >>> p.dataset, p.attack, p.n
        ('embedded', 'textfooler', 10)
    """
    return Parameters(**given)


def read(chapter: str, namespace: dict) -> Parameters:
    """The parameters of a chapter, from the variables its `parameters` cell (or papermill) defined.

    Call it in the first cell after `parameters`: any other variable is a misspelt parameter and
    raises UnknownName with a suggestion, before any work.
    """
    settle_places()
    own = project.parameters(chapter)
    ignored = {"In", "Out", "exit", "quit", "open", "get_ipython"}
    given = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in ignored and not callable(value) and not hasattr(value, "__spec__")
    }
    for name in given:
        if name not in own:
            raise UnknownName(f"parameter of the chapter {chapter!r}", name, own)
    return make(**{name: parse(name, value) for name, value in given.items()})


def run_dir(p: Parameters) -> Path:
    """Where this run's artefacts lie."""
    return Path(p.run_dir or os.environ.get("QRSUPPORT_RUNS", "") or project.folder() / "_build" / "runs").absolute()


def settled(p: Parameters) -> Parameters:
    """`p` with what suits the backbone in place of what was left open (-1 epochs or training examples, learning rate 0)."""
    suits = suited(p.backbone, p.dataset)
    return replace(
        p,
        epochs=suits["epochs"] if p.epochs < 0 else p.epochs,
        learning_rate=p.learning_rate or suits["learning_rate"],
        train_limit=suits["train_limit"] if p.train_limit < 0 else p.train_limit,
    )


def suited(backbone: str, dataset: str) -> dict:
    """What suits a backbone: epochs, learning_rate, and train_limit (0: all; less on generated data)."""
    entry = catalog.BACKBONES.get(backbone)
    suits = entry.fine_tuning if entry else catalog.LARGE
    limit = suits.embedded_limit if dataset in catalog.GENERATED else 0
    return {"epochs": suits.epochs, "learning_rate": suits.learning_rate, "train_limit": limit}


def dataset_name(dataset: str) -> str:
    """A dataset's name in ids, records and folders: the user's own get their file's name and a digest of its content
    (a hub id: of the id)."""
    if not is_own(dataset):
        return dataset
    path = Path(dataset)
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in KINDS) if path.is_dir() else [path]
    content = [[f.name, _sha256(f, f.stat().st_mtime_ns, f.stat().st_size)] for f in files if f.is_file()] or dataset
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", path.stem if path.exists() else dataset).strip("-") or "data"
    return f"{stem}-{key(content)[:8]}"


@functools.lru_cache(64)
def _sha256(file: Path, changed: int, size: int) -> str:
    """The digest of a file, computed again when its time of change or its size has changed."""
    return store.sha256(file)


def others(p: Parameters) -> list[str]:
    """The variants beside the one attacked that an attack asks."""
    return [name for name in (*split(p.joint), *split(p.spare), p.ranking) if name not in ("", catalog.RANDOM)]


def identity(p: Parameters, variant: str = "", attack: bool = False) -> dict:
    """The parameters that an artefact depends on: of the checkpoint, with `variant` of that variant, and with `attack`
    of an attack on it (and on those that it must fool at the same time, spare or be ranked by).

    Two artefacts are the same if and only if their identities are.  `n`, `workers`, places and
    the latency's repeats are not part of it: they change how much is done, not what.
    """
    p = settled(p)
    asked = [variant, *others(p)] if attack else [variant] if variant else []
    names = [*MODEL, *(option for name in asked for option in catalog.VARIANTS[name].options)]
    if attack:
        names += [name for name in ATTACK if name not in LATER or getattr(p, name) != FIELDS[name].default]
    values = asdict(p)
    found = {name: values[name] for name in dict.fromkeys(names)} | {"dataset": dataset_name(p.dataset)}
    if not is_own(p.dataset):
        found = {name: value for name, value in found.items() if name not in OWN}
    return found | ({"variant": variant} if variant else {})


def asked(p: Parameters, variant: str, attack: bool = False) -> dict:
    """The parameters that a variant's answers, or an attack on it, depend on: `identity`, and the device if it is not the CPU."""
    return identity(p, variant, attack) | ({} if p.device == FIELDS["device"].default else {"device": p.device})


def key(content) -> str:
    """Twelve hexadecimal digits that name `content` (anything JSON can hold), the same on every machine."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
