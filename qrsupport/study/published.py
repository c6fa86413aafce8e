"""Publishing a unit of the study: one Parquet file of ids, statuses, numbers and digests of texts, and its manifest.

No text of a data set goes into either.
"""

import datetime
import hashlib
import math
from pathlib import Path

from .. import catalog, config, pipeline, recorded, records, store
from ..analysis.classes import LEAST
from ..errors import NoRecords, StaleArtefact
from ..experiments import measure
from ..training import fine_tuning
from . import plan_file, read

COUNTED = ("position", "label", "queries", "evaluations", "words", "words_changed", "similarity")


def export(run_dir: Path, unit: plan_file.Unit, version: int, out: Path) -> list[Path]:
    """Writes `<unit>.parquet` and `<unit>.json` of what a unit has made so far; returns both.

    Raises NoRecords if it has made nothing, StaleArtefact if a folder was altered since.
    """
    run_dir, out = Path(run_dir), Path(out)
    note = plan_file.noted(run_dir, unit)
    if not note.get("jobs"):
        raise NoRecords(f"unit {unit.name} has made nothing under {run_dir}; `qrsupport study run --unit {unit.name}` does")
    jobs = largest(note["jobs"])
    found = [row for job in jobs for row in ROWS[job["does"]](run_dir / job["folder"], job["n"])]
    file = out / f"{unit.name}.parquet"
    read.write(file, found)
    about = manifest(run_dir, unit, note, jobs) | {"version": version, "sha256": store.sha256(file), "rows": len(found)}
    store.write_json(file.with_suffix(".json"), about)
    return [file, file.with_suffix(".json")]


def largest(jobs: list[dict]) -> list[dict]:
    """Of the jobs that made one folder, that with most examples."""
    found = {}
    for job in sorted(jobs, key=lambda job: job["n"]):
        found[job["folder"]] = job
    return list(found.values())


def _aims(parameters: dict) -> dict:
    usual = config.Parameters()
    return {name: parameters.get(name, getattr(usual, name)) for name in ("attack", *config.AIM)}


def digest(text: str) -> str:
    """What stands for a text in published rows: the first 16 digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def lead(probabilities: list[float], label: int) -> float:
    """The label's logit minus the highest other, from the probabilities."""
    logs = [math.log(max(p, LEAST)) for p in probabilities]
    return logs[label] - max(x for i, x in enumerate(logs) if i != label)


def _answer(answer: int | None, probabilities: list[float] | None, label: int) -> dict:
    if probabilities is None:
        return {}
    return {"answer": answer, "probabilities": probabilities, "lead": lead(probabilities, label)}


def clean(folder: Path, n: int) -> list[dict]:
    """A variant's answers to the evaluation split."""
    found = recorded.read_clean(folder)
    answers = zip(found["ids"], found["labels"], found["predicted"], found["probabilities"], strict=True)
    return [
        {"kind": "clean", "variant": found["variant"], "example": example, "position": i, "label": label}
        | _answer(predicted, probabilities, label)
        for i, (example, label, predicted, probabilities) in enumerate(answers)
    ]


def direct(folder: Path, n: int) -> list[dict]:
    """The ends of the attacks on the first `n` examples."""
    opened = recorded.Folder(folder)
    aims = _aims(opened.depends()["parameters"])
    return [
        {"kind": "direct", "variant": r.variant, "example": r.example, "status": r.status.value}
        | aims
        | {name: getattr(r, name) for name in COUNTED}
        | _answer(r.after, r.probabilities_after, r.label)
        | {"text": digest(r.text), "perturbed": digest(r.perturbed)}
        for r in opened.load()
        if r.position < n
    ]


def transfer(folder: Path, n: int) -> list[dict]:
    """The target's answers to the texts that fooled the source, of the first `n` examples.

    Raises StaleArtefact if it answers otherwise to another member of the adversarial set than to its example.
    """
    opened = recorded.Folder(folder, records.Replay)
    aims, found = _aims(opened.depends()["parameters"]["source"]), []
    for r in (r for r in opened.load() if r.position < n):
        if r.status is records.Status.succeeded:
            about = {"kind": "transfer", "variant": r.source, "target": r.target, "example": r.example}
            about |= {"position": r.position, "label": r.label, "status": r.status.value}
            found.append(about | aims | _answer(r.replayed, r.probabilities_replayed, r.label))
        elif r.replayed != r.clean:
            raise StaleArtefact(f"{folder}: {r.example} is unchanged, and {r.target} answers it in two ways; {store.REMAKE}")
    return found


ROWS = {"tune": lambda folder, n: [], "clean": clean, "direct": direct, "transfer": transfer}


def manifest(run_dir: Path, unit: plan_file.Unit, note: dict, jobs: list[dict]) -> dict:
    """What made a unit's rows: command, parameters, code, versions, machine, digests, time."""
    by = {does: [(job, run_dir / job["folder"]) for job in jobs if job["does"] == does] for does in plan_file.DOES}
    direct = [(job, recorded.Folder(path)) for job, path in by["direct"]]
    checkpoints = {job["names"][0]: store.intact(path) for job, path in by["tune"]}
    return measure.made_on() | {
        "unit": unit.name,
        "command": f"qrsupport study run --unit {unit.name}",
        "complete": note["complete"],
        "commit": note["commit"],
        "code": note["code"],
        "parameters": unit.parameters,
        "checkpoints": {name: meta["files"].get("model.safetensors") for name, meta in checkpoints.items()},
        "validation": {job["names"][0]: fine_tuning.validation_accuracy(path) for job, path in by["tune"]},
        "adversarial_examples": {job["names"][0]: found for job, path in by["tune"] if (found := fine_tuning.attacked(path))},
        "data": next((meta["depends"]["data"] for meta in checkpoints.values()), None),
        "models": {job["names"][0]: store.intact(path)["depends"]["model"] for job, path in by["clean"]},
        "bytes": {job["names"][0]: recorded.read_clean(path)["bytes"] for job, path in by["clean"]},
        "saturating": _saturating(run_dir, unit, [job["names"][0] for job, _ in by["clean"]]),
        "columns": read.MEANING,
        "resources": {job["label"].partition(":")[0]: folder.depends()["resources"] for job, folder in direct},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": seconds(by),
    }


def _saturating(run_dir: Path, unit: plan_file.Unit, names: list[str]) -> dict:
    """How many pairs of weights can saturate, if the unit has `int8-saturating`: see `saturate.rewrite`."""
    if catalog.SATURATING not in names:
        return {}
    p = plan_file.parameters(unit, unit.steps[0], run_dir=str(run_dir))
    return store.read_json(pipeline.variant_folder(p, catalog.SATURATING) / "variant.json")["saturating"]


def seconds(by: dict[str, list]) -> dict[str, float]:
    """Seconds of one core that fine-tunings, attacks and replays took, however often the run was stopped."""

    def took(kind: type, does: str) -> float:
        return sum(r.timing.get("seconds", 0) for _, path in by[does] for r in recorded.Folder(path, kind).load())

    tuned = sum(store.meta(path)["seconds"] for _, path in by["tune"])
    spent = {"tune": tuned, "direct": took(records.Record, "direct"), "transfer": took(records.Replay, "transfer")}
    return {name: round(value, 1) for name, value in spent.items()}
