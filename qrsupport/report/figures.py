"""The figures of the chapters, each from a table of `analysis.metrics` or from measured numbers, with alt text from the same."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure as Canvas

from .. import attack_catalog, catalog
from .canvas import HATCHES, LINES, MARKERS, PALETTE, Figure, axes_of, labelled, need
from .tables import cell, percent, visible

PLACE = ["dataset", "backbone", "seed", "setting", "resources", "attack_seed", "query_budget", "margin", "joint",
         "spare", "ranking", "restart"]  # fmt: skip


def _style(names, known) -> dict[str, int]:
    """A number for each name, which picks its colour, hatch and marker: the catalogue's place, so it is the same everywhere."""
    order = [*known, *sorted(set(names) - set(known))]
    return {name: order.index(name) % len(HATCHES) for name in names}


def learning_curve(history: pd.DataFrame) -> Figure:
    """From `fine_tuning.history`: losses and validation accuracy by step; values that were not measured are skipped."""
    need(history, "history")
    df = history.rename(columns=lambda c: str(c).replace("_", " "))
    canvas, axes = axes_of(2, 1, 6.0, 4.8, sharex=True)
    said = []
    for i, name in enumerate(("train loss", "validation loss", "validation accuracy")):
        points = df[["step", name]].dropna()
        ax = axes[int(name.endswith("accuracy")), 0]
        few = MARKERS[i] if len(points) <= 60 else None
        ax.plot(points["step"], points[name], LINES[i], marker=few, markersize=4, color=PALETTE[i], label=name)
        if len(points):
            said.append(f"{name} goes from {cell(float(points[name].iloc[0]))} to {cell(float(points[name].iloc[-1]))}")
    for ax, label in zip(axes[:, 0], ("cross-entropy (nats)", "validation accuracy"), strict=True):
        ax.set(ylabel=label)
    axes[1, 0].set(xlabel="step")
    axes[0, 0].legend()
    return Figure(canvas, f"Learning curve over {int(df['step'].max()):,} steps: {'; '.join(said)}.")


def weight_error_histogram(errors: np.ndarray) -> Figure:
    """Histogram of quantized − original weight, over all quantized weights (any shape)."""
    values = np.asarray(errors, float).ravel()
    need(values, "weight errors")
    canvas, axes = axes_of()
    counts, edges = np.histogram(values, 81)  # counted here: seaborn would copy and sort millions of weights
    axes[0, 0].stairs(counts, edges, fill=True, color=PALETTE[0])
    axes[0, 0].set(xlabel="quantized − original weight", ylabel="weights", yscale="log")
    rms, largest = float(np.sqrt(np.mean(values**2))), float(np.abs(values).max())
    return Figure(
        canvas,
        f"Histogram of the quantization error of {values.size:,} weights: mean {values.mean():.2g}, "
        f"root mean square {rms:.2g}, largest absolute error {largest:.2g}.",
    )


def lead_shifts(before: np.ndarray, after: np.ndarray, names: tuple[str, str] = ("fp32", "int8-dynamic")) -> Figure:
    """The label's lead over the highest other logit on each text, under two variants (both of shape (texts,)): how far the
    second moves it, against the first's.  Below the dashed line a lead changes its sign, and with it the answer right or wrong.
    """
    before, after = np.asarray(before, float), np.asarray(after, float)
    need(before, "leads")
    turned = (before > 0) != (after > 0)
    canvas, axes = axes_of(height=4.0)
    ax, shift = axes[0, 0], after - before
    for part, i, label in ((~turned, 0, "answer kept"), (turned, 3, "right or wrong changes")):
        ax.scatter(before[part], shift[part], s=16, marker=MARKERS[i], color=PALETTE[i], label=f"{label} ({part.sum():,})")
    ends, room = np.array(ax.get_xlim()), ax.get_ylim()
    ax.plot(ends, -ends, "--", color="black", linewidth=1, label="lead becomes 0")
    ax.axvline(0, color="black", linewidth=1)
    first, second = map(visible, names)
    ax.set(xlim=ends, ylim=room, xlabel=f"lead of the label's logit, {first}", ylabel=f"lead of {second} minus {first}'s")
    ax.legend()
    q = [cell(float(v)) for v in np.quantile(np.abs(shift), (0.5, 1))]
    return Figure(
        canvas,
        f"Scatter of {len(shift):,} texts: {first}'s lead against its change under {second}. Median size of the change {q[0]}, "
        f"largest {q[1]}; right or wrong changes on {int(turned.sum())}.",
    )


