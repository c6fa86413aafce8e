"""Words that may stand for a word: neighbour lists (TextFooler), WordNet (PWWS), and the embedded lexicon (all three)."""

import functools
import re
from collections import defaultdict
from pathlib import Path

from .. import store
from ..errors import BadData, MissingResource

LISTS = "neighbours/euc-top8-d0.7.json"
BOUND = 1 - 0.7**2 / 2
ONE_WORD = re.compile(r"[^\W_]+(?:['\-*@_]+[^\W_]+)*")


class Neighbours:
    """Lists of near words, nearest first, and a cosine for TextFooler's distance constraint.

    The lists carry no distances.  Of two words one of which is listed for the other, `cosine`
    gives `bound`, the least it can be; of a word and itself 1; of any others 0 (not known to be
    near).  For the local lists, unit vectors at most 0.7 apart, the bound is 1 - 0.7² / 2 = 0.755,
    so every listed word meets TextFooler's 0.5.
    """

    def __init__(self, lists: dict[str, list[str]], bound: float):
        self.lists, self.bound = lists, bound
        self.known = lists.keys() | {n for near in lists.values() for n in near}

    def __contains__(self, word: str) -> bool:
        return word in self.known

    def __call__(self, word: str) -> list[str]:
        """Neighbours of a lower-case word, nearest first, never the word itself."""
        return [n for n in self.lists.get(word, ()) if n != word]

    def cosine(self, a: str, b: str) -> float:
        """The least that the cosine of the two words can be."""
        if a == b:
            return 1.0
        return self.bound if b in self.lists.get(a, ()) or a in self.lists.get(b, ()) else 0.0

    def distance(self, a: str, b: str) -> float:
        """The most that the squared Euclidean distance of the two words' unit vectors can be, 2 for words not known to be near.

        At most 0.7² = 0.49 for listed words, within the 0.5 that genetic attacks allow.
        """
        return 2 - 2 * self.cosine(a, b)


def _words(value) -> bool:
    return isinstance(value, list) and all(isinstance(w, str) for w in value)


def read_lists(data: Path) -> Neighbours:
    """The local neighbour lists: up to 8 words within Euclidean distance 0.7 in counter-fitted space (Zhou et al. 2021).

    Chosen over `counterfitted_neighbors.json` because it covers the whole counter-fitted vocabulary
    (65,713 words against 49,975) and states its distance bound, which the constraint needs.
    Raises MissingResource if the file is not there, BadData if it is not {word: [words]}.
    """
    path = data / LISTS
    if not path.is_file():
        raise MissingResource(f"TextFooler's local neighbours need {path}, which is not there")
    lists = store.read_json(path, BadData, "it should be JSON of words and their neighbours")
    if not isinstance(lists, dict) or not all(map(_words, lists.values())):
        raise BadData(f"{path}: not JSON of words and their neighbours; a word's neighbours must be a list of words")
    return Neighbours(lists, BOUND)


@functools.lru_cache(1 << 16)
def _wordnet(word: str) -> tuple[str, ...]:
    from nltk.corpus import wordnet

    found = {lemma for synset in wordnet.synsets(word, lang="eng") for lemma in synset.lemma_names(lang="eng")}
    return tuple(sorted(w for w in found if w != word and "_" not in w and ONE_WORD.fullmatch(w)))


def wordnet_substitutes(word: str) -> list[str]:
    """What TextAttack's WordSwapWordNet offers for `word`: lemmas of all its synsets that are one word.

    Sorted: TextAttack's order is that of a set, which differs from process to process.
    """
    return list(_wordnet(word))


class Lexicon:
    """The embedded lexicon as the resource of all three attacks; words are exchanged as they stand there."""

    def __init__(self, concepts):
        """`concepts`: objects with `name`, `pos` (noun, verb, adj, adv) and `words`, as `embedded.lexicon()` gives."""
        self.groups = [(c.name, c.pos, tuple(c.words)) for c in concepts]
        self.others = defaultdict(dict)
        self.concepts = defaultdict(list)
        for name, pos, group in self.groups:
            for word in group:
                others = self.others[word].setdefault(pos, [])
                others += [w for w in group if w != word and w not in others]
                self.concepts[word].append(name)

    def neighbours(self) -> Neighbours:
        """Every other word of a word's groups; a nominal cosine of 1 within a group."""
        return Neighbours({word: self.substitutes(word) for word in self.others}, 1.0)

    def substitutes(self, word: str) -> list[str]:
        """Every other word of the groups of `word`, of any part of speech."""
        by = self.others.get(word.lower(), {})
        return list(dict.fromkeys(w for pos in sorted(by) for w in by[pos]))

    def parts_of_speech(self, word: str) -> list[str]:
        """The parts of speech of `word` in the lexicon, as it lists them."""
        return list(self.others.get(word.lower(), {}))

    def table(self) -> dict[str, dict[str, list[str]]]:
        """{word: {part of speech: [words]}}, the form of PSO's candidates."""
        return {word: {pos: list(words) for pos, words in by.items()} for word, by in self.others.items()}
