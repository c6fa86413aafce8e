"""Does a GPU, or the emulation of 8 bits, give the answers of ONNX Runtime's CPU kernels, and how fast?  (`qrsupport device`)"""

import dataclasses
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from .. import catalog, config, pipeline, records
from ..attacks import one_example, tasks
from ..quantization import batching, classifiers, victim
from . import measure

WARM_UP = 8 * batching.LARGEST
"""Texts asked before the clock starts."""


def cases(device: str) -> list[tuple]:
    """What is compared: two of (variant, where it is asked) each; the last pair says how far 8 bits are from 32."""
    plain, kernel = ("fp32", "cpu"), ("int8-dynamic", "cpu")
    moved = [(plain, ("fp32", device))] if device != "cpu" else []
    return [*moved, (kernel, (catalog.EMULATED, device)), (plain, kernel)]


def compare(p: config.Parameters, n: int, progress: bool = True) -> dict:
    """Logits of `n` seeded texts of the whole data set, on the CPU and on `p.device`: whether they agree, and texts a second.

    `agreement`: a row for each of `cases`: `one` and `other` (each variant and device), n, `labels` (how many differ),
    `largest` and `rms` (of the differences of logits).  `speed`: a row for each variant and device, one process.
    Raises as `pipeline.classifier`.
    """
    data = pipeline.dataset(p)
    texts = [text for split in (data.train, data.validation, data.test) for text in split.texts]
    order = np.random.default_rng(p.seed).permutation(len(texts))[:n]
    some = [texts[i] for i in order]
    pairs = cases(p.device)
    asked = {side: _asked(p, side, some) for side in tqdm(dict.fromkeys(sum(pairs, ())), desc="device", disable=not progress)}
    agreement = [
        {"one": list(one), "other": list(other)} | differences(asked[one][0], asked[other][0]) for one, other in pairs
    ]
    speed = [{"variant": name, "device": where, "texts_a_second": asked[name, where][1]} for name, where in asked]
    about = {"device": gpu_name(p.device), "dataset": config.dataset_name(p.dataset), "backbone": Path(p.backbone).name}
    return measure.made_on() | about | {"torch": version("torch"), "agreement": agreement, "speed": speed}


def _asked(p: config.Parameters, side: tuple[str, str], texts: list[str]) -> tuple[np.ndarray, float]:
    """Logits of texts, texts × classes, by a variant on a device, and how many texts a second."""
    name, device = side
    model = classifiers.load(pipeline.variant(p, name), device=device)
    model(texts[:WARM_UP])
    start = time.perf_counter()
    found = victim.predict(model, texts)
    return found, len(texts) / (time.perf_counter() - start)


def searches(p: config.Parameters, attack: str, n: int, progress: bool = True) -> list[dict]:
    """`attack` on `n` seeded examples on the CPU and where it is compared with, in one process and without kept answers.

    A row for each side of `cases`: attack, variant, device, examples, seconds and queries (of all examples) and `same`: how
    many end as they do on the CPU, in status, text and number of queries (None on the CPU).  Raises as `pipeline.attack`.
    """
    p = dataclasses.replace(p, attack=attack)
    some = tasks.examples(pipeline.dataset(p).eval_split(), n, p.attack_seed)
    found = []
    for one, other in cases(p.device)[:-1]:
        (here, first), (there, second) = (_searched(p, side, some, progress) for side in (one, other))
        same = sum(outcome(a) == outcome(b) for a, b in zip(here, there, strict=True))
        found += [_row(attack, one, here, first, None), _row(attack, other, there, second, same)]
    return found


def outcome(record: records.Record) -> tuple:
    """What an attack came to: status, text, number of queries."""
    return record.status, record.perturbed, record.queries


def _searched(p: config.Parameters, side: tuple[str, str], examples: list, progress: bool) -> tuple[list[records.Record], float]:
    """The records of an attack on a variant on a device, and its seconds once texts of all lengths were asked."""
    name, device = side
    q = dataclasses.replace(p, device=device)
    searcher = one_example.Searcher(tasks.Task(q, name, pipeline.variant(q, name), "device"))
    of_each_length = {len(searcher.victim.ids(text)): text for text in pipeline.dataset(q).eval_split().texts}
    searcher.victim([*of_each_length.values()])
    start = time.perf_counter()
    found = [searcher(e) for e in tqdm(examples, desc=f"{p.attack} on {name}, {device}", disable=not progress)]
    return found, time.perf_counter() - start


def _row(attack: str, side: tuple[str, str], found: list[records.Record], seconds: float, same: int | None) -> dict:
    about = {"attack": attack, "variant": side[0], "device": side[1], "examples": len(found)}
    return about | {"seconds": round(seconds, 3), "queries": sum(r.queries for r in found), "same": same}


def gpu_name(device: str) -> str:
    """The name of the GPU, or "cpu"."""
    if device == "cpu":
        return device
    from ..quantization import on_torch

    return on_torch.version(device)[1]


def differences(one: np.ndarray, other: np.ndarray) -> dict:
    """How two arrays of logits, texts × classes, differ."""
    apart = one.astype(np.float64) - other
    return {
        "n": len(one),
        "labels": int((one.argmax(1) != other.argmax(1)).sum()),
        "largest": float(np.abs(apart).max()),
        "rms": float(np.sqrt(np.mean(apart**2))),
    }
