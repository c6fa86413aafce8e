"""The paper's headline numbers beside those of the records, as one figure."""

import pandas as pd

from .canvas import MARKERS, PALETTE, Figure, axes_of, need
from .tables import points, visible


def paper_figure(df: pd.DataFrame) -> Figure:
    """From `metrics.paper_comparison`: a panel a claim, a line a protocol (and resource set, if there are several).

    A dot is the mean over the cells of the records, its line reaches from the lowest cell to the highest, and a diamond is
    the paper's number.  Claims without records are left out; raises NoRecords if none is left.
    """
    df = df[df["ours"].notna()]
    need(df, "differences")
    sets = df.loc[df["resources"] != "", "resources"].nunique()
    claims = [(name, part) for name, part in df.groupby("claim", sort=False)]
    heights = [len(part) + 0.6 for _, part in claims]
    size = {"width": 6.0, "height": 1.0 + 0.42 * sum(heights) + 0.3 * len(claims)}
    canvas, axes = axes_of(len(claims), 1, **size, sharex=True, gridspec_kw={"height_ratios": heights})
    said = []
    for ax, (name, part) in zip(axes[:, 0], claims, strict=True):
        said += [f"{name}, {_row(ax, y, r, sets)}" for y, r in enumerate(part.to_dict("records"))]
        ax.set_yticks(range(len(part)), [_name(r, sets) for r in part.to_dict("records")])
        ax.set_ylim(len(part) - 0.4, -0.6)
        ax.axvline(0, color="black", linewidth=1)
        ax.set_title(visible(name), fontsize=9.5, loc="left")
    axes[-1, 0].set(xlabel="difference in accuracy (percentage points; the paper's in per cent)")
    canvas.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return Figure(canvas, f"The paper's numbers beside the means of these records. {'; '.join(said)}.")


def _name(r: dict, sets: int) -> str:
    return visible(f"{r['protocol']}, {r['resources']}" if sets > 1 and r["resources"] else r["protocol"])


def _row(ax, y: int, r: dict, sets: int) -> str:
    """Draws one row; returns what it shows."""
    ours, lowest, highest, paper = (float(r[name]) for name in ("ours", "lowest", "highest", "paper"))
    labels = ("these records: mean, lowest to highest cell", "the paper's") if y == 0 else (None, None)
    spread, look = [[ours - lowest], [highest - ours]], {"fmt": MARKERS[0], "color": PALETTE[0], "capsize": 3}
    ax.errorbar(ours, y, xerr=spread, label=labels[0], **look)
    ax.plot(paper, y, MARKERS[3], color=PALETTE[1], markeredgecolor="black", markersize=8, label=labels[1])
    return f"{_name(r, sets)}: {points(ours)} ({points(lowest)} to {points(highest)}), the paper's {points(paper)}"
