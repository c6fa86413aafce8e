"""`make bench`: how much faster the engine runs the very same search, and what is left above the model's own work.

Each row takes turns, A B A B, on new examples each turn: A is TextAttack (its Hugging Face wrapper
as shipped, or an unpadded ONNX Runtime wrapper of the same model), B the engine.  If one example
differs in status, text or query count, the row has no ratio.  The floor is the same number of
processes doing nothing but answer the distinct texts that the engine asked.
"""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import resource
import time
from pathlib import Path

from benchmarks import sides

from qrsupport import config, pipeline, project, provenance, store
from qrsupport.attacks import attacked_text, faster, one_example, wiring, workers
from qrsupport.attacks.tasks import Example, Task
from qrsupport.book import foot
from qrsupport.data import datasets
from qrsupport.quantization import classifiers
from qrsupport.records import Record
from qrsupport.report import engine, tables
from qrsupport.training import fine_tuning

ROUNDS = 2
SHORT = 30
"""Most words of the texts that PSO attacks here: its cost grows with the square of the length."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One comparison: which model and attack, against what, how many examples a turn, and the target."""

    model: str
    variant: str
    attack: str
    against: str
    examples: int
    target: float

    @property
    def name(self) -> str:
        return f"{self.model} {self.variant}, {self.attack}: {self.against}"


MODELS: dict[str, dict] = {
    "bert-small": {},
    "minilm-l6": {"backbone": "minilm-l6", "train_limit": 2000, "epochs": 1, "learning_rate": 1e-4, "word_dropout": 0.0},
    "mpnet-base": {"backbone": "mpnet-base", "train_limit": 480, "epochs": 1, "learning_rate": 5e-5, "word_dropout": 0.0},
}
"""Backbones, and how each is fine-tuned here: the pretrained ones on a sample, which makes them usable and no slower."""

CASES = (
    Case("bert-small", "fp32", "textfooler", "stock TextAttack", 20, 20),
    Case("bert-small", "fp32", "pwws", "stock TextAttack", 15, 20),
    Case("bert-small", "fp32", "pso", "stock TextAttack", 10, 10),
    Case("minilm-l6", "fp32", "textfooler", "stock TextAttack", 4, 20),
    Case("minilm-l6", "fp32", "pwws", "stock TextAttack", 2, 20),
    Case("minilm-l6", "fp32", "pso", "stock TextAttack", 2, 20),
    Case("bert-small", "fp32", "textfooler", "unpadded", 50, 4),
    Case("bert-small", "fp32", "pwws", "unpadded", 50, 4),
    Case("bert-small", "fp32", "pso", "unpadded", 30, 4),
    Case("bert-small", "int8-dynamic", "textfooler", "unpadded", 50, 4),
    Case("bert-small", "int8-dynamic", "pwws", "unpadded", 50, 4),
    Case("bert-small", "int8-dynamic", "pso", "unpadded", 30, 4),
    Case("minilm-l6", "fp32", "textfooler", "unpadded", 20, 2),
    Case("minilm-l6", "fp32", "pwws", "unpadded", 15, 2),
    Case("minilm-l6", "int8-dynamic", "textfooler", "unpadded", 20, 2),
    Case("minilm-l6", "int8-dynamic", "pwws", "unpadded", 15, 2),
    Case("minilm-l6", "int8-dynamic", "pso", "unpadded", 6, 2),
    Case("mpnet-base", "int8-dynamic", "textfooler", "unpadded", 6, 1.5),
    Case("mpnet-base", "int8-dynamic", "pwws", "unpadded", 4, 1.5),
    Case("bert-small", "fp32", "textfooler", "floor", 100, 2),
    Case("bert-small", "fp32", "pwws", "floor", 100, 2),
    Case("bert-small", "fp32", "pso", "floor", 30, 2),
    Case("bert-small", "int8-dynamic", "textfooler", "floor", 100, 2),
    Case("minilm-l6", "fp32", "textfooler", "floor", 20, 1.15),
    Case("minilm-l6", "int8-dynamic", "textfooler", "floor", 20, 1.15),
    Case("minilm-l6", "int8-dynamic", "pwws", "floor", 15, 1.15),
    Case("mpnet-base", "int8-dynamic", "textfooler", "floor", 6, 1.15),
    Case("bert-small", "fp32", "textfooler", "one worker", 100, 1.8),
    Case("bert-small", "fp32", "pwws", "one worker", 100, 1.8),
    Case("minilm-l6", "int8-dynamic", "textfooler", "one worker", 30, 1.8),
    Case("bert-small", "fp32", "textfooler", "two threads", 100, 1),
    Case("minilm-l6", "fp32", "textfooler", "two threads", 20, 1),
    Case("minilm-l6", "int8-dynamic", "textfooler", "two threads", 30, 1),
    Case("mpnet-base", "int8-dynamic", "textfooler", "two threads", 6, 1),
)


