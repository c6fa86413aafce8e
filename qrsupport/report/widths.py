"""What the chapter on bit widths shows: one table of all that is known of each variant, and accuracy against bits."""

import pandas as pd

from .. import catalog
from ..analysis import metrics
from .figures import LINES, MARKERS, PALETTE, Figure, _axes, _need, _panel
from .show import _cells, _shown
from .tables import Html, percent, table, visible

SERIES = {"weights": "w{}", "activations": "a{}", "both": "w{}a{}"}
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
    """From `metrics.headline`: accuracy against bits of the weights, of the activations, of both; a row a cell.

    Whiskers are 95 % Wilson intervals; the dashed line is fp32.  Variants outside the sweep are left out.
    """
    grid = grid.assign(cell=_panel(grid, PLACE[:1], PLACE[1:]))
    swept = grid[grid["variant"].isin(catalog.SWEEP)]
    _need(swept, "simulated widths")
    cells, said = list(dict.fromkeys(swept["cell"])), []
    canvas, axes = _axes(len(cells), 3, 9.6, 0.8 + 2.5 * len(cells), sharey=True, sharex=True)
    for i, cell in enumerate(cells):
        group = grid[grid["cell"] == cell].set_index("variant")
        for ax, protocol in zip(axes[i], ("clean", "direct", "transfer"), strict=True):
            said += [f"{cell}, {protocol}, {part}" for part in _lines(ax, group, protocol)]
            ax.set_title(visible(f"{cell}, {protocol}" if len(cells) > 1 else protocol), fontsize=9)
        axes[i, 0].set_ylabel("accuracy (%)")
    for ax in axes[-1]:
        ax.set(xlabel="bits", xticks=sorted({b for v in swept["variant"] for b in catalog.SWEEP[v] if b}))
    canvas.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return Figure(canvas, f"Accuracy against bits, with 95 % Wilson intervals. {'; '.join(said)}.")


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
    ax.set_ylim(0, 100)
    return said
