"""The same search, faster: TextAttack's parts with equal ones that do less work, swapped in one by one.

Nothing here searches: the search methods are TextAttack's.  `accelerate` looks at each part of an
attack and replaces those whose exact class it knows; all others stay as they are, so any recipe
runs, and `tests/test_engine.py` compares whole attacks with TextAttack's own.  What makes
TextAttack slow, and what replaces it:

* a candidate text is rebuilt word by word, with two regular expressions a word → `attacked_text.Text` cuts the
  new word in and derives the word list from the old one;
* a text is asked again whenever its bookkeeping differs, and each answer goes through a handful
  of tensors → `GoalFunction` answers from a table by text and makes each batch's scores at once;
* every candidate passes through caches of pairs of texts → `Attack` skips them where there is no
  constraint to remember, and asks once a batch whether a constraint applies;
* a candidate's neighbourhood is tagged as a whole for one word's part of speech, and its window is
  found by searching the text → `PartOfSpeech`, `SentenceConstraint`;
* candidates are asked word by word also where all of them will be → `Ranking` and `Swarm` have them
  asked together;
* the particles of a swarm meet in the same texts, whose best neighbours are looked for each time, and
  draw a random number a word → `Swarm` looks once, counts the queries again, and draws many numbers at once.
"""

import copy
from functools import lru_cache
from itertools import chain

import numpy as np
import torch

from .. import offline
from . import goals, ranking, wiring

offline.textattack()

from textattack import Attack as Upstream
from textattack.goal_function_results import ClassificationGoalFunctionResult, GoalFunctionResultStatus
from textattack.goal_functions import UntargetedClassification
from textattack.search_methods import GreedyWordSwapWIR, PopulationMember
from textattack.shared import AttackedText

WINDOWS = 2**12
"""Sentence encodings that are remembered; beyond that many they are forgotten and begun anew."""


class GoalFunction(UntargetedClassification):
    """UntargetedClassification that asks each distinct text of an example once and scores a batch at a time."""

    def clear_cache(self) -> None:
        super().clear_cache()
        self._answers = {}

    def init_attack_example(self, attacked_text, ground_truth_output):
        self._answers = {}
        return super().init_attack_example(attacked_text, ground_truth_output)

    def get_results(self, attacked_text_list, check_skip=False):
        if self.query_budget < float("inf"):
            attacked_text_list = attacked_text_list[: self.query_budget - self.num_queries]
        self.num_queries += len(attacked_text_list)
        self._ask(attacked_text_list)
        results = [self._result(text, self._answers[text.text], check_skip) for text in attacked_text_list]
        return results, self.num_queries == self.query_budget

    def foresee(self, texts) -> None:
        """Asks, without counting, texts that a search is sure to ask one part at a time: together they take less time."""
        if self.query_budget == float("inf"):
            self._ask(texts)

    def _ask(self, texts) -> None:
        """Adds the rows, labels and scores of the texts not asked before to the table."""
        new = list(dict.fromkeys(t.text for t in texts if t.text not in self._answers))
        if not new:
            return
        rows = torch.softmax(torch.as_tensor(np.asarray(self.model(new))), dim=1)
        if not ((rows.sum(dim=1) - 1).abs() < 1e-6).all():
            raise ValueError("Model scores do not add up to 1.")
        outputs, scores = rows.argmax(dim=1).tolist(), (1 - rows[:, self.ground_truth_output]).tolist()
        self._answers.update(zip(new, zip(rows.numpy(), outputs, scores, strict=True), strict=True))

    def _result(self, text, answer, check_skip):
        row, output, score = answer
        status = GoalFunctionResultStatus.SEARCHING
        if output != self.ground_truth_output:
            if check_skip and self.allow_skip:
                status = GoalFunctionResultStatus.SKIPPED
            elif self.far_enough(row):
                status = GoalFunctionResultStatus.SUCCEEDED
        return ClassificationGoalFunctionResult(
            text, row, output, status, score, self.num_queries, self.ground_truth_output
        )

    def far_enough(self, row) -> bool:
        """Whether an answer that is wrong ends the search."""
        return True


class MarginGoal(GoalFunction, goals.Margin):
    """goals.Margin, asked as GoalFunction does."""

    far_enough = goals.Margin.far_enough


