"""Records: the outcome of one attack on one example, or of one replay, and the line that each is stored in."""

import enum
import functools
import json
import types
import typing
from dataclasses import asdict, dataclass, field

from . import config, store
from .errors import StaleArtefact

GIVEN = "setting"
"""The field of a record that is not stored in its line."""


class Status(str, enum.Enum):
    """How an attack on an example ended; `remedy` says what it means and what to do."""

    succeeded = "succeeded"
    failed = "failed"
    skipped = "skipped"
    error = "error"

    @property
    def remedy(self) -> str:
        return {
            Status.succeeded: "the attack found a text that the classifier gets wrong",
            Status.failed: "the search ended (or its query budget did) without fooling the classifier",
            Status.skipped: "the classifier was wrong before the attack: nothing to attack, counts as wrong",
            Status.error: "the attack raised an error, named in the note: mend its cause and rerun",
        }[self]


@dataclass(frozen=True)
class Record:
    """One attack on one example.

    Probabilities are lists in class order.  `margin` is the lead in probability that the attack had
    to reach; `joint` names further variants that it had to fool at the same time (labels and
    probabilities are then those of the variant hardest to fool), `spare` those that still had to give the label
    (of one that is, the label's and the best other class's are exchanged), `ranking` the variant by which words were
    ranked, `restart` the random state.  `queries` is TextAttack's count (cache hits
    included), `evaluations` the number of distinct texts the model was asked.  `similarity` is
    the resource set's sentence encoder's angular similarity (1 - angle / pi) of `text` and
    `perturbed`, None where there is no encoder.  `execution` of the variant is "kernel", or
    "simulated" where its widths have none, or "emulated" where its integers are computed otherwise.
    `timing` (seconds, host, start) is the only field that differs between two runs of the same thing.
    `setting` is not stored: `runs.load` gives it.
    """

    example: str
    position: int
    dataset: str
    backbone: str
    seed: int
    variant: str
    attack: str
    resources: str
    attack_seed: int
    status: Status
    label: int
    before: int | None = None
    after: int | None = None
    probabilities_before: list[float] | None = None
    probabilities_after: list[float] | None = None
    text: str = ""
    perturbed: str = ""
    words: int = 0
    words_changed: int = 0
    similarity: float | None = None
    queries: int = 0
    evaluations: int = 0
    truncated: bool = False
    query_budget: int = 0
    margin: float = 0.0
    joint: str = ""
    spare: str = ""
    ranking: str = ""
    restart: int = 0
    engine: str = "qrsupport"
    execution: str = "kernel"
    note: str = ""
    made_by: str = ""
    timing: dict = field(default_factory=dict)
    setting: str = ""


@dataclass(frozen=True)
class Replay:
    """A target's answer to one member of a source's adversarial set.

    `status` is the source's; `clean` and `replayed` are the target's labels for the original and
    for the member of the adversarial set (the perturbed text if the attack succeeded, else the
    original).  `execution` is the target's: "kernel", "simulated" or "emulated".
    """

    example: str
    position: int
    dataset: str
    backbone: str
    seed: int
    source: str
    target: str
    attack: str
    resources: str
    attack_seed: int
    status: Status
    label: int
    clean: int
    replayed: int
    probabilities_clean: list[float]
    probabilities_replayed: list[float]
    query_budget: int = 0
    margin: float = 0.0
    joint: str = ""
    spare: str = ""
    ranking: str = ""
    restart: int = 0
    execution: str = "kernel"
    made_by: str = ""
    timing: dict = field(default_factory=dict)
    setting: str = ""


def to_line(record: Record | Replay) -> str:
    """The record as one line of ASCII JSON, without a newline; of the parameters in `config.LATER` those that were set."""
    content = asdict(record)
    for name in (GIVEN, *(name for name in config.LATER if not content[name])):
        del content[name]
    return json.dumps(content, ensure_ascii=True)


def from_line(line: str, kind: type, where: str = "line") -> Record | Replay:
    """The record on a line; `where` is named in errors.

    Raises StaleArtefact if it is not such a record.
    """
    try:
        content = json.loads(line)
        content["status"] = Status(content["status"])
        if GIVEN in content:
            raise TypeError(f"{GIVEN!r} is not stored in it")
        for name, hint in _hints(kind).items():
            if name in content and not _fits(content[name], hint):
                raise TypeError(f"{name} cannot be {content[name]!r}")
        return kind(**content)
    except (ValueError, TypeError, KeyError, RecursionError) as e:
        raise StaleArtefact(f"{where} is not a {kind.__name__.lower()} ({e}); {store.REMAKE}") from e


_hints = functools.cache(typing.get_type_hints)


def _fits(value, hint) -> bool:
    """Whether a value is of an annotated type, such as `list[float] | None`; every int is a float."""
    if isinstance(hint, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(hint))
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return isinstance(value, list) and all(_fits(v, item) for v in value)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def adversarial_text(record: Record) -> str:
    """The record's member of the adversarial set: the perturbed text if the attack succeeded, else the original."""
    return record.perturbed if record.status is Status.succeeded else record.text
