"""Words that attacks may use: the resource sets `embedded`, `local` and `published`, behind one interface.

`load(name, attack=...)` gives what that attack needs and nothing else, after checking that it is at
hand.  Where a set differs from what a recipe publishes is said where it is made: thesaurus.py
(neighbours), sememes.py (HowNet), encoder.py and universal.py (sentence encoders), tagging.py (parts of speech).
"""

import contextlib
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

from .. import attack_catalog, catalog, config, offline
from ..errors import BadParameter, CannotRun, MissingResource, NoNetwork, QRError, UnknownName
from . import published, word_encoder

PARTS = {name: entry.parts for name, entry in attack_catalog.ATTACKS.items()}
ALL = ("encoder", "neighbours", "substitutes", "sememes", "tagger", "stop_words")


@dataclass(frozen=True)
class Resources:
    """What one resource set supplies; a part that was not asked for is None.

    `parts` maps each loaded part to a digest of the files and settings it is made from, the same on
    every machine.  Every function is pure:

    - `neighbours(lower-case word) -> list`, nearest first; `word in neighbours`; `neighbours.cosine(a, b)`
    - `substitutes(word) -> list`, of any part of speech
    - `sememes(word, "NOUN" | "VERB" | "ADJ" | "ADV") -> list`, lower case
    - `tagger(words) -> list` of universal tags
    - `encoder`: an encoder.Encoder, or published.UNIVERSAL for TextAttack's own constraint
    - `stop_words`: lower case
    - `entities(words) -> list` of labels with `value` (S-PER, B-PER, E-PER, B-LOC, O, ...) and `score`
    - `masked_lm`: a masked language model and its tokenizer, in torch
    - `vectors`: as `neighbours`, with `vectors.vector(word)`
    - `language_model`: GPT-2 and its tokenizer, in torch
    """

    name: str
    parts: dict[str, str]
    neighbours: Callable | None = None
    substitutes: Callable | None = None
    sememes: Callable | None = None
    tagger: Callable | None = None
    encoder: object | None = None
    stop_words: frozenset | None = None
    entities: Callable | None = None
    masked_lm: tuple | None = None
    vectors: object | None = None
    language_model: tuple | None = None

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits over the set's name and its parts."""
        return config.key([self.name, self.parts])

    def part(self, name: str):
        """The part of that name.  Raises BadParameter if it was not loaded."""
        if getattr(self, name) is None:
            raise BadParameter(f"the attack needs {name}: load the resources with attack= or parts= that name it")
        return getattr(self, name)

    def similarity(self, a: str, b: str) -> float | None:
        """The angular similarity of two texts, in [0, 1]; None if the set has no encoder of ours at hand."""
        return self.encoder.similarity(a, b) if isinstance(self.encoder, word_encoder.Encoder) else None


def load(name: str, network: bool = False, attack: str = "", parts: tuple[str, ...] = ALL) -> Resources:
    """The parts of resource set `name` that `attack` needs, or those in `parts`, each loaded once a process.

    The encoder, which measures the similarity in every record, comes along with any attack if it is at hand.

    Raises UnknownName for a name that does not exist, CannotRun for an attack that no classifier
    here can be attacked with, NoNetwork for `published` unless `network`, MissingResource for a
    part, file or library that is not at hand: each before any other work, and with what to take instead.
    """
    if name not in catalog.RESOURCES:
        raise UnknownName("resource set", name, catalog.RESOURCES)
    if attack and attack not in PARTS:
        raise UnknownName("attack", attack, PARTS)
    instead = f"the nearest that can: attack={attack_catalog.instead(attack, name)!r}" if attack else ""
    if attack and attack_catalog.ATTACKS[attack].cannot:
        raise CannotRun(f"{attack} cannot run: {attack_catalog.ATTACKS[attack].cannot}; {instead}")
    if name == "published" and not network:
        raise NoNetwork("the published resources are fetched; set network=True, or use resources='local' or 'embedded'")
    try:
        return _load(name, PARTS[attack] if attack else parts, *_places())
    except MissingResource as e:
        raise MissingResource(f"{attack}: {e}; {instead}" if attack else str(e)) from e


def _places() -> tuple:
    """Where parts are read from, to tell apart what was loaded from other places."""
    return offline.data_dir(), os.environ.get("NLTK_DATA"), offline.cache_dir()