class Attack(Upstream):
    """Attack that remembers which candidates passed only where there are constraints to pass."""

    def get_transformations(self, current_text, original_text=None, **kwargs):
        hashable = {name: tuple(value) if isinstance(value, list) else value for name, value in kwargs.items()}
        return super().get_transformations(current_text, original_text, **hashable)

    def filter_transformations(self, transformed_texts, current_text, original_text=None):
        if self.constraints:
            return super().filter_transformations(transformed_texts, current_text, original_text)
        kept = [t for t in transformed_texts if t.text != current_text.text]
        kept.sort(key=lambda t: t.text)
        return kept

    def _filter_transformations_uncached(self, transformed_texts, current_text, original_text=None):
        made_by = {id(t.attack_attrs.get("last_transformation")) for t in transformed_texts}
        if len(made_by) != 1:
            return super()._filter_transformations_uncached(transformed_texts, current_text, original_text)
        kept = transformed_texts
        for constraint in self.constraints:
            reference = original_text if constraint.compare_against_original else current_text
            if kept and constraint.check_compatibility(kept[0].attack_attrs["last_transformation"]):
                kept = list(constraint._check_constraint_many(kept, reference))
        passed = {id(t) for t in kept}
        for text in sorted(transformed_texts, key=lambda t: id(t) in passed):
            self.constraints_cache[(current_text, text)] = id(text) in passed
        return kept


class PartOfSpeech(wiring.Tagged):
    """Tagged that tags no further than the word in question, and each context once."""

    def __init__(self):
        self._found = lru_cache(2**15)(self._find)

    def _get_pos(self, before_ctx, word, after_ctx):
        return self._found(tuple(before_ctx), word, tuple(after_ctx))

    def _find(self, before, word, after):
        context = [*before, word, *after]
        place = context.index(word)
        upto = getattr(self.tagger, "upto", None)
        return (upto(context, place + 1) if upto else self.tagger(context))[place]


class SentenceConstraint(wiring.Encoded):
    """Encoded that encodes each window once, those of a word's candidates together, and none where all texts are
    shorter than the window."""

    def __init__(self):
        self._encoded = {}

    def encode(self, sentences):
        if len(self._encoded) > WINDOWS:
            self._encoded = {}
        new = [s for s in dict.fromkeys(sentences) if s not in self._encoded]
        self._encoded.update(zip(new, self.model.encode(new), strict=True))
        return np.stack([self._encoded[s] for s in sentences])

    def _score_list(self, starting_text, transformed_texts):
        if self.skip_text_shorter_than_window and all(t.num_words < self.window_size for t in transformed_texts):
            return torch.ones(len(transformed_texts), dtype=torch.float64)
        return super()._score_list(starting_text, transformed_texts)


class Particle(PopulationMember):
    """PopulationMember whose words are looked up once, not once a word of the text."""

    words = ()

    def __init__(self, attacked_text, result=None):
        super().__init__(attacked_text, result)
        self.words = attacked_text.words

    def move(self, result) -> None:
        """Moves to the text of `result`."""
        self.attacked_text, self.result, self.words = result.attacked_text, result, result.attacked_text.words


class Ranking(GreedyWordSwapWIR):
    """GreedyWordSwapWIR that asks all words' candidates together where it ranks words by them."""

    def __init__(self):
        """Without settings: they come from the part that this one replaces."""

    def _get_index_order(self, initial_text, max_len=-1):
        if self.wir_method == "weighted-saliency" and isinstance(self.goal_function, GoalFunction):
            _, places = self.get_indices_to_order(initial_text)
            found = (self.get_transformations(initial_text, initial_text, indices_to_modify=[i]) for i in places)
            self.goal_function.foresee(list(chain.from_iterable(found)))
        return super()._get_index_order(initial_text, max_len)


class RankingElsewhere(ranking.Elsewhere, Ranking):
    """ranking.Elsewhere, asked as Ranking does."""


