"""Transfer, from the study's published rows: what each target recovers of each source's adversarial texts.

Recovery is the share of the texts that fooled the source which the target gets right.  No target is
tested against the source, which recovers none by construction.
"""

import pandas as pd
from statsmodels.stats.multitest import multipletests

from . import metrics, recovery
from .outcomes import AIMS, MODEL, OUTCOME, ordinary

CELL = [*MODEL, "attack", "source"]


def answers(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a text that fooled a source and a target: `CELL`, target, example, label, lead, right."""
    found = ordinary(rows[rows["kind"] == "transfer"])
    right = found["answer"] == found["label"]
    found = found.assign(right=right).rename(columns={"variant": "source"})
    return found[[*CELL, "target", "example", "label", "lead", "right"]].reset_index(drop=True)


def outcomes(rows: pd.DataFrame, source: str = "fp32") -> pd.DataFrame:
    """The targets' answers to what fooled a source, as outcomes: `variant` is the target."""
    found = answers(rows)
    found = found[(found["source"] == source) & (found["target"] != source)]
    return found.rename(columns={"target": "variant"})[OUTCOME].reset_index(drop=True)


def matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a model, attack, source and other target: `recovery` with its Wilson interval and n."""
    found = answers(rows)
    found = found[found["source"] != found["target"]]
    parts = [
        dict(zip([*CELL, "target"], key, strict=True)) | metrics.proportion(part["right"].sum(), len(part), "recovery")
        for key, part in found.groupby([*CELL, "target"])
    ]
    return pd.DataFrame(parts, columns=[*CELL, "target", "recovery", "recovery_lower", "recovery_upper", "recovery_n"])


def whole_set(rows: pd.DataFrame, source: str = "fp32") -> pd.DataFrame:
    """The paper's way of counting, as we read it: a target's accuracy over a source's whole adversarial set.

    One row a model, attack and target: `accuracy`, `source_accuracy` (its own under attack), `gain`,
    `gain_skipped` (the part of the gain from texts that the source got wrong unattacked), `n`.
    """
    attacked = ordinary(rows[(rows["kind"] == "direct") & (rows["variant"] == source) & (rows["status"] != "error")])
    clean = rows[rows["kind"] == "clean"].set_index([*MODEL, "variant", "example"])
    right_clean, found = clean["answer"] == clean["label"], []
    won, sets = answers(rows), dict(list(attacked.groupby([*MODEL, "attack"])))
    for key, part in won[won["source"] == source].groupby([*MODEL, "attack", "target"]):
        *model, attack, target = key
        mine = sets[*model, attack]
        kept = right_clean.reindex([(*model, target, e) for e in mine["example"]]).to_numpy(bool)
        status, n = mine["status"].to_numpy(), len(mine)
        skipped, failed = (kept & (status == "skipped")).sum(), (kept & (status == "failed")).sum()
        right, own = part["right"].sum() + skipped + failed, (status == "failed").sum()
        found.append([*key, right / n, own / n, (right - own) / n, skipped / n, n])
    names = [*MODEL, "attack", "target", "accuracy", "source_accuracy", "gain", "gain_skipped", "n"]
    return pd.DataFrame(found, columns=names)


def against(rows: pd.DataFrame, variant: str, controls: list[str], source: str = "fp32") -> pd.DataFrame:
    """Does `variant` recover more, or less, of the source's texts than each control?  One-sided exact McNemar tests.

    One row a model, attack, control and direction; Holm's correction over all of them.
    """
    names, found = [*MODEL, "attack", "control", "direction", "n", "only_variant", "only_control", "p"], []
    won = answers(rows)
    for key, part in won[won["source"] == source].groupby([*MODEL, "attack"]):
        wide = part.pivot(index="example", columns="target", values="right")
        for control in (name for name in controls if variant in wide and name in wide):
            x, y = wide[[variant, control]].dropna().to_numpy(bool).T
            only = int((x & ~y).sum()), int((y & ~x).sum())
            for direction in recovery.DIRECTIONS:
                found.append([*key, control, direction, len(x), *only, recovery.one_sided(*only, direction)])
    table = pd.DataFrame(found, columns=names)
    return table.assign(p_holm=multipletests(table["p"], method="holm")[1] if len(table) else [])


def aimed(rows: pd.DataFrame) -> pd.DataFrame:
    """Attacks with a further aim: one row a model, variant and aim, the share of attacked examples that were turned.

    `plain`: the share that the same recipe without the aim turned of the same examples; NaN if it was not run.
    """
    attacked = rows[(rows["kind"] == "direct") & rows["status"].isin(["failed", "succeeded"])]
    plain, by, parts = ordinary(attacked), [*MODEL, "variant", *AIMS], []
    usual = dict(list(plain.groupby([*MODEL, "variant", "attack"])))
    for key, part in attacked.drop(plain.index).groupby(by):
        row = dict(zip(by, key, strict=True))
        same = usual.get(tuple(row[name] for name in (*MODEL, "variant", "attack")), part.iloc[:0])
        same = same[same["example"].isin(part["example"])]
        found = metrics.proportion((part["status"] == "succeeded").sum(), len(part), "success")
        parts.append(row | found | {"plain": (same["status"] == "succeeded").mean()})
    return pd.DataFrame(parts, columns=[*by, "success", "success_lower", "success_upper", "success_n", "plain"])
