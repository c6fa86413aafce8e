"""From a fine-tuned checkpoint to an executable classifier: one folder a variant.

A new precision is one function in `ladder.MADE` and a line in `catalog.VARIANTS`.
"""

import json
import os
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from . import (
    backbones,
    catalog,
    config,
    controls,
    data,
    ensembles,
    export,
    given,
    ladder,
    provenance,
    store,
    train,
    weights,
)
from . import victim as victims
from .errors import BadCheckpoint, CannotRun, UnknownName

VERSIONS = ("onnx", "onnxruntime", "tokenizers", "torch", "transformers")
CHECKED = 64


def build(p: config.Parameters, name: str) -> Path:
    """The folder of variant `name`, made (its checkpoint first) if it is not there.

    It holds model.onnx, tokenizer.json and variant.json: labels, max_length (tokens), pad_id,
    inputs (names), precision, variant, options, simulated, bytes
    (of model.onnx; if simulated, of one that stored its weights at their width).  An ensemble's
    holds only variant.json: labels, variant, rule, seed, members (variant, folder beside it, digest),
    bytes.

    Raises UnknownName, CannotRun for what this backbone or machine lacks (before any work), BadCheckpoint for a checkpoint that cannot be
    exported or whose ONNX form answers differently, and as `train.checkpoint`.
    """
    _entry(name)
    ladder.check(p, name)
    made_from = depends(p, name)
    return store.made(_folder(p, name), made_from, lambda room: _build(p, name, room))


def depends(p: config.Parameters, name: str) -> dict:
    """What a variant is made from; makes its checkpoint (an ensemble's members) first."""
    entry = _entry(name)
    about = {"parameters": config.identity(p, name), "code": provenance.code("variants")}
    if entry.members:
        return about | {"members": {member: victims.load(build(p, member)).digest for member in entry.members}}
    checkpoint = train.checkpoint(p, entry.checkpoint)
    return about | {
        "data": data.load(p).fingerprint,
        "checkpoint": store.sha256(given.weights(checkpoint)),
        "tokenizer": store.sha256(checkpoint / "tokenizer.json"),
        "versions": {v: version(v) for v in VERSIONS},
    }


def compare_with_torch(p: config.Parameters, name: str = "fp32", n: int = CHECKED) -> dict:
    """How variant `name` differs from its checkpoint in torch on `n` texts of the evaluation split.

    Keys: max_logit_difference, label_agreement (share of 1), n.  Raises CannotRun for a checkpoint that is an ONNX file.
    """
    if given.is_onnx(p.backbone):
        raise CannotRun(f"{p.backbone} is an ONNX file: there is no torch model to compare {name!r} with")
    split = data.load(p).eval_split()
    texts = [split.texts[i] for i in data.sample(split, n, p.seed)]
    return export.compare(train.checkpoint(p, _entry(name).checkpoint), victims.load(build(p, name)), texts)


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
    classifiers = {name: victims.load(path) for name, path in paths.items()}
    times, before = {name: [] for name in paths}, os.getloadavg()[0]
    for i in range(10 + repeats):
        for name, classifier in classifiers.items():
            start = time.perf_counter()
            classifier([texts[i % len(texts)]])
            times[name].append(1000 * (time.perf_counter() - start))
    about = {"repeats": repeats, "load": [before, os.getloadavg()[0]], "cores": os.cpu_count()}
    return {name: _quartiles(taken[10:]) | about for name, taken in times.items()}


def _quartiles(times: list[float]) -> dict:
    return dict(zip(("low", "median", "high"), map(float, np.percentile(times, (25, 50, 75))), strict=True))


def _entry(name: str) -> catalog.VariantEntry:
    if name not in catalog.VARIANTS:
        raise UnknownName("variant", name, catalog.VARIANTS)
    return catalog.VARIANTS[name]


def _folder(p: config.Parameters, name: str) -> Path:
    key = config.key(config.identity(p, name))
    parts = (config.dataset_name(p.dataset), backbones.slug(p.backbone), f"s{p.seed}", name, key)
    return config.run_dir(p) / "variants" / "-".join(parts)


def _build(p: config.Parameters, name: str, room: Path) -> dict:
    """Fills the empty folder `room`; returns notes for its meta."""
    entry, start = _entry(name), time.time()
    if entry.members:
        return _ensemble(p, name, room)
    checkpoint = train.checkpoint(p, entry.checkpoint)
    settings = json.loads((checkpoint / "config.json").read_text("utf-8"))
    about = {
        "labels": list(data.classes(p)),
        "max_length": p.max_length,
        "pad_id": settings.get("pad_token_id") or 0,
        "architecture": settings.get("model_type") or "",
        "variant": name,
        "precision": entry.precision,
        "simulated": entry.simulated,
        "options": {option: getattr(p, option) for option in entry.options},
    }
    store.write_bytes(room / "tokenizer.json", (checkpoint / "tokenizer.json").read_bytes())
    notes = PRECISIONS[entry.precision](p, entry, room, about)
    about = {"bytes": weights.size(room / "model.onnx")} | about
    store.write_json(room / "variant.json", about)
    return notes | {"seconds": round(time.time() - start, 3)}


