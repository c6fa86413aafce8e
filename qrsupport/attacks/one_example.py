"""Attacking one example: TextAttack's search on one classifier, and its outcome as a record."""

import random
import time
from pathlib import Path

import numpy as np

from .. import offline, records
from ..errors import DependentAnswers
from ..quantization import classifiers
from ..records import Status
from . import answers, attacked_text, faster, goals, ranking, tasks, wiring


class Searcher:
    """One classifier and one recipe, ready to attack examples; `stock`: with TextAttack's parts as they are."""

    def __init__(self, job: tasks.Task, stock: bool = False):
        p = job.p
        self.task, self.stock = job, stock
        self.victim = self.load(job.model)
        others, spared = ([self.load(path) for path in some] for some in (job.others, job.spared))
        several = others or spared
        self.wrapper = goals.Several([self.victim, *others], spared) if several else wiring.Wrapper(self.victim)
        self.words, recipe = tasks.supply(p, job.recipe), job.recipe or wiring.RECIPES[p.attack]
        with offline.network(p.network):
            self.attack = wiring.build_recipe(recipe, self.words.part, self.wrapper, p.query_budget)
        if p.margin or several:
            goals.aim(self.attack, p.margin)
        if p.ranking:
            ranking.by(self.attack, self.load(job.ranking) if job.ranking else None)
        self.text = attacked_text.AttackedText if stock else attacked_text.Text
        if not stock:
            self.attack = faster.accelerate(self.attack)

    def load(self, path: Path):
        """The classifier in a folder; it looks up what it answered before where the task says."""
        return answers.kept(classifiers.load(path, device=self.task.p.device), self.task.answers)

    def __call__(self, example: tasks.Example) -> records.Record:
        """The example's record; an exception becomes a record with status `error`, but for DependentAnswers."""
        start = time.time()
        try:
            outcome = self.outcome(example)
        except DependentAnswers:
            raise
        except Exception as e:  # whatever it is: the record names it and the run goes on
            outcome = self.without_acceleration(example, e)
        truncated = self.victim.truncated(example.text)
        return tasks.record(self.task, example, timing=tasks.timing(start), truncated=truncated, **outcome)

    def without_acceleration(self, example: tasks.Example, why: Exception) -> dict:
        """The outcome by TextAttack's own parts, after the faster ones raised `why`; an error if they raise too."""
        note = f"{type(why).__name__}: {why}"
        try:
            if not self.stock:
                return Searcher(self.task, stock=True).outcome(example) | {"engine": "textattack", "note": note}
        except DependentAnswers:
            raise
        except Exception as e:
            note = f"{type(e).__name__}: {e}"
        return {"status": Status.error, "note": note}

    def outcome(self, example: tasks.Example) -> dict:
        """Attacks one text; the record's fields that say how it ended."""
        seed = tasks.example_seed(self.task.p.attack_seed, example.id, self.task.p.restart)
        random.seed(seed)
        np.random.seed(seed)
        self.wrapper.asked = 0
        with offline.network(self.task.p.network):
            result = self.attack.attack(self.text(example.text), example.label)
        return self.fields(result)

    def fields(self, result) -> dict:
        """The record's fields from TextAttack's result."""
        before, after = result.original_result, result.perturbed_result
        status = STATUSES[type(result).__name__]
        start, end = before.attacked_text, after.attacked_text
        return {
            "status": status,
            "before": int(before.output),
            "after": int(after.output),
            "probabilities_before": [float(x) for x in before.raw_output],
            "probabilities_after": [float(x) for x in after.raw_output],
            "perturbed": end.text,
            "words": start.num_words,
            "words_changed": len(start.all_words_diff(end)),
            "similarity": self.words.similarity(start.text, end.text),
            "queries": int(result.num_queries),
            "evaluations": self.wrapper.asked,
        }


STATUSES = {
    "SuccessfulAttackResult": Status.succeeded,
    "FailedAttackResult": Status.failed,
    "MaximizedAttackResult": Status.failed,
    "SkippedAttackResult": Status.skipped,
}
