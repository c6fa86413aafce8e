"""The embedded corpora: short reviews of two classes and first-person sentences of six, written by a small grammar.

A text is grown from a template of `grammar`, such as "the {ASPECT} is {DEGREE} {ADJ}".  The words of a concept are
Zipf-distributed, so that the last words of a group are seldom or never seen in training.  The label follows what a
reader understands, not which words occur: negation flips ("anything but dull"), and of two clauses that disagree the
main one counts, which is the one after "but", or the one that does not begin with "although" or "even though".
"""

import random
import re
from bisect import bisect
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate

from ..catalog import DATASETS, EMOTIONS
from ..errors import BadData, UnknownName
from . import grammar

SIZES = {"train": 5000, "validation": 300, "test": 400}
LABEL_NOISE = 0.03  # share of training labels replaced by another class; validation and test labels are all right
ZIPF = 2.6  # the k-th word of a group has a weight of k to the power -2.6
NEGATION = 0.16  # share of the clauses of a review that negate, a quarter of it where clauses disagree
USUAL = 0.75  # share of the negations that praise or blame in the words mostly used for it
CONTRAST = 0.2  # share of the reviews whose clauses disagree
MIXED = 0.4  # share of the emotion sentences that name another emotion too
POS = ("noun", "verb", "adj", "adv")
CLASSES = (*DATASETS["embedded"].labels, *EMOTIONS, "neutral")


@dataclass(frozen=True)
class Concept:
    """A group of synonyms, most common first; `cls` is the class they speak for, or "neutral"."""

    name: str
    pos: str
    cls: str
    words: tuple[str, ...]


