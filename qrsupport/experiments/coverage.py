"""What our lists of candidates leave out: the share of published substitutions that they hold.

Published attack logs hold each text before and after, with the words that changed in [[brackets]].
A log says which resource its candidates came from; a substitution in it is held if one of our lists
offers the new word for the old.  Only the substitutions that a search settled on are in a log, not all
that it could have tried.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import offline, store
from ..errors import BadData, MissingResource
from ..lexicons import sememes, sources, thesaurus

CHANGED = re.compile(r"\[\[(.*?)\]\]")
LOGS = {"embedding": "counter-fitted vectors", "wordnet": "WordNet", "hownet": "HowNet"}
"""The resource that the candidates of a log came from, by the beginning of its name."""
OTHER_LISTS = "neighbours/counterfitted_neighbors.json"
MOST = 8
"""Neighbours that either list has of a word at most."""


@dataclass(frozen=True)
class Pair:
    """A text before and after an attack, with the words that changed, in order."""

    before: str
    after: str
    swaps: tuple[tuple[str, str], ...]
    succeeded: bool


def read_log(path: Path) -> list[Pair]:
    """The pairs of texts of a log as TextAttack writes it, without those that were skipped.

    Raises BadData, with file and line, for a row that lacks a column or whose changed words do not pair up.
    """
    found = []
    with open(path, encoding="utf-8", newline="") as f:
        rows = csv.DictReader(f)
        for row in rows:
            try:
                texts, result = (row["original_text"], row["perturbed_text"]), row["result_type"]
                old, new = (CHANGED.findall(text) for text in texts)
                swaps = tuple(zip(old, new, strict=True))
            except (KeyError, TypeError, ValueError) as e:
                raise BadData(f"{path}:{rows.line_num}: not a row of an attack log ({e})") from e
            if result != "Skipped":
                before, after = (CHANGED.sub(r"\1", text) for text in texts)
                found.append(Pair(before, after, swaps, result == "Successful"))
    return found


def logs(folder: Path, *beginnings: str) -> dict[str, list[Pair]]:
    """The logs (*.csv) in a folder whose names begin so, by name.  Raises MissingResource if there is none."""
    paths = [path for path in sorted(folder.glob("*.csv")) if path.stem.startswith(beginnings)]
    if not paths:
        raise MissingResource(f"{folder} holds no attack log (*.csv) whose name begins with {' or '.join(beginnings)}")
    return {path.stem: read_log(path) for path in paths}


def neighbour_lists() -> tuple[dict, dict]:
    """{word: its neighbours}: the lists that are used, and those that are not."""
    data, _ = sources.data_files(thesaurus.LISTS, OTHER_LISTS)
    return thesaurus.read_lists(data).lists, store.read_json(data / OTHER_LISTS, BadData, "restore it")


def lists() -> dict[str, dict[str, Callable[[str], set[str]]]]:
    """For each resource of `LOGS` our lists in its place: what each offers for a lower-case word.

    Raises MissingResource if one is not at hand.
    """
    first, other = neighbour_lists()
    wordnet, hownet = sources.LOADERS["local"]["substitutes"]()[0], sources.LOADERS["local"]["sememes"]()[0]
    near = {
        "8 neighbours, Zhou et al. 2021 (used)": lambda word: set(first.get(word, ())),
        "8 neighbours, Jia et al. 2019": lambda word: set(other.get(word, ())),
        "both together": lambda word: {*first.get(word, ()), *other.get(word, ())},
    }
    return {
        "embedding": near,
        "wordnet": {"WordNet 3.0 (used)": lambda word: {w.lower() for w in wordnet(word)}},
        "hownet": {"approximation (used)": lambda word: {w for pos in sememes.UNIVERSAL for w in hownet(word, pos)}},
    }


def held(swaps, offers: Callable[[str], set[str]]) -> dict[str, int]:
    """Of substitutions (old, new): `n`, `held` (the list offers the new word), `listed` (it offers any word); the
    same over distinct ones, `n_distinct` and `held_distinct`."""
    lower = [(old.lower(), new.lower()) for old, new in swaps]
    offered = {old: offers(old) for old in {old for old, _ in lower}}
    distinct = set(lower)
    return {
        "n": len(lower),
        "held": sum(new in offered[old] for old, new in lower),
        "listed": sum(bool(offered[old]) for old, _ in lower),
        "n_distinct": len(distinct),
        "held_distinct": sum(new in offered[old] for old, new in distinct),
    }


def beyond() -> dict[str, int]:
    """What the neighbour list that is not used would add to the one that is: `words` of how many `lists`, and how many
    of them lie `beyond` the distance that the used one keeps: it has room for them and does not list them.

    Raises MissingResource or BadData as `lists`.
    """
    used, other = neighbour_lists()
    added = [(word, near) for word, found in other.items() for near in found if near not in used.get(word, ())]
    far = sum(len(used.get(word, ())) < MOST for word, _ in added)
    return {"words": len(added), "lists": len({word for word, _ in added}), "beyond": far}


def measure(folder: Path) -> list[dict]:
    """A row a log in `folder` and list of ours in the place of its resource: `log`, `resource`, `list`, and `held`.

    Raises MissingResource if there are no logs or a list is not at hand, BadData for a malformed log.
    """
    offline.nltk_path()
    found, ours = logs(folder, *LOGS), lists()
    rows = []
    for name, pairs in found.items():
        kind = name.partition("-")[0]
        swaps = [swap for pair in pairs for swap in pair.swaps]
        for title, offers in ours[kind].items():
            rows.append({"log": name, "resource": LOGS[kind], "list": title, **held(swaps, offers)})
    return rows
