"""How direct gains depend on an attack's limits: on how many words it may change, read off the published rows, and on a
strict sentence constraint, by an attack of its own.

`outcomes.direct` says why this needs no further run.  The plan did not name this outcome before its eleventh change, which
makes H5 of it, tested on later records alone (`tested`); the verdict does not rest on it.
"""

from collections.abc import Iterable

import pandas as pd

from ..analysis import gains, outcomes
from ..report.canvas import LINES, MARKERS, PALETTE, Figure, axes_of, need
from ..report.tables import Html, percent, table
from . import findings
from .findings import interval

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0)
"""Shares of a text's words that an attack may change, in the figure; at 0 nothing is attacked."""
SHOWN = (0.1, 0.2, 0.3, 1.0)
"""Those of the table."""
FEW = 0.2
"""The share that is said in words."""
LOOSE, STRICT = "textfooler", "textfooler-strict"
SINCE = 11
"""The version of the plan that took H5 from the records before it."""
NAMES = {findings.VARIANT: "int8-dynamic", findings.AVERAGE: "noise as large"}
TRAINED = {findings.VARIANT: "int8-dynamic", "adversarial": "adversarial training", "int8-weights": "8-bit weights alone"}
"""What the second figure sets side by side, on the models that have all of it."""
PLACE = ["dataset", "backbone"]


def direct(rows: pd.DataFrame, most: float) -> pd.DataFrame:
    """Outcomes of the greedy attacks if they may change the share `most` of the words, with the mean of noise."""
    greedy = rows[rows["attack"].isin(findings.ATTACKS)]
    return outcomes.average(outcomes.direct(greedy, most), findings.NOISE, findings.AVERAGE)


def pooled(rows: pd.DataFrame, most: float, n: int = gains.DRAWS) -> dict:
    """int8's gain over fp32 under that limit, as `gains.pooled`."""
    return gains.pooled(direct(rows, most), findings.VARIANT, findings.SOURCE, n)


def by_place(rows: pd.DataFrame, n: int = gains.DRAWS) -> Html:
    """Accuracy of fp32 and int8 and gains of int8 and of noise, by data set, backbone, attack and limit."""
    parts = []
    for most in SHOWN:
        found = direct(rows, most)
        means = found.groupby([*PLACE, "attack", "variant"])["right"].mean()
        for key, part in gains.table(found, list(NAMES), n=n).groupby([*PLACE, "attack"]):
            row = dict(zip([*PLACE, "attack"], key, strict=True)) | {"words at most": percent(most)}
            row |= {name: percent(float(means[*key, name])) for name in (findings.SOURCE, findings.VARIANT)}
            there = part.set_index("variant").to_dict("index")
            parts.append(row | {f"gain of {name}": interval(there[key]) if key in there else "not run" for key, name in NAMES.items()})
    out = pd.DataFrame(parts)
    out = out.sort_values([*PLACE, "attack"], kind="stable") if len(out) else out
    return table(out, "Accuracy under direct attack by the share of words that an attack may change; gains over fp32")


def having(rows: pd.DataFrame, variants: Iterable[str]) -> pd.DataFrame:
    """The rows of those models on which all of `variants` were attacked themselves, by the attacks made on all of them."""
    cell = [*outcomes.MODEL, "attack"]
    found = rows[(rows["kind"] == "direct") & rows["variant"].isin(variants)].groupby(cell)["variant"].nunique()
    there = found.index[found == len(set(variants))]
    return rows[pd.MultiIndex.from_frame(rows[cell]).isin(there)]


def figure(rows: pd.DataFrame, names: dict[str, str] = NAMES, n: int = 2_000) -> Figure:
    """Gain over fp32, each attacked itself, against the share of words that an attack may change, with 95 % intervals.

    `names`: variant → label; `n` bootstrap draws.
    """
    need(outcomes.direct(rows), "direct attacks")
    canvas, axes = axes_of(1, 1, 6.4, 3.8)
    ax, said = axes[0, 0], []
    whole = {most: direct(rows, most) for most in SHARES}
    for i, (name, label) in enumerate(names.items()):
        found = [gains.pooled(whole[most], name, findings.SOURCE, n) for most in SHARES]
        if found[0]["places"]:
            x, (y, low, high) = [100 * s for s in SHARES], ([100 * f[k] for f in found] for k in ("gain", "lower", "upper"))
            ax.plot(x, y, LINES[i], marker=MARKERS[i], color=PALETTE[i], label=label)
            ax.fill_between(x, low, high, color=PALETTE[i], alpha=0.15, linewidth=0)
            said.append(f"{label}: {', '.join(f'{v:+.1f} at {s:.0f} %' for s, v in zip(x, y, strict=True))}")
    ax.axhline(0, color="black", linewidth=1)
    ax.set(xlabel="words that an attack may change (%)", ylabel="gain over fp32 (points)")
    ax.legend()
    return Figure(canvas, f"Gain over fp32 in points by the share of words that an attack may change. {'; '.join(said)}.")