STEPS = (("bert-small", "textfooler", 30), ("bert-small", "pwws", 20), ("bert-small", "pso", 10), ("minilm-l6", "textfooler", 4))
"""Model, attack and number of examples of each table of steps."""


def setting(p: config.Parameters, case: Case) -> tuple[Task, Path]:
    """The task and the torch checkpoint of a case."""
    p = dataclasses.replace(p, attack=case.attack, **MODELS[case.model])
    return Task(p, case.variant, pipeline.variant(p, case.variant), "bench"), pipeline.checkpoint(p)


def sample(task: Task, n: int) -> list[Example]:
    """`n` seeded examples that the classifier gets right (its own answer is the label: nothing is skipped)."""
    split, p = datasets.load(task.p).eval_split(), task.p
    model, found = classifiers.load(task.model), []
    for i in datasets.sample(split, len(split.texts), p.attack_seed):
        if len(found) == n:
            break
        if p.attack != "pso" or len(split.texts[i].split()) <= SHORT:
            label = int(model([split.texts[i]])[0].argmax())
            found.append(Example(len(found), split.ids[i], split.texts[i], label))
    return found


def outcome(record) -> tuple:
    """What must be the same on both sides."""
    return record.status, record.perturbed, record.queries


def measure(p: config.Parameters, case: Case) -> dict:
    """The row of a case: ratio (A's time over B's; time over floor for the floor) with its range over the turns."""
    task, checkpoint = setting(p, case)
    some = sample(task, case.examples * ROUNDS + 2)
    examples, warm_up = some[2:], some[:2]
    ours = sides.Engine(task, 2, warm_up)
    other = {
        "stock TextAttack": lambda: sides.Stock(task, checkpoint),
        "unpadded": lambda: sides.Unpadded(task, checkpoint),
        "floor": lambda: sides.Floor(task, 2, examples),
        "one worker": lambda: sides.Engine(task, 1, warm_up),
        "two threads": lambda: sides.Threaded(task, warm_up),
    }[case.against]()
    times, identical = [], True
    for turn in range(ROUNDS):
        chunk = examples[turn * case.examples : (turn + 1) * case.examples]
        start = time.perf_counter()
        theirs = other(chunk)
        middle = time.perf_counter()
        mine = ours(chunk)
        times.append((middle - start, time.perf_counter() - middle))
        identical &= theirs is None or list(map(outcome, theirs)) == list(map(outcome, mine))
    cold, length = ours.cold, sum(map(len, map(classifiers.load(task.model).ids, (e.text for e in examples)))) / len(examples)
    ours.close()
    other.close()
    return row(case, times, identical) | {"cold_start_s": round(cold, 2), "tokens": round(length, 1)}


def row(case: Case, times: list[tuple[float, float]], identical: bool) -> dict:
    """The figures of a case from the seconds of its turns (theirs, ours)."""
    lower = case.against == "floor"
    ratios = [b / a if lower else a / b for a, b in times]
    total = (sum(a for a, _ in times), sum(b for _, b in times))
    ratio = total[1] / total[0] if lower else total[0] / total[1]
    found = {"ratio": ratio, "low": min(ratios), "high": max(ratios)} if identical else dict.fromkeys(
        ("ratio", "low", "high")
    )  # fmt: skip
    seconds = {"theirs_s": round(total[0], 3), "ours_s": round(total[1], 3), "examples": case.examples * len(times)}
    better = "lower" if lower else "higher"
    return {"name": case.name, **found, "target": case.target, "better": better, "identical": identical, **seconds}


class Steps:
    """The ways from stock TextAttack to the engine, each with one thing more than the one before."""

    def __init__(self, task: Task, checkpoint: Path, warm_up):
        stock, unpadded = sides.Stock(task, checkpoint), sides.Unpadded(task, checkpoint)
        tagged, parts, alone = sides.Unpadded(task, checkpoint), sides.Unpadded(task, checkpoint), one_example.Searcher(task)
        words = tagged.searcher.words
        tagged.searcher.attack = wiring.build(task.p.attack, words, tagged.searcher.wrapper)
        parts.searcher.attack = faster.accelerate(wiring.build(task.p.attack, words, parts.searcher.wrapper))
        parts.searcher.text = attacked_text.Text
        self.crew = sides.Engine(task, 2, warm_up)
        self.ways = {
            "TextAttack as shipped: torch, every text padded to 512 tokens": stock,
            "ONNX Runtime, one text at a time, unpadded": unpadded,
            "tags of short contexts remembered": tagged,
            "texts, scores and constraints by faster equal parts": parts,
            "tokens remembered by piece; equal lengths together where rows are independent": lambda e: [
                alone(x) for x in e
            ],
            "two workers": self.crew,
        }
        for way in list(self.ways.values())[:-1]:
            way(warm_up)


