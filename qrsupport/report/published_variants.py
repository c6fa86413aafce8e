"""What `qrsupport measure` wrote, read and shown: many variants of one checkpoint side by side."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .. import catalog, store
from ..analysis import metrics, recovery
from ..errors import StaleArtefact
from . import widths
from .canvas import MARKERS, PALETTE, Figure, axes_of
from .show import pairs_table
from .tables import Html, p_value, percent, points

LEVEL = 0.05
NAMED = ("int8-dynamic", "adversarial", "other-seed", "qat4", "w2")
TICKS = (0, 1, 3, 10, 30)
FEW = 4


@dataclass(frozen=True)
class Measured:
    """A file of `qrsupport measure`: `about` (machine, versions, parameters, latency by variant) and the tables
    `metrics.headline`, `metrics.clean`, `metrics.pairs` and `recovery.against_controls` of its records.

    Tests against fp32 under transfer, which files of before hold, are left out: it loses its own set by construction."""

    about: dict
    grid: pd.DataFrame
    clean: pd.DataFrame
    pairs: pd.DataFrame
    controls: pd.DataFrame


def read(file: Path) -> Measured:
    """The measures in a file.

    Raises StaleArtefact, naming the file, if it is none of `qrsupport measure`'s.
    """
    content = store.read_json(file)
    try:
        grid, clean, pairs = (_rows(content.pop(kind)) for kind in ("grid", "clean", "pairs"))
        pairs = pairs[pairs["protocol"] != "transfer"]
        controls = _rows(content.pop("controls", [])).reindex(columns=recovery.NAMES)
        found = Measured(content, grid, clean, pairs, controls)
        about(found), table(found)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise StaleArtefact(f"{file} was not written by `qrsupport measure` ({type(e).__name__}: {e})") from e
    return found


def _rows(rows: list[dict]) -> pd.DataFrame:
    """A table of a file, with the columns that files of before lack."""
    found = pd.DataFrame(rows)
    return found.assign(setting="", **{name: value for name, value in metrics.EXTRAS.items() if name not in found})


def about(found: Measured) -> str:
    """One paragraph: what was measured, on what, with which versions."""
    p, n = found.about["parameters"], int(found.grid["direct_n"].max())
    attacked = f"{p['attack']} with {p['resources']} resources, {n} examples (attack seed {p['attack_seed']})"
    versions = ", ".join(f"{name} {number}" for name, number in sorted(found.about["versions"].items()))
    return (
        f"{p['backbone']} on {p['dataset']}, seed {p['seed']}, {p['epochs']} epochs; {attacked}; "
        f"{len(found.grid)} variants. {found.about['machine']}; {versions}.{_added_since(found)}"
    )


def _added_since(found: Measured) -> str:
    """The variants of the catalogue that a file of before lacks, in a sentence; empty if there are none."""
    missing = [f"`{name}`" for name in catalog.VARIANTS if name not in set(found.grid["variant"])]
    return f" Added later, so not among them: {', '.join(missing)}." if missing else ""


def _differences(found: Measured) -> pd.DataFrame:
    """The grid with `differs`: the share of clean texts to which a variant gives another label than fp32."""
    known = found.clean.set_index([*metrics.MODEL, "variant"])["agreement"]
    keys = found.grid[known.index.names].itertuples(index=False, name=None)
    return found.grid.assign(differs=[1 - known[key] for key in keys])


def accuracy_by_difference(found: Measured) -> Figure:
    """Accuracy under each protocol against the share of clean texts to which a variant gives another label than fp32.

    Whiskers are 95 % Wilson intervals; the dashed lines are fp32; the variants in `NAMED` carry their names.
    """
    rows = _differences(found)
    canvas, axes = axes_of(1, 2, 8.4, 3.8, sharex=True, sharey=True)
    for i, (ax, protocol) in enumerate(zip(axes[0], ("direct", "transfer"), strict=True)):
        values, x = 100 * rows[protocol], 100 * rows["differs"]
        ends = [100 * (rows[protocol] - rows[f"{protocol}_lower"]), 100 * (rows[f"{protocol}_upper"] - rows[protocol])]
        ax.errorbar(x, values, ends, fmt=MARKERS[i], color=PALETTE[i], capsize=2, alpha=0.8, markersize=4)
        ax.axhline(100 * rows.set_index("variant")[protocol]["fp32"], color="black", linestyle="--", linewidth=1)
        ax.set(xlabel="labels that differ from fp32 (%)", title=protocol, xscale="symlog")
        ax.set_xticks(TICKS, map(str, TICKS))
    for name, a, b in zip(rows["variant"], 100 * rows["differs"], 100 * rows["transfer"], strict=True):
        if name in NAMED:
            side = {"ha": "right", "xytext": (-5, 5)} if a > 1 else {"ha": "left", "xytext": (0, 18)}
            axes[0, 1].annotate(name, (a, b), textcoords="offset points", fontsize=8, **side)
    axes[0, 0].set(ylabel="accuracy (%)")
    axes[0, 0].set_ylim(0, None)
    said = [
        f"{row.variant} {percent(row.differs)}: {percent(row.direct)}, {percent(row.transfer)}"
        for row in rows.sort_values("differs").itertuples()
    ]
    return Figure(
        canvas,
        f"Accuracy under direct attack and under transfer against the share of labels that differ from fp32's, with "
        f"95 % Wilson intervals. For each variant its share, then direct, transfer: {'; '.join(said)}.",
    )


def dependence(found: Measured) -> str:
    """One sentence: how closely accuracy under each protocol follows the share of labels that differ from fp32's."""
    rows = _differences(found)
    rank = {protocol: rows["differs"].corr(rows[protocol], method="spearman") for protocol in ("direct", "transfer")}
    return (
        f"Spearman's rank correlation of that share with accuracy over the {len(rows)} variants: "
        f"{rank['transfer']:.2f} under *transfer*, {rank['direct']:.2f} under *direct*."
    )


