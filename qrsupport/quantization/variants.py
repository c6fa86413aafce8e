"""From a fine-tuned checkpoint to an executable classifier: one folder a variant.

A new variant is a line in `catalog.VARIANTS`; a new precision is one function in `precisions.MADE`.
"""

import dataclasses
import json
import os
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .. import catalog, config, store
from ..data import datasets
from ..errors import BadCheckpoint, CannotRun
from ..training import given
from . import classifiers, controls, ensembles, export, precisions, weights

VERSIONS = ("onnx", "onnxruntime", "tokenizers", "torch", "transformers")
CHECKED = 64


@dataclasses.dataclass(frozen=True)
class Source:
    """What a variant is made from: the folder of its checkpoint (none for an ensemble), the data, the folders of other
    variants by name."""

    checkpoint: Any
    dataset: datasets.Dataset
    variants: dict[str, Path]

    def texts(self, n: int, seed: int) -> list[str]:
        """`n` texts of the evaluation split, a seeded sample."""
        return some_texts(self.dataset, n, seed)


def some_texts(dataset: datasets.Dataset, n: int, seed: int) -> list[str]:
    """`n` texts of the evaluation split, a seeded sample."""
    split = dataset.eval_split()
    return [split.texts[i] for i in datasets.sample(split, n, seed)]


def made_of(name: str) -> tuple[str, ...]:
    """The variants that variant `name` is made from."""
    entry = catalog.VARIANTS[name]
    if entry.members or entry.precision == "fp32":
        return tuple(entry.members)
    plain = next(n for n, e in catalog.VARIANTS.items() if (e.checkpoint, e.precision) == (entry.checkpoint, "fp32"))
    return (plain, "int8-dynamic") if entry.precision in CONTROLS else (plain,)


def made_from(source: Source) -> dict:
    """What tells two variants of one name apart: data, checkpoint, tokenizer, versions of the libraries."""
    return {
        "data": source.dataset.fingerprint,
        "checkpoint": store.sha256(given.weights(source.checkpoint)),
        "tokenizer": store.sha256(source.checkpoint / "tokenizer.json"),
        "versions": {v: version(v) for v in VERSIONS},
    }


def check(name: str) -> None:
    """Raises CannotRun if this machine lacks what variant `name` needs, naming the nearest variant that it can run."""
    reason = precisions.lacks(name)
    if reason:
        others = [v for v in (*catalog.VARIANTS[name].nearest, "fp32") if v != name]
        near = next((v for v in others if not precisions.lacks(v)), None)
        hint = f"take {near!r}, the nearest that can" if near else "use another machine"
        raise CannotRun(f"variant {name!r} cannot run: {reason}; {hint}")


def make(p: config.Parameters, name: str, source: Source, room: Path) -> dict:
    """Fills the empty folder `room` with variant `name`; returns notes for its meta.

    It holds model.onnx, tokenizer.json and variant.json: labels, max_length (tokens), pad_id,
    inputs (names), precision, variant, options, simulated, bytes
    (of model.onnx; if simulated, of one that stored its weights at their width).  An ensemble's
    holds only variant.json: labels, variant, rule, seed, members (variant, folder beside it, digest),
    bytes.  Raises BadCheckpoint for a checkpoint that cannot be exported or whose ONNX form answers differently.
    """
    entry, start = catalog.VARIANTS[name], time.time()
    if entry.members:
        return _ensemble(p, name, source, room)
    settings = json.loads((source.checkpoint / "config.json").read_text("utf-8"))
    about = {
        "labels": list(source.dataset.labels),
        "max_length": p.max_length,
        "pad_id": settings.get("pad_token_id") or 0,
        "architecture": settings.get("model_type") or "",
        "variant": name,
        "precision": entry.precision,
        "simulated": entry.simulated,
        "options": {option: getattr(p, option) for option in entry.options},
    }
    store.write_bytes(room / "tokenizer.json", (source.checkpoint / "tokenizer.json").read_bytes())
    notes = PRECISIONS[entry.precision](p, entry, source, room, about)
    about = {"bytes": weights.size(room / "model.onnx")} | about
    store.write_json(room / "variant.json", about)
    return notes | {"seconds": round(time.time() - start, 3)}


def _fp32(p: config.Parameters, entry: catalog.VariantEntry, source: Source, room: Path, about: dict) -> dict:
    """The checkpoint exported as it is, and checked against torch; one that is an ONNX file is taken over."""
    if given.is_onnx(source.checkpoint):
        about["inputs"] = list(classifiers.load(source.checkpoint).inputs)
        store.write_bytes(room / "model.onnx", given.weights(source.checkpoint).read_bytes())
        return {}
    about["inputs"] = export.to_onnx(source.checkpoint, room / "model.onnx")
    store.write_json(room / "variant.json", about)
    found = export.compare(source.checkpoint, classifiers.load(room), source.texts(CHECKED, p.seed))
    if found["label_agreement"] < 1 or not found["max_logit_difference"] <= export.TOLERANCE:
        raise BadCheckpoint(f"the ONNX form of {source.checkpoint} answers differently from torch: {found}")
    return found


