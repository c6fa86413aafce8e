"""NLTK's averaged perceptron tagger: the same weights and the same tags, for short contexts that differ in one word.

`nltk.pos_tag` scores every class for every word in dictionaries.  Here the weights of a feature
are one row over the classes, and the tag of a word, which depends on its neighbours and on the two
tags before it, is remembered.  `tests/test_tagging.py` compares the tags with NLTK's.
"""

from functools import lru_cache

import numpy as np


class Perceptron:
    """Universal tags as `nltk.pos_tag(words, tagset="universal")` gives them."""

    def __init__(self):
        from nltk.tag import _get_tagger, map_tag

        tagger = _get_tagger("eng")
        self.start, self.end = list(tagger.START), list(tagger.END)
        self.normalize, self.known = lru_cache(1 << 16)(tagger.normalize), tagger.tagdict
        self.classes = sorted(tagger.classes)
        column = {label: i for i, label in enumerate(self.classes)}
        self.weights = {f: self._row(weights, column) for f, weights in tagger.model.weights.items()}
        self.universal = {label: map_tag("en-ptb", "universal", label) for label in self.classes}
        self.universal |= {t: map_tag("en-ptb", "universal", t) for t in set(self.known.values())}
        self.tag = lru_cache(1 << 17)(self._tag)

    @staticmethod
    def _row(weights: dict, column: dict) -> np.ndarray:
        row = np.zeros(len(column))
        for label, weight in weights.items():
            row[column[label]] = weight
        return row

    def __call__(self, words: list[str]) -> list[str]:
        """One universal tag a word."""
        return self.upto(words, len(words))

    def upto(self, words: list[str], n: int) -> list[str]:
        """The tags of the first `n` words, which do not depend on the words from n + 2 on."""
        context = [*self.start, *map(self.normalize, words), *self.end]
        before, before2 = self.start
        tags = []
        for i, word in enumerate(words[:n]):
            found = self.known.get(word) or self.tag(word, tuple(context[i : i + 5]), before, before2)
            tags.append(self.universal[found])
            before, before2 = found, before
        return tags

    def _tag(self, word: str, context: tuple, before: str, before2: str) -> str:
        """The Penn tag of a word; `context` holds it and two normalized words on either side."""
        far, left, own, right, beyond = context
        features = (
            "bias", f"i suffix {word[-3:]}", f"i pref1 {word[0] if word else ''}", f"i-1 tag {before}",
            f"i-2 tag {before2}", f"i tag+i-2 tag {before} {before2}", f"i word {own}",
            f"i-1 tag+i word {before} {own}", f"i-1 word {left}", f"i-1 suffix {left[-3:]}", f"i-2 word {far}",
            f"i+1 word {right}", f"i+1 suffix {right[-3:]}", f"i+2 word {beyond}",
        )  # fmt: skip
        scores = np.zeros(len(self.classes))
        for feature in features:  # one by one, in NLTK's order: the sums are the same to the last bit
            row = self.weights.get(feature)
            if row is not None:
                scores += row
        return self.classes[len(scores) - 1 - int(scores[::-1].argmax())]  # ties: the last label, as NLTK