def table(found: Measured) -> Html:
    """Each variant: size, time, clean accuracy, agreement with fp32, direct and transfer accuracy."""
    return widths.variant_table(found.grid, found.clean, found.about["latency"])


def _against_fp32(found: Measured, protocol: str) -> pd.DataFrame:
    rows = found.pairs[found.pairs["protocol"] == protocol]
    return rows[[("fp32" in (a, b)) for a, b in zip(rows["variant_a"], rows["variant_b"], strict=True)]]


def differing(found: Measured, protocol: str) -> Html:
    """The variants whose accuracy under a protocol differs from that of fp32: Holm-corrected p below 0.05."""
    rows = _against_fp32(found, protocol)
    return pairs_table(rows[rows["p_holm"] < LEVEL])


def against_controls(found: Measured, variant: str = "int8-dynamic") -> str:
    """What `variant` recovers beside the controls, or that the file holds no such test."""
    if not len(found.controls):
        return (
            "This file holds accuracy over the whole set only, so nothing here says whether a quantized variant recovers "
            "more than a control; [chapter 7](../nbs/07-controls.ipynb) tests that."
        )
    return recovery.said(found.controls, variant)


def verdict(found: Measured, protocol: str, variant: str = "int8-dynamic") -> str:
    """Two sentences: which variants differ from fp32 under a protocol, and by how much `variant` does."""
    rows = _against_fp32(found, protocol)
    differ = rows.loc[rows["p_holm"] < LEVEL, "variant_b"]
    clean = found.clean.set_index("variant")["accuracy"]
    named = ", ".join(f"`{name}` with clean accuracy {percent(clean[name])}" for name in differ)
    row = rows[rows["variant_b"] == variant].iloc[0]
    return (
        f"Under *{protocol}*, {len(differ)} of {len(rows)} variants differ from `fp32`"
        f"{f': {named}' if 0 < len(differ) <= FEW else ''}. "
        f"`{variant}` differs by {points(100 * row['difference'])} points (p {p_value(row['p_holm'])} after correction)."
    )
