"""Attacks by name: TextAttack's own recipes, with the words they draw from replaced by a resource set's.

`build` calls the recipe that TextAttack ships (version 0.3.11), so its transformation, constraints,
goal function, search and all their settings are upstream's.  While it runs, each class that would
load data makes one of those below (`stand_ins`), which take the same arguments and the data from a
resource set; so it is for every recipe, however it names those classes.  Differences from upstream,
each because of the data or for reproducibility: WordNet candidates come sorted; a sentence encoder
of another family brings its own threshold where the recipe's is higher; parts of speech come from the resource set's
tagger and names of persons and places from lists, in place of flair's; stop words that a recipe does
not list come from the set; swarms, genetic searches and input reduction give up on a text without
words instead of raising an error; of look-alike letters, those that only Bad Characters uses are left out.
"""

import contextlib
import math
import threading
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

from .. import attack_catalog, offline
from ..errors import BadParameter, CannotRun, QRError, UnknownName
from ..lexicons import published
from ..lexicons.resources import Resources
from .parts import Flights, Fluent, Genetic, Homoglyphs, Location, Merge, Name, Reduction, Swarm
from .strict import TextFoolerStrict

offline.textattack()

from textattack import Attack, attack_recipes
from textattack.attack_recipes import clare_li_2020
from textattack.constraints.grammaticality import PartOfSpeech
from textattack.constraints.grammaticality.language_models import (
    GPT2,
    Google1BillionWordsLanguageModel,
    LearningToWriteLanguageModel,
)
from textattack.constraints.pre_transformation import StopwordModification
from textattack.constraints.semantics.sentence_encoders import (
    SBERT,
    SentenceEncoder,
    ThoughtVector,
    UniversalSentenceEncoder,
)
from textattack.goal_functions import ClassificationGoalFunction, InputReduction
from textattack.models.wrappers import ModelWrapper
from textattack.search_methods import (
    ImprovedGeneticAlgorithm,
    ParticleSwarmOptimization,
    ParticleSwarmOptimizationLEAP,
)
from textattack.shared import AbstractWordEmbedding, WordEmbedding
from textattack.transformations import (
    WordInsertionMaskedLM,
    WordMergeMaskedLM,
    WordSwapChangeLocation,
    WordSwapChangeName,
    WordSwapGradientBased,
    WordSwapHomoglyphSwap,
    WordSwapHowNet,
    WordSwapMaskedLM,
    WordSwapWordNet,
)
from textattack.transformations.word_swaps.word_swap import WordSwap

OWN = {recipe.__name__: recipe for recipe in (TextFoolerStrict,)}
RECIPES = {name: OWN.get(entry.recipe) or getattr(attack_recipes, entry.recipe) for name, entry in attack_catalog.ATTACKS.items()}
_building = threading.Lock()


class Wrapper(ModelWrapper):
    """A Victim as TextAttack asks it: logits, because it puts rows that do not sum to one through softmax itself.

    `asked` counts the texts that the classifier has answered.
    """

    def __init__(self, model):
        self.model = model
        self.asked = 0

    def __call__(self, texts, **_):
        """(len(texts), labels) logits."""
        self.asked += len(texts)
        return self.model(texts)


class Embedding(AbstractWordEmbedding):
    """A resource set's neighbours as an embedding whose ids are the words themselves."""

    def __init__(self, neighbours):
        self.neighbours = neighbours

    def __getitem__(self, index):
        return self.neighbours.vector(index)

    def word2index(self, word):
        if word not in self.neighbours:
            raise KeyError(word)
        return word

    def index2word(self, index):
        return index

    def nearest_neighbours(self, index, topn):
        return self.neighbours(index)[:topn]

    def get_cos_sim(self, a, b):
        return self.neighbours.cosine(a, b)

    def get_mse_dist(self, a, b):
        return self.neighbours.distance(a, b)


class WordNet(WordSwapWordNet):
    """WordSwapWordNet with the resource set's substitutes, in a fixed order, and without its download."""

    def __init__(self, substitutes):
        WordSwap.__init__(self)
        self.language, self.substitutes = "eng", substitutes

    def _get_replacement_words(self, word, random=False):
        return self.substitutes(word)