@functools.lru_cache(16)
def _load(name, wanted, *places) -> Resources:
    """`load`, memoized."""
    loaded = {part: _part(name, part, *places) for part in wanted}
    if "encoder" not in wanted:
        with contextlib.suppress(MissingResource):
            loaded["encoder"] = _part(name, "encoder", *places)
    digests = {part: config.key(covers) for part, (_, covers) in loaded.items()}
    return Resources(name, digests, **{part: content for part, (content, _) in loaded.items()})


@functools.lru_cache(32)
def _part(name, part, *_places):
    """One part of a resource set, and what its digest covers."""
    from .sources import LOADERS

    _refuse_absent(name, part)
    return LOADERS[name][part]()


def _refuse_absent(name: str, part: str) -> None:
    """Raises MissingResource for a part that a resource set never has, naming a set that does."""
    if part in attack_catalog.ABSENT[name]:
        local = "" if part in attack_catalog.ABSENT["local"] else "resources='local' or "
        raise MissingResource(
            f"the {name} resources have no {attack_catalog.ABSENT[name][part]}; set {local}resources='published' with network=True"
        )


def check(name: str, network: bool, attack: str) -> None:
    """Raises as `load` does for want of a file or of leave to fetch one, and loads and builds nothing that takes long."""
    if name == "local":
        for part in PARTS[attack]:
            _refuse_absent(name, part)
        for parts, find in _local_checks().values():
            if {*parts} & {*PARTS[attack]}:
                find()
    elif name == "embedded" or not network:
        load(name, network, attack)


def status() -> list[dict]:
    """What is at hand, for `qrsupport doctor`, without loading or fetching it.

    One dict a thing: `set`, `part`, `at_hand`, `where`, `how` (how to get it, empty if it is there).
    """
    found = [{"set": "embedded", "part": "all parts", "at_hand": True, "where": "in the package", "how": ""}]
    return found + _local_status() + _published_status()


def _local_checks() -> dict[str, tuple[tuple[str, ...], Callable]]:
    """Material of the set `local` → the parts that need it, and what raises MissingResource if it is not there."""
    from . import sources

    needed = () if sources.pretrained.at_hand(sources.universal.NAME) else ("encoder",)
    return {
        "TextFooler's neighbours": (("neighbours",), lambda: sources.data_files(sources.thesaurus.LISTS)),
        "Universal Sentence Encoder": ((), lambda: (sources.pretrained.folder(sources.universal.NAME),)),
        "material for the sentence encoder in its place": (needed, lambda: sources.data_files(
            sources.word_encoder.REVIEWS, sources.word_encoder.STS.format("dev"), sources.word_encoder.STS.format("test")
        )),
        "material for PSO's candidates": (("sememes",), lambda: sources.data_files(*(f"hownet/{f}" for f in sources.sememes.FILES))),
        "WordNet": (("substitutes", "sememes"), lambda: sources.nltk_files("corpora/wordnet", *sources.WORDNET)),
        "perceptron tagger": (("tagger",), lambda: sources.nltk_files("taggers/averaged_perceptron_tagger_eng", *sources.PERCEPTRON)),
        "universal tag map": (("tagger",), lambda: sources.nltk_files("taggers/universal_tagset", "en-ptb.map")),
        "masked language model (BAE, BERT-Attack, CLARE)": (("masked_lm",), lambda: sources.data_files(*sources.MASKED_FILES)),
    }  # fmt: skip


def _local_status() -> list[dict]:
    found = []
    for part, (_, check) in _local_checks().items():
        try:
            got, how = check(), ""
        except QRError as e:
            got, how = None, str(e)
        where = str(got[0]) if isinstance(got, tuple) else "NLTK's data path" if got else ""
        found.append({"set": "local", "part": part, "at_hand": got is not None, "where": where, "how": how})
    return found


def _published_status() -> list[dict]:
    folder = offline.cache_dir() / "published"
    found = []
    for part, files in published.FILES.items():
        there = all((folder / name).is_file() for name in files)
        how = "" if there else "run with resources='published' and network=True"
        found.append({"set": "published", "part": part, "at_hand": there, "where": str(folder), "how": how})
    there = published.has_sentence_encoder()
    how = "" if there else published.GET_UNIVERSAL
    found.append({"set": "published", "part": published.UNIVERSAL, "at_hand": there, "where": "", "how": how})
    return found
