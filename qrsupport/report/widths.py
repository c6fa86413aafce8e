"""What the chapter on bit widths shows: one table of all that is known of each variant, and figures against bits and damage."""

import numpy as np
import pandas as pd

from .. import catalog
from ..analysis import metrics
from .canvas import LINES, MARKERS, PALETTE, Figure, axes_of, labelled, need
from .show import _cells, _shown
from .tables import Html, percent, table, visible

SERIES = {"weights": "w{}", "activations": "a{}", "both": "w{}a{}"}
MEASURES = {"clean": "clean accuracy", "direct": "under attack", "recovery": "recovery", "transfer": "whole set"}
PLACE = ["dataset", "backbone", "seed", "setting", "resources", "attack", "attack_seed"]


def variant_table(grid: pd.DataFrame, clean: pd.DataFrame, latencies: dict[str, dict]) -> Html:
    """From `metrics.headline`, `metrics.clean` and `variants.latencies`: one row a cell and variant.

    The cell's columns are left out, and its names stand above the table, where there is only one.
    Megabytes of a simulated variant are those of a file that stored its weights at their width; its
    time is left out, because it is that of the simulation.
    """
    known = clean.set_index([*metrics.MODEL, "variant"])
    rows = known.reindex(pd.MultiIndex.from_frame(grid[[*metrics.MODEL, "variant"]])).reset_index(drop=True)
    out = _cells(grid, [*metrics.CELL, "variant"])
    cell = out.drop(columns="variant").drop_duplicates()
    if len(cell) == 1:
        out = out[["variant"]].copy()
    out["execution"] = [catalog.execution(name) for name in grid["variant"]]
    out["megabytes"] = list(rows["bytes"].astype(float) / 1e6)
    out["ms a text"] = [
        latencies[name]["median"] if name in latencies and how == "kernel" else float("nan")
        for name, how in zip(grid["variant"], out["execution"], strict=True)
    ]
    out["clean accuracy"], out["labels as fp32"] = _shown(rows, "accuracy"), _shown(rows, "agreement")
    out["under direct attack"] = _shown(grid, "direct")
    if "recovery" in grid:  # files of `qrsupport measure` of before have the whole set only
        out["recovery of fp32's"] = _shown(grid, "recovery")
    out["whole transfer set"] = _shown(grid, "transfer")
    where = f" ({', '.join(map(str, cell.iloc[0]))})" if len(cell) == 1 else ""
    return table(out, f"Each variant{where}: size, time, accuracy with 95 % Wilson intervals")


def accuracy_by_width(grid: pd.DataFrame) -> Figure:
    """From `metrics.headline`: against bits of the weights, of the activations, of both; a panel a cell and measure.

    The measures: clean accuracy, accuracy under direct attack, and recovery of the texts that fooled fp32 (the whole
    transfer set in files of `qrsupport measure` of before).  Whiskers are 95 % Wilson intervals; the dashed line is
    fp32.  Variants outside the sweep are left out.
    """
    grid = grid.assign(cell=labelled(grid, PLACE[:1], PLACE[1:]))
    swept = grid[grid["variant"].isin(catalog.SWEEP)]
    need(swept, "simulated widths")
    measures = ("clean", "direct", "recovery" if "recovery" in grid else "transfer")
    cells, said = list(dict.fromkeys(swept["cell"])), []
    canvas, axes = axes_of(3 * len(cells), 1, 6.4, 0.9 + 2.0 * 3 * len(cells), sharex=True)
    for i, (cell, measure) in enumerate((c, m) for c in cells for m in measures):
        ax, group = axes[i, 0], grid[grid["cell"] == cell].set_index("variant")
        said += [f"{cell}, {measure}, {part}" for part in _lines(ax, group, measure)]
        ax.set_ylabel(f"{MEASURES[measure]} (%)")
        if len(cells) > 1:
            ax.set_title(visible(cell), fontsize=9)
    axes[-1, 0].set(xlabel="bits", xticks=sorted({b for v in swept["variant"] for b in catalog.SWEEP[v] if b}))
    canvas.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return Figure(canvas, f"Accuracy and recovery against bits, with 95 % Wilson intervals. {'; '.join(said)}.")


