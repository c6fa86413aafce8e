"""Figures of the study's results, from its published rows."""

import numpy as np
import pandas as pd

from .. import catalog
from ..analysis import gains, outcomes, transfers
from ..report import widths as by_width
from ..report.canvas import LINES, MARKERS, PALETTE, Figure, axes_of, need
from ..report.tables import percent
from . import findings

SHOWN = {"int8-dynamic": findings.VARIANT, "noise as large": findings.AVERAGE, "another seed": "other-seed"}
"""Label → variant, for `summary`."""


def summary(rows: pd.DataFrame, n: int = 2_000) -> Figure:
    """The answer in one figure: gain over fp32 when attacked itself, and recovery of fp32's texts, with 95 % intervals.

    `n` bootstrap draws.
    """
    direct = outcomes.average(outcomes.direct(rows), findings.NOISE, findings.AVERAGE)
    won = outcomes.average(transfers.outcomes(rows), findings.NOISE, findings.AVERAGE)
    need(direct, "direct attacks")
    none = won.drop_duplicates([*outcomes.MODEL, "attack", "example"]).assign(variant="fp32", right=0.0)
    canvas, axes = axes_of(1, 2, 8.0, 2.6, sharey=True)
    said = []
    for ax, what, found in ((axes[0, 0], "gain when attacked itself", direct), (axes[0, 1], "recovery of fp32's texts", pd.concat([won, none]))):
        for i, (label, name) in enumerate(SHOWN.items()):
            part = gains.pooled(found, name, "fp32", n)
            value, low, high = (100 * part[key] for key in ("gain", "lower", "upper"))
            ax.errorbar(value, -i, xerr=[[value - low], [high - value]], fmt=MARKERS[i], color=PALETTE[i], capsize=4)
            said.append(f"{what}, {label}: {value:.1f} [{low:.1f}, {high:.1f}]")
        ax.axvline(0, color="black", linewidth=1)
        ax.set(xlabel=f"{what} (points)", yticks=[-i for i in range(len(SHOWN))], ylim=(0.5 - len(SHOWN), 0.5))
    axes[0, 0].set_yticklabels(list(SHOWN))
    return Figure(canvas, f"In points, with 95 % intervals: {'; '.join(said)}.")


def matrix(rows: pd.DataFrame, attack: str, variants: list[str] = findings.CORE) -> Figure:
    """Source × target: the share of the texts that fooled a source which a target gets right, mean over models.

    The diagonal is empty: a source recovers none of its own.
    """
    df = transfers.matrix(rows)
    df = df[(df["attack"] == attack) & df["source"].isin(variants) & df["target"].isin(variants)]
    need(df, f"replays of {attack}")
    means = df.pivot_table(index="source", columns="target", values="recovery")
    names = [name for name in variants if name in means.index or name in means.columns]
    means = means.reindex(index=names, columns=names)
    canvas, axes = axes_of(1, 1, 1.6 + 0.8 * len(names), 1.2 + 0.6 * len(names))
    ax = axes[0, 0]
    drawn = ax.imshow(means.to_numpy(float), vmin=0, vmax=1, cmap="cividis")
    ax.set(xlabel="target", ylabel="source", xticks=range(len(names)), yticks=range(len(names)))
    ax.set_xticklabels(names, rotation=45, ha="right")
    ax.set_yticklabels(names)
    ax.grid(False)
    for (i, j), value in np.ndenumerate(means.to_numpy(float)):
        if not np.isnan(value):
            ax.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color="white" if value < 0.6 else "black")
    canvas.colorbar(drawn, ax=ax, label="recovery")
    models = df[transfers.MODEL].drop_duplicates()
    said = [f"{s} to {t} {percent(means.loc[s, t])}" for s in names for t in names if not np.isnan(means.loc[s, t])]
    return Figure(canvas, f"Recovery by source and target under {attack}, mean over {len(models)} models: {'; '.join(said)}.")


def budgets(rows: pd.DataFrame, attack: str, variants: list[str] = findings.CORE) -> Figure:
    """Accuracy under direct attack if an attack had been allowed so many queries, mean over models."""
    found = outcomes.ordinary(rows[(rows["kind"] == "direct") & (rows["attack"] == attack) & (rows["status"] != "error")])
    need(found, f"direct attacks by {attack}")
    most = max(2, int(found["queries"].max()))
    steps = np.unique(np.geomspace(1, most, 40).astype(int))
    canvas, axes = axes_of(1, 1, 6.4, 3.8)
    ax, said = axes[0, 0], []
    there = set(found["variant"].unique())
    for i, name in enumerate(name for name in variants if name in there):
        mine = found[found["variant"] == name]
        won, lost = mine["status"] == "succeeded", mine["status"] == "skipped"
        right = [(~lost & ~(won & (mine["queries"] <= k))).groupby([mine[c] for c in outcomes.MODEL]).mean().mean() for k in steps]
        ax.plot(steps, [100 * value for value in right], LINES[i % len(LINES)], color=PALETTE[i], label=name)
        said.append(f"{name} from {percent(right[0])} to {percent(right[-1])}")
    ax.set(xscale="log", xlabel="queries allowed", ylabel="accuracy under attack (%)")
    ax.set_ylim(0, None)
    ax.legend()
    return Figure(canvas, f"Accuracy under {attack} against the queries allowed, 1 to {most:,}, mean over models: {'; '.join(said)}.")


def widths(found: pd.DataFrame) -> Figure:
    """From `sweep.measures`: clean accuracy, accuracy under direct attack and recovery against bits."""
    return by_width.accuracy_by_width(found.assign(setting="", resources="", attack_seed=0))


def explained(df: pd.DataFrame) -> Figure:
    """From `boundary.predictions`: predicted against observed recovery, a point a model, attack, source and target."""
    df = df.dropna(subset=["predicted", "observed"])
    need(df, "predictions of recovery")
    kinds = {"int8-dynamic": [findings.VARIANT], "noise": findings.NOISE, "other-seed": ["other-seed"]}
    known = [name for names in kinds.values() for name in names]
    kinds["others"] = [name for name in catalog.VARIANTS if name not in known]
    canvas, axes = axes_of(1, 1, 5.2, 4.6)
    ax, said = axes[0, 0], []
    for i, (kind, names) in enumerate(kinds.items()):
        mine = df[df["target"].isin(names)]
        if len(mine):
            ax.plot(mine["predicted"], mine["observed"], MARKERS[i], color=PALETTE[i], label=f"target {kind}", alpha=0.7)
            said.append(f"{kind}: predicted {percent(mine['predicted'].mean())}, observed {percent(mine['observed'].mean())}")
    ax.plot([0, 1], [0, 1], "--", color="black", linewidth=1)
    ax.set(xlabel="predicted from distance and shift", ylabel="observed recovery", xlim=(0, 1), ylim=(0, 1))
    ax.legend()
    return Figure(canvas, f"Recovery predicted against observed, means by target: {'; '.join(said)}.")
