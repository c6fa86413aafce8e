"""Asking a classifier without a search: the whole evaluation split, or a source's adversarial set."""

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from .. import catalog, records
from ..data import datasets
from ..quantization import classifiers, victim
from ..records import Replay
from . import tasks
from .answers import each

AT_ONCE = 64
"""Records written together: what a stop can lose."""


class Remembering:
    """A classifier that is asked a text once a process.

    Most of a source's adversarial set are unchanged texts, which stand in the evaluation split and in other sources' sets.
    What attacks keep (`answers.Kept`) is not read here: a replay that asks anew is what checks an attack's answers.
    """

    def __init__(self, model: victim.Victim):
        self.model, self.known = model, {}

    def __getattr__(self, name: str):
        return getattr(self.model, name)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Logits, shape (len(texts), classes), as the classifier gives or gave them."""
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        self.known.update(zip(new, self.model(new), strict=True))
        return np.stack([self.known[text] for text in texts]) if len(texts) else self.model(texts)


_one = lru_cache(classifiers.OPEN)(Remembering)


def remembering(model):
    """The classifier `model`, or the ensemble of its members, as `Remembering`."""
    return each(model, _one)


def predictions(model, dataset: datasets.Dataset, variant: str) -> dict:
    """What the classifier `model`, variant `variant`, says of the whole evaluation split: split, class_names, ids, labels and
    predicted (class numbers), bytes, execution."""
    model, split = remembering(model), dataset.eval_split()
    logits = victim.predict(model, split.texts, progress=True)
    return {
        "split": dataset.evaluation, "class_names": list(dataset.labels), "ids": list(split.ids),
        "labels": list(split.labels), "predicted": [int(i) for i in logits.argmax(1)],
        "probabilities": victim.probabilities(logits).tolist(), "bytes": model.bytes,
        "execution": catalog.execution(variant),
    }  # fmt: skip


def answers(attacked: list[records.Record], model, target: str, made_by: str) -> Iterator[Replay]:
    """What the classifier `model`, variant `target`, answers to examples and to their members of the adversarial set."""
    model = remembering(model)
    for start in range(0, len(attacked), AT_ONCE):
        yield from _some(attacked[start : start + AT_ONCE], model, target, made_by)


def _some(attacked: list[records.Record], model, target: str, made_by: str) -> list[Replay]:
    start = time.time()
    before = victim.probabilities(model([r.text for r in attacked])).tolist()
    after = victim.probabilities(model([records.adversarial_text(r) for r in attacked])).tolist()
    took = tasks.timing(start, len(attacked))
    return [one(*found, target, made_by, took) for found in zip(attacked, before, after, strict=True)]


def one(record: records.Record, before: list, after: list, target: str, made_by: str, timing: dict) -> Replay:
    """The record of a replayed example, from the target's probabilities of the text and of the adversarial one."""
    return Replay(
        example=record.example, position=record.position, dataset=record.dataset, backbone=record.backbone,
        seed=record.seed, source=record.variant, target=target, attack=record.attack, resources=record.resources,
        attack_seed=record.attack_seed, status=record.status, label=record.label,
        clean=max(range(len(before)), key=before.__getitem__), replayed=max(range(len(after)), key=after.__getitem__),
        probabilities_clean=before, probabilities_replayed=after, made_by=made_by,
        query_budget=record.query_budget, margin=record.margin, joint=record.joint, spare=record.spare,
        ranking=record.ranking, restart=record.restart,
        execution=catalog.execution(target),
        timing=timing,
    )  # fmt: skip