def latency(measures: dict[str, dict]) -> Figure:
    """Median with quartiles of one prediction's time, for `variants.latencies`."""
    need(measures, "latencies")
    canvas, axes = axes_of(height=1.2 + 0.5 * len(measures))
    styles, ax, said = _style(measures, catalog.VARIANTS), axes[0, 0], []
    for place, (name, m) in enumerate(measures.items()):
        i = styles[name]
        spread = [[m["median"] - m["low"]], [m["high"] - m["median"]]]
        ax.barh(place, m["median"], color=PALETTE[i], hatch=HATCHES[i], edgecolor="black", linewidth=0.6)
        ax.errorbar(m["median"], place, xerr=spread, color="black", capsize=3)
        said.append(f"{name} {m['median']:.3g} ms (quartiles {m['low']:.3g} to {m['high']:.3g})")
    ax.set_yticks(range(len(measures)), [visible(name) for name in measures])
    ax.set(xlabel="milliseconds a text (batch 1, one thread; bar: median, whisker: quartiles)")
    ax.invert_yaxis()
    return Figure(canvas, f"Latency: {'; '.join(said)}.")


def _distribution(df: pd.DataFrame, column: str, xlabel: str, what: str, scale: float = 1.0) -> Figure:
    """A box for each cell and variant: median, quartiles, whiskers to the extremes; a wide range on a logarithmic axis."""
    df = df[df[column].notna()]
    need(df, what)
    rank = {name: i for i, name in enumerate((*attack_catalog.ATTACKS, *catalog.VARIANTS))}
    df = df.sort_values(["attack", "variant"], key=lambda c: c.map(lambda v: rank.get(v, len(rank))), kind="stable")
    df = df.assign(series=labelled(df, ["attack", "variant"], PLACE), value=df[column].astype(float) * scale)
    boxes = {name: group["value"].to_numpy() for name, group in df.groupby("series", sort=False)}
    canvas, axes = axes_of(width=7.2, height=1.1 + 0.36 * len(boxes))
    sns.boxplot(df, x="value", y="series", ax=axes[0, 0], whis=(0, 100), color=PALETTE[9], width=0.6, orient="h")
    axes[0, 0].set_yticks(range(len(boxes)), [f"{visible(name)} (n {len(v)})" for name, v in boxes.items()])
    axes[0, 0].set(xlabel=f"{xlabel} (box: median and quartiles, whiskers: extremes)", ylabel="")
    if df["value"].min() > 0 and df["value"].max() > 100 * df["value"].min():
        axes[0, 0].set(xscale="log")
    said = []
    for name, values in boxes.items():
        lower, median, upper = (cell(float(q)) for q in np.quantile(values, (0.25, 0.5, 0.75)))
        said.append(f"{name}: median {median}, quartiles {lower} and {upper}, n {len(values)}")
    return Figure(canvas, f"Box plot of {what}. {'; '.join(said)}.")


def queries(df: pd.DataFrame) -> Figure:
    """From `metrics.frames`: queries of the attacked examples."""
    attacked = df[df["status"].isin(["succeeded", "failed"])]
    return _distribution(attacked, "queries", "queries", "queries an attacked example")


def words_changed(df: pd.DataFrame) -> Figure:
    """From `metrics.frames`: per cent of words changed by the successful attacks."""
    won = df[df["status"] == "succeeded"]
    return _distribution(won, "changed", "words changed (%)", "per cent of words changed by successful attacks", 100)


def _bars(ax, group: pd.DataFrame, styles: dict[str, int]) -> None:
    """Bars of one panel: protocols along x, a bar a variant, Wilson whiskers."""
    width = 0.8 / len(styles)
    for place, (variant, i) in enumerate(styles.items()):
        row = group[group["variant"] == variant]
        if row.empty:
            continue
        for x, protocol in enumerate(("clean", "direct", "recovery")):
            value, lower, upper = (100 * float(row[f"{protocol}{end}"].iloc[0]) for end in ("", "_lower", "_upper"))
            if np.isnan(value):
                continue
            at = x + (place - (len(styles) - 1) / 2) * width
            ax.bar(at, value, width * 0.92, color=PALETTE[i], hatch=HATCHES[i], edgecolor="black", linewidth=0.6)
            ax.errorbar(at, value, [[value - lower], [upper - value]], color="black", capsize=2, linewidth=1)
    ax.set_xticks(range(3), ["clean", "direct", "recovery"])
    ax.grid(False, axis="x")
    ax.set(xlim=(-0.5, 2.5), ylim=(0, 100))
    if group.empty:
        ax.text(1, 50, "not run", ha="center", va="center")


