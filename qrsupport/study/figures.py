"""Figures of the study's results, from its published rows."""

import numpy as np
import pandas as pd

from .. import catalog
from ..analysis import transfers
from ..report.figures import MARKERS, PALETTE, Figure, _axes, _need
from ..report.tables import percent
from . import findings


def matrix(rows: pd.DataFrame, attack: str, variants: list[str] = findings.CORE) -> Figure:
    """Source × target: the share of the texts that fooled a source which a target gets right, mean over models.

    The diagonal is empty: a source recovers none of its own.
    """
    df = transfers.matrix(rows)
    df = df[(df["attack"] == attack) & df["source"].isin(variants) & df["target"].isin(variants)]
    _need(df, f"replays of {attack}")
    means = df.pivot_table(index="source", columns="target", values="recovery")
    names = [name for name in variants if name in means.index or name in means.columns]
    means = means.reindex(index=names, columns=names)
    canvas, axes = _axes(1, 1, 1.6 + 0.8 * len(names), 1.2 + 0.6 * len(names))
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


def explained(df: pd.DataFrame) -> Figure:
    """From `boundary.predictions`: predicted against observed recovery, a point a model, attack, source and target."""
    df = df.dropna(subset=["predicted", "observed"])
    _need(df, "predictions of recovery")
    kinds = {"int8-dynamic": [findings.VARIANT], "noise": findings.NOISE, "other-seed": ["other-seed"]}
    known = [name for names in kinds.values() for name in names]
    kinds["others"] = [name for name in catalog.VARIANTS if name not in known]
    canvas, axes = _axes(1, 1, 5.2, 4.6)
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
