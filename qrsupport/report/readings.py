"""What a reader may read off a table or figure of the chapters 6 to 10, as sentences in Markdown, computed from its rows."""

import numpy as np
import pandas as pd

from .. import catalog
from ..escaping import visible
from .tables import p_value, percent

LEVEL = 0.05
FEW = 4
NOTHING = "No attack succeeded in this run, so there is nothing to compare; raise `n`."


def code(name: object) -> str:
    """A name as Markdown code; nothing in it can end the code."""
    return "`" + visible(name).replace("`", "'") + "`"


def listed(names) -> str:
    """Names as Markdown code, with commas and a last `and`."""
    names = [code(name) for name in names]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "none"


def counted(n: int, one: str, many: str = "") -> str:
    """A number and its noun: `1 text`, `3 texts`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


# Widths ---------------------------------------------------------------------------------------------------------------


def breaking(grid: pd.DataFrame) -> str:
    """From `metrics.headline` of one cell: between which widths clean accuracy leaves fp32's 95 % interval, kind by kind."""
    known = grid.set_index("variant")
    if "fp32" not in known.index:
        return "`fp32` is not among the variants, so no width can be set against it."
    low, said = known.loc["fp32", "clean_lower"], []
    for kind, pattern in (("weights", "w{}"), ("activations", "a{}"), ("both", "w{0}a{0}")):
        found = {b: known.loc[v, "clean"] for b in catalog.BITS if (v := pattern.format(b)) in known.index}
        lost = [b for b, accuracy in found.items() if accuracy < low]
        kept = [b for b in found if b not in lost]
        if found:
            words = [f"held at {', '.join(map(str, kept))} bits"] if kept else []
            words += [f"lost at {', '.join(f'{b} ({percent(found[b])})' for b in lost)} bits"] if lost else []
            said.append(f"{kind}: {', '.join(words)}")
    about = f"Clean accuracy is held where it is at least {percent(low)}, the lower end of `fp32`'s 95 % interval."
    return f"{about} {'; '.join(said).capitalize()}." if said else f"{about} No simulated width was run."


def movement(df: pd.DataFrame) -> str:
    """From the rows of `widths.by_movement`: whether recovery, and whether the direct gain, grows with the movement."""
    df = df[df["moved"] > 0]
    if df["recovery"].isna().all():
        return NOTHING
    if len(df) < FEW or df["moved"].nunique() < FEW:
        return f"{counted(len(df), 'variant')} cannot show whether recovery grows with the movement."
    words = [_rank_correlation(df["moved"], df[name]) for name in ("recovery", "gain")]
    best = df.sort_values("recovery").iloc[-1]
    return (
        f"Over {len(df)} variants the rank correlation (Spearman) of the movement with recovery {words[0]}; with the direct "
        f"gain it {words[1]}. {code(best['variant'])} recovers most ({percent(best['recovery'])}); attacked itself it "
        f"differs from `fp32` by {best['gain']:+.1f} points."
    )


def _rank_correlation(x: pd.Series, y: pd.Series) -> str:
    if y.nunique() < 2:
        return "cannot be told (all are equal)"
    return f"is {x.corr(y, method='spearman'):+.2f}"


def tested(pairs: pd.DataFrame) -> str:
    """From `metrics.pairs(..., against="fp32")` under direct attack: which variants differ from fp32 after Holm's correction."""
    pairs = pairs[pairs["protocol"] == "direct"]
    if not len(pairs):
        return "No pair of variants was tested."
    differ, n = pairs[pairs["p_holm"] < LEVEL], int(pairs["n"].max())
    words = [f"{code(row.variant_b)} by {100 * row.difference:+.1f} points" for row in differ.itertuples()]
    found = ", ".join(words) if words else "none"
    least = f"; the smallest corrected p is {p_value(pairs['p_holm'].min())}" if not words else ""
    return f"Of {counted(len(pairs), 'variant')} on {n} examples, {found} differ{'s' if len(words) == 1 else ''} from `fp32` under direct attack{least}."


