"""Classifiers made of others: one answer from the answers of several variants.

A rule is one function here and a line in `RULES`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import config
from ..errors import BadCheckpoint
from . import victim

LEAST = 1e-30
"""Probabilities are at least this before their logarithm is taken."""


class Ensemble:
    """Asks its members and combines their answers; looks like a `victim.Victim`.

    `members` are victims with the same labels.  `bytes` is the members' sum, `digest` covers the
    members' digests, the rule and the seed.
    """

    def __init__(self, path: Path, rule: str, members: Sequence, seed: int = 0):
        self.path, self.rule, self.members, self.seed = Path(path), rule, list(members), seed
        if rule not in RULES:
            raise BadCheckpoint(f"{path} has the unknown rule {rule!r}; it must be one of {', '.join(RULES)}")
        same_labels(self.members)
        first = self.members[0]
        self.labels: tuple[str, ...] = first.labels
        self.max_length: int = min(m.max_length for m in self.members)
        self.bytes: int = sum(m.bytes for m in self.members)
        self.digest: str = digest(rule, seed, [m.digest for m in self.members])

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Logits, shape (len(texts), classes), float32: the logarithm of the combined probabilities."""
        found = RULES[self.rule](self, list(texts)) if len(texts) else np.zeros((0, len(self.labels)))
        return np.log(np.maximum(found, LEAST)).astype(np.float32)

    def each(self, texts: Sequence[str]) -> np.ndarray:
        """Every member's probabilities, shape (members, len(texts), classes), float64."""
        return np.stack([victim.probabilities(member(texts)) for member in self.members])

    def truncated(self, text: str) -> bool:
        """Whether any member does not read the end of the text."""
        return any(member.truncated(text) for member in self.members)


def digest(rule: str, seed: int, members: list[str]) -> str:
    """The digest of an ensemble of members with these digests."""
    return config.key([rule, seed, members])


def same_labels(members: Sequence) -> None:
    """Raises BadCheckpoint naming two of the classifiers if they have different labels, or if there is none."""
    if not members:
        raise BadCheckpoint("an ensemble needs at least one member")
    for other in members[1:]:
        if other.labels != members[0].labels:
            raise BadCheckpoint(
                f"members of an ensemble have different labels: {members[0].path.name} has {list(members[0].labels)}, "
                f"{other.path.name} has {list(other.labels)}; combine variants of one data set"
            )


def mean(ensemble: Ensemble, texts: list[str]) -> np.ndarray:
    """The mean of the members' probabilities."""
    return ensemble.each(texts).mean(0)


def vote(ensemble: Ensemble, texts: list[str]) -> np.ndarray:
    """Votes and mean probability of each class, added and divided by members + 1.

    The class with most votes wins, because mean probabilities differ by less than one vote; among
    classes with as many votes that with the higher mean probability; if these are equal too, the
    first in class order.
    """
    each = ensemble.each(texts)
    votes = np.eye(each.shape[2])[each.argmax(2)].sum(0)
    return (votes + each.mean(0)) / (len(each) + 1)


def random(ensemble: Ensemble, texts: list[str]) -> np.ndarray:
    """The probabilities of one member, drawn for each text from the ensemble's seed and the text.

    So the same text always asks the same member: answers can be reproduced, and an adversary
    gains nothing by asking twice.
    """
    drawn = np.array([chosen(ensemble.seed, text, len(ensemble.members)) for text in texts])
    found = np.zeros((len(texts), len(ensemble.labels)))
    for i, member in enumerate(ensemble.members):
        places = np.flatnonzero(drawn == i)
        if len(places):
            found[places] = victim.probabilities(member([texts[j] for j in places]))
    return found


def chosen(seed: int, text: str, n: int) -> int:
    """A number below `n`, as good as random, that depends on seed and text alone."""
    content = f"{seed}:{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") % n


RULES = {"mean": mean, "vote": vote, "random": random}
