"""`make memory`: the memory that workers take, beside an older checkout of the project.

Each measurement is a process of its own that attacks a few examples with so many workers, then adds up what it and all that
it started hold: their proportional set sizes, in which a page that several share counts once.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
from benchmarks import bench, waits
from tqdm.auto import tqdm

from qrsupport import config, project, store
from qrsupport.attacks import tasks, workers
from qrsupport.report import engine, tables

MODELS = ("minilm-l6", "mpnet-base")
VARIANTS = ("fp32", "int8-dynamic")
SIZES = (1, 2, 4)
EXAMPLES = 3
"""Attacked by each worker."""
TEXT = "a film that takes its time , and never once looks away from the people it is about , with warmth and wit"


def held(folder: Path, size: int) -> list[float]:
    """Megabytes that this process and those that it starts hold together: before there are workers, then with `size` that
    attack the variant in `folder`."""
    p = bench.parameters(config.make(attack="textfooler"))
    task, few = tasks.Task(p, "fp32", folder, ""), [tasks.Example(i, f"{i}", TEXT, 1) for i in range(EXAMPLES * size)]
    found = [together()]
    with workers.Crew(task, size) as crew:
        list(crew.outcomes(few))
        found.append(together())
    return found


def together() -> float:
    """Megabytes of this process and its descendants, a shared page counted once."""
    here = psutil.Process()
    return sum(process.memory_full_info().pss for process in (here, *here.children(recursive=True))) / 1e6


def measure(folder: Path, trees: dict[str, Path]) -> dict:
    """By side, the megabytes that each number of workers of `SIZES` adds, on the variant in `folder`."""
    row: dict = {}
    for side, tree in trees.items():
        env = os.environ | {"PYTHONPATH": os.pathsep.join((str(tree), str(Path(__file__).parents[1])))}
        for size in SIZES:
            command = [sys.executable, "-m", "benchmarks.memory", "--one", str(folder), str(size)]
            done = subprocess.run(command, check=True, cwd=tree, env=env, stdout=subprocess.PIPE, text=True)
            before, after = json.loads(done.stdout.splitlines()[-1])
            row.setdefault(side, []).append(round(after - before))
    return row


def main() -> None:
    """Measures, writes the file and shows the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="The folder of an older checkout.")
    parser.add_argument("--one", nargs=2, metavar=("FOLDER", "SIZE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    config.settle_places()
    if given.one:
        print(json.dumps(held(Path(given.one[0]), int(given.one[1]))))
        return
    trees = ({"before": given.before.absolute()} if given.before else {}) | {"now": project.folder()}
    commits = {side: waits.commit(tree) for side, tree in trees.items()}
    p = bench.parameters(config.make())
    found = {"date": datetime.date.today().isoformat(), "commits": commits, "sizes": SIZES, "resources": p.resources, "rows": []}
    for model in tqdm(MODELS, desc="memory"):
        for variant in VARIANTS:
            task, _ = bench.setting(p, bench.Case(model, variant, "textfooler", "", 0, 0))
            found["rows"].append({"model": model, "variant": variant} | measure(task.model, trees))
            store.write_json(project.folder() / "book" / "results" / "memory.json", found)
    tables.print_table(engine.memory(found))


if __name__ == "__main__":
    main()
