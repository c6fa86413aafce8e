"""TextAttack's AttackedText with replacements by cutting and pasting, in place of rebuilding a text word by word."""

import operator
import re
from functools import lru_cache

from .. import offline

offline.textattack()

from textattack.shared import AttackedText
from textattack.shared.utils import words_from_text

ODD = re.compile(f"[\u4e00-\u9fff]|{AttackedText.SPLIT_TOKEN}")


@lru_cache(maxsize=2**16)
def is_single(word: str) -> bool:
    """Whether TextAttack reads `word` as one word, perhaps without its punctuation."""
    return not ODD.search(word) and len(words_from_text(word)) == 1


@lru_cache(maxsize=2**16)
def is_plain(word: str) -> bool:
    """Whether TextAttack reads `word`, wherever it stands, as just that one word."""
    return is_single(word) and words_from_text(word) == [word]


class Text(AttackedText):
    """AttackedText for one column of text, with replacements by cutting and pasting.

    Texts, words and attributes are those of AttackedText; where a text or a new word is out of
    the ordinary (Chinese characters are segmented, a replacement of several words shifts the
    indices), AttackedText's own method makes it.
    """

    def __init__(self, text_input, attack_attrs=None):
        self._prepare(text_input if isinstance(text_input, str) else "\n".join(text_input.values()))
        super().__init__(text_input, attack_attrs)

    def _prepare(self, text: str) -> None:
        self._text, self._hash = text, hash(text)
        self._spans: list[tuple[int, int]] | None = None

    @classmethod
    def _made(cls, parent: "Text", text: str, words: list[str] | None, attack_attrs: dict) -> "Text":
        new = cls.__new__(cls)
        new._text_input = type(parent._text_input)(zip(parent._text_input, (text,), strict=True))
        new._words, new._words_per_input, new._pos_tags, new._ner_tags = words, None, None, None
        new.attack_attrs = attack_attrs
        new._prepare(text)
        return new

    @property
    def text(self) -> str:
        return self._text

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other) -> bool:
        return self._text == other.text and len(self.attack_attrs) == len(other.attack_attrs)

    def spans(self) -> list[tuple[int, int]] | None:
        """Where each word stands in the text; None if the text is out of the ordinary."""
        if self._spans is None:
            self._spans = [] if ODD.search(self._text) or len(self._text_input) != 1 else self._find_spans()
        return self._spans or None

    def _find_spans(self) -> list[tuple[int, int]]:
        spans, end = [], 0
        for word in self.words:
            start = self._text.index(word, end)
            end = start + len(word)
            spans.append((start, end))
        return spans

    def _attributes(self, indices: set[int]) -> dict:
        old, new = self.attack_attrs, {}
        if "label_names" in old:
            new["label_names"] = old["label_names"]
        new["newly_modified_indices"] = indices
        new["previous_attacked_text"] = self
        new["modified_indices"] = old["modified_indices"] | indices
        new["original_index_map"] = old["original_index_map"].copy()
        return new

    def replace_word_at_index(self, index: int, new_word: str) -> AttackedText:
        spans = self.spans()
        if spans is None or not isinstance(new_word, str) or not 0 <= index < len(spans):
            return super().replace_word_at_index(index, new_word)
        start, end = spans[index]
        if new_word == "":
            return self._without(index, start, end)
        if not is_single(new_word):
            return super().replace_word_at_index(index, new_word)
        text = self._text[:start] + new_word + self._text[end:]
        attributes = self._attributes({index} if self.words[index] != new_word else set())
        words = None
        if is_plain(new_word):
            words = self.words.copy()
            words[index] = new_word
        return self._made(self, text, words, attributes)

    def _without(self, index: int, start: int, end: int) -> "Text":
        """The text with the word at `index` deleted, and one space with it."""
        before, after = self._text[:start], self._text[end:]
        if after and index == 0 and after[0] == " ":
            after = after[1:]
        elif after and index > 0 and before[-1:] == " ":
            before = before[:-1]
        attributes = self._attributes(set())
        attributes["modified_indices"] = {i - (i > index) for i in self.attack_attrs["modified_indices"] if i != index}
        index_map = attributes["original_index_map"]
        index_map[index_map == index] = -1
        index_map[index_map > index] -= 1
        return self._made(self, before + after, None, attributes)

    def replace_words_at_indices(self, indices, new_words) -> AttackedText:
        spans = self.spans()
        if spans is None:
            return super().replace_words_at_indices(indices, new_words)
        ordinary = (
            len(indices) == len(new_words)
            and all(0 <= i < len(spans) for i in indices)
            and all(isinstance(w, str) and is_plain(w) for w in new_words)
        )
        if not ordinary:
            return super().replace_words_at_indices(indices, new_words)
        words, replaced = self.words.copy(), dict(zip(indices, new_words, strict=True))
        pieces, end, changed = [], 0, set()
        for i in sorted(replaced):
            if words[i] != replaced[i]:
                changed.add(i)
                words[i] = replaced[i]
            pieces += [self._text[end : spans[i][0]], replaced[i]]
            end = spans[i][1]
        return self._made(self, "".join(pieces) + self._text[end:], words, self._attributes(changed))

    def _text_index_of_word_index(self, i: int) -> int:
        spans = self.spans() if self._text.isascii() else None
        return spans[i][0] if spans else super()._text_index_of_word_index(i)

    def generate_new_attacked_text(self, new_words) -> AttackedText:
        new = super().generate_new_attacked_text(new_words)
        return Text(new._text_input, new.attack_attrs)

    def words_diff_ratio(self, x: AttackedText) -> float:
        assert self.num_words == x.num_words
        return float(sum(map(operator.ne, self.words, x.words))) / self.num_words
