"""Attacks by name: TextAttack's own recipes, with the words they draw from replaced by a resource set's.

`build` calls the recipe that TextAttack ships (version 0.3.11), so its transformation, constraints,
goal function, search and all their settings are upstream's.  While it runs, the few classes that
would load data stand for the ones below, which take the same arguments and the data from a resource
set.  Differences from upstream, each because of the data or for reproducibility: WordNet candidates
come sorted; a sentence encoder of another family brings its own threshold; PSO's parts of speech come from the
resource set's tagger in place of flair's; stop words that a recipe does not list come from the set; PSO gives up
on a text without words instead of raising an error.
"""

import math
import sys
import threading
from unittest import mock

from . import catalog, offline, published, victim
from .errors import BadParameter, UnknownName
from .resources import PARTS, Resources

offline.textattack()

from textattack import Attack, attack_recipes
from textattack.constraints.grammaticality import PartOfSpeech
from textattack.constraints.pre_transformation import StopwordModification
from textattack.constraints.semantics import WordEmbeddingDistance
from textattack.constraints.semantics.sentence_encoders import SentenceEncoder
from textattack.models.wrappers import ModelWrapper
from textattack.search_methods import ParticleSwarmOptimization
from textattack.shared import AbstractWordEmbedding
from textattack.transformations import WordSwapEmbedding, WordSwapHowNet, WordSwapMaskedLM, WordSwapWordNet
from textattack.transformations.word_swaps.word_swap import WordSwap

RECIPES = {
    "textfooler": attack_recipes.textfooler_jin_2019,
    "pwws": attack_recipes.pwws_ren_2019,
    "pso": attack_recipes.pso_zang_2020,
    "deepwordbug": attack_recipes.deepwordbug_gao_2018,
    "bae": attack_recipes.bae_garg_2019,
}
_building = threading.Lock()


class Wrapper(ModelWrapper):
    """A Victim as TextAttack asks it: logits, because it puts rows that do not sum to one through softmax itself.

    `asked` counts the texts that the classifier has answered.
    """

    def __init__(self, model: "victim.Victim"):
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
        return None

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
        raise NotImplementedError("the lists give no distances; only min_cos_sim is supported")


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
    1 - angle / pi; a recipe that compares cosines gets the cosine of the same angle.
    """

    def __init__(self, encoder, threshold, **settings):
        if encoder.threshold is not None:
            cosine = settings.get("metric") == "cosine"
            threshold = math.cos(math.pi * (1 - encoder.threshold)) if cosine else encoder.threshold
        super().__init__(threshold=threshold, **settings)
        self.model = encoder

    def encode(self, sentences):
        return self.model.encode(sentences)


class Swarm(ParticleSwarmOptimization):
    """ParticleSwarmOptimization that gives up on a text without words, where upstream's raises ValueError."""

    def perform_search(self, initial_result):
        return super().perform_search(initial_result) if initial_result.attacked_text.words else initial_result


def replacements(resources: Resources) -> dict:
    """For each name that a recipe calls and that would load data (or cannot take every text), what takes its place."""

    def stop_words(stopwords=None, language="english"):
        return StopwordModification(stopwords=resources.stop_words if stopwords is None else stopwords)

    def encoder(**settings):
        return Encoded(resources.encoder, **settings)

    found = {
        "WordSwapEmbedding": lambda **k: WordSwapEmbedding(embedding=Embedding(resources.neighbours), **k),
        "WordEmbeddingDistance": lambda **k: WordEmbeddingDistance(embedding=Embedding(resources.neighbours), **k),
        "PartOfSpeech": lambda **k: Tagged(resources.tagger, **k),
        "UniversalSentenceEncoder": encoder,
        "WordSwapWordNet": lambda: WordNet(resources.substitutes),
        "WordSwapHowNet": lambda: HowNet(resources.sememes, resources.tagger),
        "WordSwapMaskedLM": lambda **k: WordSwapMaskedLM(
            masked_language_model=resources.masked_lm[0], tokenizer=resources.masked_lm[1], **k
        ),
        "StopwordModification": stop_words,
        "ParticleSwarmOptimization": Swarm,
    }
    if resources.encoder == published.UNIVERSAL:
        del found["UniversalSentenceEncoder"]
    return found


def build(attack: str, resources: Resources, model: ModelWrapper, query_budget: int = 0) -> Attack:
    """TextAttack's attack of that name on `model`, with words from `resources`; `query_budget` 0: no limit.

    Raises UnknownName for an attack that does not exist, BadParameter if `resources` were loaded for
    another attack or the budget is negative.
    """
    if attack not in RECIPES:
        raise UnknownName("attack", attack, catalog.ATTACKS)
    missing = [part for part in PARTS[attack] if getattr(resources, part) is None]
    if missing:
        raise BadParameter(f"{attack} needs {', '.join(missing)}: load the resources with attack={attack!r}")
    module = RECIPES[attack]
    recipe = next(v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__)
    return build_recipe(recipe, resources, model, query_budget)


def build_recipe(recipe: type, resources: Resources, model: ModelWrapper, query_budget: int = 0) -> Attack:
    """As `build`, for any AttackRecipe class: what its module calls by the names in `replacements` is replaced.

    Raises BadParameter if the class is no recipe or the budget is negative.
    """
    if not (isinstance(recipe, type) and issubclass(recipe, attack_recipes.AttackRecipe)):
        raise BadParameter(f"{recipe!r} is not a subclass of textattack.attack_recipes.AttackRecipe")
    if query_budget < 0:
        raise BadParameter(f"query_budget={query_budget!r} must be 0 (no limit) or more")
    module = sys.modules[recipe.__module__]
    ours = {name: value for name, value in replacements(resources).items() if hasattr(module, name)}
    with _building, mock.patch.multiple(module, **ours):
        built = recipe.build(model)
    if query_budget:
        built.goal_function.query_budget = query_budget
    return built
