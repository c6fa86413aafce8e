"""The same search, faster: TextAttack's parts with equal ones that do less work, swapped in one by one.

Nothing here searches: the search methods are TextAttack's.  `accelerate` looks at each part of an
attack and replaces those whose exact class it knows; all others stay as they are, so any recipe
runs, and `tests/test_fast.py` compares whole attacks with TextAttack's own.  What makes
TextAttack slow, and what replaces it:

* a candidate text is rebuilt word by word, with two regular expressions a word → `Text` cuts the
  new word in and derives the word list from the old one;
* a text is asked again whenever its bookkeeping differs, and each answer goes through a handful
  of tensors → `goal_function` answers from a table by text and makes each batch's scores at once;
* every candidate passes through caches of pairs of texts → `Attack` skips them where there is no
  constraint to remember, and asks once a batch whether a constraint applies;
* a candidate's neighbourhood is tagged as a whole for one word's part of speech, and its window is
  found by searching the text → `PartOfSpeech`, `SentenceConstraint`;
* the particles of a swarm meet in the same texts, whose best neighbours are looked for each time, and
  draw a random number a word → `Swarm` looks once, counts the queries again, and draws many numbers at once.
"""

import copy
import operator
import re
from functools import lru_cache
from itertools import chain

import numpy as np
import torch

from . import attacks, goals, offline

textattack = offline.textattack()

from textattack.goal_function_results import ClassificationGoalFunctionResult, GoalFunctionResultStatus
from textattack.goal_functions import UntargetedClassification
from textattack.search_methods import GreedyWordSwapWIR, PopulationMember
from textattack.shared import AttackedText
from textattack.shared.utils import words_from_text

CJK = re.compile("[\u4e00-\u9fff]")
ODD = re.compile(f"[\u4e00-\u9fff]|{AttackedText.SPLIT_TOKEN}")


@lru_cache(maxsize=2**16)
def is_single(word: str) -> bool:
    """Whether TextAttack reads `word` as one word, perhaps without its punctuation."""
    return not ODD.search(word) and len(words_from_text(word)) == 1


@lru_cache(maxsize=2**16)
def is_plain(word: str) -> bool:
    """Whether TextAttack reads `word`, wherever it stands, as just that one word."""
    return is_single(word) and words_from_text(word) == [word]