def _fp32(p: config.Parameters, entry: catalog.VariantEntry, room: Path, about: dict) -> dict:
    """The checkpoint exported as it is, and checked against torch; one that is an ONNX file is taken over."""
    checkpoint = train.checkpoint(p, entry.checkpoint)
    if given.is_onnx(checkpoint):
        about["inputs"] = list(victims.load(checkpoint).inputs)
        store.write_bytes(room / "model.onnx", given.weights(checkpoint).read_bytes())
        return {}
    about["inputs"] = export.to_onnx(checkpoint, room / "model.onnx")
    store.write_json(room / "variant.json", about)
    split = data.load(p).eval_split()
    texts = [split.texts[i] for i in data.sample(split, CHECKED, p.seed)]
    found = export.compare(checkpoint, victims.load(room), texts)
    if found["label_agreement"] < 1 or not found["max_logit_difference"] <= export.TOLERANCE:
        raise BadCheckpoint(f"the ONNX form of {checkpoint} answers differently from torch: {found}")
    return found


def _from_fp32(make):
    """A precision that `make(p, folder of the 32-bit variant of the same checkpoint, file to write)` makes."""

    def precision(p: config.Parameters, entry: catalog.VariantEntry, room: Path, about: dict) -> dict:
        source = _fp32_of(p, entry)
        about["inputs"] = list(victims.load(source).inputs)
        about |= make(p, source, room / "model.onnx")
        return {}

    return precision


def _noise(p: config.Parameters, entry: catalog.VariantEntry, room: Path, about: dict) -> dict:
    """The 32-bit variant with noise as large, tensor by tensor, as its 8-bit variant's error; the draw ends its name."""
    fp32, int8 = (build(p, name) / "model.onnx" for name in ("fp32", "int8-dynamic"))
    about |= {"inputs": list(victims.load(fp32.parent).inputs), "precision": "fp32"}
    return controls.noise(fp32, int8, room / "model.onnx", int(entry.precision.rsplit("-")[1]), p.seed)


def _matched(make, precision: str):
    """A control that `make(controls.Pair, folder)` matches with the 8-bit variant, executed in `precision`."""

    def control(p: config.Parameters, entry: catalog.VariantEntry, room: Path, about: dict) -> dict:
        fp32, int8 = (build(p, name) for name in ("fp32", "int8-dynamic"))
        where, split = data.load(p).aside()
        texts = [split.texts[i] for i in data.sample(split, controls.SAMPLE, p.seed)]
        about |= {"inputs": list(victims.load(fp32).inputs), "precision": precision}
        store.write_json(room / "variant.json", about)
        found = make(controls.Pair(fp32, int8, texts, p.seed), room)
        about["matched"] = found | {"split": where, "texts": len(texts)}
        return {}

    return control


def _ensemble(p: config.Parameters, name: str, room: Path) -> dict:
    """The folder of an ensemble: who its members are."""
    entry = _entry(name)
    members = {member: victims.load(build(p, member)) for member in entry.members}
    whole = ensembles.Ensemble(room, entry.precision, members.values(), p.seed)
    named = [{"variant": n, "folder": m.path.name, "digest": m.digest} for n, m in members.items()]
    about = {"labels": list(whole.labels), "variant": name, "rule": whole.rule, "seed": p.seed, "members": named}
    store.write_json(room / "variant.json", about | {"bytes": whole.bytes})
    return {}


def _fp32_of(p: config.Parameters, entry: catalog.VariantEntry) -> Path:
    """The folder of the 32-bit variant of the same checkpoint."""
    name = next(n for n, e in catalog.VARIANTS.items() if (e.checkpoint, e.precision) == (entry.checkpoint, "fp32"))
    return build(p, name)


PRECISIONS = (
    {"fp32": _fp32, "noise-1": _noise, "noise-2": _noise, "noise-3": _noise}
    | {name: _from_fp32(make) for name, make in ladder.MADE.items()}
    | {
        f"{kind}-{draw}": _matched(partial(make, draw=draw), precision)
        for kind, (make, precision) in controls.DRAWN.items()
        for draw in (1, 2, 3)
    }
    | {name: _matched(*how) for name, how in controls.SHIFTS.items()}
)