class Swarm(wiring.Swarm):
    """attacks.Swarm that looks for the best neighbours of a text once an example, and draws many numbers at a time.

    Numbers drawn at once are those that NumPy's random state gives one after the other, and its
    `choice` with probabilities is a search for one of them in their sums (`choose`).  Velocities and
    inertia are Python's floats, not elements of arrays, in TextAttack's loop over the words.
    """

    def __init__(self):
        self._known = {}

    def perform_search(self, initial_result):
        self._known = {}
        return super().perform_search(initial_result)

    def _get_best_neighbors(self, current_result, original_result):
        goal, text = self.goal_function, current_result.attacked_text
        if goal.query_budget < float("inf"):
            return super()._get_best_neighbors(current_result, original_result)
        if text in self._known:
            best, chances, queries = self._known[text]
            goal.num_queries += queries
        else:
            if isinstance(goal, GoalFunction):
                goal.foresee(self.get_transformations(text, original_result.attacked_text))
            before = goal.num_queries
            best, chances = super()._get_best_neighbors(current_result, original_result)
            best = [None if result is current_result else result for result in best]
            self._known[text] = best, chances, goal.num_queries - before
        return [result or current_result for result in best], chances

    def _initialize_population(self, initial_result, pop_size):
        best, chances = self._get_best_neighbors(initial_result, initial_result)
        return [Particle(best[i].attacked_text, best[i]) for i in choose(chances, pop_size)]

    def _perturb(self, pop_member, original_result):
        best, chances = self._get_best_neighbors(pop_member.result, original_result)
        chosen = best[choose(chances, 1)[0]]
        if chosen is pop_member.result:
            return False
        pop_member.move(chosen)
        return True

    def _initialize_velocities(self, num_words):
        return super()._initialize_velocities(num_words).tolist()

    def _compute_omega(self, i, population):
        return super()._compute_omega(i, population).tolist()

    def _compute_turn_prob(self, velocities_k):
        return super()._compute_turn_prob(np.array(velocities_k))

    def _turn(self, source_text, target_text, prob, original_text):
        assert len(source_text.words) == len(target_text.words) == len(prob), "Word length mismatch for turn operation."
        for _ in range(self.max_turn_retries + 1):
            new = self._moved(source_text, target_text, np.flatnonzero(np.random.random(len(prob)) < prob).tolist())
            same = new.words == source_text.words
            if not self.post_turn_check or (
                not same
                and (
                    "last_transformation" not in new.attack_attrs
                    or self._check_constraints(new, source_text.attacked_text, original_text=original_text)
                )
            ):
                return Particle(new)
            if same:
                break
        return copy.copy(source_text)

    @staticmethod
    def _moved(source: Particle, target: Particle, places: list[int]) -> AttackedText:
        """The text of `source` with the words of `target` in some places."""
        start, end = source.attacked_text, target.attacked_text
        new, changed = start.replace_words_at_indices(places, [target.words[i] for i in places]), set(places)
        new.attack_attrs["modified_indices"] = (start.attack_attrs["modified_indices"] - changed) | (
            end.attack_attrs["modified_indices"] & changed
        )
        if "last_transformation" in start.attack_attrs:
            new.attack_attrs["last_transformation"] = start.attack_attrs["last_transformation"]
        return new


def choose(chances, size: int) -> list[int]:
    """`size` places drawn with the probabilities `chances`: the draws of np.random.choice, without its checks."""
    sums = np.cumsum(chances)
    return np.searchsorted(sums / sums[-1], np.random.random(size), side="right").tolist()


GOALS = {UntargetedClassification: GoalFunction, goals.Margin: MarginGoal}
FASTER = {
    wiring.Tagged: PartOfSpeech,
    wiring.Encoded: SentenceConstraint,
    wiring.Swarm: Swarm,
    GreedyWordSwapWIR: Ranking,
    ranking.Elsewhere: RankingElsewhere,
}


def faster(part):
    """An equal part that does less work, with the settings of `part`; `part` itself if its class has none."""
    if type(part) not in FASTER:
        return part
    new = FASTER[type(part)]()
    new.__dict__.update({k: v for k, v in vars(part).items() if k not in vars(new)})
    return new


def accelerate(attack: Upstream) -> Attack:
    """The same attack, its parts replaced by faster equals where there are any."""
    goal = attack.goal_function
    plain = type(goal) in GOALS and goal.use_cache and not goal.maximizable
    if plain and goal.target_max_score is None:
        goal = copy.copy(goal)
        goal.__class__ = GOALS[type(goal)]
    constraints = [faster(c) for c in (*attack.constraints, *attack.pre_transformation_constraints)]
    return Attack(goal, constraints, attack.transformation, faster(attack.search_method))
