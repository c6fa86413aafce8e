"""Records as tidy frames: one row a record, a replay, or an outcome (right or wrong).

A *cell* is one dataset, backbone, seed, setting of the fine-tuning, resource set, attack and attack seed, query budget, margin,
set of variants attacked jointly and of those spared, variant that ranks words, and restart.
"""

import numpy as np
import pandas as pd

from .. import attack_catalog, catalog
from ..errors import StaleArtefact

MODEL = ["dataset", "backbone", "seed", "setting"]
EXTRAS = {"margin": 0.0, "joint": "", "spare": "", "ranking": "", "restart": 0}
"""What an attack may have beyond its recipe, and the value that says it has not."""
NO_ATTACK = {"resources": "", "attack": "", "attack_seed": 0, "query_budget": 0} | EXTRAS
CELL = [*MODEL, *NO_ATTACK]
OUTCOME = [*CELL, "protocol", "variant", "example", "right"]
STATUSES = ["failed", "succeeded", "skipped", "error"]
RECORD = [
    *CELL, "variant", "example", "position", "status", "label", "before", "after", "words", "words_changed",
    "similarity", "queries", "evaluations", "truncated", "note", "made_by",
]  # fmt: skip
REPLAY = [*CELL, "source", "target", "example", "position", "status", "label", "clean", "replayed", "made_by"]


def _single(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """`frame`, in which no example may occur twice within `by`: that would mix two runs under one name."""
    twice = frame[frame.duplicated([*by, "example"])]
    if len(twice):
        where = ", ".join(f"{name}={twice.iloc[0][name]}" for name in by)
        keys = sorted(frame.merge(twice[by].head(1), on=by)["made_by"].unique()) if "made_by" in frame else []
        made = f"; made_by {', '.join(keys)}" if keys else ""
        raise StaleArtefact(
            f"two runs with different parameters were put together under one name ({where}{made}); "
            "read them with runs.load, which tells them apart"
        )
    return frame


def frames(records) -> pd.DataFrame:
    """One row a record: columns `RECORD`, `seconds` (the attack's time), `changed` (the share of words changed).

    Raises StaleArtefact if two runs of the same cell and variant are among them.
    """
    df = pd.DataFrame([[getattr(r, name) for name in RECORD] for r in records], columns=RECORD)
    df["status"] = [r.status.value for r in records]
    df["note"] = [r.note.encode("utf-8", "replace").decode() for r in records]  # Arrow holds no lone surrogate
    df["seconds"] = [float(r.timing.get("seconds", np.nan)) for r in records]
    df["changed"] = df["words_changed"].astype(float) / df["words"].where(df["words"] > 0).astype(float)
    df = df.astype({"similarity": float, "margin": float})
    return _single(df, [*CELL, "variant"]).sort_values([*CELL, "variant", "position"], ignore_index=True)


def replay_frames(replays) -> pd.DataFrame:
    """One row a replay, columns `REPLAY`.

    Raises StaleArtefact as `frames` does.
    """
    df = pd.DataFrame([[getattr(r, name) for name in REPLAY] for r in replays], columns=REPLAY)
    df["status"] = [r.status.value for r in replays]
    df["margin"] = df["margin"].astype(float)
    by = [*CELL, "source", "target"]
    return _single(df, by).sort_values([*by, "position"], ignore_index=True)


def bare(variant: str) -> str:
    """A variant's name in the catalogue, without the options that `runs.load` may have put behind it."""
    return variant.partition(" (")[0]


def rank(name: str, known: list[str]) -> int:
    """The place of a name, whatever its options, among those known; behind them if it is none."""
    return known.index(bare(name)) if bare(name) in known else len(known)


def order(df: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows by `by`; attacks and variants in the catalogue's order."""
    ranks = {"attack": list(attack_catalog.ATTACKS), "protocol": ["clean", "direct", "recovery", "transfer", "joint", "spare"]}
    ranks |= {name: list(catalog.VARIANTS) for name in ("variant", "variant_a", "variant_b", "source", "target")}

    def key(column: pd.Series) -> pd.Series:
        known = ranks.get(column.name)
        return column if known is None else column.map(lambda v: f"{rank(v, known):04}{v}")

    return df.sort_values(by, key=key, kind="stable", ignore_index=True) if len(df) else df


def outcomes_direct(df: pd.DataFrame) -> pd.DataFrame:
    """From `frames`: right if the attack failed; skipped and succeeded are wrong; errors are left out."""
    df = df[df["status"] != "error"]
    protocol = pd.Series("direct", df.index).mask(df["joint"] != "", "joint").mask(df["spare"] != "", "spare")
    return df.assign(protocol=protocol, right=df["status"] == "failed")[OUTCOME]


def outcomes_replay(replays: pd.DataFrame) -> pd.DataFrame:
    """From `replay_frames`: right if the target gives the label to the member of the adversarial set."""
    df = replays[replays["status"] != "error"]
    return df.assign(protocol="transfer", variant=df["target"], right=df["replayed"] == df["label"])[OUTCOME]


def outcomes_transfer(replays: pd.DataFrame, source: str = "fp32") -> pd.DataFrame:
    """As `outcomes_replay`, of one source's adversarial set."""
    return outcomes_replay(replays[replays["source"] == source])


def outcomes_recovery(replays: pd.DataFrame, source: str = "fp32") -> pd.DataFrame:
    """As `outcomes_transfer`, over the examples that fooled the source alone; their protocol is `recovery`."""
    return outcomes_transfer(replays[replays["status"] == "succeeded"], source).assign(protocol="recovery")


def outcomes_clean(predictions) -> pd.DataFrame:
    """From clean predictions (`recorded.read_clean`): the whole evaluation split, no attack (resources and attack are empty)."""
    parts = []
    for p in predictions:
        fixed = {"setting": ""} | {name: p[name] for name in (*MODEL, "variant") if name in p}
        fixed |= NO_ATTACK | {"protocol": "clean"}
        right = np.equal(p["labels"], p["predicted"])
        parts.append(pd.DataFrame({"example": p["ids"], "right": right}).assign(**fixed)[OUTCOME])
    if not parts:
        return pd.DataFrame(columns=OUTCOME)
    return _single(pd.concat(parts, ignore_index=True), [*MODEL, "variant"])
