"""Tables of the study's results, from its published rows."""

from itertools import product

import numpy as np
import pandas as pd

from .. import catalog, config
from ..analysis import boundary, classes, gains, loyalty, null, outcomes, paper_claims, transfers
from ..analysis.outcomes import MODEL
from ..report.tables import Html, cell, estimate, p_value, percent, table
from . import findings
from .findings import STRONGER, VARIANT, interval

PLACE = ["dataset", "backbone"]
SINGLE = ["other-seed", "fp32-shifted", "int8-unshifted"]
"""Controls of which there is one a model."""


def _named(df: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    return df[names].reset_index(drop=True)


def direct_gains(rows: pd.DataFrame, variants: list[str] | None = None, n: int = gains.DRAWS) -> Html:
    """Gain of each variant attacked itself, with the interval over seeds and examples."""
    found = outcomes.direct(rows)
    there = set(found["variant"].unique())
    variants = variants or [name for name in catalog.VARIANTS if name in there and name != "fp32"]
    df = gains.table(found, variants, n=n)
    out = _named(df, [*PLACE, "attack", "variant", "seeds", "n"])
    out["gain over fp32"] = [interval(row) for row in df.to_dict("records")]
    return table(out, "Accuracy under direct attack: gain over fp32, with 95 % intervals over seeds and examples")


def worst_cases(rows: pd.DataFrame, n: int = gains.DRAWS) -> Html:
    """Accuracy over the suite, and the gain over fp32."""
    found = findings.suite(rows)
    if not len(found):
        return table(pd.DataFrame(columns=[*PLACE, "variant", "accuracy over the suite"]), "Worst case over the suite")
    df = gains.table(found, findings.CORE[1:], n=n)
    means = found.groupby([*PLACE, "variant"])["right"].mean()
    out = _named(df, [*PLACE, "variant", "seeds", "n"])
    keys = df[[*PLACE, "variant"]].itertuples(index=False, name=None)
    out["accuracy over the suite"] = [percent(float(means[key])) for key in keys]
    out["gain over fp32"] = [interval(row) for row in df.to_dict("records")]
    return table(out, "Worst case over the suite: the share of examples that no attack wins")


def cells(rows: pd.DataFrame, variant: str = VARIANT) -> Html:
    """Each cell of a variant against fp32, each attacked itself: exact McNemar tests."""
    df = gains.cells(outcomes.direct(rows), [variant])
    out = _named(df, [*gains.CELL, "n"])
    for name, column in (("fp32", "against"), (variant, "accuracy")):
        out[name] = [percent(float(value)) for value in df[column]]
    out["only fp32"], out[f"only {variant}"] = df["only_against"], df["only_variant"]
    out["p"], out["p, Holm"] = df["p"].map(p_value), df["p_holm"].map(p_value)
    return table(out, f"{variant} and fp32, each attacked itself: accuracy under attack, exact McNemar tests")


def controls(rows: pd.DataFrame) -> Html:
    """int8's gain among its noise controls', by cell; beside it those of other noise, of shifts and of another seed."""
    kinds = ("noise-", "activation-noise-")
    other = [name for name in catalog.VARIANTS if name.startswith(kinds) and name not in findings.NOISE]
    df = gains.cells(outcomes.direct(rows), [VARIANT, *SINGLE, *findings.NOISE, *other])
    found = null.spread(df, VARIANT, findings.NOISE)
    by, out = [*MODEL, "attack"], _named(found, [*MODEL, "attack"])
    keys = list(found[by].itertuples(index=False, name=None))
    out["int8-dynamic"] = [f"{100 * value:+.1f}" for value in found["gain"]]
    ends = zip(found["lowest"], found["highest"], strict=True)
    out["noise, lowest to highest"] = [f"{100 * low:+.1f} to {100 * high:+.1f}" for low, high in ends]
    out["rank"] = [f"{rank} of {k + 1}" for rank, k in zip(found["rank"], found["controls"], strict=True)]
    ranges = df[df["variant"].isin(other)].groupby(by)["gain"].agg(["min", "max"])
    out["other noise"] = [_range(ranges.loc[key]) if key in ranges.index else "not run" for key in keys]
    for name in SINGLE:
        one = df[df["variant"] == name].set_index(by)["gain"]
        out[name] = [f"{100 * one[key]:+.1f}" if key in one else "not run" for key in keys]
    return table(out, "Gains over fp32 in points, each variant attacked itself: is int8's among those of noise?")


def _range(ends: pd.Series) -> str:
    return f"{100 * ends['min']:+.1f} to {100 * ends['max']:+.1f}"


def saturation(rows: pd.DataFrame) -> Html:
    """int8-saturating beside int8-dynamic: labels of clean texts, and each attacked itself."""
    name = catalog.SATURATING
    same = loyalty.loyalty(rows, VARIANT).drop(columns="probabilities")
    df = gains.cells(outcomes.direct(rows), [name], VARIANT).merge(same, on=[*MODEL, "variant"])
    out = _named(df, [*MODEL, "attack", "n"])
    out["clean labels as int8-dynamic"] = [_estimate(row, "labels") for row in df.to_dict("records")]
    for head, column in (("int8-dynamic", "against"), (name, "accuracy")):
        out[head] = [percent(float(value)) for value in df[column]]
    out["only int8-dynamic"], out[f"only {name}"], out["p"] = df["only_against"], df["only_variant"], df["p"].map(p_value)
    return table(out, "The saturating product beside the exact one: clean labels; accuracy under direct attack, exact McNemar tests")


def recoveries(rows: pd.DataFrame, source: str = "fp32") -> Html:
    """What each target recovers of the texts that fooled a source."""
    df = transfers.matrix(rows)
    df = df[df["source"] == source]
    out = _named(df, [*MODEL, "attack", "target"])
    out["recovery"] = [_estimate(row, "recovery") for row in df.to_dict("records")]
    return table(out, f"Recovery of the texts that fooled {source}, with 95 % Wilson intervals")


def _estimate(row: dict, name: str) -> str:
    return estimate(row[name], row[f"{name}_lower"], row[f"{name}_upper"], int(row[f"{name}_n"]))


def recovery_tests(rows: pd.DataFrame) -> Html:
    """One-sided tests of int8's recovery against every control's."""
    df = transfers.against(rows, VARIANT, ["other-seed", *findings.NOISE])
    out = _named(df, [*MODEL, "attack", "control", "direction", "n"])
    out["only int8-dynamic"], out["only the control"] = df["only_variant"], df["only_control"]
    out["p, Holm"] = df["p_holm"].map(p_value)
    return table(out, "Does int8-dynamic recover more, or less, of fp32's adversarial texts than each control?")


def whole_sets(rows: pd.DataFrame) -> Html:
    """The paper's way of counting, as we read it."""
    df = transfers.whole_set(rows)
    out = _named(df, [*MODEL, "attack", "target", "n"])
    out["accuracy"] = [percent(float(v)) for v in df["accuracy"]]
    out["gain over fp32's own"] = [f"{100 * v:+.1f}" for v in df["gain"]]
    out["of which unattacked errors"] = [f"{100 * v:+.1f}" for v in df["gain_skipped"]]
    return table(out, "Accuracy over fp32's whole adversarial set: the paper's way of counting, as we read it; gains in points")


def aims(rows: pd.DataFrame) -> Html:
    """Attacks with a further aim: how many succeed."""
    df = transfers.aimed(rows)
    usual = dict.fromkeys(config.AIM, "")
    given = [{name: row[name] for name in usual if row[name] not in ("", 0, 0.0)} for row in df.to_dict("records")]
    said = [", ".join(f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in aims.items()) for aims in given]
    out = _named(df, [*MODEL, "attack", "variant"]).assign(aim=said)
    out["success"] = [_estimate(row, "success") for row in df.to_dict("records")]
    out["without the aim"] = [percent(float(v)) for v in df["plain"]]
    return table(out, "Attacks with a further aim: success rate among attacked examples, and without the aim on the same")


def by_class(rows: pd.DataFrame, variants: list[str] = findings.CORE) -> Html:
    """Accuracy under direct attack, class by class."""
    df = classes.by_class(rows)
    df = df[df["variant"].isin(variants)]
    names = [catalog.DATASETS[d].labels[int(i)] for d, i in zip(df["dataset"], df["label"], strict=True)]
    out = _named(df, [*MODEL, "attack", "variant"]).assign(label=names)
    out["accuracy under attack"] = [_estimate(row, "accuracy") for row in df.to_dict("records")]
    return table(out, "Accuracy under direct attack, class by class")


def shifts(rows: pd.DataFrame) -> Html:
    """Mean shift of each class's logit from fp32 to each variant, on clean and on perturbed texts."""
    df = classes.shifts(rows)
    names = [catalog.DATASETS[d].labels[int(i)] for d, i in zip(df["dataset"], df["label"], strict=True)]
    out = _named(df, [*MODEL, "variant", "texts"]).assign(label=names)
    out["mean shift"] = [f"{v:+.3f}" for v in df["shift"]]
    out["standard deviation"], out["n"] = [f"{v:.3f}" for v in df["spread"]], list(df["n"])
    return table(out, "How far logits move from fp32's: on the evaluation split, and on the texts that fooled fp32")


def clean(rows: pd.DataFrame, n: int = gains.DRAWS) -> Html:
    """Clean accuracy of each variant, and its gain over fp32."""
    found = outcomes.clean(rows)
    means = found.groupby([*PLACE, "variant"])["right"].mean()
    there = set(found["variant"].unique())
    df = gains.table(found, [name for name in catalog.VARIANTS if name in there and name != "fp32"], n=n)
    out = _named(df, [*PLACE, "variant", "seeds", "n"])
    keys = df[[*PLACE, "variant"]].itertuples(index=False, name=None)
    out["clean accuracy"] = [percent(float(means[key])) for key in keys]
    out["gain over fp32"] = [interval(row) for row in df.to_dict("records")]
    return table(out, "Clean accuracy on the whole evaluation split")


def loyal(rows: pd.DataFrame) -> Html:
    """How closely each variant follows fp32 on clean texts."""
    df = loyalty.loyalty(rows)
    out = _named(df, [*MODEL, "variant"])
    out["labels as fp32"] = [_estimate(row, "labels") for row in df.to_dict("records")]
    out["1 − √JS"] = [f"{v:.4f}" for v in df["probabilities"]]
    return table(out, "Loyalty to fp32 on the whole evaluation split: equal labels; closeness of probabilities (1: the same)")


def sizes(manifests: list[dict]) -> Html:
    """Megabytes of each variant's file, by data set and backbone, from the manifests."""
    found = {}
    for about in manifests:
        p = about.get("parameters", {})
        for name, size in about.get("bytes", {}).items():
            found[p["dataset"], p["backbone"], name] = size
    rows = [[*key, catalog.execution(key[-1]), f"{size / 1e6:.1f}"] for key, size in sorted(found.items())]
    names = ["dataset", "backbone", "variant", "execution", "megabytes"]
    return table(pd.DataFrame(rows, columns=names), "Size of each variant; of simulated ones, of a file with its weights at that width")


def effort(rows: pd.DataFrame) -> Html:
    """What direct attacks cost and changed."""
    found = outcomes.ordinary(rows[(rows["kind"] == "direct") & rows["status"].isin(["failed", "succeeded"])])
    won = found[found["status"] == "succeeded"].assign(changed=lambda d: d["words_changed"] / d["words"])
    by = [*MODEL, "attack", "variant"]
    df = found.groupby(by)[["queries"]].mean().join(won.groupby(by)[["changed", "similarity"]].mean()).reset_index()
    out = _named(df, by)
    out["queries"], out["words changed"] = [cell(float(v)) for v in df["queries"]], [percent(float(v)) for v in df["changed"]]
    out["similarity"] = [cell(float(v)) for v in df["similarity"]]
    return table(out, "Direct attacks: mean queries of attacked examples; words changed and similarity of successes")


def claims(rows: pd.DataFrame, n: int = gains.DRAWS) -> Html:
    """Each claim of the paper beside what was found, under each protocol."""
    found, won = outcomes.direct(rows), outcomes.clean(rows)
    lines = []
    for claim in paper_claims.CLAIMS:
        sides = [("clean", won)] if claim.measure == "clean" else [("direct", found), ("transfer, whole set", findings.whole_set(rows))]
        baselines = [claim.baseline, *([STRONGER] if claim.baseline == "adversarial" else [])]
        for baseline, (protocol, part) in product(baselines, sides):
            ours, stronger = gains.pooled(part, claim.variant, baseline, n), f", against {STRONGER}" * (baseline == STRONGER)
            said = [claim.name, f"{claim.percent:+.2f} %", claim.source, protocol + stronger]
            lines.append([*said, interval(ours), ours["places"], ours["seeds"]])
    names = ["claim", "the paper", "source", "protocol", "here", "data sets", "seeds"]
    return table(pd.DataFrame(lines, columns=names), "The paper's claims; here: points, with 95 % intervals over seeds and examples")


def explained(df: pd.DataFrame) -> Html:
    """From `boundary.predictions`: predicted and observed recovery, by source and target, means over models and attacks."""
    by = [*PLACE, "source", "target"]
    means = df.groupby(by)[["distance", "shift", "spread", "predicted", "observed"]].mean().reset_index()
    for name in ("predicted", "observed"):
        means[name] = [percent(float(v)) for v in means[name]]
    for name in ("distance", "shift", "spread"):
        means[name] = [f"{v:.3f}" for v in means[name]]
    return table(means, "Recovery predicted from distances and shifts alone, and observed; means over seeds and attacks")


def explained_said(df: pd.DataFrame) -> str:
    """From `boundary.predictions`: one sentence on how well distance explains recovery, for all targets and for each kind."""
    if not len(df):
        return "No record yet."
    kinds = {"`int8-dynamic`": [VARIANT], "noise": findings.NOISE, "another seed": ["other-seed"]}
    parts = []
    for kind, names in kinds.items():
        mine = df[df["target"].isin(names) & (df["source"] == "fp32")]
        if len(mine):
            parts.append(f"{kind}: {percent(mine['predicted'].mean())} predicted, {percent(mine['observed'].mean())} observed")
    found = boundary.agreement(df)
    rank = "—" if np.isnan(found["rank"]) else f"{found['rank']:.2f}"
    return (
        f"Over {found['n']} pairs of source and target, predicted and observed shares differ by {percent(found['error'])} in the "
        f"mean; Spearman's rank correlation is {rank}. Of the texts that fooled `fp32`, {'; '.join(parts) or 'none was replayed'}."
    )


def widths(found: pd.DataFrame) -> Html:
    """From `sweep.measures`: clean accuracy, accuracy under direct attack and recovery of fp32's texts, by width."""
    out = found[[*MODEL, "attack", "variant"]].copy()
    heads = {"direct": "direct", "recovery": "recovery", "clean": "clean accuracy"}
    for name, head in heads.items():
        out[head] = [_estimate(row, name) for row in found.to_dict("records")]
    return table(out, "Widths (simulated): accuracy under direct attack, recovery of the texts that fooled fp32, clean accuracy")