class Text(AttackedText):
    """AttackedText for one column of text, with replacements by cutting and pasting.

    Texts, words and attributes are those of AttackedText; where a text or a new word is out of
    the ordinary (Chinese characters are segmented, a replacement of several words shifts the
    indices), AttackedText's own method makes it.
    """

    def __init__(self, text_input, attack_attrs=None):
        self._prepare(text_input if isinstance(text_input, str) else "\n".join(text_input.values()))
        super().__init__(text_input, attack_attrs)

    def _prepare(self, text: str) -> None:
        self._text, self._hash, self._spans = text, hash(text), None

    @classmethod
    def _made(cls, parent: "Text", text: str, words: list[str] | None, attack_attrs: dict) -> "Text":
        new = cls.__new__(cls)
        new._text_input = type(parent._text_input)(zip(parent._text_input, (text,)))
        new._words, new._words_per_input, new._pos_tags, new._ner_tags = words, None, None, None
        new.attack_attrs = attack_attrs
        new._prepare(text)
        return new

    @property
    def text(self) -> str:
        return self._text

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other) -> bool:
        return self._text == other.text and len(self.attack_attrs) == len(other.attack_attrs)

    def spans(self) -> list[tuple[int, int]] | None:
        """Where each word stands in the text; None if the text is out of the ordinary."""
        if self._spans is None:
            self._spans = [] if ODD.search(self._text) or len(self._text_input) != 1 else self._find_spans()
        return self._spans or None

    def _find_spans(self) -> list[tuple[int, int]]:
        spans, end = [], 0
        for word in self.words:
            start = self._text.index(word, end)
            end = start + len(word)
            spans.append((start, end))
        return spans

    def _attributes(self, indices: set[int]) -> dict:
        old, new = self.attack_attrs, {}
        if "label_names" in old:
            new["label_names"] = old["label_names"]
        new["newly_modified_indices"] = indices
        new["previous_attacked_text"] = self
        new["modified_indices"] = old["modified_indices"] | indices
        new["original_index_map"] = old["original_index_map"].copy()
        return new

    def replace_word_at_index(self, index: int, new_word: str) -> AttackedText:
        spans = self.spans()
        if spans is None or not isinstance(new_word, str) or not 0 <= index < len(spans):
            return super().replace_word_at_index(index, new_word)
        start, end = spans[index]
        if new_word == "":
            return self._without(index, start, end)
        if not is_single(new_word):
            return super().replace_word_at_index(index, new_word)
        text = self._text[:start] + new_word + self._text[end:]
        attributes = self._attributes({index} if self.words[index] != new_word else set())
        words = None
        if is_plain(new_word):
            words = self.words.copy()
            words[index] = new_word
        return self._made(self, text, words, attributes)

    def _without(self, index: int, start: int, end: int) -> "Text":
        """The text with the word at `index` deleted, and one space with it."""
        before, after = self._text[:start], self._text[end:]
        if after and index == 0 and after[0] == " ":
            after = after[1:]
        elif after and index > 0 and before[-1:] == " ":
            before = before[:-1]
        attributes = self._attributes(set())
        attributes["modified_indices"] = {i - (i > index) for i in self.attack_attrs["modified_indices"] if i != index}
        index_map = attributes["original_index_map"]
        index_map[index_map == index] = -1
        index_map[index_map > index] -= 1
        return self._made(self, before + after, None, attributes)

    def replace_words_at_indices(self, indices, new_words) -> AttackedText:
        spans = self.spans()
        ordinary = (
            spans is not None
            and len(indices) == len(new_words)
            and all(0 <= i < len(spans) for i in indices)
            and all(isinstance(w, str) and is_plain(w) for w in new_words)
        )
        if not ordinary:
            return super().replace_words_at_indices(indices, new_words)
        words, replaced = self.words.copy(), dict(zip(indices, new_words))
        pieces, end, changed = [], 0, set()
        for i in sorted(replaced):
            if words[i] != replaced[i]:
                changed.add(i)
                words[i] = replaced[i]
            pieces += [self._text[end : spans[i][0]], replaced[i]]
            end = spans[i][1]
        return self._made(self, "".join(pieces) + self._text[end:], words, self._attributes(changed))

    def _text_index_of_word_index(self, i: int) -> int:
        spans = self.spans() if self._text.isascii() else None
        return spans[i][0] if spans else super()._text_index_of_word_index(i)

    def generate_new_attacked_text(self, new_words) -> AttackedText:
        new = super().generate_new_attacked_text(new_words)
        return Text(new._text_input, new.attack_attrs)

    def words_diff_ratio(self, x: AttackedText) -> float:
        assert self.num_words == x.num_words
        return float(sum(map(operator.ne, self.words, x.words))) / self.num_words


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
        results = [self._result(text, *self._answers[text.text], check_skip) for text in attacked_text_list]
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
        self._answers.update(zip(new, zip(rows.numpy(), outputs, scores)))

    def _result(self, text, row, output, score, check_skip):
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


class Attack(textattack.Attack):
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


class PartOfSpeech(attacks.Tagged):
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


class SentenceConstraint(attacks.Encoded):
    """Encoded that encodes each window once, and none where all texts are shorter than the window."""

    def __init__(self):
        self._encoded = lru_cache(2**14)(lambda text: self.model.encode([text])[0])

    def encode(self, sentences):
        return np.stack([self._encoded(s) for s in sentences])

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


class Swarm(attacks.Swarm):
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
    attacks.Tagged: PartOfSpeech,
    attacks.Encoded: SentenceConstraint,
    attacks.Swarm: Swarm,
    GreedyWordSwapWIR: Ranking,
}


def faster(part):
    """An equal part that does less work, with the settings of `part`; `part` itself if its class has none."""
    if type(part) not in FASTER:
        return part
    new = FASTER[type(part)]()
    new.__dict__.update({k: v for k, v in vars(part).items() if k not in vars(new)})
    return new


def accelerate(attack: textattack.Attack) -> Attack:
    """The same attack, its parts replaced by faster equals where there are any."""
    goal = attack.goal_function
    plain = type(goal) in GOALS and goal.use_cache and not goal.maximizable
    if plain and goal.target_max_score is None:
        goal = copy.copy(goal)
        goal.__class__ = GOALS[type(goal)]
    constraints = [faster(c) for c in (*attack.constraints, *attack.pre_transformation_constraints)]
    return Attack(goal, constraints, attack.transformation, faster(attack.search_method))
