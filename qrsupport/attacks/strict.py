"""A recipe that TextAttack does not ship: TextFooler under a stricter constraint."""

from .. import offline

offline.textattack()

from textattack import Attack
from textattack.attack_recipes import TextFoolerJin2019
from textattack.constraints.semantics.sentence_encoders import SentenceEncoder, UniversalSentenceEncoder


class TextFoolerStrict(TextFoolerJin2019):
    """TextFooler with the sentence constraint that Morris et al. (2020) fitted to what people find similar.

    Cosine 0.98 in windows of 15 words, of shorter texts too, in place of an angular similarity of 0.84 (cosine 0.88) that
    texts of fewer than 15 words need not meet; an encoder with a threshold of its own, as `embedded` has, keeps that one.
    Their other two changes, word vectors with a cosine of 0.9 and a grammar checker, are not made: no resource set but
    `published` has word vectors, none a checker.

    Morris, Lifland, Lanchantin, Ji, Qi: Reevaluating Adversarial Examples in Natural Language, Findings of EMNLP 2020.
    """

    @staticmethod
    def build(model_wrapper):
        usual = TextFoolerJin2019.build(model_wrapper)
        sentences = UniversalSentenceEncoder(threshold=0.98, metric="cosine", compare_against_original=False, window_size=15)
        kept = [c for c in usual.constraints if not isinstance(c, SentenceEncoder)]
        constraints = [*usual.pre_transformation_constraints, *kept, sentences]
        return Attack(usual.goal_function, constraints, usual.transformation, usual.search_method)
