"""How each part of each resource set is loaded: functions that return (content, what its digest covers).

Each raises MissingResource (or NoNetwork) naming what is not at hand and how to get it.  What a
digest covers are source files and settings, not what is computed from them, so that it is the same
on every machine.
"""

import functools
import hashlib
import json
import multiprocessing
import sys
from importlib.metadata import version
from pathlib import Path

from .. import config, offline, provenance, store
from ..data import embedded
from ..errors import BadCheckpoint, MissingResource, NoNetwork
from ..training import pretrained
from . import published, sememes, tagging, thesaurus, universal, word_encoder

WORDNET = ("data.adj", "data.adv", "data.noun", "data.verb", "index.adj", "index.adv", "index.noun", "index.verb")
PERCEPTRON = tuple(f"averaged_perceptron_tagger_eng.{part}.json" for part in ("classes", "tagdict", "weights"))
MASKED = "bert-base-uncased"
MASKED_FILES = tuple(f"masked-lm/{name}" for name in ("model.safetensors", "config.json", "tokenizer.json"))
ELSE = "set QRSUPPORT_DATA to a directory that holds it (the page Data says where it comes from), or use resources='embedded'"


# embedded ------------------------------------------------------------------------------------------------------------


@functools.cache
def _lexicon() -> thesaurus.Lexicon:
    return thesaurus.Lexicon(embedded.lexicon())


def _embedded_neighbours():
    return _lexicon().neighbours(), _lexicon().groups


def _embedded_substitutes():
    return _lexicon().substitutes, _lexicon().groups


def _embedded_sememes():
    return sememes.Sememes(_lexicon().table(), inflect=False), _lexicon().groups


def _embedded_tagger():
    made_from = [_lexicon().groups, tagging.TAGS, tagging.SUFFIXES]
    return tagging.Dictionary(_lexicon().parts_of_speech), made_from


def _embedded_encoder():
    words = offline.stop_words()
    return word_encoder.Concepts(_lexicon().concepts, frozenset(words)), [_lexicon().groups, words, word_encoder.SHARES]


def _embedded_stop_words():
    return frozenset(offline.stop_words()), offline.stop_words()


def _entities():
    """Names of persons and places by TextAttack's own lists, in every set: flair's tagger is a pickle, which is not read."""
    offline.textattack()
    from textattack.shared.data import NAMED_ENTITIES, PERSON_NAMES

    lists = [PERSON_NAMES["first"], PERSON_NAMES["last"], NAMED_ENTITIES["country"] + NAMED_ENTITIES["city"]]
    return tagging.Entities(*lists), lists


# local ---------------------------------------------------------------------------------------------------------------


def data_files(*names: str) -> tuple[Path, dict[str, str]]:
    """QRSUPPORT_DATA and {name: sha256} of files below it.  Raises MissingResource if one is not there."""
    data = offline.data_dir()
    if data is None:
        raise MissingResource(f"{names[0]} lies in the data directory, but QRSUPPORT_DATA is not set; {ELSE}")
    for name in names:
        if not (data / name).is_file():
            raise MissingResource(f"{data / name} is not there; {ELSE}")
    return data, {name: store.sha256(data / name) for name in names}


def nltk_files(package: str, *names: str) -> str:
    """A digest of files of an NLTK package such as `corpora/wordnet`, unpacked or zipped, wherever NLTK finds it.

    Raises MissingResource if NLTK has none that it may read.
    """
    import nltk

    offline.nltk_path()
    total, last = hashlib.sha256(), package.rsplit("/", 1)[1]
    for name in names:
        try:
            try:
                found = nltk.data.find(f"{package}/{name}")
            except LookupError:
                found = nltk.data.find(f"{package}.zip/{last}/{name}")
        except LookupError:
            how = f"with a network run nltk.download({last!r}); or {ELSE}"
            raise MissingResource(f"NLTK has no {package}/{name} that it may read; {how}") from None
        with found.open() as f:
            total.update(f.read())
    return total.hexdigest()


def _local_neighbours():
    data, digest = data_files(thesaurus.LISTS)
    return thesaurus.read_lists(data), digest


def _local_substitutes():
    digest = nltk_files("corpora/wordnet", *WORDNET)
    from nltk.corpus import wordnet

    wordnet.ensure_loaded()  # seconds, which would count as the first example's
    return thesaurus.wordnet_substitutes, digest


def _local_sememes():
    data, files = data_files(*(f"hownet/{name}" for name in sememes.FILES))
    depends = {"files": files, "wordnet": nltk_files("corpora/wordnet", *WORDNET), "settings": sememes.MADE}
    folder = offline.cache_dir() / f"sememes-{config.key(depends)}"
    store.made(folder, depends | {"code": provenance.code("sememes")}, lambda room: sememes.build(data / "hownet", room))
    table = json.loads((folder / "sememes.json").read_text("utf-8"))
    return sememes.Sememes(table), [depends, version("lemminflect")]


def _nltk_tagger():
    tagger = nltk_files("taggers/averaged_perceptron_tagger_eng", *PERCEPTRON)
    return tagging.perceptron(), [tagger, nltk_files("taggers/universal_tagset", "en-ptb.map")]


