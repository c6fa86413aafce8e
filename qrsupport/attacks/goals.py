"""What an attack has to reach, beyond any wrong answer: a margin, or several classifiers at once.

Both are TextAttack's UntargetedClassification with one thing changed, so that its recipes and
search methods run as they are.
"""

import numpy as np

from .. import offline
from ..errors import BadParameter
from ..quantization import victim
from ..quantization.ensembles import same_labels
from . import wiring

offline.textattack()

from textattack.goal_functions import UntargetedClassification


class Margin(UntargetedClassification):
    """UntargetedClassification that succeeds when a wrong class leads the true one by at least `margin` probability.

    At margin 0 it is UntargetedClassification.  A text that is misclassified before the attack, by
    whatever margin, is skipped.
    """

    margin = 0.0

    def init_attack_example(self, attacked_text, ground_truth_output):
        self.model.truth = ground_truth_output  # which `Several` needs
        self.clear_cache()
        return super().init_attack_example(attacked_text, ground_truth_output)

    def _is_goal_complete(self, model_output, attacked_text):
        wrong = super()._is_goal_complete(model_output, attacked_text)
        return bool(wrong) and self.far_enough(model_output)

    def _should_skip(self, model_output, attacked_text):
        return super()._is_goal_complete(model_output, attacked_text)

    def far_enough(self, row) -> bool:
        """Whether the highest probability in `row` (classes) exceeds the true class's by `margin` or more."""
        return float(row.max()) - float(row[self.ground_truth_output]) >= self.margin


class Several(wiring.Wrapper):
    """Several classifiers asked as one: the answer is that of the member which is hardest to fool.

    That is the member in whose probabilities the true class leads the best other class by most
    (is behind by least); of equals, the first.  Its answer is wrong if and only if every member's
    is, so that an attack that fools it has fooled all.  `truth`, the true class, is set by
    `Margin` when an example begins.  `asked` counts texts, not members.
    """

    def __init__(self, members):
        same_labels(members)
        super().__init__(members[0])
        self.members, self.truth = list(members), 0

    def __call__(self, texts, **_):
        """(len(texts), labels) logits."""
        self.asked += len(texts)
        logits = np.stack([member(texts) for member in self.members])
        hardest = lead(logits, self.truth).argmax(0)
        return logits[hardest, np.arange(len(texts))]


def lead(logits: np.ndarray, truth: int) -> np.ndarray:
    """By how much probability class `truth` leads the best other class; `logits` (..., classes), found (...), float64."""
    probabilities = victim.probabilities(logits)
    return probabilities[..., truth] - np.delete(probabilities, truth, axis=-1).max(axis=-1)


def aim(attack, margin: float):
    """The attack with `Margin` in place of UntargetedClassification.

    Raises BadParameter if the attack has another goal function.
    """
    goal = attack.goal_function
    if type(goal) is not UntargetedClassification or goal.target_max_score is not None:
        raise BadParameter(
            f"margin and joint need an attack whose goal is UntargetedClassification, not {type(goal).__name__}"
        )
    goal.__class__, goal.margin = Margin, margin
    return attack
