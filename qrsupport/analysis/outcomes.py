"""From the study's published rows to outcomes: which examples a variant still gets right, attack by attack.

A frame of outcomes has the columns `OUTCOME`, one row an example; `attack` names the attack, or the suite.
"""

import numpy as np
import pandas as pd

from .. import config

MODEL = ["dataset", "backbone", "seed"]
AIMS = ["attack", *config.AIM]
OUTCOME = [*MODEL, "attack", "variant", "example", "label", "right"]
SUITE = "suite"
LETTERS = "bcdefgh"
"""Mark a seed fine-tuned again on another kind of processor: `0`, then `0b`.  It has other weights and, so far as seen,
nearly the same answers, so it is no seed of its own."""


def number(rows: pd.DataFrame) -> pd.Series:
    """The seed of each row without its letter."""
    return rows["seed"].astype(str).str.rstrip(LETTERS).rename("number")


def ordinary(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of attacks with no aim but another label."""
    usual, same = config.Parameters(), pd.Series(True, rows.index)
    for name in config.AIM:
        same &= rows[name] == getattr(usual, name)
    return rows[same]


def direct(rows: pd.DataFrame, most: float = 1.0) -> pd.DataFrame:
    """Each variant attacked itself by ordinary attacks: right if the attack failed; skipped and turned are wrong.

    Examples that ended in an error are left out.  `most`: the share of a text's words that the attack may change, rounded
    up to whole words, as TextAttack's MaxWordsPerturbed counts.  A greedy attack changes one word more at each step,
    whatever the limit, so it wins under the limit what it wins within it without one.
    """
    found = ordinary(rows[(rows["kind"] == "direct") & (rows["status"] != "error")])
    beyond = found["words_changed"] > np.ceil(found["words"] * most)
    right = (found["status"] == "failed") | (found["status"] == "succeeded") & beyond
    return found.assign(right=right)[OUTCOME].reset_index(drop=True)


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Each variant's answers to the evaluation split; `attack` is empty."""
    found = rows[rows["kind"] == "clean"]
    return found.assign(attack="", right=found["answer"] == found["label"])[OUTCOME].reset_index(drop=True)


def average(found: pd.DataFrame, names: list[str], name: str) -> pd.DataFrame:
    """`found` with a variant `name` more: on each example the mean of the variants in `names` that the cell has.

    Its `right` is a share; an example that one of them lacks is left out.
    """
    cell = [*MODEL, "attack"]
    mine = found[found["variant"].isin(names)].assign(right=lambda d: d["right"].astype(float))
    wanted = mine.groupby(cell)["variant"].transform("nunique")
    counts = mine.groupby([*cell, "example"])["variant"].transform("nunique")
    mean = mine[counts == wanted].groupby([*cell, "example", "label"], as_index=False)["right"].mean()
    return pd.concat([found, mean.assign(variant=name)[OUTCOME]], ignore_index=True)


def worst_case(rows: pd.DataFrame, variants: list[str], least: list[str] | None = None) -> pd.DataFrame:
    """The suite: an example is right for a variant only if no attack wins it.

    The suite holds every attack that was made on all of `variants` (one that ranks words by a
    variant is not made on that one, whose own ranking it is), and every adversarial set that was
    replayed on all of them.  Its examples are those that all its parts attacked without an error,
    so that each variant faces the same attacks on the same examples.  Of a model without all of
    `variants` it is the suite of `least`; a model without these either is left out.
    """
    found = []
    for key, part in rows.groupby(MODEL):
        names = variants if set(variants) <= set(part.loc[part["kind"] == "direct", "variant"]) else least or variants
        found.append(_suite(part, names).assign(**dict(zip(MODEL, key, strict=True))))
    whole = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=OUTCOME)
    return whole[OUTCOME]


def _suite(rows: pd.DataFrame, variants: list[str]) -> pd.DataFrame:
    """The suite's outcomes on one model."""
    attacked = rows[(rows["kind"] == "direct") & (rows["status"] != "error")]
    replayed = rows[(rows["kind"] == "transfer") & rows["target"].isin(variants)]
    examples, lost = None, []
    sources = dict(list(attacked.groupby(["variant", *AIMS])))
    for aims, part in attacked.groupby(AIMS):
        own = part[part["variant"].isin(variants)]
        if set(variants) <= {*own["variant"], dict(zip(AIMS, aims, strict=True)).get("ranking")}:
            lost.append(own.loc[own["status"] != "failed", ["variant", "example"]])
            examples = _common(examples, own)
    for key, part in replayed.groupby(["variant", *AIMS]):
        if set(variants) - {key[0]} <= set(part["target"]):
            wrong = part.loc[part["answer"] != part["label"], ["target", "example"]]
            lost.append(wrong.set_axis(["variant", "example"], axis=1))
            examples = _common(examples, sources[key])
    if not examples or not lost:
        return pd.DataFrame(columns=OUTCOME)
    beaten = set(pd.concat(lost).drop_duplicates().itertuples(index=False, name=None))
    labels = attacked.drop_duplicates("example").set_index("example")["label"]
    names = [(v, e) for v in variants for e in sorted(examples)]
    return pd.DataFrame(
        [(SUITE, v, e, labels[e], (v, e) not in beaten) for v, e in names],
        columns=["attack", "variant", "example", "label", "right"],
    )


def _common(examples: set | None, part: pd.DataFrame) -> set:
    """The examples that every variant of an attack has, and all attacks before."""
    counts = part.groupby("example")["variant"].nunique()
    mine = set(counts.index[counts == part["variant"].nunique()].tolist())
    return mine if examples is None else examples & mine
