"""Parts of speech: `tag(words)` gives one universal tag a word, whatever its source."""

import functools
import itertools
import re
from typing import NamedTuple

from .perceptron import Perceptron

UNIVERSAL = {"noun": "NOUN", "verb": "VERB", "adj": "ADJ", "adv": "ADV"}

CLOSED = {
    "DET": "a an the this that these those some any no every each all both another such which what whose either neither",
    "PRON": "i you he she it we they me him her us them myself yourself himself herself itself ourselves themselves who "
    "whom something anything nothing everything someone anyone everyone nobody mine yours hers ours theirs one",
    "ADP": "of in on at by for with without from into onto about over under above below between among during before after "
    "against through across along around behind beside near since until than as like despite except towards upon via off",
    "CONJ": "and or but nor yet because although though while whereas if unless when where whether so",
    "PRT": "to up out n't 's",
    "VERB": "am is are was were be been being do does did done have has had having can could may might must shall should "
    "will would ought isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't can't cannot couldn't won't "
    "wouldn't shouldn't i'm i've i'd i'll you're it's he's she's we're they're that's there's",
    "ADV": "not never very too so quite rather really just only even still already always often sometimes again here there "
    "now then almost also ever",
    "NUM": "two three four five six seven eight nine ten hundred thousand million",
}
TAGS = {word: tag for tag, words in CLOSED.items() for word in words.split()}
TAGS |= dict.fromkeys(("my", "your", "his", "its", "our", "their"), "PRON")
SUFFIXES = (
    ("ADV", ("ly",)),
    ("NOUN", ("ness", "ment", "tion", "sion", "ity", "ship", "ism", "ist", "ance", "ence", "er", "or")),
    ("ADJ", ("ous", "ful", "less", "able", "ible", "ive", "ic", "ish", "al", "ant", "ent")),
    ("VERB", ("ing", "ed", "ize", "ise", "ify")),
)
BEFORE_VERB = {
    "to",
    "not",
    "i",
    "you",
    "he",
    "she",
    "it",
    "we",
    "they",
    "can",
    "could",
    "will",
    "would",
    "must",
    "should",
}
BEFORE_NOUN = {"a", "an", "the", "this", "that", "my", "your", "his", "her", "its", "our", "their", "every", "of", "no"}


class Dictionary:
    """Tags by the lexicon, closed-class lists, suffixes, and for a word of several parts of speech the word before it.

    Right where it matters here: two words of one lexicon group get one tag in the same place.
    """

    def __init__(self, parts_of_speech):
        self.parts_of_speech = parts_of_speech

    def __call__(self, words: list[str]) -> list[str]:
        """Universal tags (NOUN, VERB, ADJ, ...), as many as words."""
        return [self._tag(word.lower(), previous.lower()) for previous, word in itertools.pairwise(["", *words])]

    def _tag(self, word: str, previous: str) -> str:
        own = [UNIVERSAL[pos] for pos in self.parts_of_speech(word)]
        if len(own) > 1 and previous in BEFORE_VERB and "VERB" in own:
            return "VERB"
        if len(own) > 1 and previous in BEFORE_NOUN and "NOUN" in own:
            return "NOUN"
        return own[0] if own else TAGS.get(word) or _shape(word)


def _shape(word: str) -> str:
    """The tag of an unknown word by its form: digits, none but signs, a suffix, else NOUN."""
    if not re.search(r"[^\W_]", word):
        return "."
    if word[0].isdigit():
        return "NUM"
    return next((tag for tag, ends in SUFFIXES if len(word) > 4 and word.endswith(ends)), "NOUN")


class Label(NamedTuple):
    """What a tagger of names says of a word: S-PER, B-PER, E-PER, S-LOC, B-LOC, I-LOC, E-LOC or O, and how sure it is."""

    value: str
    score: float = 1.0


class Entities:
    """Finds names of persons and places by lists: words written as there, with a capital letter.

    A first name alone is a person (S-PER), with any listed last name after it a person's full name
    (B-PER, E-PER).  Of places, the longest wins.
    """

    def __init__(self, first, last, places):
        self.first, self.last = frozenset(first), frozenset(last)
        self.places = frozenset(tuple(place.split()) for place in places)
        self.longest = max(map(len, self.places), default=0)

    def __call__(self, words: list[str]) -> list[Label]:
        """One label a word."""
        found, at = [], 0
        while at < len(words):
            found += self._from(words[at:])
            at = len(found)
        return found

    def _from(self, words: list[str]) -> list[Label]:
        """The labels of the name that `words` begin with, or that of one word outside any."""
        for length in range(min(self.longest, len(words)), 0, -1):
            if tuple(words[:length]) in self.places:
                return _span("LOC", length)
        if words[0] not in self.first:
            return [Label("O")]
        return _span("PER", 2 if len(words) > 1 and words[1] in self.last else 1)


def _span(kind: str, length: int) -> list[Label]:
    marks = ["S"] if length == 1 else ["B", *["I"] * (length - 2), "E"]
    return [Label(f"{mark}-{kind}") for mark in marks]


@functools.lru_cache(1)
def perceptron() -> Perceptron:
    """NLTK's averaged perceptron with universal tags: TextFooler's tagger, and here PSO's in flair's place."""
    return Perceptron()
