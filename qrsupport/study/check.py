"""Whether things are here as in the published units: a part of a unit's records, made again from scratch and compared
(`qrsupport study check`), and what attacks draw on, before a new unit is run."""

import dataclasses
from pathlib import Path

import pandas as pd

from .. import pipeline, store
from ..analysis import metrics
from ..errors import MissingResource, NoRecords
from ..lexicons import resources
from . import plan_file, published, read, status

NAMES = ["variant", "example", "published", "again", "same text", "queries", "queries again"]
MADE_FROM = {
    "checkpoint": "fine-tuning gave another checkpoint",
    "resources": "the words or the sentence encoder are others (`qrsupport fetch use-multilingual-v3` brings the encoder)",
}
"""What outcomes depend on, and what to say where it is not as published."""


@dataclasses.dataclass(frozen=True)
class Check:
    """`table`: one row an example and variant (`NAMES`); `differs`: of `MADE_FROM`, what is not as published here."""

    table: pd.DataFrame
    differs: tuple[str, ...] = ()

    @property
    def alike(self) -> bool:
        """Whether fine-tuning gave the published checkpoint, and the words and the sentence encoder are those of then."""
        return not self.differs

    @property
    def good(self) -> bool:
        """Made from the same: every outcome the same.  Else: for each variant, an accuracy within the interval of the
        published one."""
        same = (self.table["published"] == self.table["again"]) & self.table["same text"]
        if self.alike:
            return bool(same.all())
        return all(_within(part) for _, part in self.table.groupby("variant"))

    @property
    def said(self) -> str:
        equal = int((self.table["published"] == self.table["again"]).sum())
        from_ = "; ".join(MADE_FROM[name] for name in self.differs) or "the published checkpoint was made again, byte for byte"
        return f"{equal} of {len(self.table)} outcomes are as published; {from_}: {'good' if self.good else 'NOT as published'}"


def _within(part: pd.DataFrame) -> bool:
    lower, upper = metrics.interval((part["published"] == "failed").sum(), len(part))
    return lower <= (part["again"] == "failed").mean() <= upper


def check(unit: plan_file.Unit, folder: Path, run_dir: Path, n: int) -> Check:
    """The first attack of a unit on the first two of its variants, on `n` examples, made again in `run_dir`.

    The examples are the first of the seeded sample.  Raises NoRecords if the unit is not published.
    """
    about, rows = read.manifest(folder, unit.name), read.rows(folder, unit.name)
    if not len(rows):
        raise NoRecords(f"unit {unit.name} is not published in {folder}; name one that is")
    step = next(step for step in unit.steps if step.does == "direct")
    p = dataclasses.replace(plan_file.parameters(unit, step, run_dir=str(run_dir)), n=n)
    shown, found = status.aimed(rows, unit, step, "direct"), []
    for variant in step.variants[:2]:
        mine = shown[(shown["variant"] == variant) & (shown["position"] < n)].set_index("example")
        for r in pipeline.attack(p, variant):
            row = mine.loc[r.example]
            text = published.digest(r.perturbed) == row["perturbed"]
            found.append([variant, r.example, row["status"], r.status.value, text, row["queries"], r.queries])
    here = {
        "checkpoint": store.sha256(pipeline.checkpoint(p) / "model.safetensors"),
        "resources": pipeline.attack_folder(p, step.variants[0]).depends()["resources"],
    }
    then = {"checkpoint": about["checkpoints"].get("base"), "resources": about["resources"].get(step.label)}
    return Check(pd.DataFrame(found, columns=NAMES), tuple(name for name in MADE_FROM if here[name] != then[name]))


def same_resources(unit: plan_file.Unit, used: dict[str, tuple[str, str]]) -> None:
    """Raises MissingResource if an attack of the unit would use other resources than published units did: see `read.used`."""
    for step in unit.steps:
        theirs, other = used.get(step.label, ("", ""))
        if theirs:
            p = plan_file.parameters(unit, step)
            mine = resources.load(p.resources, p.network, p.attack).digest
            if mine != theirs:
                raise MissingResource(
                    f"{step.label}: {MADE_FROM['resources']} than those of the published unit {other}, with which its records could not be "
                    f"compared (digests {mine} and {theirs}); `qrsupport doctor` says what is at hand; --results names another folder of "
                    "published units"
                )