def smallest(clean: pd.DataFrame) -> str:
    """From `metrics.clean` of one cell: the variant with the smallest file beside fp32, and its accuracy."""
    rows = clean.set_index("variant")
    if "fp32" not in rows.index or rows["bytes"].isna().all():
        return "`fp32` is not among the variants, so no size can be set against it."
    least = rows.loc[rows["bytes"].astype(float).idxmin()]
    return (
        f"{code(least.name)} has the smallest file, {least['bytes'] / rows.loc['fp32', 'bytes']:.2f} of `fp32`'s, and a clean "
        f"accuracy of {percent(least['accuracy'])} beside {percent(rows.loc['fp32', 'accuracy'])}."
    )


# Controls -------------------------------------------------------------------------------------------------------------


def matched(moved: dict[str, float], variant: str) -> str:
    """From how far each classifier moves the leads of clean texts (logits): the controls beside `variant`."""
    if not moved.get(variant):
        return f"{code(variant)} moves no lead in this run, so it cannot differ from any control."
    ratios = [f"{code(name)} by {size / moved[variant]:.2f} times as much" for name, size in moved.items() if name != variant]
    return f"{code(variant)} moves the leads of clean texts by {moved[variant]:.2g} logits (root mean square); {', '.join(ratios)}."


def recovered(transfer: pd.DataFrame, variant: str) -> str:
    """From `metrics.transfer` of one source: what a variant recovers beside all the other targets but the source."""
    rows = transfer[(transfer["target"] != transfer["source"]) & (transfer["recovery_n"] > 0)].set_index("target")
    if variant not in rows.index or len(rows) < 2:
        return NOTHING
    own, n = rows.loc[variant], int(rows.loc[variant, "recovery_n"])
    others = [f"{code(name)} {percent(row['recovery'])}" for name, row in rows.iterrows() if name != variant]
    empty = " No target recovers a text, so no bar stands above zero." if not rows["recovery"].any() else ""
    return (
        f"Of the {counted(n, 'text')} that fooled `fp32`, {code(variant)} recovers {percent(own['recovery'])} (95 % interval "
        f"{percent(own['recovery_lower'])} to {percent(own['recovery_upper'])}); {', '.join(others)}.{empty}"
    )


def crossed(source: np.ndarray, targets: dict[str, np.ndarray]) -> str:
    """From the leads (logits) of the texts that fooled a source, there and in each target: which lines end above zero."""
    if not len(source) or not targets:
        return NOTHING
    said = [f"{int((found > 0).sum())} in {code(name)}" for name, found in targets.items()]
    return (
        f"The middle one of {counted(len(source), 'text')} lies {-np.median(source):.2f} logits behind the boundary of the source, "
        f"the furthest {-source.min():.2f}. Lines that end above zero: {', '.join(said)}."
    )


def predicted(df: pd.DataFrame) -> str:
    """From rows with `target`, `predicted` and `observed` shares, how far apart they are; with the root mean squares of the
    shifts of `clean` and of `adversarial` texts, whether what was assumed of the shifts holds."""
    df = df.dropna(subset=["predicted", "observed"])
    if not len(df):
        return NOTHING
    apart = (df["predicted"] - df["observed"]).abs()
    worst = df.loc[apart.idxmax()]
    ratios = (df["adversarial"] / df["clean"].where(df["clean"] > 0)).dropna()
    low, high = (f"{f(ratios):.1f}" for f in (min, max)) if len(ratios) else ("", "")
    spread = f"{low} times" if low == high else f"{low} to {high} times"
    return (
        f"Over {counted(len(df), 'target')} prediction and observation are {100 * apart.mean():.0f} points apart in the mean, and "
        f"most for {code(worst['target'])} ({percent(worst['predicted'], 0)} predicted, {percent(worst['observed'], 0)} observed)."
        + (f" Leads shift on adversarial texts {spread} as far as on clean ones; the prediction assumes 1." if low else "")
    )


def power(tests: pd.DataFrame) -> str:
    """From `recovery.against_controls`: how many discordant texts, all in one direction, the first step of Holm's needs."""
    if not len(tests):
        return ""
    need = int(np.floor(np.log2(len(tests) / LEVEL))) + 1
    most = int((tests["only_variant"] + tests["only_control"]).max())
    able = "so this run could find a difference" if most >= need else "so no outcome of this run could have been significant"
    return (
        f"With {len(tests)} tests the smallest p has to be below {LEVEL} / {len(tests)}, for which {need} discordant texts in one "
        f"direction are needed; the most that any pair here has is {most}, {able}."
    )