def accuracy_grid(grid: pd.DataFrame) -> Figure:
    """From `metrics.headline`: a panel a cell; clean accuracy, accuracy under direct attack, and recovery of the texts that fooled fp32.

    Bars are variants (colour and hatch), whiskers 95 % Wilson intervals.
    """
    need(grid, "accuracies")
    grid = grid.assign(row=labelled(grid, PLACE[:1], PLACE[1:]))
    rows, attacks = list(dict.fromkeys(grid["row"])), list(dict.fromkeys(grid["attack"]))
    styles = _style(
        dict.fromkeys(v for v in (*catalog.VARIANTS, *grid["variant"]) if v in set(grid["variant"])), catalog.VARIANTS
    )
    size = {"width": 1.0 + 3.0 * len(attacks), "height": 0.9 + 2.3 * len(rows)}
    canvas, axes = axes_of(len(rows), len(attacks), **size, sharey=True)
    said = []
    for (i, row), (j, attack) in ((a, b) for a in enumerate(rows) for b in enumerate(attacks)):
        group = grid[(grid["row"] == row) & (grid["attack"] == attack)]
        _bars(axes[i, j], group, styles)
        axes[i, j].set_title(visible(f"{row}, {attack}" if len(attacks) > 1 else row), fontsize=9)
        for r in group.to_dict("records"):
            values = ", ".join(f"{p} {percent(r[p])}" for p in ("clean", "direct", "recovery"))
            said.append(f"{row}, {attack}, {r['variant']}: {values}")
    for ax in axes[:, 0]:
        ax.set_ylabel("accuracy, recovery (%)")
    _legend(canvas, styles)
    return Figure(canvas, f"Bars of accuracy and recovery with 95 % Wilson intervals. {'; '.join(said)}.")


def _legend(canvas: Canvas, styles: dict[str, int]) -> None:
    """One legend for all panels, above them."""
    from matplotlib.patches import Patch

    names = [
        Patch(facecolor=PALETTE[i], hatch=HATCHES[i], edgecolor="black", linewidth=0.6, label=visible(name))
        for name, i in styles.items()
    ]
    canvas.legend(handles=names, loc="outside upper center", ncols=len(names))


def outcomes(counts: pd.DataFrame) -> Figure:
    """From `metrics.direct`: how the attacks ended, stacked bars, one a cell and variant."""
    need(counts, "outcomes")
    labels = labelled(counts, ["attack", "variant"], PLACE)
    canvas, axes = axes_of(width=7.2, height=1.5 + 0.4 * len(counts))
    ax, left = axes[0, 0], np.zeros(len(counts))
    styles = {"failed": 0, "succeeded": 1, "skipped": 2, "error": 3}
    for status, i in styles.items():
        values = counts[status].to_numpy(float)
        if values.any():
            ax.barh(range(len(counts)), values, left=left, color=PALETTE[i], hatch=HATCHES[i], edgecolor="black")
        left += values
    ax.set_yticks(range(len(counts)), [visible(v) for v in labels])
    ax.set(xlabel="examples")
    ax.invert_yaxis()
    _legend(canvas, {s: i for s, i in styles.items() if counts[s].any()})
    said = [
        f"{label}: " + ", ".join(f"{r[s]} {s}" for s in styles if r[s])
        for label, r in zip(labels, counts.to_dict("records"), strict=True)
    ]
    return Figure(canvas, f"Outcome of the attacks. {'; '.join(said)}.")


def budget_curves(df: pd.DataFrame) -> Figure:
    """From `metrics.budget_curve`: accuracy under attack against the queries allowed, a line a cell and variant."""
    need(df, "budget curves")
    df = df.assign(series=labelled(df, ["attack", "variant"], PLACE))
    canvas, axes = axes_of(height=4.2)
    ax, said = axes[0, 0], []
    for i, (name, line) in enumerate(df.groupby("series", sort=False)):
        x, y = line["budget"].to_numpy(float), 100 * line["accuracy"].to_numpy(float)
        look = {"color": PALETTE[i % len(PALETTE)], "label": visible(name)}
        ax.plot(x, y, LINES[i % len(LINES)], marker=MARKERS[i % len(MARKERS)], markersize=5, **look)
        bounds = (100 * line[f"accuracy_{end}"].to_numpy(float) for end in ("lower", "upper"))
        ax.fill_between(x, *bounds, color=PALETTE[i % len(PALETTE)], alpha=0.12, linewidth=0)
        points = (f"{percent(a)} at {int(b):,}" for a, b in zip(line["accuracy"], line["budget"], strict=True))
        said.append(f"{name}: {', '.join(points)}")
    ax.set(xlabel="queries allowed", ylabel="accuracy under attack (%)", xscale="log", ylim=(0, 100))
    ax.legend()
    return Figure(canvas, f"Accuracy by queries allowed, bands 95 % Wilson intervals. {'; '.join(said)}.")


