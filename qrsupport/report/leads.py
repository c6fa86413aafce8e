"""Figures of leads: by how much a text's label lies above the best other class, in one classifier beside another."""

import numpy as np

from .canvas import LINES, MARKERS, PALETTE, Figure, axes_of, need
from .tables import visible


def crossings(source: np.ndarray, targets: dict[str, np.ndarray]) -> Figure:
    """Each text that fooled a source: a line from its lead there (logits, below 0) to its lead in a target, a panel a target.

    `source` and each target's leads are of the same texts in the same order.
    """
    need(source, "texts that fooled the source")
    canvas, axes = axes_of(1, len(targets), 6.4, 3.8, sharey=True)
    said = []
    for ax, (name, found) in zip(axes[0], targets.items(), strict=True):
        right = found > 0
        for i, (mask, label) in enumerate(((~right, "not recovered"), (right, "recovered"))):
            if mask.any():
                lines = np.stack([source[mask], found[mask]])
                look = {"color": PALETTE[i], "linestyle": LINES[1 - i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1}
                drawn = ax.plot([0, 1], lines, **look)
                drawn[0].set_label(label)
        ax.axhline(0, color="black", linewidth=1)
        ax.set_xticks([0, 1], ["source", "target"])
        ax.set_xlim(-0.25, 1.25)
        ax.set_title(visible(name), fontsize=9)
        said.append(f"{name}: {int(right.sum())} of {len(found)} end above 0, leads from {found.min():.2f} to {found.max():.2f}")
    axes[0, 0].set_ylabel("lead of the label (logits)")
    labels = {label: line for ax in axes[0] for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    canvas.legend(labels.values(), labels.keys(), loc="outside upper center", ncols=2)
    about = f"from {source.min():.2f} to {source.max():.2f} in the source"
    return Figure(canvas, f"Leads of {len(source)} texts that fooled the source, {about}. {'; '.join(said)}.")


def goals(first: str, second: str, found: dict[str, np.ndarray], margin: float = 0.0) -> Figure:
    """The plane of two classifiers' leads in probability, with the texts that attacks ended with.

    `found`: by the attack's name an array (texts, 2): the leads in `first` and in `second`.  Shaded: where both are fooled
    (joint), and where `first` is and `second` is not (spare); the dashed line is a margin in `first`.
    """
    found = {name: points for name, points in found.items() if len(points)}
    need(found, "successful attacks")
    canvas, axes = axes_of(width=6.0, height=5.2)
    ax, said = axes[0, 0], []
    ax.fill_between([-1, 0], -1, 0, color=PALETTE[7], alpha=0.25, linewidth=0, label="joint: both fooled")
    ax.fill_between([-1, 0], 0, 1, color=PALETTE[8], alpha=0.25, linewidth=0, hatch="..", label="spare: only the first fooled")
    for i, (name, points) in enumerate(found.items()):
        ax.plot(points[:, 0], points[:, 1], MARKERS[i], color=PALETTE[i], markersize=6, alpha=0.8, label=visible(name))
        both = int((points < 0).all(1).sum())
        said.append(f"{name}: {both} of {len(points)} texts fool both")
    if margin:
        ax.axvline(-margin, color="black", linestyle="--", linewidth=1, label=f"margin {margin:g} in the first")
    ax.axhline(0, color="black", linewidth=1)
    ax.axvline(0, color="black", linewidth=1)
    low, high = (f(f(points[:, 0]) for points in found.values()) for f in (min, max))
    ax.set(xlabel=f"lead in {visible(first)} (probability)", ylabel=f"lead in {visible(second)} (probability)")
    ax.set(xlim=(min(low, -margin) - 0.05, max(high, 0) + 0.05))
    ys = np.concatenate([points[:, 1] for points in found.values()])
    ax.set_ylim(min(ys.min(), 0) - 0.05, max(ys.max(), 0) + 0.05)
    canvas.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return Figure(canvas, f"Leads in {first} and in {second} of the texts that attacks ended with. {'; '.join(said)}.")
