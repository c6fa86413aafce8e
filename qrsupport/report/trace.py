"""What `qrsupport trace` wrote, shown: every query of an attack on one text, the path of its answers, a swarm."""

from collections import Counter
from pathlib import Path

import pandas as pd

from .. import store
from ..errors import NoRecords, StaleArtefact
from .canvas import HATCHES, MARKERS, PALETTE, Figure, axes_of
from .diffs import parts
from .tables import Html, visible
from .tables import table as shown

STAGES = {
    "start": "the text itself",
    "rank": "rank the words",
    "gain": "rank: try candidates",
    "swap": "swap",
    "population": "first swarm",
    "move": "swarm moves",
    "mutation": "one particle mutates",
}
"""A stage of a trace → what a page calls it."""


def read(file: Path) -> dict:
    """A trace: `text`, `label`, `labels`, `parameters` and, by attack, what `experiments.trace.traced` gives.

    Raises StaleArtefact, naming the file, if it is none of `qrsupport trace`'s or its parts do not agree.
    """
    content = store.read_json(file)
    try:
        for name, attack in content["attacks"].items():
            check(attack)
            queries(content, name)
        return content
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as e:
        raise StaleArtefact(f"{file} was not written by `qrsupport trace` ({type(e).__name__}: {e})") from e


def check(attack: dict) -> None:
    """Raises StaleArtefact unless the traced queries are those that the record counts, and end as it does."""
    record, texts, steps = attack["record"], attack["texts"], attack["steps"]
    asked = [i for step in steps for i in step["asked"]]
    end = [t["probabilities"] for t in texts if t["text"] == record["perturbed"]]
    found = (len(asked), len(texts), sorted(set(asked)) == list(range(len(texts))), end)
    wanted = (record["queries"], record["evaluations"], True, [record["probabilities_after"]])
    if found != wanted:
        raise StaleArtefact(f"a trace and its record differ: {found} and {wanted}; run `qrsupport trace` again")


def queries(found: dict, attack: str) -> pd.DataFrame:
    """One row a query: its number, `stage`, `text`, `change` from the original, `probability` of the true label, whether
    the text was asked before (`again`), whether the search went on from it (`kept`) and whether it fools (`fools`)."""
    one, label, rows, seen = found["attacks"][attack], found["label"], [], set()
    for step in one["steps"]:
        for i in step["asked"]:
            text, row = one["texts"][i]["text"], one["texts"][i]["probabilities"]
            rows.append(
                {
                    "query": len(rows) + 1, "stage": step["stage"], "text": text, "change": change(found["text"], text),
                    "probability": row[label], "again": i in seen, "kept": step.get("kept") == i,
                    "fools": row.index(max(row)) != label,
                }
            )  # fmt: skip
            seen.add(i)
    return pd.DataFrame(rows)


def change(text: str, other: str) -> str:
    """What differs, in words: `quite → rather`, `without quite`, `unchanged`."""
    said = []
    for kind, old, new in parts(text, other):
        if kind == "delete":
            said.append(f"without {old}")
        elif kind != "equal":
            one_by_one = old.count(" ") == new.count(" ")
            pairs = zip(old.split(" "), new.split(" "), strict=True) if one_by_one else [(old, new)]
            said += [f"{a} → {b}".strip() for a, b in pairs if a != b]
    return ", ".join(said) or "unchanged"


def query_table(found: dict, attack: str, most: int = 60) -> Html:
    """The first `most` queries of an attack, one a row."""
    rows = queries(found, attack)
    name = found["labels"][found["label"]]
    table = pd.DataFrame(
        {
            "query": rows["query"],
            "stage": rows["stage"].map(STAGES),
            "text asked": rows["change"],
            f"P({name})": rows["probability"].map("{:.4f}".format),
            "then": [_then(row) for row in rows.itertuples()],
        }
    )
    rest = f"; the first {most} of {len(rows):,}" if len(rows) > most else ""
    return shown(table.head(most), f"{attack}: every query in order{rest}; P is the probability of the true label")


def _then(row) -> str:
    """What became of a query, in words."""
    said = ["asked before"] if row.again else []
    said += ["kept"] if row.kept else []
    said += ["fools the classifier"] if row.fools else []
    return ", ".join(said)


