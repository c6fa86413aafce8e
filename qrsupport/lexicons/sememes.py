"""An approximation of HowNet substitution for PSO, from an English-Chinese dictionary and the HowNet 2000 glossary.

PSO (Zang et al. 2020) swaps words that share all sememes of a sense.  The published English table
cannot be had without network, so: English word → its Chinese translations → their senses (part of
speech, sememes) → other English words with a sense in common.  Dictionary noise is filtered as
`table` says.  An approximation: records name the resource set, and no table mixes two.
"""

import functools
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

from ..errors import BadData, MissingResource

FILES = ("glossary.gb18030.txt", "en2zh_dict.txt")
POS = {"N": "noun", "V": "verb", "ADJ": "adj", "ADV": "adv"}
UNIVERSAL = {"NOUN": "noun", "VERB": "verb", "ADJ": "adj", "ADV": "adv"}
WORDNET = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
INFLECTIONS = {
    "noun": ("NN", "NNS"),
    "verb": ("VB", "VBZ", "VBG", "VBD", "VBN"),
    "adj": ("JJ", "JJR", "JJS"),
    "adv": ("RB", "RBR", "RBS"),
}
NAMES = ("ProperName|", "surname|", "character|")
MADE = {"most": 25, "version": 1}
"""`most`: candidates kept a word and part of speech, the nearest first; `version`: of the filter, raised when it changes."""


def glossary(path: Path) -> dict[str, set[tuple[str, str]]]:
    """Chinese word → its senses (part of speech, DEF), open classes only, no names.

    Raises BadData, with file and line, if a line is not `word POS DEF`.
    """
    senses = defaultdict(set)
    with open(path, encoding="gb18030", errors="replace") as f:
        for number, line in enumerate(f, 1):
            fields = line.split()
            if not fields:
                continue
            if len(fields) < 3:
                raise BadData(f"{path}:{number}: expected `word POS DEF`, found {line.strip()!r}")
            word, pos, sememes = fields[0], fields[1], " ".join(fields[2:])
            if pos in POS and not any(name in sememes for name in NAMES):
                senses[word].add((POS[pos], sememes))
    return senses


def dictionary(path: Path) -> dict[str, list[str]]:
    """English single word, lower case, at least two letters → its Chinese translations.

    One-character translations mean too many things; they are used only where there is no longer one.
    Raises BadData, with file and line, if a line is not `english TAB chinese/chinese/...`.
    """
    found = {}
    with open(path, encoding="utf-8-sig", errors="replace") as f:
        for number, line in enumerate(f, 1):
            english, tab, chinese = line.rstrip("\n").partition("\t")
            if not tab:
                raise BadData(f"{path}:{number}: expected `english<TAB>chinese`, found {line.strip()!r}")
            if re.fullmatch(r"[a-z]{2,}", english):
                words = [w for w in chinese.split("/") if w]
                found[english] = [w for w in words if len(w) > 1] or words
    return found


def senses(translations: list[str], of: dict) -> set[tuple[str, str]]:
    """The senses of an English word: of each part of speech those that two translations support, else all."""
    support = Counter(sense for word in translations for sense in of.get(word, ()))
    firm = {pos for (pos, _), count in support.items() if count > 1}
    return {sense for sense, count in support.items() if count > 1 or sense[0] not in firm}


def table(folder: Path, known) -> dict[str, dict[str, list[str]]]:
    """{word: {"noun"/"verb"/"adj"/"adv": [candidates, nearest first]}}, base forms.

    A candidate shares a sense with the word; both are known to `known(word, pos) -> bool` (WordNet
    has them with that part of speech).  Nearest: most of the two words' senses of that part of
    speech in common (Jaccard), then alphabetical; at most `MADE["most"]`.

    Raises MissingResource if a file is not there, BadData if one is malformed.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise MissingResource(f"PSO's local candidates need {folder / name}, which is not there")
    of = glossary(folder / FILES[0])
    own, groups = defaultdict(set), defaultdict(set)
    for word, translations in dictionary(folder / FILES[1]).items():
        for sense in senses(translations, of):
            if known(word, sense[0]):
                own[word, sense[0]].add(sense)
                groups[sense].add(word)
    found = defaultdict(dict)
    for (word, pos), mine in sorted(own.items()):
        near = {other for sense in mine for other in groups[sense]} - {word}
        jaccard = {other: len(mine & own[other, pos]) / len(mine | own[other, pos]) for other in near}
        if near:
            found[word][pos] = sorted(near, key=lambda other: (-jaccard[other], other))[: MADE["most"]]
    return dict(found)


def wordnet_known(word: str, pos: str) -> bool:
    """Whether WordNet has `word` itself, not only its base form, with this part of speech."""
    from nltk.corpus import wordnet

    return any(word in s.lemma_names() for s in wordnet.synsets(word, WORDNET[pos]))


def build(folder: Path, room: Path) -> dict:
    """Writes `sememes.json` into `room`; returns its size, for `store.made`."""
    found = table(folder, wordnet_known)
    (room / "sememes.json").write_text(json.dumps(found, sort_keys=True, separators=(",", ":")), "utf-8")
    return {"words": len(found), "candidates": sum(len(c) for by in found.values() for c in by.values())}


class Sememes:
    """Candidates by word and universal part of speech.

    With `inflect`, a word that is not in the table gets its base form's candidates, inflected alike (lemminflect).
    """

    def __init__(self, table: dict, inflect: bool = True):
        self.table, self.inflect = table, inflect
        self.find = functools.lru_cache(1 << 16)(self._find)

    def __call__(self, word: str, pos: str) -> list[str]:
        """Lower-case candidates for `word` as a NOUN, VERB, ADJ or ADV; none for any other part of speech."""
        return list(self.find(word.lower(), UNIVERSAL.get(pos, "")))

    def _find(self, word: str, pos: str) -> tuple[str, ...]:
        as_it_stands = self.table.get(word, {}).get(pos, ())
        if as_it_stands or not pos or not self.inflect or not re.fullmatch(r"[a-z]+", word):
            return tuple(as_it_stands)
        lemma, tag = base(word, pos)
        forms = (inflected(c, tag) for c in self.table.get(lemma, {}).get(pos, ())) if tag else ()
        return tuple(dict.fromkeys(form for form in forms if form and form != word))


def base(word: str, pos: str) -> tuple[str, str]:
    """The base form of an inflected word and its Penn tag; ("", "") if it is none that lemminflect knows."""
    from lemminflect import getInflection, getLemma

    for lemma in getLemma(word, pos.upper(), lemmatize_oov=False):
        for tag in INFLECTIONS[pos][1:]:
            if word in getInflection(lemma, tag, inflect_oov=False):
                return lemma, tag
    return "", ""


def inflected(lemma: str, tag: str) -> str:
    """`lemma` in the form `tag` names; "" if lemminflect knows none."""
    from lemminflect import getInflection

    forms = getInflection(lemma, tag, inflect_oov=False)
    return forms[0] if forms else ""
