"""Attack logs that others published, as numbers: `qrsupport study evidence` reads the logs, the book reads its file.

The logs hold sentences of SST-2 and MR and stay where they are; counts and their digests do not.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from .. import offline, store
from ..analysis import metrics
from ..errors import BadData, MissingResource
from ..experiments.coverage import CHANGED
from ..report.tables import Html, estimate, p_value, table
from .limits import FEW

RESULTS = {"Successful": "succeeded", "Failed": "failed", "Skipped": "skipped"}


class Ended(NamedTuple):
    """How an attack ended: its status, the words that its last text changes, the words of the text."""

    status: str
    changed: int
    words: int

    def kept(self, most: float = 1.0) -> bool:
        """Whether the text is still right if the attack may change the share `most` of its words (`outcomes.direct`)."""
        won = self.status == "succeeded" and self.changed <= math.ceil(self.words * most)
        return not won and self.status != "skipped"


@dataclass(frozen=True)
class Source:
    """Logs of one repository: where they come from and what was attacked; `compare`: pairs of logs, the plain one first."""

    repository: str
    commit: str
    path: str
    what: str
    compare: tuple[tuple[str, str], ...]

    @property
    def owner(self) -> str:
        return self.repository.partition("/")[0]


_PLAIN = "distill_bert_finetuned_sst2_67349_samples"
_SAVED = "distill_bert_fromsavedmodel_"
_TRAINED = (
    "distill_bert_EmbeddingAugmenter_adversarialtrained_sst2_106494_samples",
    "distill_bert_SynonymInsertionAugmenter_adversarialtrained_sst2_106868_samples",
    "distill_bert_WordNetAugmenter_adversarialtrained_sst2_106748_samples",
    f"{_SAVED}All_adversarialtrained_sst2_118063_samples",
    f"{_SAVED}EmbeddingAugmenter_adversarialtrained_sst2_39145_samples",
    f"{_SAVED}SynonymInsertionAugmenter_adversarialtrained_sst2_39519_samples",
    f"{_SAVED}WordNetAugmenter_adversarialtrained_sst2_39399_samples",
)
SOURCES = {
    "nyu": Source(
        "95anantsingh/NYU-Attacking-Compressed-NLP",
        "d66d2cdb",
        "models/{bert,lstm}/sst",
        "TextFooler against BERT-base and an LSTM on SST-2, 32-bit and dynamic int8 (PyTorch), each attacked itself",
        (("bert-main", "bert-quantized"), ("lstm-main", "lstm-quantized")),
    ),
    "kalmath": Source(
        "VijayKalmath/AdversarialTraining_in_Distilation_Of_BERT",
        "e007f61a",
        "bert_models/adversarial_attacks/Attack_logs/TextFooler",
        "TextFooler against DistilBERT on SST-2, plain and fine-tuned with augmented examples",
        tuple((_PLAIN, name) for name in _TRAINED),
    ),
    "search-benchmark": Source(
        "QData/TextAttack-Search-Benchmark",
        "6cde19fe",
        "results/bert-mr-test",
        "BERT-base on MR, the same search under lax and under strict constraints (Yoo et al. 2020)",
        (
            ("embedding-lax-greedyWIR_delete", "embedding-strict-greedyWIR_delete"),
            ("wordnet-lax-greedyWIR_pwws", "wordnet-strict-greedyWIR_pwws"),
        ),
    ),
}


def read_log(path: Path) -> dict[str, Ended]:
    """How the attack on each text of a log ended, by text.

    Raises MissingResource if there is no log, BadData, with file and line, for a row that is none or a text that
    stands twice.
    """
    if not path.is_file():
        raise MissingResource(f"{path} is missing; get it from the repository that `evidence.SOURCES` names")
    offline.textattack()
    from textattack.shared.utils import words_from_text

    found = {}
    with open(path, encoding="utf-8", newline="") as f:
        rows = csv.DictReader(f)
        for row in rows:
            text, result = row.get("original_text") or "", row.get("result_type")
            key = CHANGED.sub(r"\1", text).strip().lower()
            if not key or result not in RESULTS or key in found:
                raise BadData(f"{path}:{rows.line_num}: not a row of an attack log, or a text that stands twice")
            found[key] = Ended(RESULTS[result], len(CHANGED.findall(text)), len(words_from_text(key)))
    return found


def measure(folder: Path) -> dict:
    """What the logs under `folder` say, numbers only: `logs` (a row a log), `pairs` (a row a comparison)."""
    logs, pairs = [], []
    for name, source in SOURCES.items():
        files = dict.fromkeys(log for pair in source.compare for log in pair)
        read = {log: read_log(Path(folder) / name / f"{log}.csv") for log in files}
        for log, ended in read.items():
            counts = {status: sum(e.status == status for e in ended.values()) for status in RESULTS.values()}
            digest = store.sha256(Path(folder) / name / f"{log}.csv")
            logs.append({"source": name, "log": log, "n": len(ended), **counts, "sha256": digest})
        pairs += [{"source": name, "plain": a, "other": b} | compared(read[a], read[b]) for a, b in source.compare]
    return {"logs": logs, "pairs": pairs}


def compared(plain: dict[str, Ended], other: dict[str, Ended]) -> dict:
    """Two logs on the texts that both have: texts that each kept (the attack failed), p of the exact McNemar test.

    `few`: the same if attacks may change the share `limits.FEW` of the words at most.
    """
    both = sorted(plain.keys() & other.keys())
    pairs = [(plain[text], other[text]) for text in both]
    return {"n": len(both)} | _kept(pairs, 1.0) | {"few": _kept(pairs, FEW)}


def _kept(pairs: list[tuple[Ended, Ended]], most: float) -> dict:
    kept = [(a.kept(most), b.kept(most)) for a, b in pairs]
    only = sum(b and not a for a, b in kept), sum(a and not b for a, b in kept)
    return {
        "kept_plain": sum(a for a, _ in kept),
        "kept_other": sum(b for _, b in kept),
        "only_other": only[0],
        "only_plain": only[1],
        "p": metrics.exact(*only),
    }


def logs_table(found: dict) -> Html:
    """Each log: accuracy under attack with its Wilson interval, and how attacks ended."""
    rows = []
    for log in found["logs"]:
        lower, upper = metrics.interval(log["failed"], log["n"])
        accuracy = estimate(log["failed"] / log["n"], lower, upper, log["n"])
        row = {"logs of": SOURCES[log["source"]].owner, "accuracy under attack": accuracy}
        rows.append(row | {name: log[name] for name in RESULTS.values()} | {"log": log["log"]})
    return table(pd.DataFrame(rows), "Accuracy under direct attack in logs published by others, recomputed from them")


def pairs_table(found: dict) -> Html:
    """Each comparison: the gain in points with the exact McNemar test, uncorrected; the gain if few words may be changed."""
    rows = [
        {
            "logs of": SOURCES[pair["source"]].owner,
            "n": pair["n"],
            "gain (points)": _gain(pair, pair["n"]),
            "only other": pair["only_other"],
            "only plain": pair["only_plain"],
            "p, uncorrected": p_value(pair["p"]),
            "few words: gain": _gain(pair["few"], pair["n"]),
            "plain": pair["plain"],
            "other": pair["other"],
        }
        for pair in found["pairs"]
    ]
    few = f"few words: at most {100 * FEW:.0f} % of a text's"
    return table(pd.DataFrame(rows), f"The same texts, the plain classifier against the other, each attacked itself; {few}")


def _gain(kept: dict, n: int) -> str:
    return f"{100 * (kept['kept_other'] - kept['kept_plain']) / n:+.1f}"


def sources_list() -> str:
    """Where the logs come from, as a list in Markdown."""
    return "\n".join(
        f"- [{s.repository}](https://github.com/{s.repository}) at commit {s.commit}, `{s.path}`: {s.what}."
        for s in SOURCES.values()
    )
