"""Asking a variant without a search: the whole evaluation split, or a source's adversarial set."""

import time
from pathlib import Path

from . import catalog, config, data, engine, provenance, records, store, variants, victim
from .records import Folder, Replay, Status


def clean(p: config.Parameters, variant: str) -> Path:
    """The folder with the variant's predictions on the whole evaluation split, as `records.load_clean` reads them."""
    dataset, model = data.load(p), victim.load(variants.build(p, variant))
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
            "bytes": model.bytes, "execution": catalog.execution(variant),
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
    model = victim.load(variants.build(p, target))
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
        for record in attacked.load():
            if record.position not in done and record.status is not Status.error:
                folder.append(one(record, model, target, made_by))
        folder.close()
    return folder.path


def matrix(p: config.Parameters, sources, targets) -> list[Path]:
    """The folders of replays of every source's adversarial set on every target.

    A source whose records are at hand is not attacked again.
    """
    return [replay(p, source, target) for source in sources for target in targets]


def one(record: records.Record, model: victim.Victim, target: str, made_by: str) -> Replay:
    """The target's answers to one example and to its member of the adversarial set."""
    start = time.time()
    before, after = victim.probabilities(model([record.text, records.adversarial_text(record)])).tolist()
    return Replay(
        example=record.example, position=record.position, dataset=record.dataset, backbone=record.backbone,
        seed=record.seed, source=record.variant, target=target, attack=record.attack, resources=record.resources,
        attack_seed=record.attack_seed, status=record.status, label=record.label,
        clean=max(range(len(before)), key=before.__getitem__), replayed=max(range(len(after)), key=after.__getitem__),
        probabilities_clean=before, probabilities_replayed=after, made_by=made_by,
        query_budget=record.query_budget, margin=record.margin, joint=record.joint,
        execution=catalog.execution(target),
        timing=engine.timing(start),
    )  # fmt: skip