def steps(p: config.Parameters, model: str, attack: str, examples: int) -> dict:
    """Seconds of each step on the same examples, and whether all gave the same outcomes."""
    task, checkpoint = setting(p, Case(model, "fp32", attack, "steps", examples, 0))
    some = sample(task, examples + 2)
    ways = Steps(task, checkpoint, some[:2])
    found, outcomes = [], set()
    for name, way in ways.ways.items():
        start = time.perf_counter()
        records = way(some[2:])
        found.append({"step": name, "seconds": round(time.perf_counter() - start, 3)})
        outcomes.add(tuple(map(outcome, records)))
    ways.crew.close()
    return {"model": model, "attack": attack, "examples": examples, "identical": len(outcomes) == 1, "steps": found}


def with_peak(example: Example) -> Record:
    """In place of a worker's search: the same, and in `note` the most memory that the process has had, bytes."""
    record = workers.search_one(example)
    return dataclasses.replace(record, note=str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def growth(p: config.Parameters, many: int = 1000, few: int = 100) -> list[dict]:
    """Cost a query and peak memory of a worker after `many` examples against after the first `few`."""
    task, _ = setting(p, Case("bert-small", "fp32", "pwws", "growth", many, 1.1))
    examples = sample(task, many)
    few = min(few, len(examples) // 2)
    ours = sides.Engine(task, 1, [], with_peak)
    parts, peaks = [], []
    for chunk in (examples[:few], examples[few:]):
        start = time.perf_counter()
        found = ours(chunk)
        parts.append((time.perf_counter() - start, sum(r.queries for r in found)))
        peaks.append(max(int(r.note) for r in found))
    ours.close()
    cost = (parts[1][0] / parts[1][1]) / (parts[0][0] / parts[0][1])
    common = {"target": 1.1, "better": "lower", "identical": True, "examples": len(examples)}
    names = f"cost a query, examples {few + 1} to {len(examples)} against the first {few}", "peak memory, likewise"
    values = cost, peaks[1] / peaks[0]
    return [{"name": n, "ratio": v, "low": v, "high": v, **common} for n, v in zip(names, values)]


def parameters(p: config.Parameters) -> config.Parameters:
    """Real data with local resources where they are at hand, else the embedded default."""
    if not os.environ.get("QRSUPPORT_DATA"):
        return p
    return dataclasses.replace(p, dataset="mr", resources="local", epochs=3, learning_rate=5e-4, word_dropout=0.3)


def bench(p: config.Parameters, file: Path, only: str = "") -> dict:
    """Measures every case whose name contains `only`, writing `file` after each; returns its content.

    Goes on where a run of the same code on this machine was stopped.
    """
    from tqdm.auto import tqdm

    p = parameters(p)
    machine = f"{fine_tuning.hardware()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    about = {"machine": machine, "dataset": p.dataset, "resources": p.resources, "only": only, "code": provenance.code("attack")}
    found = stopped(file, about) or about | {"rows": []}
    done = {row["name"] for row in found["rows"]}
    cases = [case for case in CASES if only in case.name]
    for case in tqdm([case for case in cases if case.name not in done], desc="bench", unit="case"):
        found["rows"].append(measure(p, case))
        store.write_json(file, found)
    if only in "cost a query, peak memory" and not any(name.startswith("cost a query") for name in done):
        found["rows"] += growth(p)
        store.write_json(file, found)
    if only in "steps":
        found["steps"] = [steps(p, *part) for part in STEPS]
    made = {name: value for name, value in foot.about().items() if name in ("versions", "commit")}
    store.write_json(file, found | made | {"date": datetime.date.today().isoformat()})
    return found


def stopped(file: Path, about: dict) -> dict:
    """What a run of the same that was stopped among its cases left in `file`; else nothing."""
    left = json.loads(file.read_text("utf-8")) if file.exists() else {}
    same = all(left.get(name) == value for name, value in about.items())
    return left if same and "date" not in left else {}


def main() -> None:
    """Measures, shows the tables and names the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="Measure only the comparisons whose name contains this.")
    file = project.folder() / "_build" / "bench.json"
    config.settle_places()
    found = bench(config.make(backbone="bert-small"), file, parser.parse_args().only)
    tables.print_table(engine.bench_rows(found))
    if "steps" in found:
        tables.print_table(engine.bench_steps(found))
    print(file)


if __name__ == "__main__":
    main()
