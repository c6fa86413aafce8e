"""What a chapter shows: tables, figures with alt text, word differences.  Everything shows in a notebook and as text.

Functions that make tables take what `metrics` returns; `tables.table(df)` shows any other.
"""

from pathlib import Path

import pandas as pd

from .. import catalog
from ..analysis import metrics, paper_claims, runs
from ..escaping import markdown
from .canvas import Figure
from .diffs import diff_table, word_diff
from .figures import (
    accuracy_grid,
    budget_curves,
    latency,
    lead_shifts,
    learning_curve,
    margin_curves,
    outcomes,
    queries,
    transfer_bars,
    transfer_matrix,
    weight_error_histogram,
    words_changed,
)
from .flow import flow
from .paper_figure import paper_figure
from .tables import Html, backbones, cell, estimate, p_value, percent, plain, points, print_table, table

__all__ = [
    "Figure", "Html", "accuracy_grid", "adversarial_cost", "budget_curves", "clean_table", "diff_table",
    "direct_table", "flow", "headline", "headline_table", "headline_text", "latency", "latency_table", "lead_shifts",
    "learning_curve", "margin_curves", "markdown", "missing_table", "outcomes", "pairs_table", "paper_figure", "paper_table",
    "per_class_report", "plain", "print_table", "queries", "recovered_table", "table", "transfer_bars", "transfer_matrix",
    "transfer_table", "weight_error_histogram", "word_diff", "words_changed",
]  # fmt: skip


TRANSFER = (
    "Transfer: the source's adversarial set put to the target. Recovery rate: over the texts that fooled the source. "
    "Whole set: the paper's way of counting, as we read it; gain: that minus the source's; from skipped: the part of "
    "it on texts that the source gets wrong unattacked"
)


def _shown(df: pd.DataFrame, name: str) -> list[str]:
    """The proportion `name` of each row as text."""
    if name not in df:
        return ["not run"] * len(df)
    columns = [df[f"{name}{end}"] for end in ("", "_lower", "_upper", "_n")]
    return [estimate(*row) for row in zip(*columns, strict=True)]