# Attacks that know ----------------------------------------------------------------------------------------------------


def budget(curve: pd.DataFrame) -> str:
    """From `metrics.budget_curve`: for each variant, the least budget drawn that suffices for half of what no limit wins."""
    said = []
    for name, line in curve.groupby("variant", sort=False):
        line = line.sort_values("budget")
        first, last = line["accuracy"].iloc[0], line["accuracy"].iloc[-1]
        half = line[line["accuracy"] <= (first + last) / 2]
        if last < first:
            said.append(f"{code(name)}: half of its successes within {int(half['budget'].iloc[0]):,} queries, {percent(last)} left in the end")
        else:
            said.append(f"{code(name)}: no success at any budget, {percent(last)} left")
    return f"Accuracy under attack falls with the budget. {'; '.join(said)}." if said else NOTHING


def price(alone: pd.DataFrame, joint: pd.DataFrame, of: str) -> str:
    """From `frames` of an attack on one variant and of the joint one: what fooling `of` too costs, on the examples of both."""
    both = alone.merge(joint, on="example", suffixes=("_alone", "_joint"))
    won = both[(both["status_alone"] == "succeeded") & (both["status_joint"] == "succeeded")]
    if not len(won):
        return NOTHING
    queries = [won[f"queries_{kind}"].mean() for kind in ("alone", "joint")]
    words = [100 * won[f"changed_{kind}"].mean() for kind in ("alone", "joint")]
    wins = [int((both[f"status_{kind}"] == "succeeded").sum()) for kind in ("alone", "joint")]
    return (
        f"Of {counted(len(both), 'example')}, the attack on `fp32` alone wins {wins[0]}, the one that must fool {code(of)} too "
        f"{wins[1]}. On the {len(won)} that both win, the second asks {queries[1] - queries[0]:+.1f} queries more in the mean "
        f"({queries[0]:.1f} against {queries[1]:.1f}) and changes {words[1] - words[0]:+.1f} points more of the words. Each of "
        f"its queries asks both classifiers."
    )


def margins(further: pd.DataFrame) -> str:
    """From `metrics.transfer` over several margins: each target's recovery at the smallest and at the largest."""
    rows = further[(further["recovery_n"] > 0) & (further["target"] != further["source"])]
    if rows["margin"].nunique() < 2:
        return NOTHING
    said = []
    for name, line in rows.groupby("target", sort=False):
        ends = line.sort_values("margin").iloc[[0, -1]]
        said.append(f"{code(name)} {percent(ends['recovery'].iloc[0])} to {percent(ends['recovery'].iloc[1])}")
    n = rows.groupby("margin")["recovery_n"].max()
    empty = " Every curve lies at zero: no target recovers a text at any margin." if not rows["recovery"].any() else ""
    return (
        f"From margin {n.index[0]:g} to {n.index[-1]:g} recovery goes: {', '.join(said)}. The attack wins {int(n.iloc[0])} examples at the "
        f"first and {int(n.iloc[-1])} at the last.{empty}"
    )


# Ensembles ------------------------------------------------------------------------------------------------------------


def cost(latency: dict[str, dict], clean: pd.DataFrame) -> str:
    """From `variants.latencies` and `metrics.clean`: what each ensemble costs beside fp32, in time and bytes."""
    size, said = clean.set_index("variant")["bytes"].astype(float), []
    for name in latency:
        if name in catalog.VARIANTS and catalog.VARIANTS[name].members and "fp32" in latency:
            times = latency[name]["median"] / latency["fp32"]["median"]
            said.append(f"{code(name)} takes {times:.1f} times the time and {size[name] / size['fp32']:.2f} times the bytes")
    return f"Beside `fp32`, {', '.join(said)}." if said else "No ensemble was timed."