def parse_lexicon(text: str, where: str = "lexicon.tsv") -> tuple[Concept, ...]:
    """The groups in the text of a lexicon file, whose first comment describes the format.

    Raises BadData with `where` and the line's number if a line is not of that format.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 4 or fields[1] not in POS or fields[2] not in CLASSES or not fields[3].split():
            raise BadData(f"{where}, line {number}: {line!r} is not concept, part of speech, class and words")
        found.append(Concept(fields[0], fields[1], fields[2], tuple(fields[3].split())))
    return tuple(found)


@cache
def lexicon() -> tuple[Concept, ...]:
    """The groups of `lexicon.tsv`, in the order of the file."""
    return parse_lexicon(files(__package__).joinpath("lexicon.tsv").read_text("utf-8"))


@cache
def concepts() -> dict[str, Concept]:
    """The groups of the lexicon by name."""
    return {c.name: c for c in lexicon()}


@cache
def cumulative(n: int, exponent: float) -> tuple[float, ...]:
    """The sums of the first 1, 2 ... `n` weights, the k-th of which is k to the power -`exponent`."""
    return tuple(accumulate(k**-exponent for k in range(1, n + 1)))


class Writer:
    """Grows texts from templates; two writers with the same `seed` write the same."""

    def __init__(self, seed: str):
        self.random = random.Random(seed).random  # of Python's generator, only this is the same in every version

    def chance(self, share: float) -> bool:
        """True in this share of calls."""
        return self.random() < share

    def pick(self, items):
        """One of a sequence, each as likely."""
        return items[int(self.random() * len(items))]

    def common(self, items, exponent: float):
        """One of a sequence, the k-th with a weight of k to the power -`exponent`."""
        limits = cumulative(len(items), exponent)
        return items[bisect(limits, self.random() * limits[-1], hi=len(items) - 1)]

    def word(self, concept: str) -> str:
        """A word of a concept of the lexicon, the first the most likely."""
        return self.common(concepts()[concept].words, ZIPF)

    def fill(self, template: str, rules: dict[str, tuple[str, ...]]) -> str:
        """The template with each name in braces grown into words."""

        def grow(match):
            name = match[1]
            if name not in rules:
                return self.word(name)
            exponent = grammar.RANKED.get(name, 0)
            return self.fill(self.common(rules[name], exponent), rules)

        return re.sub(r"\{(\w+)\}", grow, template)


@cache
def names(concepts: str) -> tuple[str, ...]:
    """The templates of concepts separated by spaces, or of rules."""
    return tuple(f"{{{concept}}}" for concept in concepts.split())


def tidy(text: str) -> str:
    """The text with single spaces, no comma before a full stop or the end, and "an" where it is spoken so."""
    text = re.sub(r" ,(?= [.,]|$)", "", " ".join(text.split()))
    return re.sub(r"\ba(?= (?!us|un[ai][^nm]|eu)[aeiou]| hon| hour)", "an", text)


@cache
def clause_rules(kind: str, whole: str, aspect: tuple[str, ...], side: int) -> dict[str, tuple[str, ...]]:
    """The rules of a clause of `side` (1 positive, 0 negative) on one aspect of what is reviewed."""
    subject, people = grammar.SUBJECTS[kind], "people" in aspect[0].split()
    rules = {"WHOLE": names(whole), "ASPECT": names(aspect[1]), "DEGREE": grammar.DEGREES, "GOT": names(subject.got)}
    for prefix, take in (("", 1 - side), ("UN_", side)):
        rules[prefix + "ANY"] = names(grammar.ANYTHING[take])
        rules[prefix + "FIT"] = names(aspect[2 + take])
        rules[prefix + "ADJ"] = names(f"{prefix}ANY {prefix}FIT")
        rules[prefix + "CHARM"] = names((subject.merits, subject.faults)[take])
        rules |= {prefix + role: names(words[take]) for role, words in grammar.SIDES.items()}
    rules["IMPRESSED"] += names(subject.effect) if side == 0 else ()
    rules["UN_IMPRESS"] += names(subject.effect_base) if side == 1 else ()
    rules["DONE_WELL"] = ("did everything {WELL}" if people else "is {WELL} {made}",)
    rules["DONE_NOT_WELL"] = ("did nothing {UN_WELL}" if people else "is not {UN_WELL} {made}",)
    return rules


def clause(writer: Writer, rules: dict, side: int, negation: float) -> str:
    """One clause of `side`, this share of them by negation."""
    if writer.chance(negation):
        usual, unusual = grammar.NEGATED if side else grammar.NEGATED[::-1]
        forms = (usual if writer.chance(USUAL) else unusual) + grammar.NEGATED_ONLY[1 - side]
    else:
        forms = grammar.PLAIN + grammar.PLAIN_ONLY[1 - side]
    return writer.fill(writer.pick(forms), rules)


def review(writer: Writer, side: int) -> str:
    """A review of one or two clauses; `side` is its label (1 positive, 0 negative)."""
    kind = writer.pick(tuple(grammar.SUBJECTS))
    whole = writer.pick(grammar.SUBJECTS[kind].names.split())
    fitting = [row for row in grammar.ASPECTS if kind in row[0].split() for _ in row[1].split()]
    first = writer.pick(fitting)
    second = writer.pick([row for row in fitting if row is not first])
    contrast = writer.chance(CONTRAST)
    text = writer.pick(grammar.DISAGREEING if contrast else grammar.AGREEING)
    text = writer.pick(grammar.OPENINGS) + " " + text if writer.chance(0.2) else text
    text = text + " " + writer.pick(grammar.CLOSINGS) if writer.chance(0.1) else text
    rules = clause_rules(kind, whole, first, side)
    for part, aspect, own in (("MAIN", first, side), ("SAME", second, side), ("OTHER", second, 1 - side)):
        if part in text:
            words = clause(writer, clause_rules(kind, whole, aspect, own), own, NEGATION / (4 if contrast else 1))
            rules = rules | {part: (words,)}
    return tidy(writer.fill(text, rules) + " .")


@cache
def emotion_rules(emotion: str) -> dict[str, tuple[str, ...]]:
    """The words of an emotion, and under OTHER those of all the others."""
    adjectives = {e: tuple(f"{{{c.name}}}" for c in lexicon() if c.cls == e and c.pos == "adj") for e in EMOTIONS}
    nouns = {e: names(grammar.EMOTION_WORDS[e][0]) for e in EMOTIONS}
    return grammar.EMOTION_RULES | {
        "ADJ": adjectives[emotion],
        "NOUN": nouns[emotion],
        "ACT": grammar.EMOTION_WORDS[emotion][1],
        "OTHER": tuple(a for e in EMOTIONS if e != emotion for a in adjectives[e]),
        "OTHER_NOUN": tuple(n for e in EMOTIONS if e != emotion for n in nouns[e]),
    }


def feeling(writer: Writer, label: int) -> str:
    """A first-person sentence whose writer feels emotion number `label`."""
    template = writer.pick(grammar.MIXED_FEELINGS if writer.chance(MIXED) else grammar.FEELINGS)
    return tidy(writer.fill(template, emotion_rules(EMOTIONS[label])) + " .")


WRITERS = {"embedded": review, "embedded-emotion": feeling}


def sentences(name: str, seed: int, count: int) -> list[tuple[str, int]]:
    """`count` distinct texts of 5 to 25 words with their true labels, classes about equally frequent."""
    writer, found = Writer(f"{name} {seed}"), {}
    while len(found) < count:
        label = int(writer.random() * len(DATASETS[name].labels))
        text = WRITERS[name](writer, label)
        if 5 <= len(re.findall(r"\w+", text)) <= 25:
            found.setdefault(text, label)
    return list(found.items())


def generate(name: str, seed: int = 0) -> dict[str, list[tuple[str, int]]]:
    """The splits of an embedded dataset: lists of (text, label), sizes as in `SIZES`, no text twice.

    `LABEL_NOISE` of the training labels are another class, drawn at random; validation and test labels are true.
    Raises UnknownName if `name` is not an embedded dataset.
    """
    if name not in WRITERS:
        raise UnknownName("embedded dataset", name, WRITERS)
    found, splits, start = sentences(name, seed, sum(SIZES.values())), {}, 0
    for split, size in SIZES.items():
        splits[split] = found[start : start + size]
        start += size
    noise, classes = Writer(f"{name} {seed} noise"), len(DATASETS[name].labels)
    for i, (text, label) in enumerate(splits["train"]):
        if noise.chance(LABEL_NOISE):
            splits["train"][i] = (text, (label + 1 + int(noise.random() * (classes - 1))) % classes)
    return splits