def said(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """What the figure shows, in one sentence: int8's gain under a tight limit and without one."""
    few, all_, none = (pooled(rows, most, n) for most in (FEW, 1.0, 0.0))
    if not few["places"]:
        return "No record yet."
    return (
        f"Against attacks that may change {100 * FEW:.0f} % of a text's words at most, `int8-dynamic` differs from `fp32` by "
        f"{interval(few)}; against the same attacks without a limit by {interval(all_)}; unattacked by {interval(none)}."
    )


def sides(rows: pd.DataFrame, names: dict[str, str] = TRAINED, n: int = gains.DRAWS) -> str:
    """What the figure of `names` shows, in one sentence: each one's gain under the tight limit and without one."""
    if not len(rows):
        return "No record yet."
    few, all_ = (direct(rows, most) for most in (FEW, 1.0))
    parts = [
        f"{label} {interval(gains.pooled(few, name, findings.SOURCE, n))} and {interval(gains.pooled(all_, name, findings.SOURCE, n))}"
        for name, label in names.items()
    ]
    return f"On {named(rows)}, gains if {100 * FEW:.0f} % of the words may be changed, and without a limit: {'; '.join(parts)}."


def named(rows: pd.DataFrame) -> str:
    """The models of `rows` in words."""
    models = rows[outcomes.MODEL].drop_duplicates()
    return ", ".join(f"`{m.backbone}` on {m.dataset}, seed {m.seed}" for m in models.itertuples())


def since(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of models first published since the plan names H5."""
    return rows[rows["since"] >= SINCE]


def tested(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """H5, in one sentence: int8's gain under the tight limit on models first published since the plan names it."""
    fresh = since(rows)
    found = pooled(fresh, FEW, n)
    if not found["places"]:
        return "H5, few words: no record yet of a model first published since the plan names it."
    verdict = "Confirmed" if found["upper"] < 0 else "Not confirmed"
    return f"H5, few words, on models first published since the plan names it ({named(fresh)}): {interval(found)}. **{verdict}**."


def strict(rows: pd.DataFrame, n: int = gains.DRAWS) -> dict:
    """int8's gain over fp32 under the strict constraint, as `gains.pooled`."""
    return gains.pooled(outcomes.direct(rows[rows["attack"] == STRICT]), findings.VARIANT, findings.SOURCE, n)


def strictly(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """H6, in two sentences: what TextFooler does to fp32 without and with the strict constraint, and int8's gain under
    both; on the models attacked so."""
    mine = rows.merge(rows.loc[rows["attack"] == STRICT, outcomes.MODEL].drop_duplicates())
    found = strict(mine, n)
    if not found["places"]:
        return "H6, strict constraint: no record yet."
    verdict = "Confirmed" if found["upper"] < 0 else "Not confirmed"
    loose = gains.pooled(outcomes.direct(mine[mine["attack"] == LOOSE]), findings.VARIANT, findings.SOURCE, n)
    return (
        f"Of the texts that `fp32` gets right, TextFooler turns {turned(mine, LOOSE)}, `{STRICT}` {turned(mine, STRICT)}. H6, strict constraint ({named(mine)}): `int8-dynamic` minus `fp32`, each "
        f"attacked itself: {interval(found)}. **{verdict}**. On the same models under TextFooler itself: {interval(loose)}."
    )


def turned(rows: pd.DataFrame, attack: str) -> str:
    """Success rate of ordinary attacks on fp32, the mean share of words that successes change, and their mean queries."""
    found = outcomes.ordinary(rows[(rows["kind"] == "direct") & (rows["attack"] == attack) & (rows["variant"] == findings.SOURCE)])
    won = found[found["status"] == "succeeded"]
    rate = len(won) / max(1, len(won) + (found["status"] == "failed").sum())
    if not len(won):
        return percent(rate)
    changed, queries = (won["words_changed"] / won["words"]).mean(), won["queries"].mean()
    return f"{percent(rate)} ({percent(float(changed))} of their words changed, {queries:,.0f} queries a text)"