def _from_fp32(make):
    """A precision that `make(p, data, folder of the 32-bit variant of the same checkpoint, file to write)` makes."""

    def precision(p: config.Parameters, entry: catalog.VariantEntry, source: Source, room: Path, about: dict) -> dict:
        (plain,) = source.variants.values()
        about["inputs"] = list(classifiers.load(plain).inputs)
        about |= make(p, source.dataset, plain, room / "model.onnx")
        return {}

    return precision


def _noise(p: config.Parameters, entry: catalog.VariantEntry, source: Source, room: Path, about: dict) -> dict:
    """The 32-bit variant with noise as large, tensor by tensor, as its 8-bit variant's error; the draw ends its name."""
    fp32, int8 = (folder / "model.onnx" for folder in source.variants.values())
    about |= {"inputs": list(classifiers.load(fp32.parent).inputs), "precision": "fp32"}
    return controls.noise(fp32, int8, room / "model.onnx", int(entry.precision.rsplit("-")[1]), p.seed)


def _matched(make, precision: str):
    """A control that `make(controls.Pair, folder)` matches with the 8-bit variant, executed in `precision`."""

    def control(p: config.Parameters, entry: catalog.VariantEntry, source: Source, room: Path, about: dict) -> dict:
        fp32, int8 = source.variants.values()
        where, split = source.dataset.aside()
        texts = [split.texts[i] for i in datasets.sample(split, controls.SAMPLE, p.seed)]
        about |= {"inputs": list(classifiers.load(fp32).inputs), "precision": precision}
        store.write_json(room / "variant.json", about)
        found = make(controls.Pair(fp32, int8, texts, p.seed), room)
        about["matched"] = found | {"split": where, "texts": len(texts)}
        return {}

    return control


def _ensemble(p: config.Parameters, name: str, source: Source, room: Path) -> dict:
    """The folder of an ensemble: who its members are."""
    members = {member: classifiers.load(folder) for member, folder in source.variants.items()}
    whole = ensembles.Ensemble(room, catalog.VARIANTS[name].precision, list(members.values()), p.seed)
    named = [{"variant": n, "folder": m.path.name, "digest": m.digest} for n, m in members.items()]
    about = {"labels": list(whole.labels), "variant": name, "rule": whole.rule, "seed": p.seed, "members": named}
    store.write_json(room / "variant.json", about | {"bytes": whole.bytes})
    return {}


def weight_error(fp32: Path, int8: Path) -> np.ndarray:
    """8-bit weight minus 32-bit weight over all quantized weights of two variants' folders, flat, float32."""
    return export.weight_error(Path(fp32) / "model.onnx", Path(int8) / "model.onnx")


def latencies(paths: dict[str, Path], texts, repeats: int) -> dict[str, dict]:
    """Wall time of one prediction (tokenizing included) of each variant's folder, batch 1, one thread, going round `texts`.

    The variants take turns text by text, so that what slows the machine down for a while slows all
    of them.  Keys by variant: median, low, high (quartiles), in milliseconds; repeats; load (the
    system's mean of a minute, before and after; other work included) and cores.  Ten turns before
    are not counted.
    """
    opened = {name: classifiers.load(path) for name, path in paths.items()}
    times, before = {name: [] for name in paths}, os.getloadavg()[0]
    for i in range(10 + repeats):
        for name, classifier in opened.items():
            start = time.perf_counter()
            classifier([texts[i % len(texts)]])
            times[name].append(1000 * (time.perf_counter() - start))
    about = {"repeats": repeats, "load": [before, os.getloadavg()[0]], "cores": os.cpu_count()}
    return {name: _quartiles(taken[10:]) | about for name, taken in times.items()}


def _quartiles(times: list[float]) -> dict:
    return dict(zip(("low", "median", "high"), map(float, np.percentile(times, (25, 50, 75))), strict=True))


CONTROLS = (
    dict.fromkeys(("noise-1", "noise-2", "noise-3"), _noise)
    | {
        f"{kind}-{draw}": _matched(partial(make, draw=draw), precision)
        for kind, (make, precision) in controls.DRAWN.items()
        for draw in (1, 2, 3)
    }
    | {name: _matched(*how) for name, how in controls.SHIFTS.items()}
)
PRECISIONS = {"fp32": _fp32} | CONTROLS | {name: _from_fp32(make) for name, make in precisions.MADE.items()}