def path(found: dict, attack: str) -> Figure:
    """The probability of the true label by query, a marker and colour a stage; what is kept has a ring."""
    rows = queries(found, attack)
    name, (canvas, axes) = found["labels"][found["label"]], axes_of(width=5.6, height=3.6)
    ax = axes[0, 0]
    for i, (stage, some) in enumerate(rows.groupby("stage", sort=False)):
        ax.scatter(some["query"], some["probability"], marker=MARKERS[i], color=PALETTE[i], label=STAGES[stage], zorder=3)
    kept = rows[rows["kept"]]
    ax.scatter(kept["query"], kept["probability"], s=170, facecolors="none", edgecolors="black", label="kept", zorder=4)
    if len(found["labels"]) == 2:
        ax.axhline(0.5, color="black", linestyle="--", linewidth=1)
        ax.text(1, 0.5, "below: another label", va="top", fontsize=9)
    ax.set(xlabel="query", ylabel=f"P({visible(name)})", ylim=(0, 1.02))
    ax.legend(fontsize=8, loc="lower left")
    steps = "; ".join(f"query {r.query}, {r.change}: {r.probability:.3f}" for r in kept.itertuples())
    return Figure(
        canvas,
        f"{attack}: the probability of {name} over {len(rows)} queries, from {rows['probability'].iloc[0]:.3f} for the text "
        f"itself to {found['attacks'][attack]['record']['probabilities_after'][found['label']]:.3f} at the end. "
        f"Kept: {steps or 'none'}.",
    )


def bars(columns: pd.DataFrame) -> Figure:
    """One panel of bars a column, one bar a row: the index gives the words.  Raises NoRecords if there is no row."""
    if not len(columns):
        raise NoRecords("no words to draw: the attack ranked none")
    canvas, axes = axes_of(1, columns.shape[1], 1.6 + 1.6 * columns.shape[1] + (columns.shape[1] == 1), 0.9 + 0.36 * len(columns), sharey=True)
    for i, (ax, name) in enumerate(zip(axes[0], columns.columns, strict=True)):
        ax.barh(range(len(columns)), columns[name], color=PALETTE[i], hatch=HATCHES[i], edgecolor="black", linewidth=0.6)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set(xlabel=visible(name))
        ax.margins(x=0.1)
    axes[0, 0].set_yticks(range(len(columns)), [visible(word) for word in columns.index])
    axes[0, 0].invert_yaxis()
    said = [f"{word}: " + ", ".join(f"{n} {v:.4g}" for n, v in row.items()) for word, row in columns.iterrows()]
    return Figure(canvas, f"Bars of {', '.join(map(str, columns.columns))} by word. {'; '.join(said)}.")


def swarms(found: dict, attack: str = "pso") -> list[tuple[str, Counter]]:
    """The swarm after each phase: (its name, {place of a text: particles there})."""
    one, now, name = found["attacks"][attack], Counter(), ""
    phases: list[tuple[str, Counter]] = []
    moves = 0
    for step in one["steps"]:
        if step["stage"] == "mutation":
            if phases[-1][0] == name:
                phases.append((f"mutation {moves}", now := Counter(now)))
            if "kept" in step:
                now[step["at"]] -= 1
                now[step["kept"]] += 1
        elif step["stage"] in ("population", "move"):
            moves += step["stage"] == "move"
            name = f"move {moves}" if moves else "first swarm"
            now = Counter(step.get("members", step["asked"]))
            phases.append((name, now))
    return [(name, +particles) for name, particles in phases]


def swarm(found: dict, attack: str = "pso", most: int = 3) -> Figure:
    """How many particles stand at which text after each of the first phases; texts in the order of their probability.

    Raises NoRecords if the attack had no swarm.
    """
    one, phases = found["attacks"][attack], swarms(found, attack)[:most]
    if not phases:
        raise NoRecords(f"no swarm to draw: {attack} ended before it had one")
    label, name = found["label"], found["labels"][found["label"]]
    where = {i: one["texts"][i]["probabilities"] for _, particles in phases for i in particles}
    rows = sorted(where, key=lambda i: -where[i][label])
    canvas, axes = axes_of(width=5.8, height=1 + 0.33 * len(rows))
    ax, said = axes[0, 0], []
    for x, (phase, particles) in enumerate(phases):
        for i, n in particles.items():
            fools = where[i].index(max(where[i])) != label
            ax.scatter(x, rows.index(i), s=60 + 14 * n, marker="D" if fools else "o", color=PALETTE[3 if fools else 0], alpha=0.55)
            ax.text(x, rows.index(i), str(n), ha="center", va="center", fontsize=8)
        lowest = min(where[i][label] for i in particles)
        said.append(f"{phase}: {len(particles)} texts, the lowest probability {lowest:.3f}")
    ax.set_yticks(range(len(rows)), [f"{change(found['text'], one['texts'][i]['text'])}  {where[i][label]:.3f}" for i in rows])
    ax.set_xticks(range(len(phases)), [phase for phase, _ in phases])
    ax.set(xlim=(-0.5, len(phases) - 0.5))
    canvas.supxlabel("number: particles at the text; diamond: it fools the classifier", fontsize=10)
    ax.invert_yaxis()
    total = sum(phases[0][1].values())
    return Figure(canvas, f"A swarm of {total} particles over {len(phases)} phases, P({name}) beside each text. {'; '.join(said)}.")