def transfer_matrix(df: pd.DataFrame, measure: str = "accuracy") -> Figure:
    """From `metrics.transfer`: source × target, per cent written into each field; a panel a cell.

    `measure` is accuracy (on the adversarial set) or recovery (of its successful texts).
    """
    need(df, "replays")
    df = df.assign(panel=labelled(df, ["attack"], PLACE))
    panels = list(dict.fromkeys(df["panel"]))
    sources, targets = (list(dict.fromkeys(df[side])) for side in ("source", "target"))
    size = {"width": 2.6 + 0.85 * len(targets), "height": len(panels) * (1.7 + 0.42 * len(sources))}
    canvas, axes = axes_of(len(panels), 1, **size)
    said = []
    for ax, panel in zip(axes[:, 0], panels, strict=True):
        values = df[df["panel"] == panel].pivot(index="source", columns="target", values=measure)
        values = values.reindex(index=sources, columns=targets).astype(float)
        texts = [["" if np.isnan(v) else f"{100 * v:.0f}" for v in row] for row in values.to_numpy()]
        sns.heatmap(100 * values, ax=ax, annot=texts, fmt="", cmap="cividis", vmin=0, vmax=100, linewidths=0.5,
                    cbar_kws={"label": f"{measure} (%)"})  # fmt: skip
        ax.set_title(visible(panel), fontsize=9)
        ax.tick_params(axis="x", labelrotation=45)
        ax.tick_params(axis="y", labelrotation=0)
        for source, row in values.iterrows():
            answers = (f"{target} {percent(v)}" for target, v in row.items() if not np.isnan(v))
            said.append(f"{panel}, from {source}: {', '.join(answers)}")
    return Figure(canvas, f"Heat map of {measure} by source and target. {'; '.join(said)}.")


def transfer_bars(df: pd.DataFrame) -> Figure:
    """From `metrics.transfer`: accuracy and recovery of each target, points with 95 % Wilson intervals."""
    need(df, "replays")
    df = df.assign(series=labelled(df, ["target"], ["source", "attack", *PLACE]))
    canvas, axes = axes_of(1, 2, 8.4, 1.2 + 0.36 * len(df), sharey=True)
    said = []
    for i, (ax, measure) in enumerate(zip(axes[0], ("recovery", "accuracy"), strict=True)):
        value, lower, upper = (100 * df[f"{measure}{end}"].to_numpy(float) for end in ("", "_lower", "_upper"))
        look = {"color": PALETTE[i], "fmt": MARKERS[i], "capsize": 3}
        ax.errorbar(value, range(len(df)), xerr=[value - lower, upper - value], **look)
        ax.set(xlabel=f"{measure} (%)", xlim=(0, 100))
        answers = (f"{name} {percent(v / 100)}" for name, v in zip(df["series"], value, strict=True))
        said.append(f"{measure}: {', '.join(answers)}")
    axes[0, 0].set_yticks(range(len(df)), [visible(name) for name in df["series"]])
    axes[0, 0].invert_yaxis()
    return Figure(canvas, f"Targets on an adversarial set, with 95 % Wilson intervals. {'; '.join(said)}.")


def margin_curves(df: pd.DataFrame) -> Figure:
    """From `metrics.transfer`: recovery by each target against the margin of the attack on the source."""
    df = df[df["recovery"].notna()]
    need(df, "successful attacks")
    df = df.assign(series=labelled(df, ["target"], ["source", "attack", *(c for c in PLACE if c != "margin")]))
    canvas, axes = axes_of()
    ax, said = axes[0, 0], []
    for i, (name, line) in enumerate(df.groupby("series", sort=False)):
        x = line["margin"].to_numpy(float) + 0.006 * i  # so that whiskers do not hide each other
        value, lower, upper = (100 * line[f"recovery{end}"].to_numpy(float) for end in ("", "_lower", "_upper"))
        look = {"color": PALETTE[i % len(PALETTE)], "marker": MARKERS[i % len(MARKERS)], "capsize": 3}
        spread = [value - lower, upper - value]
        ax.errorbar(x, value, spread, linestyle=LINES[i % len(LINES)], label=visible(name), **look)
        points = (f"{percent(v / 100)} at {cell(float(m))}" for v, m in zip(value, line["margin"], strict=True))
        said.append(f"{name}: {', '.join(points)}")
    ax.set(xlabel="margin of the wrong class (probability)", ylabel="recovery rate (%)", ylim=(0, 100))
    ax.legend()
    return Figure(canvas, f"Recovery by margin, with 95 % Wilson intervals. {'; '.join(said)}.")
