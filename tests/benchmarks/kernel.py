"""How much faster int8 attacks are since the exact 8-bit kernel is taken only where the fastest one saturates.

    python tests/benchmarks/kernel.py --backbone minilm-l6 --dataset embedded --n 20

The same attack on `int8-dynamic` with the option of before (always exact) and with the fastest kernel, in turns
A B A B, in one process on one thread.  Prints the seconds of each turn, the ratio of the sums, and its range; stops if one
field of one record differs besides its timing.  Exit code 1 below --target.  Alone on a quiet machine.
"""

import argparse
import dataclasses
import sys
import time

from qrsupport import config, pipeline
from qrsupport.attacks import one_example, tasks
from qrsupport.data import datasets
from qrsupport.quantization import batching

parser = argparse.ArgumentParser()
parser.add_argument("--backbone", default="minilm-l6")
parser.add_argument("--dataset", default="embedded")
parser.add_argument("--resources", default="embedded")
parser.add_argument("--attack", default="textfooler")
parser.add_argument("--run-dir", default="")
parser.add_argument("--n", type=int, default=20)
parser.add_argument("--turns", type=int, default=2)
parser.add_argument("--target", type=float, default=1.6)
parser.add_argument("--train-limit", type=int, default=0)


def searchers(p: config.Parameters) -> dict[str, one_example.Searcher]:
    """One ready to attack with each kernel."""
    task = tasks.Task(p, "int8-dynamic", pipeline.variant(p, "int8-dynamic"), "benchmark")
    found, measured = {}, batching.saturates
    for name, exact in (("exact", True), ("fastest", False)):
        batching.saturates = lambda exact=exact: exact
        found[name] = one_example.Searcher(task)
    batching.saturates = measured
    return found


def turn(searcher: one_example.Searcher, examples) -> tuple[float, list]:
    """(seconds, the records without their timing) of one turn."""
    start = time.perf_counter()
    made = [dataclasses.replace(searcher(example), timing={}) for example in examples]
    return time.perf_counter() - start, made


def main() -> int:
    """Runs the turns and prints what they took."""
    given = vars(parser.parse_args())
    turns, target = given.pop("turns"), given.pop("target")
    p = config.make(**{name: value for name, value in given.items() if value})
    if not batching.kernel_is_exact(False):
        print("this machine's fastest 8-bit kernel saturates, so the exact one stays in use: nothing to compare")
        return 0
    split = datasets.load(p).eval_split()
    chosen = datasets.sample(split, p.n, p.attack_seed)
    examples = [tasks.Example(at, split.ids[i], split.texts[i], split.labels[i]) for at, i in enumerate(chosen)]
    ready = searchers(p)
    for searcher in ready.values():
        turn(searcher, examples[:1])  # warm up
    seconds, records = {name: [] for name in ready}, []
    for _ in range(turns):
        for name, searcher in ready.items():
            took, made = turn(searcher, examples)
            seconds[name].append(took)
            records.append(made)
            print(f"{name:8} {took:8.2f} s")
            assert made == records[0], "an outcome differs between the kernels"
    ratios = [a / b for a, b in zip(seconds["exact"], seconds["fastest"], strict=True)]
    ratio = sum(seconds["exact"]) / sum(seconds["fastest"])
    print(f"{p.attack} on {p.backbone} int8-dynamic, {len(examples)} examples: {ratio:.2f} times as fast "
          f"({min(ratios):.2f} to {max(ratios):.2f}), every outcome equal")  # fmt: skip
    return int(ratio < target)


if __name__ == "__main__":
    sys.exit(main())