def _cells(df: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The columns that say which cell a row is; seeds, settings, budgets and whatever else is left out where none is set."""
    usual = {"seed": 0, "setting": "", "attack_seed": 0, "query_budget": 0} | metrics.EXTRAS
    drop = {c for c, value in usual.items() if c in df and (df[c] == value).all()}
    return df.reindex(columns=[c for c in names if c not in drop]).rename(columns=lambda c: c.replace("_", " "))


def headline(grid: pd.DataFrame) -> pd.DataFrame:
    """`metrics.headline` for people: accuracies as text, `61.0 % [51.2, 70.0], n 100`."""
    df = _cells(grid, [*metrics.CELL, "variant"])
    df["clean accuracy"] = _shown(grid, "clean")
    df["under direct attack"] = _shown(grid, "direct")
    replayed = grid["transfer_n"] if "transfer_n" in grid else [0] * len(grid)
    df["recovery of fp32's"] = [
        "no text fooled fp32" if text == "not run" and n else text
        for text, n in zip(_shown(grid, "recovery"), replayed, strict=True)
    ]
    return df


def headline_text(run_dir: Path, setting: str = "") -> str:
    """The headline table of the records of the paper's variants under a run directory, as plain text.

    `setting` narrows it and errors are raised as in `runs.load`.
    """
    shown = headline(metrics.headline(*runs.load(run_dir, setting), catalog.PAPER_VARIANTS))
    return "\n\n".join(filter(None, (plain(shown), backbones(shown))))


def headline_table(grid: pd.DataFrame) -> Html:
    """The grid of `metrics.headline`."""
    about = "recovery: of the texts that fooled fp32, the share that the variant gets right; fp32 itself none"
    keys = _cells(grid, [*metrics.CELL, "variant"])
    return table(headline(grid), f"Accuracy with 95 % Wilson intervals; {about}", keys=keys)


def clean_table(df: pd.DataFrame) -> Html:
    """From `metrics.clean`: accuracy, label agreement with fp32 and size."""
    out = _cells(df, [*metrics.MODEL, "split", "variant"])
    keys = [*out]
    out["clean accuracy"], out["labels as fp32"] = _shown(df, "accuracy"), _shown(df, "agreement")
    out["megabytes"] = df["bytes"].astype(float) / 1e6 if "bytes" in df else []
    return table(out, "Clean accuracy on the whole evaluation split", keys=keys)


def direct_table(df: pd.DataFrame) -> Html:
    """From `metrics.direct`: how each attack ended and what it took."""
    out = _cells(df, [*metrics.CELL, "variant"])
    keys = [*out]
    out["accuracy under attack"], out["success rate"] = _shown(df, "accuracy"), _shown(df, "success")
    for status in metrics.STATUSES:
        out[status] = df.get(status, [])
    columns = {"queries_mean": "queries, mean", "queries_median": "queries, median", "evaluations_mean": "evaluations"}
    for name, label in columns.items():
        out[label] = [round(float(v), 1) for v in df.get(name, ())]
    out["words changed"] = [percent(v) for v in df.get("changed_mean", ())]
    out["similarity"] = [cell(float(v)) for v in df.get("similarity_mean", ())]
    return table(out, "Direct attack: the variant attacked is the variant measured", keys=keys)


def transfer_table(df: pd.DataFrame) -> Html:
    """From `metrics.transfer`: targets on a source's adversarial set."""
    out = _cells(df, [*metrics.CELL, "source", "target"])
    keys = [*out]
    out["recovery rate"] = ["no text fooled the source" if s == "not run" else s for s in _shown(df, "recovery")]
    out["accuracy, whole set"] = _shown(df, "accuracy")
    out["gain, points"] = [points(100 * v) for v in df.get("gain", ())]
    out["of it from skipped"] = [points(100 * v) for v in df.get("gain_skipped", ())]
    return table(out, TRANSFER, keys=keys)


def recovered_table(df: pd.DataFrame) -> Html:
    """From `recovery.against_controls`: one-sided exact tests."""
    out = _cells(df, [*metrics.CELL, "source"])
    keys = [*out]
    rows = zip(df["variant"], df["direction"], df["control"], strict=True)
    out["claim"] = [f"{variant} recovers {direction} than {control}" for variant, direction, control in rows]
    out["n"], out["only variant"], out["only control"] = df["n"], df["only_variant"], df["only_control"]
    out["p"], out["p, Holm"] = [p_value(p) for p in df["p"]], [p_value(p) for p in df["p_holm"]]
    return table(out, "Recovery against controls: one-sided exact McNemar tests, Holm's correction", keys=keys)


def pairs_table(df: pd.DataFrame) -> Html:
    """From `metrics.pairs`: exact McNemar tests."""
    out = _cells(df, [*metrics.CELL, "protocol"])
    keys = [*out]
    if len(sets := set(out["resources"]) - {""}) == 1:
        out["resources"] = sets.pop()  # texts as they are need no resource set: a caption can say it once for all
    out["variants"] = [f"{b} − {a}" for a, b in zip(df["variant_a"], df["variant_b"], strict=True)]
    out["n"], out["difference (points)"] = df["n"], [points(100 * d) for d in df["difference"]]
    out["right: only first"], out["right: only second"] = df["only_b"], df["only_a"]
    out["p"], out["p, Holm"] = [p_value(p) for p in df["p"]], [p_value(p) for p in df["p_holm"]]
    return table(out, "Pairs of variants on the same examples: exact McNemar test, Holm's correction", keys=keys)


def paper_table(df: pd.DataFrame) -> Html:
    """From `metrics.paper_comparison`: the paper's headline numbers, marked as the paper's, beside ours."""
    out = df[["claim", "protocol"]].copy()
    out["the paper's, %"] = [points(v) for v in df["paper"]]
    out["ours, points"] = [points(v) for v in df["ours"]]
    both = zip(df["lowest"], df["highest"], strict=True)
    out["lowest to highest cell"] = ["—" if a is None else f"{points(a)} to {points(b)}" for a, b in both]
    out["cells"], out["pairs of answers"], out["resources"] = df["cells"], df["n"], df["resources"]
    out["the paper's stands in"] = df["source"]
    about = f"The paper's headline numbers ({paper_claims.SOURCE}) beside ours. transfer is its way of counting, as we read it"
    return table(out, about, keys=())


def missing_table(df: pd.DataFrame) -> Html:
    """From `metrics.missing`: the cells that lack something, or that none does."""
    if not len(df):
        return Html("<p>no cell of the grid is missing</p>", "no cell of the grid is missing")
    return table(_cells(df, [*metrics.CELL, "variant", "lacks"]), "Cells without records")


def per_class_report(labels, predicted, names) -> Html:
    """Precision, recall, F1 and support of each class; see `metrics.per_class`."""
    df = metrics.per_class(labels, predicted, names)
    for name in ("precision", "recall", "f1"):
        df[name] = [cell(round(float(v), 3)) for v in df[name]]
    return table(df, "Each class")


def latency_table(measures: dict[str, dict]) -> Html:
    """Time of one prediction, for `variants.latencies`, with its ratio to the first variant."""
    first = next(iter(measures.values()))["median"] if measures else 1.0
    rows = [[name, m["median"], m["low"], m["high"], f"{first / m['median']:.2f} ×"] for name, m in measures.items()]
    heads = ["variant", "median, ms", "lower quartile, ms", "upper quartile, ms", "speed"]
    return table(pd.DataFrame(rows, columns=heads), f"Latency of one text, batch 1, one thread{_conditions(measures)}")


def _conditions(measures: dict[str, dict]) -> str:
    """How often was timed, and what else the machine did meanwhile."""
    m = next(iter(measures.values()), {})
    if "load" not in m:
        return ""
    return (
        f"; {m['repeats']} predictions each, the variants taking turns text by text. The machine's load (processes "
        f"that want to run, mean of a minute, this one included) was {m['load'][0]:.1f} before and {m['load'][1]:.1f} "
        f"after, on {m['cores']} cores: above 1, other work ran too"
    )


def adversarial_cost(base: dict, adversarial: dict, quantize_seconds: float | None = None) -> Html:
    """What each way of changing the fine-tuned classifier costs.

    `base` and `adversarial` are `store.meta` of the two checkpoints (`seconds`, `attack_seconds`,
    `attack_queries`); `quantize_seconds` the time of the 8-bit quantization.  All in seconds.
    """
    rows: list[list] = [
        ["fine-tuning (all start from it)", 0, 0.0, base.get("seconds")],
        ["8-bit quantization", 0, 0.0, quantize_seconds],
        [
            "adversarial training",
            adversarial.get("attack_queries"), adversarial.get("attack_seconds"), adversarial.get("seconds"),
        ],
    ]  # fmt: skip
    rows = [[*row, None if None in row else row[2] + row[3]] for row in rows]
    heads = ["what", "queries", "attack, s", "training or conversion, s", "total, s"]
    return table(pd.DataFrame(rows, columns=heads, dtype=object), "Cost in queries and seconds")
