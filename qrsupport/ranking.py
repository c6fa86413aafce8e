"""Which words a greedy attack takes first: ranked by the answers of another classifier, or in random order.

A rounded classifier may confuse a greedy search, as masked gradients do: then an attack on it that
takes its ranking from the 32-bit one wins more.  Random orders are what restarts of a greedy search
differ in, which draws no number otherwise.
"""

import contextlib

from . import attacks, offline
from .ensembles import same_labels
from .errors import CannotRun

offline.textattack()

from textattack.search_methods import GreedyWordSwapWIR

RANKED = ("unk", "weighted-saliency", "delete")


class Elsewhere(GreedyWordSwapWIR):
    """GreedyWordSwapWIR that ranks words by the answers of `other`, and searches as ever.

    Texts asked for the ranking count as queries, whoever is asked; a record's `evaluations` leave
    those of `other` out.
    """

    other = None

    def _get_index_order(self, initial_text, max_len=-1):
        with answering(self.goal_function, self.other):
            return super()._get_index_order(initial_text, max_len)


@contextlib.contextmanager
def answering(goal, model):
    """While this lasts, the goal function asks `model`; no answer of one is remembered as the other's."""
    own = {name: value for name, value in vars(goal).items() if name in ("model", "use_cache", "_answers")}
    goal.model, goal.use_cache, goal._answers = model, False, {}
    try:
        yield
    finally:
        vars(goal).update(own)


def by(attack, model) -> None:
    """Has `attack` rank words by the answers of the classifier `model`; None: take them in random order.

    Raises CannotRun as `check`, BadCheckpoint if the classifier attacked has other labels.
    """
    check(attack)
    search = attack.search_method
    if model is None:
        search.wir_method = "random"
        return
    same_labels([attack.goal_function.model.model, model])
    search.__class__, search.other = Elsewhere, attacks.Wrapper(model)


def check(attack) -> None:
    """Raises CannotRun unless `attack` searches greedily in the order of the words' importance."""
    search = attack.search_method
    if type(search) is not GreedyWordSwapWIR or search.wir_method not in RANKED:
        raise CannotRun(
            f"ranking needs a greedy search by word importance, and {type(search).__name__} is none; "
            "take textfooler or pwws, or leave ranking empty"
        )
