"""`make search`: one process that attacks: where its time goes, function by function; beside an older checkout of the project,
how long both take and whether they end each attack alike.

Writes book/results/search.json.  Each turn of a side is a process of its own, which loads and warms up before the clock starts.
"""

import argparse
import cProfile
import datetime
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks import bench, waits
from tqdm.auto import tqdm

from qrsupport import config, project, store
from qrsupport.attacks import one_example, tasks
from qrsupport.report import engine, tables
from qrsupport.training import fine_tuning

MODEL = "minilm-l6"
VARIANTS = ("fp32", "int8-dynamic")
EXAMPLES = {"textfooler": 20, "pwws": 10, "pso": 4}
WARM_UP = 2
TURNS = 2
COMPILED, RUNTIME = "~", f"{os.sep}onnxruntime{os.sep}"
"""What a profile calls the file of a compiled function; the folder of ONNX Runtime's own Python."""
HOME = Path(one_example.__file__).parents[2]
"""Where this package lies."""
SHOWN = 3
"""Parts of a path that are shown whole."""
MOST = 40
"""Functions of an attack that are written down."""
BEGUN = """
import json, sys, time
from pathlib import Path
try:
    from qrsupport.attacks import one_example as searching, tasks
except ImportError:  # an older layout of the package
    from qrsupport import search as searching, engine as tasks
from qrsupport import config

given = json.load(sys.stdin)
p = config.make(**given["parameters"])
search = searching.Searcher(tasks.Task(p, given["variant"], Path(given["folder"]), ""))
examples = [tasks.Example(*example) for example in given["examples"]]
for example in examples[: given["warm_up"]]:
    search(example)
started = time.perf_counter()
found = [search(example) for example in examples[given["warm_up"] :]]
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "outcomes": [[str(r.status), r.perturbed, r.queries] for r in found]}))
"""
"""The program of a turn, which runs in a checkout of either age."""


def turn(tree: Path, task: tasks.Task, examples: list[tasks.Example], cache: Path) -> dict:
    """Seconds and outcomes of an attack by the package in `tree`, on one thread, after the warm-up."""
    own = {name: getattr(task.p, name) for name in ("dataset", "resources", "attack")}
    told = [[e.position, e.id, e.text, e.label] for e in examples]
    given = {
        "parameters": own,
        "variant": task.variant,
        "folder": str(task.model),
        "examples": told,
        "warm_up": WARM_UP,
    }
    env = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "QRSUPPORT_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", BEGUN], check=True, cwd=tree, env=env, input=json.dumps(given),
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def beside(task: tasks.Task, examples: list[tasks.Example], trees: dict[str, Path], caches: dict[str, Path]) -> dict:
    """A row of `waits.measure`'s kind, in seconds an example, and whether all turns ended all attacks alike."""
    times, ends = {side: [] for side in trees}, set()
    for _ in range(TURNS):
        for side, tree in trees.items():
            found = turn(tree, task, examples, caches[side])
            times[side].append(found["seconds"] / (len(examples) - WARM_UP))
            ends.add(json.dumps(found["outcomes"]))
    row = {side: [round(f(some), 4) for f in (statistics.median, min, max)] for side, some in times.items()}
    return row | {"identical": len(ends) == 1}


def functions(task: tasks.Task, examples: list[tasks.Example]) -> Counter:
    """Seconds inside each function of Python while the examples are attacked."""
    search = one_example.Searcher(task)
    for example in examples[:WARM_UP]:
        search(example)
    profile = cProfile.Profile()
    with profile:
        for example in examples[WARM_UP:]:
            search(example)
    return inside(pstats.Stats(profile).stats)


def inside(stats: dict) -> Counter:
    """As `functions`, from what `pstats.Stats` holds: the time of compiled functions and of ONNX Runtime is their callers'."""
    found: Counter = Counter()
    for (file, _, name), (_, _, own, _, callers) in stats.items():
        if file == COMPILED or RUNTIME in file:
            for (caller, _, called_by), (_, _, in_it, in_all) in callers.items():
                if RUNTIME not in caller:
                    found[f"{place(caller)}: {called_by}"] += in_all if RUNTIME in file else in_it
        else:
            found[f"{place(file)}: {name}"] += own
    return found


def place(file: str) -> str:
    """A module's file from its package on, without the folders between where there are several."""
    path = Path(file)
    home = next((folder for folder in path.parents if folder.name == "site-packages"), HOME)
    parts = path.relative_to(home).parts if path.is_relative_to(home) else path.parts[-2:]
    return "/".join(parts if len(parts) <= SHOWN else (parts[0], "…", parts[-1]))


def main() -> None:
    """Measures, writes the file and shows the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="The folder of an older checkout.")
    given = parser.parse_args()
    config.settle_places()
    trees = ({"before": given.before.absolute()} if given.before else {}) | {"now": project.folder()}
    p = bench.parameters(config.make())
    found = {"machine": fine_tuning.hardware(), "date": datetime.date.today().isoformat(), "model": MODEL, "dataset": p.dataset,
             "resources": p.resources, "commits": {side: waits.commit(tree) for side, tree in trees.items()}, "rows": []}  # fmt: skip
    with tempfile.TemporaryDirectory() as place:  # so that no side has a sentence encoder that was fetched
        caches = {side: Path(place, side) for side in trees}
        for attack, n in tqdm(EXAMPLES.items(), desc="search"):
            for variant in VARIANTS:
                task, _ = bench.setting(p, bench.Case(MODEL, variant, attack, "", 0, 0))
                examples = bench.sample(task, n + WARM_UP)
                spent = functions(task, examples)
                most = [[name, round(seconds / spent.total(), 4)] for name, seconds in spent.most_common(MOST)]
                row = {
                    "name": f"{attack} on {variant}",
                    "attack": attack,
                    "variant": variant,
                    "examples": n,
                    "functions": most,
                }
                found["rows"].append(row | beside(task, examples, trees, caches))
                store.write_json(project.folder() / "book" / "results" / "search.json", found)
    tables.print_table(engine.searches(found))
    for variant in VARIANTS:
        tables.print_table(engine.functions(found, variant))


if __name__ == "__main__":
    main()
