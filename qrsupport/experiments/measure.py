"""All that the book says of a variant, for many variants at once: made or loaded from the run directory, and written
as one file of numbers without any text, so that it can be published where the data cannot (`qrsupport measure`)."""

import dataclasses
from importlib.metadata import version

from tqdm.auto import tqdm

from .. import catalog, config, pipeline, records
from ..analysis import metrics, recovery
from ..attacks import tasks
from ..quantization import precisions
from ..training import fine_tuning
from . import execution


def runnable(p: config.Parameters) -> list[str]:
    """Every variant that can run on this machine; of a checkpoint that is taken as it is, those that need no training."""
    known = {name: entry for name, entry in catalog.VARIANTS.items() if p.epochs or entry.checkpoint == "base"}
    return [name for name in known if not precisions.lacks(name)]


def measure(p: config.Parameters, names, progress: bool = True) -> dict:
    """Bytes, latency, clean accuracy, agreement with fp32, direct accuracy, recovery and transfer of the variants in `names`.

    `grid`, `clean` and `pairs` (each other variant against fp32) are the rows of `metrics.headline`,
    `metrics.clean` and `metrics.pairs`, `controls` those of `recovery.against_controls` (each
    variant against the controls among them); `latency` is `variants.latencies`, in milliseconds.
    `fp32` is always among them.  Raises UnknownName or CannotRun before any work, then as `pipeline.attack` does.
    """
    names = list(dict.fromkeys(["fp32", *names]))
    config.check("variants", ",".join(names))
    for name in names:
        pipeline.check(p, name)
    clean, attacked, replays = [], [], []
    latency = execution.latencies(p, names)
    for name in tqdm(names, desc="measure", unit="variant", disable=not progress):
        clean.append(pipeline.clean(p, name))
        found = attacked_and_replayed(p, name)
        attacked, replays = attacked + found[0], replays + found[1]
    tables = {
        "grid": metrics.headline(attacked, replays, clean),
        "clean": metrics.clean(clean),
        "pairs": metrics.pairs(attacked, replays, clean, against="fp32"),
        "controls": recovery.against_controls(replays, [name for name in names if name != "fp32"]),
    }
    given = {name: value for name, value in dataclasses.asdict(config.settled(p)).items() if name not in config.PLACE}
    given["dataset"] = config.dataset_name(p.dataset)
    return made_on() | {"parameters": given, "latency": latency} | {kind: plain(table) for kind, table in tables.items()}


def made_on() -> dict:
    """The CPU and the versions of the libraries that answers depend on."""
    return {"machine": fine_tuning.hardware(), "versions": {name: version(name) for name in tasks.VERSIONS}}


def attacked_and_replayed(p: config.Parameters, name: str) -> tuple[list[records.Record], list[records.Replay]]:
    """The first `p.n` records of `p.attack` on variant `name`, and its answers to fp32's adversarial set; made if not there."""
    return pipeline.attack(p, name), pipeline.replay(p, "fp32", name)


def plain(table) -> list[dict]:
    """The rows of a table as JSON holds them; NaN becomes None."""
    return [
        {name: None if value != value else value for name, value in row.items()}
        for row in table.astype(object).to_dict("records")
    ]