class _Bank:
    """Looks up candidates as WordSwapHowNet does in its table: bank[word][part of speech]."""

    def __init__(self, find, word=""):
        self.find, self.word = find, word

    def __getitem__(self, key):
        return self.find(self.word, key) if self.word else _Bank(self.find, key)


class HowNet(WordSwapHowNet):
    """WordSwapHowNet with the resource set's sememe candidates and tagger."""

    def __init__(self, sememes, tagger, max_candidates=-1):
        WordSwap.__init__(self)
        self.max_candidates, self.tagger = max_candidates, tagger
        self.candidates_bank = _Bank(sememes)
        self.pos_dict = {pos: pos for pos in ("ADJ", "NOUN", "ADV", "VERB")}

    def _get_transformations(self, current_text, indices_to_modify):
        tags = self.tagger(current_text.words)
        current_text.pos_of_word_index = tags.__getitem__  # in place of flair's tagger
        return super()._get_transformations(current_text, indices_to_modify)


class Tagged(PartOfSpeech):
    """PartOfSpeech with the resource set's tagger in place of nltk.pos_tag."""

    def __init__(self, tagger, **settings):
        super().__init__(**settings)
        self.tagger = tagger

    def _get_pos(self, before_ctx, word, after_ctx):
        context = before_ctx + [word] + after_ctx
        return self.tagger(context)[context.index(word)]  # the first occurrence, as upstream


class Encoded(SentenceEncoder):
    """The sentence constraint with the resource set's encoder; everything else as the recipe says.

    An encoder of another family than the recipe's brings its own threshold.  That is an angular similarity,
    1 - angle / pi; a recipe that compares cosines gets the cosine of the same angle, and one that asks for less keeps
    its own.
    """

    def __init__(self, encoder, threshold=0.8, metric="angular", **settings):
        if encoder.threshold is not None:
            own = math.cos(math.pi * (1 - encoder.threshold)) if metric == "cosine" else encoder.threshold
            threshold = min(threshold, own)
        super().__init__(threshold=threshold, metric=metric, **settings)
        self.model = encoder

    def encode(self, sentences):
        return self.model.encode(sentences)


def stand_ins(find) -> dict:
    """For each class that would load data (or cannot take every text), what makes its stand-in from a recipe's arguments.

    `find(part)` gives a part of a resource set.  A maker that returns None leaves upstream's as it is.
    """
    return {
        PartOfSpeech: lambda **k: Tagged(find("tagger"), **k),
        UniversalSentenceEncoder: partial(_encoder, find),
        SBERT: lambda metric="cosine", **k: _encoder(find, metric=metric, **k),
        ThoughtVector: lambda embedding=None, **k: None if embedding else ThoughtVector(Embedding(find("vectors")), **k),
        GPT2: lambda model_name="", **k: Fluent(*find("language_model"), **k),
        Google1BillionWordsLanguageModel: _refusal(attack_catalog.ATTACKS["genetic"].cannot),
        LearningToWriteLanguageModel: _refusal(attack_catalog.ATTACKS["faster-genetic"].cannot),
        WordSwapGradientBased: _refusal(attack_catalog.GRADIENTS),
        WordSwapWordNet: partial(_wordnet, find),
        WordSwapHowNet: lambda **k: HowNet(find("sememes"), find("tagger"), **k),
        WordSwapMaskedLM: partial(_masked, find, WordSwapMaskedLM),
        WordInsertionMaskedLM: partial(_masked, find, WordInsertionMaskedLM),
        WordMergeMaskedLM: partial(_merge, find),
        WordSwapChangeName: lambda *a, **k: Name(find("entities"), *a, **k),
        WordSwapChangeLocation: lambda *a, **k: Location(find("entities"), *a, **k),
        WordSwapHomoglyphSwap: Homoglyphs,
        StopwordModification: partial(_stop_words, find),
        InputReduction: Reduction,
        ParticleSwarmOptimization: Swarm,
        ParticleSwarmOptimizationLEAP: Flights,
        ImprovedGeneticAlgorithm: Genetic,
    }


def _stop_words(find, stopwords=None, language="english"):
    return StopwordModification(stopwords=find("stop_words")) if stopwords is None else None


def _encoder(find, large=False, model_name="", **settings):
    return Encoded(find("encoder"), **settings) if find("encoder") != published.UNIVERSAL else None


def _wordnet(find, language="eng"):
    if language != "eng":
        raise CannotRun(f"the resource sets have English words only, not language={language!r}")
    return WordNet(find("substitutes"))