def universal_folder() -> tuple[Path, dict]:
    """The folder of the Universal Sentence Encoder's graph, made if need be, and what it depends on.

    Raises MissingResource if its weights were never fetched.
    """
    source = pretrained.folder(universal.NAME)
    depends = {"files": pretrained.source(universal.NAME).files}
    folder = offline.cache_dir() / f"encoder-{config.key(depends)}"
    made_from = depends | {"code": provenance.code("universal")}
    return store.made(folder, made_from, lambda room: universal.build(source, room)), depends


def encoder_folder() -> tuple[Path, dict]:
    """The folder of the sentence encoder built from text, made in half a minute if need be, and what it depends on."""
    data, files = data_files(word_encoder.REVIEWS, *(word_encoder.STS.format(part) for part in ("dev", "test")))
    depends = {"files": files, "settings": word_encoder.MADE}
    folder = offline.cache_dir() / f"encoder-{config.key(depends)}"
    made_from = depends | {"code": provenance.code("encoder")}
    return store.made(folder, made_from, lambda room: word_encoder.build(data, room)), depends


def _local_encoder():
    """The Universal Sentence Encoder; where it was never fetched, the one built from text, and a line that says so."""
    try:
        folder, depends = universal_folder()
        return universal.Universal(folder), depends
    except MissingResource as e:
        folder, depends = encoder_folder()
        if multiprocessing.parent_process() is None:
            print(f"sentence encoder: word vectors from text take its place; {e}", file=sys.stderr, flush=True)
        return word_encoder.Text(folder), depends


def _nltk_stop_words():
    from nltk.corpus import stopwords

    offline.nltk_path()
    words = sorted(stopwords.words("english"))
    return frozenset(words), words


def _local_masked_lm():
    try:
        data, files = data_files(*MASKED_FILES)
    except MissingResource as e:
        raise MissingResource(
            f"{e}; a masked language model in Hugging Face layout belongs there, "
            f"or set resources='published' with network=True, which fetches {MASKED}"
        ) from None
    return _masked_lm(data / "masked-lm"), files


def _masked_lm(where, network: bool = False) -> tuple:
    """(model, tokenizer) of a directory or a hub id.  Raises NoNetwork or BadCheckpoint if it does not load."""
    from transformers import AutoModelForMaskedLM

    return _language_model(AutoModelForMaskedLM, where, network)


def _language_model(kind, where, network: bool) -> tuple:
    import transformers as hf

    settings = {"local_files_only": not network, "trust_remote_code": False}
    try:
        model = kind.from_pretrained(where, use_safetensors=True, **settings)
        return model.eval(), hf.AutoTokenizer.from_pretrained(where, use_fast=True, **settings)
    except (OSError, ValueError, RuntimeError) as e:
        error = NoNetwork if network else BadCheckpoint
        raise error(f"the language model {where} does not load: {e}") from e


# published -----------------------------------------------------------------------------------------------------------


def _published(part: str) -> tuple[Path, dict]:
    folder = offline.cache_dir() / "published"
    return folder, published.fetch(part, folder)


def _published_neighbours():
    folder, digest = _published("vectors")
    return published.Vectors(folder / published.VECTORS), digest


def _published_substitutes():
    _published("wordnet")
    return _local_substitutes()


def _published_sememes():
    folder, digest = _published("hownet")
    return sememes.Sememes(published.sememe_table(folder / published.HOWNET), inflect=False), digest


def _published_tagger():
    _published("tagger")
    return _nltk_tagger()


def _published_encoder():
    """TextAttack's own by TensorFlow Hub; where that is not installed, the multilingual version in ONNX, if it was fetched."""
    if not published.has_sentence_encoder() and pretrained.at_hand(universal.NAME):
        folder, depends = universal_folder()
        return universal.Universal(folder), ["in place of TensorFlow Hub's", depends]
    published.need_sentence_encoder()
    return published.UNIVERSAL, published.UNIVERSAL


def _published_stop_words():
    _published("stopwords")
    return _nltk_stop_words()


def _published_masked_lm():
    """The model that BAE and BERT-Attack name; CLARE, which names distilroberta-base, gets it too."""
    model, tokenizer = _masked_lm(MASKED, network=True)
    return (model, tokenizer), _weights(model)


def _published_language_model():
    import transformers as hf

    model, tokenizer = _language_model(hf.GPT2LMHeadModel, "gpt2", network=True)
    return (model, tokenizer), _weights(model)


def _weights(model) -> str:
    """A digest of a torch model's weights."""
    import torch

    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        total.update(name.encode() + tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


LOADERS = {
    "embedded": {
        "encoder": _embedded_encoder,
        "neighbours": _embedded_neighbours,
        "substitutes": _embedded_substitutes,
        "sememes": _embedded_sememes,
        "tagger": _embedded_tagger,
        "stop_words": _embedded_stop_words,
        "entities": _entities,
    },
    "local": {
        "encoder": _local_encoder,
        "neighbours": _local_neighbours,
        "substitutes": _local_substitutes,
        "sememes": _local_sememes,
        "tagger": _nltk_tagger,
        "stop_words": _nltk_stop_words,
        "entities": _entities,
        "masked_lm": _local_masked_lm,
    },
    "published": {
        "encoder": _published_encoder,
        "neighbours": _published_neighbours,
        "substitutes": _published_substitutes,
        "sememes": _published_sememes,
        "tagger": _published_tagger,
        "stop_words": _published_stop_words,
        "entities": _entities,
        "masked_lm": _published_masked_lm,
        "vectors": _published_neighbours,
        "language_model": _published_language_model,
    },
}