def _lines(ax, group: pd.DataFrame, protocol: str) -> list[str]:
    """Draws one panel's lines; returns what each says.  `group`: rows of the grid by variant."""
    said = []
    for place, (name, pattern) in enumerate(SERIES.items()):
        found = {b: group.loc[v] for b in catalog.BITS if (v := pattern.format(b, b)) in group.index}
        found = {b: row for b, row in found.items() if row[f"{protocol}_n"]}
        if not found:
            continue
        values = [100 * row[protocol] for row in found.values()]
        ends = [[100 * (row[protocol] - row[f"{protocol}_lower"]) for row in found.values()]]
        ends += [[100 * (row[f"{protocol}_upper"] - row[protocol]) for row in found.values()]]
        at = [b + 0.12 * (place - 1) for b in found]  # side by side, so that whiskers can be told apart
        ax.errorbar(
            at, values, ends, fmt=LINES[place], marker=MARKERS[place], color=PALETTE[place], capsize=2, label=name
        )
        said.append(f"{name}: " + ", ".join(f"{b} bits {percent(row[protocol])}" for b, row in found.items()))
    if "fp32" in group.index and group.loc["fp32", f"{protocol}_n"]:
        ax.axhline(100 * group.loc["fp32", protocol], color="black", linestyle="--", linewidth=1, label="fp32")
        said.append(f"fp32: {percent(group.loc['fp32', protocol])}")
    ax.set_ylim(-4, 104)
    return said


def signal_to_noise(df: pd.DataFrame) -> Figure:
    """Signal-to-noise ratio against bits, dots measured, lines as the formula has it.

    `df`: one row a tensor and width: `tensor` (its name here), `bits`, `measured` and `formula` (decibels).
    """
    need(df, "tensors")
    canvas, axes = axes_of(height=4.2)
    ax, said = axes[0, 0], []
    for i, (name, part) in enumerate(df.groupby("tensor", sort=False)):
        look = {"color": PALETTE[i % len(PALETTE)]}
        ax.plot(part["bits"], part["formula"], LINES[i % len(LINES)], **look)
        ax.plot(part["bits"], part["measured"], MARKERS[i % len(MARKERS)], label=visible(name), **look)
        said.append(f"{name}: " + ", ".join(f"{b} bits {m:.1f}" for b, m in zip(part["bits"], part["measured"], strict=True)))
    ax.axhline(0, color="black", linewidth=1)
    ax.set(xlabel="bits", ylabel="signal-to-noise ratio (dB)", xticks=sorted(set(df["bits"])), ylim=(-12, None))
    ax.legend()
    return Figure(canvas, f"Signal-to-noise ratio in decibels against bits, measured. {'; '.join(said)}.")


def by_movement(df: pd.DataFrame) -> Figure:
    """What variants recover, and what they gain attacked themselves, against how far they move the label's lead.

    `df`: one row a variant: `variant`, `moved` (logits), `recovery` (a share, NaN where nothing fooled fp32), `gain`
    (points).  Variants that move nothing are left out.
    """
    df = df[df["moved"] > 0]
    need(df, "variants that move a logit")
    canvas, axes = axes_of(2, 1, 6.4, 5.4, sharex=True)
    for i, (ax, values) in enumerate(zip(axes[:, 0], (100 * df["recovery"], df["gain"]), strict=True)):
        ax.plot(df["moved"], values, MARKERS[i], color=PALETTE[i])
        for name, x, y in zip(df["variant"], df["moved"], values, strict=True):
            if not np.isnan(y):
                ax.annotate(visible(name), (x, y), textcoords="offset points", xytext=(5, 4), fontsize=8)
    axes[0, 0].set(ylabel="recovery (%)", ylim=(-4, 104))
    axes[1, 0].set(ylabel="direct gain (points)", xlabel="how far the label's lead moves (logits, root mean square)")
    axes[1, 0].set_xscale("log")
    axes[1, 0].axhline(0, color="black", linestyle="--", linewidth=1)
    said = (f"{r.variant} moves {r.moved:.2g}: {percent(r.recovery)}, {r.gain:+.1f} points" for r in df.itertuples())
    return Figure(canvas, f"Recovery and direct gain against the movement of the label's lead. {'; '.join(said)}.")
