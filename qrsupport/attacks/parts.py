"""TextAttack's parts for any text and without flair: names, merged words, look-alike letters, fluency, searches.

`wiring.stand_ins` puts them, with what they take from a resource set, where a recipe names TextAttack's.
"""

import contextlib

from .. import offline
from ..errors import CannotRun

offline.textattack()

from textattack.constraints.grammaticality.language_models import GPT2
from textattack.constraints.grammaticality.language_models.language_model_constraint import LanguageModelConstraint
from textattack.goal_functions import InputReduction
from textattack.search_methods import (
    ImprovedGeneticAlgorithm,
    ParticleSwarmOptimization,
    ParticleSwarmOptimizationLEAP,
)
from textattack.transformations import (
    WordMergeMaskedLM,
    WordSwapChangeLocation,
    WordSwapChangeName,
    WordSwapHomoglyphSwap,
)


class Merge(WordMergeMaskedLM):
    """WordMergeMaskedLM with the resource set's tagger."""

    def __init__(self, tagger, **settings):
        super().__init__(**settings)
        self.tagger = tagger

    def _get_transformations(self, current_text, indices_to_modify):
        current_text.pos_of_word_index = self.tagger(current_text.words).__getitem__  # in place of flair's tagger
        return super()._get_transformations(current_text, indices_to_modify)


class _Named:
    """A transformation of names, with the resource set's lists of them."""

    language: str

    def __init__(self, entities, *args, **settings):
        super().__init__(*args, **settings)
        if self.language != "en":
            raise CannotRun(f"names are found in English text only, not language={self.language!r}")
        self.entities = entities

    def _get_transformations(self, current_text, indices_to_modify):
        labels = self.entities(current_text.words)
        current_text.ner_of_word_index = lambda i, model_name="ner": labels[i]  # in place of flair's tagger
        return super()._get_transformations(current_text, sorted(indices_to_modify))  # type: ignore[misc]  # a mixin


class Name(_Named, WordSwapChangeName):
    """WordSwapChangeName with the resource set's lists of names."""


class Location(_Named, WordSwapChangeLocation):
    """WordSwapChangeLocation with the resource set's lists of places."""


class Homoglyphs(WordSwapHomoglyphSwap):
    """WordSwapHomoglyphSwap, which sets all it needs for words before it opens a file that no package ships."""

    def __init__(self, *args, **settings):
        with contextlib.suppress(FileNotFoundError):
            super().__init__(*args, **settings)


class Fluent(GPT2):
    """The constraint GPT2 with the resource set's model."""

    def __init__(self, model, tokenizer, **settings):
        LanguageModelConstraint.__init__(self, **settings)
        self.model, self.tokenizer = model, tokenizer


class _Wordless:
    """A search that gives up on a text without words, where upstream's raises an error."""

    def perform_search(self, initial_result):
        if not initial_result.attacked_text.words:
            return initial_result
        return super().perform_search(initial_result)  # type: ignore[misc]  # a mixin


class Swarm(_Wordless, ParticleSwarmOptimization):
    """ParticleSwarmOptimization for every text."""


class Flights(_Wordless, ParticleSwarmOptimizationLEAP):
    """ParticleSwarmOptimizationLEAP for every text."""


class Genetic(_Wordless, ImprovedGeneticAlgorithm):
    """ImprovedGeneticAlgorithm for every text."""


class Reduction(InputReduction):
    """InputReduction that gives a text without words no score, where upstream's divides by zero."""

    def _get_score(self, model_output, attacked_text):
        return super()._get_score(model_output, attacked_text) if self.initial_attacked_text.num_words else 0
