"""`make waits`: what people wait for, in seconds, beside an older checkout of the project where it had the same.

Each chain of commands is run in a run directory of its own, so that everything is made anew: once so that files are in the page
cache, then TURNS times in turns with the older checkout, on the same interpreter.  `--long` adds the whole book, once.
"""

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from qrsupport import project, store
from qrsupport.report import engine, tables
from qrsupport.training import fine_tuning

TURNS = 3


class Wait(NamedTuple):
    """A command; that of the older checkout, if another."""

    name: str
    now: str
    older: str = ""

    def command(self, side: str) -> str:
        return self.older if side == "before" and self.older else self.now


SMALL = "-p backbone bert-small -p epochs 1 -p train_limit 640"
CHAINS = (
    (Wait("qrsupport list", "qrsupport list"),),
    (Wait("qrsupport doctor", "qrsupport doctor"),),
    (Wait("a misspelt parameter", "! qrsupport run attack -p atack pso"),),
    (Wait("importing what a worker needs", "python -c 'from qrsupport.attacks import one_example'", "python -c 'from qrsupport import search'"),),
    (
        Wait("chapter 1: fine-tuning on 640 examples", f"qrsupport run finetune {SMALL}"),
        Wait("chapter 2: exporting and quantizing", f"qrsupport run quantize {SMALL}"),
        Wait("chapter 3: attacking 5 examples", f"qrsupport run attack {SMALL} -p n 5"),
        Wait("chapter 3 again, nothing new", f"qrsupport run attack {SMALL} -p n 5"),
    ),
)  # fmt: skip
LONG = ((Wait("the whole book", "qrsupport book"), Wait("the whole book again, nothing new", "qrsupport book")),)
"""The older book has fewer and smaller chapters."""


def chain(waits: tuple[Wait, ...], side: str, tree: Path) -> list[float]:
    """Seconds of each command of a chain in a checkout.  Raises CalledProcessError, with what it said, if one fails."""
    found = []
    with tempfile.TemporaryDirectory() as place:
        runs, programs = Path(place, "runs"), Path(place, "programs")
        for folder in (runs, programs):
            folder.mkdir()
        for name, begins in {"python": "", "qrsupport": "-m qrsupport"}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {begins} "$@"\n', "utf-8")
            (programs / name).chmod(0o755)
        places = {"PYTHONPATH": str(tree), "QRSUPPORT_RUNS": str(runs), "PATH": f"{programs}:{os.environ['PATH']}"}
        for wait in waits:
            started = time.perf_counter()
            subprocess.run(
                wait.command(side), shell=True, check=True, cwd=tree, env=os.environ | places,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            found.append(time.perf_counter() - started)
    return found


def measure(waits: tuple[Wait, ...], trees: dict[str, Path], turns: int = TURNS) -> list[dict]:
    """A row for each command of a chain: by side the median, lowest and highest seconds of its turns."""
    times: dict[str, list] = {side: [] for side in trees}
    for _ in range(turns + (turns > 1)):
        for side, tree in trees.items():
            times[side].append(chain(waits, side, tree))
    rows = []
    for i, wait in enumerate(waits):
        row = {"name": wait.name, "command": wait.now, "turns": turns}
        for side, found in times.items():
            seconds = [turn[i] for turn in found[-turns:]]
            row[side] = [round(f(seconds), 4) for f in (statistics.median, min, max)]
        rows.append(row)
    return rows


def main() -> None:
    """Measures, writes the file and shows the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="The folder of an older checkout.")
    parser.add_argument("--long", action="store_true", help="Also the whole book.")
    given = parser.parse_args()
    trees = ({"before": given.before.absolute()} if given.before else {}) | {"now": project.folder()}
    machine = f"{fine_tuning.hardware()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    commits = {side: commit(tree) for side, tree in trees.items()}
    found = {"machine": machine, "date": datetime.date.today().isoformat(), "commits": commits, "rows": []}
    file = project.folder() / "book" / "results" / "waits.json"
    for waits in tqdm([*CHAINS, *(LONG if given.long else ())], desc="waits"):
        found["rows"] += measure(waits, trees, 1 if waits in LONG else TURNS)
        store.write_json(file, found)
    tables.print_table(engine.waits(found))
    print(file)


def commit(tree: Path) -> str:
    """The short name of a checkout's commit."""
    done = subprocess.run(["git", "-C", tree, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
