"""What an attack has to reach, beyond any wrong answer: a margin, or several classifiers at once, some fooled, some not.

All are TextAttack's UntargetedClassification with one thing changed, so that its recipes and
search methods run as they are.
"""

import numpy as np

from . import attacks, offline, victim
from .ensembles import same_labels
from .errors import BadParameter

offline.textattack()

from textattack.goal_functions import UntargetedClassification


class Margin(UntargetedClassification):
    """UntargetedClassification that succeeds when a wrong class leads the true one by at least `margin` probability.

    At margin 0 it is UntargetedClassification.  A text that is misclassified before the attack, by
    whatever margin, is skipped.
    """

    margin = 0.0

    def init_attack_example(self, attacked_text, ground_truth_output):
        self.model.truth, self.model.begins = ground_truth_output, True  # which `Several` needs
        self.clear_cache()
        found = super().init_attack_example(attacked_text, ground_truth_output)
        self.model.begins = False
        return found

    def _is_goal_complete(self, model_output, attacked_text):
        wrong = super()._is_goal_complete(model_output, attacked_text)
        return bool(wrong) and self.far_enough(model_output)

    def _should_skip(self, model_output, attacked_text):
        return super()._is_goal_complete(model_output, attacked_text)

    def far_enough(self, row) -> bool:
        """Whether the highest probability in `row` (classes) exceeds the true class's by `margin` or more."""
        return float(row.max()) - float(row[self.ground_truth_output]) >= self.margin


class Several(attacks.Wrapper):
    """Several classifiers asked as one: the answer is that of the member which is hardest to fool.

    That is the member in whose probabilities the true class leads the best other class by most
    (is behind by least); of equals, the first.  Its answer is wrong if and only if every member's
    is, so that an attack that fools it has fooled all.  One that is `spared` counts with the true
    class and its best other one exchanged: it is fooled, so to say, while it is right.  A text that
    a spared one gets wrong unattacked has that answer, so that it is skipped: nothing is left to
    spare.  `truth`, the true class, and `begins`, whether this is the unattacked text, are set by
    `Margin` when an example begins.  `asked` counts texts, not members.
    """

    def __init__(self, members, spared=()):
        same_labels([*members, *spared])
        super().__init__(members[0])
        self.members, self.spared, self.truth, self.begins = list(members), list(spared), 0, False

    def __call__(self, texts, **_):
        """(len(texts), labels) logits."""
        self.asked += len(texts)
        fooled, kept = ([member(texts) for member in some] for some in (self.members, self.spared))
        wrong = [answer for answer in kept if self.begins and answer[0].argmax() != self.truth]
        if wrong:
            return wrong[0]
        logits = np.stack([*fooled, *(exchanged(answer, self.truth) for answer in kept)])
        hardest = lead(logits, self.truth).argmax(0)
        return logits[hardest, np.arange(len(texts))]


def lead(logits: np.ndarray, truth: int) -> np.ndarray:
    """By how much probability class `truth` leads the best other class; `logits` (..., classes), found (...), float64."""
    probabilities = victim.probabilities(logits)
    return probabilities[..., truth] - np.delete(probabilities, truth, axis=-1).max(axis=-1)


def exchanged(logits: np.ndarray, truth: int) -> np.ndarray:
    """Logits (texts, classes) with those of class `truth` and of the best other class in each other's place."""
    rows, found = np.arange(len(logits)), logits.copy()
    best = np.where(np.arange(logits.shape[1]) == truth, -np.inf, logits).argmax(1)
    found[rows, best], found[:, truth] = logits[:, truth], logits[rows, best]
    return found


def aim(attack, margin: float):
    """The attack with `Margin` in place of UntargetedClassification.

    Raises BadParameter if the attack has another goal function.
    """
    goal = attack.goal_function
    if type(goal) is not UntargetedClassification or goal.target_max_score is not None:
        raise BadParameter(
            f"margin, joint and spare need an attack whose goal is UntargetedClassification, not {type(goal).__name__}"
        )
    goal.__class__, goal.margin = Margin, margin
    return attack