def _masked(find, kind, *, masked_language_model="", tokenizer=None, **settings):
    if not isinstance(masked_language_model, str):
        return None
    model, tokenizer = find("masked_lm")
    return kind(masked_language_model=model, tokenizer=tokenizer, **settings)


def _merge(find, **settings):
    settings.setdefault("masked_language_model", find("masked_lm")[0])
    settings.setdefault("tokenizer", find("masked_lm")[1])
    return Merge(find("tagger"), **settings)


def _refusal(why: str):
    """A maker that makes nothing: raises CannotRun."""

    def refuse(*_args, **_settings):
        raise CannotRun(f"it {why}" if why.startswith("needs") else why)

    return refuse


def _turning(upstream: Any, make):
    """An __init__ for `upstream` that turns what is made of it (not of its subclasses) into what `make` makes."""
    own = upstream.__init__

    def __init__(self, *args, **settings):
        made = make(*args, **settings) if type(self) is upstream else None
        if made is None:
            own(self, *args, **settings)
            return
        self.__class__, self.__dict__ = type(made), vars(made)

    return __init__


@contextlib.contextmanager
def standing_in(find):
    """While this lasts, TextAttack's classes that load data are made with `find`'s instead (`stand_ins`)."""

    def embedding():
        return Embedding(find("neighbours"))

    def pretrained(place):
        return SimpleNamespace(from_pretrained=lambda *_args, **_settings: find("masked_lm")[place])

    own = SimpleNamespace(AutoModelForCausalLM=pretrained(0), AutoTokenizer=pretrained(1))  # CLARE loads its own
    with _building, contextlib.ExitStack() as stack:
        for upstream, make in stand_ins(find).items():
            stack.enter_context(mock.patch.object(upstream, "__init__", _turning(upstream, make)))
        stack.enter_context(mock.patch.object(WordEmbedding, "counterfitted_GLOVE_embedding", staticmethod(embedding)))
        stack.enter_context(mock.patch.object(clare_li_2020, "transformers", own))
        yield


def build(attack: str, resources: Resources, model: ModelWrapper, query_budget: int = 0) -> Attack:
    """TextAttack's attack of that name on `model`, with words from `resources`; `query_budget` 0: no limit.

    Raises UnknownName for an attack that does not exist, BadParameter if `resources` were loaded
    for another one, and as `build_recipe` does.
    """
    if attack not in RECIPES:
        raise UnknownName("attack", attack, attack_catalog.ATTACKS)
    return build_recipe(RECIPES[attack], resources.part, model, query_budget)


def build_recipe(recipe, find, model: ModelWrapper, query_budget: int = 0) -> Attack:
    """As `build`, for any AttackRecipe class; `find(part)` gives a part of a resource set.

    Raises BadParameter if the class is no recipe or the budget is negative, CannotRun if it does
    not build on a classifier that answers with the probabilities of classes and no more.
    """
    if not (isinstance(recipe, type) and issubclass(recipe, attack_recipes.AttackRecipe)):
        raise BadParameter(f"{recipe!r} is not a subclass of textattack.attack_recipes.AttackRecipe")
    if query_budget < 0:
        raise BadParameter(f"query_budget={query_budget!r} must be 0 (no limit) or more")
    try:
        with standing_in(find):
            built = recipe.build(model)  # type: ignore[attr-defined]  # AttackRecipe is untyped
        _usable(built)
    except CannotRun as e:
        raise CannotRun(f"{recipe.__name__} cannot run: {e}") from e
    except QRError:
        raise
    except Exception as e:
        raise CannotRun(f"{recipe.__name__} cannot be built for an ONNX classifier: {type(e).__name__}: {e}") from e
    if query_budget:
        built.goal_function.query_budget = query_budget
    return built


def _usable(built) -> None:
    """Raises CannotRun unless `built` is an attack on probabilities of classes."""
    if not isinstance(built, Attack):
        raise CannotRun(f"its build() gives {type(built).__name__}, not a textattack.Attack")
    goal = built.goal_function
    if not isinstance(goal, ClassificationGoalFunction):
        raise CannotRun(f"its goal, {type(goal).__name__}, is not about classes")
    if not built.is_black_box:
        raise CannotRun(f"it {attack_catalog.GRADIENTS}")