def alike(frame: pd.DataFrame) -> str:
    """From `frames` of direct attacks: on how many examples each variant's attack ended otherwise than that on fp32."""
    said = []
    for backbone, part in frame.groupby("backbone", sort=False):
        ends = part.pivot_table(index="example", columns="variant", values="status", aggfunc="first")
        where = f" of {code(backbone)}" if frame["backbone"].nunique() > 1 else ""
        for name in (name for name in part["variant"].unique() if name != "fp32" and "fp32" in ends):
            both = ends[["fp32", name]].dropna()
            n = int((both["fp32"] != both[name]).sum())
            said.append(f"{code(name)}{where} on {n} of {len(both)}" if n else f"{code(name)}{where} on none of {len(both)}")
    return f"An attack ended otherwise than that on `fp32`: {', '.join(said)}." if said else "Only `fp32` was attacked."


def diagonal(transfer: pd.DataFrame) -> str:
    """From `metrics.transfer` of every source on every target: direct accuracy beside that on others' adversarial sets."""
    own = transfer[transfer["source"] == transfer["target"]].set_index("target")["accuracy"]
    if transfer["recovery_n"].sum() == 0:
        return NOTHING
    said, others = [], transfer[transfer["source"] != transfer["target"]]
    for name, part in others.groupby("target", sort=False):
        if name in own and catalog.VARIANTS.get(name) and catalog.VARIANTS[name].members:
            low, high = (percent(f(part["accuracy"])) for f in (min, max))
            said.append(f"{code(name)} {percent(own[name])} under attacks on itself, {low} to {high} on the sets of the others")
    empty = "" if others["recovery"].any() else " No target recovers a text of any source, so the second matrix is all zero."
    return f"Accuracy: {'; '.join(said)}.{empty}" if said else "No ensemble is among the targets."


# Architectures --------------------------------------------------------------------------------------------------------


def outliers(df: pd.DataFrame) -> str:
    """From rows with `backbone`, the middle and largest ratio of peak to root mean square, and the movement by int8."""
    df = df.rename(columns={"κ of activations, middle": "middle", "int8 moves a logit by (rms)": "moved"})
    said = [f"8 bits move {code(r.backbone)} by {r.moved:.2g}, its activations' middle κ is {r.middle:.1f}" for r in df.itertuples()]
    if len(df) < 2:
        return f"{said[0]}; a second backbone is needed for a comparison." if said else "No backbone was measured."
    same = df.sort_values("middle")["moved"].is_monotonic_increasing
    order = "In this run the order by κ is the order by movement" if same else "In this run the order by κ is not the order by movement"
    return f"{'; '.join(said)}. {order}."


def by_backbone(grid: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """From `metrics.headline` and `metrics.pairs`: int8 beside fp32 of each backbone, direct and recovered."""
    tests = pairs[(pairs["protocol"] == "direct") & (pairs["variant_b"] == "int8-dynamic")].set_index("backbone")
    said = []
    for row in grid[grid["variant"] == "int8-dynamic"].itertuples():
        if row.backbone not in tests.index:
            continue
        test = tests.loc[row.backbone]
        got = f"recovers {percent(row.recovery)} of {row.recovery_n}" if row.recovery_n else "has no text to recover"
        said.append(
            f"{code(row.backbone)}: attacked itself, `int8-dynamic` differs from `fp32` by {100 * test['difference']:+.1f} points "
            f"(corrected p {p_value(test['p_holm'])}) and {got}"
        )
    return f"{'; '.join(said)}." if said else "No pair of `fp32` and `int8-dynamic` was attacked."


def smaller(clean: pd.DataFrame) -> str:
    """From `metrics.clean` of several backbones: the file of int8 beside that of fp32, and the labels that agree."""
    fp32, int8 = (clean[clean["variant"] == name].set_index("backbone") for name in ("fp32", "int8-dynamic"))
    said = [
        f"the file of {code(name)} shrinks to {row['bytes'] / fp32.loc[name, 'bytes']:.2f}, and {percent(row['agreement'])} of its labels stay"
        for name, row in int8.iterrows()
        if name in fp32.index
    ]
    return f"In 8 bits {'; '.join(said)}." if said else "No backbone was measured in both precisions."


def faster(times: dict[str, list[float]]) -> str:
    """From each backbone's median times of a prediction, (fp32, int8) in milliseconds: their ratio."""
    said = [f"{code(name)} {one / other:.1f} times as fast" for name, (one, other) in times.items() if other]
    return f"On this machine 8 bits make {', '.join(said)}; below 1 they are slower." if said else "Nothing was timed."
