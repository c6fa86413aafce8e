"""Two things to try in a page: rounding a row of weights, and stepping through a traced attack.

What is here is HTML that reads without a script, with the data beside it as JSON; book/_static/play.js shows the
controls and does the rest.  It needs no server and no network.
"""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..escaping import escape, visible
from . import trace
from .diffs import parts
from .tables import CLASSES, Html, table

BITS = range(2, 9)
KEPT = ("", "the search goes on from it", "the search ends with it", "a particle moves to it")
NO_SCRIPT = "<noscript><p>No script runs here: the tables below hold the same numbers.</p></noscript>"


def embedded(name: str, content) -> str:
    """`content` as JSON in a script element of the id `name`, which nothing in it can end."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return f'<script type="application/json" id="{escape(name)}">{text}</script>'


# Rounding -------------------------------------------------------------------------------------------------------------


def rounded(weights: Sequence[float], bits: int) -> dict:
    """A row of weights at so many bits, symmetric, one scale: `scale`, `codes` (integers), mean and largest absolute error."""
    row, steps = np.asarray(weights, float), 2 ** (bits - 1) - 1
    scale = float(np.abs(row).max(initial=0)) / steps or 1.0
    codes = np.rint(row / scale)
    errors = np.abs(codes * scale - row)
    return {
        "steps": steps, "scale": scale, "codes": [int(c) for c in codes], "mean": float(errors.mean()),
        "largest": float(errors.max()), "zeros": int((codes == 0).sum()),
    }  # fmt: skip


def rounding(weights: Sequence[float], start: int = 4) -> Html:
    """A slider for the width at which a row of two or more weights is rounded, its bars, and all widths as a table.

    A box leaves out the weight of the largest absolute value.
    """
    row = [float(w) for w in weights]
    rest = [w for i, w in enumerate(row) if i != int(np.abs(row).argmax())]
    cases = [{"weights": some, "widths": {str(b): rounded(some, b) for b in BITS}} for some in (row, rest)]
    tables = "".join(
        f"<details open><summary>{name}</summary>{_widths(case, name).html}</details>"
        for name, case in zip(("All widths", "All widths, without the largest weight"), cases, strict=True)
    )
    page = (
        '<section class="play" id="play-rounding" aria-label="Round a row of weights" hidden>'
        f'<p><label for="play-bits">Bits</label> <input type="range" id="play-bits" min="{BITS[0]}" max="{BITS[-1]}" step="1" '
        f'value="{start}"> <output for="play-bits" id="play-width">{start}</output></p>'
        '<p><input type="checkbox" id="play-outlier"> <label for="play-outlier">leave out the largest weight</label></p>'
        '<div class="play-chart" id="play-bars"></div>'
        '<p class="play-key" aria-hidden="true">outlined: the weight; filled: the weight after rounding; lines: the levels</p>'
        '<p class="play-said" id="play-error" aria-live="polite"></p>'
        '<p><a id="play-bits-link" href="#">Link to this width</a></p></section>'
    )
    text = f"{len(row)} weights rounded to {BITS[0]} to {BITS[-1]} bits\n{_widths(cases[0], '').text}"
    return Html(f'<div class="{CLASSES}">{NO_SCRIPT}{page}{tables}{embedded("play-weights", {"cases": cases})}</div>', text)


def _widths(case: dict, name: str) -> Html:
    """A row a width: levels, scale, errors, weights that became zero."""
    rows = [
        {"bits": bits, "levels": 2 * r["steps"] + 1, "scale": r["scale"], "mean error": r["mean"],
         "largest error": r["largest"], "weights rounded to 0": r["zeros"]}
        for bits, r in ((int(b), r) for b, r in case["widths"].items())
    ]  # fmt: skip
    return table(pd.DataFrame(rows), f"{name}: {len(case['weights'])} weights, one scale, symmetric" if name else "")


# Stepping through an attack -------------------------------------------------------------------------------------------


def steps(found: dict, attack: str) -> dict:
    """What the page shows of a traced attack: its texts in parts with probabilities, and a row of numbers a query.

    A part is [kind, words]: 0 unchanged, 1 put in, 2 taken out.  A query is [text, stage, kept (a place in `KEPT`), again,
    fools].
    """
    one = found["attacks"][attack]
    texts = [
        {"parts": segments(found["text"], t["text"]), "p": t["probabilities"], "said": visible(trace.change(found["text"], t["text"]))}
        for t in one["texts"]
    ]
    place, names = {t["text"]: i for i, t in enumerate(one["texts"])}, list(trace.STAGES)
    asked = [
        [place[row.text], names.index(row.stage), _kept(row), int(row.again), int(row.fools)]
        for row in trace.queries(found, attack).itertuples()
    ]
    return {"texts": texts, "queries": asked, "ended": str(one["record"]["status"])}


def _kept(row) -> int:
    """The place in `KEPT` of what became of a query."""
    return 0 if not row.kept else 3 if row.stage == "mutation" else 2 if row.fools else 1


def segments(text: str, other: str) -> list[list]:
    """`other` beside `text`, in parts as `steps` says; what cannot be seen is spelled out."""
    made: list[list] = []
    for kind, old, new in parts(text, other):
        if kind == "equal":
            made.append([0, visible(new)])
            continue
        made += [[2, visible(old)]] if kind != "insert" else []
        made += [[1, visible(new)]] if kind != "delete" else []
    return made


def stepper(found: dict, most: int = 60) -> Html:
    """Buttons, a slider and arrow keys for the queries of each traced attack, the shortest first; tables of the first
    `most` of each."""
    order = sorted(found["attacks"], key=lambda name: found["attacks"][name]["record"]["queries"])
    data = {
        "labels": [visible(name) for name in found["labels"]], "label": found["label"],
        "stages": list(trace.STAGES.values()), "kept": KEPT, "attacks": {name: steps(found, name) for name in order},
    }  # fmt: skip
    options = "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in order)
    buttons = "".join(f'<button type="button" data-go="{go}">{go.capitalize()}</button> ' for go in ("first", "previous", "next", "last"))
    page = (
        '<section class="play" id="play-attack" aria-label="Step through an attack" hidden>'
        f'<p><label for="play-name">Attack</label> <select id="play-name">{options}</select></p>'
        f'<p class="play-buttons">{buttons}</p>'
        '<p><label for="play-step">Query</label> <input type="range" id="play-step" min="1" max="1" step="1" value="1"> '
        '<output for="play-step" id="play-number">1</output></p>'
        '<p class="play-said" id="play-said" aria-live="polite"></p><p class="play-text" id="play-text"></p>'
        '<div id="play-odds"></div><div class="play-chart" id="play-path" aria-hidden="true"></div>'
        '<p class="play-key">Arrow keys go one query on or back, Home and End to the ends. Put in: underlined and bold. Taken out: struck.</p>'
        '<p><a id="play-step-link" href="#">Link to this query</a></p></section>'
    )
    shown = {name: trace.query_table(found, name, most) for name in order}
    tables = "".join(f"<details open><summary>{escape(name)} as a table</summary>{t.html}</details>" for name, t in shown.items())
    text = "\n\n".join(t.text for t in shown.values())
    return Html(f'<div class="{CLASSES}">{NO_SCRIPT}{page}{tables}{embedded("play-trace", data)}</div>', text)
