"""Asking a variant without a search: the whole evaluation split, or a source's adversarial set."""

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from . import catalog, config, data, engine, ensembles, provenance, records, store, variants, victim
from .records import Folder, Replay, Status

AT_ONCE = 64
"""Records written together: what a stop can lose."""


class Remembering:
    """A classifier that is asked a text once a process.

    Most of a source's adversarial set are unchanged texts, which stand in the evaluation split and in other sources' sets.
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


_one = lru_cache(victim.OPEN)(Remembering)


def remembering(model):
    """The classifier `model`, or the ensemble of its members, as `Remembering`."""
    if isinstance(model, ensembles.Ensemble):
        return ensembles.Ensemble(model.path, model.rule, [_one(member) for member in model.members], model.seed)
    return _one(model)


def clean(p: config.Parameters, variant: str) -> Path:
    """The folder with the variant's predictions on the whole evaluation split, as `records.load_clean` reads them."""
    dataset, model = data.load(p), remembering(victim.load(variants.build(p, variant)))
    depends = {
        "parameters": config.identity(p, variant),
        "data": dataset.fingerprint,
        "model": model.digest,
        "code": provenance.code("replay"),
    }

    def build(room: Path) -> None:
        split = dataset.eval_split()
        logits = victim.predict(model, split.texts, progress=True)
        content = {
            "dataset": dataset.name, "backbone": p.backbone, "seed": p.seed, "variant": variant,
            "split": dataset.evaluation, "class_names": list(dataset.labels), "ids": list(split.ids),
            "labels": list(split.labels), "predicted": [int(i) for i in logits.argmax(1)],
            "probabilities": victim.probabilities(logits).tolist(), "bytes": model.bytes, "execution": catalog.execution(variant),
        }  # fmt: skip
        store.write_json(room / "predictions.json", content)

    folder = engine.name(p, variant, config.key(depends["parameters"]))
    return store.made(config.run_dir(p) / "clean" / folder, depends, build)


def replay(p: config.Parameters, source: str = "fp32", target: str = "int8-dynamic") -> Path:
    """The folder of replays: what `target` says of the adversarial set of `source` under `p.attack`.

    The attack on the source is run first where its records are missing; it is never run again.
    """
    p, recipe = engine.settled(engine.aimed(p, source))
    attacked = Folder(engine.attack(p, source))
    model = remembering(victim.load(variants.build(p, target)))
    parameters = {
        "source": engine.identity(p, source, recipe),
        "target": config.identity(p, target),
    }
    made_by = config.key(parameters)
    folder = Folder(config.run_dir(p) / "replays" / engine.name(p, source, "to", target, p.attack, made_by), Replay)
    with store.lock(folder.path):
        folder.open(
            {
                "parameters": parameters,
                "model": model.digest,
                "attack": config.key(attacked.depends()),
                "code": provenance.code("replay"),
            }
        )
        done = {r.position for r in folder.load()}
        todo = [r for r in attacked.load() if r.position not in done and r.status is not Status.error]
        for start in range(0, len(todo), AT_ONCE):
            for found in answers(todo[start : start + AT_ONCE], model, target, made_by):
                folder.append(found)
        folder.close()
    return folder.path


def matrix(p: config.Parameters, sources, targets) -> list[Path]:
    """The folders of replays of every source's adversarial set on every target.

    A source whose records are at hand is not attacked again.
    """
    return [replay(p, source, target) for source in sources for target in targets]


def answers(attacked: list[records.Record], model: victim.Victim, target: str, made_by: str) -> list[Replay]:
    """The target's answers to some examples and to their members of the adversarial set."""
    start = time.time()
    before = victim.probabilities(model([r.text for r in attacked])).tolist()
    after = victim.probabilities(model([records.adversarial_text(r) for r in attacked])).tolist()
    took = engine.timing(start, len(attacked))
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
