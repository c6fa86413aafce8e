"""What kept answers save: the study's sequence of attacks on one classifier and its int8, without and with them, in turns.

Writes book/results/kept.json; an attack whose outcomes differ says so there.
"""

import argparse
import contextlib
import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

from qrsupport import config, pipeline, store
from qrsupport.attacks import one_example, tasks
from qrsupport.experiments import measure
from qrsupport.quantization import victim
from qrsupport.study import plan_file

OUT = "book/results/kept.json"
UNITS = ("mr-minilm-l6-s0", "mr-minilm-l6-s0-suite")
"""Units of the plan whose attacks are run, on other data."""
ATTACKED = ("fp32", "int8-dynamic")


def sequence(p: config.Parameters) -> list[tuple[str, str, config.Parameters]]:
    """(label, variant, parameters) of each attack that the plan's units make on `ATTACKED`, once, in its order."""
    found: dict = {}
    for unit in (u for u in plan_file.read().units if u.name in UNITS):
        for step in (s for s in unit.steps if s.does == "direct"):
            for name in (v for v in ATTACKED if v in step.variants):
                aim = plan_file.parameters(unit, step)
                own = {f: getattr(aim, f) for f in ("attack", *config.AIM)}
                q = tasks.aimed(dataclasses.replace(p, **own), name)
                said = ", ".join(
                    f"{f} {getattr(q, f)}" for f in config.AIM if getattr(q, f) != config.FIELDS[f].default
                )
                found.setdefault((name, q), (", ".join(filter(None, (q.attack, said))), name, q))
    return list(found.values())


@contextlib.contextmanager
def watched():
    """Two lists to which, while this lasts, the seconds of each call of a model and the number of texts asked are added."""
    seconds, texts, call, ask = [], [], victim.Victim.__call__, victim.Victim._ask

    def called(self, some):
        texts.append(len(some))
        return call(self, some)

    def asked(self, ids):
        started = time.perf_counter()
        try:
            return ask(self, ids)
        finally:
            seconds.append(time.perf_counter() - started)

    with mock.patch.multiple(victim.Victim, __call__=called, _ask=asked):
        yield seconds, texts


def turn(jobs, examples: list[tasks.Example], kept: Path | None) -> tuple[np.ndarray, list]:
    """Of each attack on the examples, shape (attacks, 3): seconds, those of them in the model, texts that the model was asked;
    and its outcomes."""
    measures, outcomes = [], []
    for _, name, p in jobs:
        search = one_example.Searcher(dataclasses.replace(pipeline.task(p, name), answers=kept))
        with watched() as (inside, texts):
            started = time.perf_counter()
            found = [search(example) for example in examples]
            measures.append((time.perf_counter() - started, sum(inside), sum(texts)))
        outcomes.append([dataclasses.replace(record, timing={}) for record in found])
    return np.array(measures), outcomes


def measured(p: config.Parameters, turns: int) -> list[dict]:
    """A row for each attack: seconds with every answer `asked`, of these in the `model`, and with answers `kept`; `texts` and
    `texts_kept`, those that the model was asked then; over all turns, each on `p.n` examples of its own."""
    jobs = sequence(p)
    drawn = tasks.examples(pipeline.dataset(p).eval_split(), p.n * turns, p.attack_seed)
    total, same = {keep: np.zeros((len(jobs), 3)) for keep in (False, True)}, [True] * len(jobs)
    for i in range(turns):
        examples, outcomes = drawn[i * p.n : (i + 1) * p.n], []
        for keep in (i % 2 == 1, i % 2 == 0):
            with tempfile.TemporaryDirectory() as room:
                seconds, found = turn(jobs, examples, Path(room) if keep else None)
            total[keep] += seconds
            outcomes.append(found)
            said = f"turn {i + 1} of {turns}, answers {'kept' if keep else 'asked'}: {seconds[:, 0].sum():.0f} s"
            print(said, file=sys.stderr, flush=True)
        same = [before and a == b for before, a, b in zip(same, *outcomes, strict=True)]
    return [
        {"attack": label, "variant": name, "identical": equal, "asked": round(a[0], 3), "model": round(a[1], 3),
         "kept": round(b[0], 3), "texts": int(a[2]), "texts_kept": int(b[2])}
        for (label, name, _), a, b, equal in zip(jobs, total[False].tolist(), total[True].tolist(), same, strict=True)
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=OUT)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("-n", type=int, default=20, help="examples a turn")
    given = parser.parse_args()
    p = config.make(n=given.n, workers=1)
    rows = measured(p, given.turns)
    about = {"dataset": p.dataset, "backbone": p.backbone, "resources": p.resources, "n": given.n * given.turns}
    store.write_json(Path(given.out), measure.made_on() | about | {"rows": rows})


if __name__ == "__main__":
    main()
