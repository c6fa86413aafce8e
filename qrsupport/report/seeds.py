"""How far the headline's figures move from one fine-tuning seed to the next (`qrsupport seeds`, and the page that reads
its file)."""

from pathlib import Path

import pandas as pd

from .. import catalog, store
from ..analysis import metrics, runs
from ..errors import NoRecords, StaleArtefact
from .tables import plain

MEASURES = {"clean": "clean accuracy", "direct": "under direct attack", "recovery": "recovery of fp32's"}
BY = ["dataset", "backbone", "attack", "variant"]


def rows(run_dir: Path) -> pd.DataFrame:
    """The rows of `metrics.headline` for the paper's variants, of those models that were run with several seeds.

    Raises NoRecords if there is none.
    """
    grid = metrics.headline(*runs.load(run_dir), catalog.PAPER_VARIANTS)
    several = grid[grid.groupby(BY)["seed"].transform("nunique") > 1]
    if not len(several):
        raise NoRecords(f"no model under {run_dir} was run with more than one seed; run `qrsupport book -p seed 1` there")
    return several


def read(file: Path) -> pd.DataFrame:
    """The rows in a file that `qrsupport seeds` wrote.  Raises StaleArtefact, naming the file, if it is none of these."""
    content = store.read_json(file)
    try:
        found = pd.DataFrame(content["rows"])
        spread(found), said(found)
        return found
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise StaleArtefact(f"{file} was not written by `qrsupport seeds` ({type(e).__name__}: {e})") from e


def spread(found: pd.DataFrame) -> pd.DataFrame:
    """One row a model, attack and variant: each measure's lowest and highest value over the seeds, in per cent; data set and
    backbone are named where there are several."""
    named = [name for name in BY if name in BY[2:] or found[name].nunique() > 1]

    def between(values: pd.Series) -> str:
        values = 100 * values.dropna().astype(float)
        return f"{values.min():.1f} to {values.max():.1f}" if len(values) else "—"

    lines = []
    for key, group in found.groupby(BY, sort=False):
        seeds = {"seeds": group["seed"].nunique(), "n": int(group["direct_n"].min())}
        shown = {label: between(group[name]) for name, label in MEASURES.items()}
        lines.append({name: value for name, value in zip(BY, key, strict=True) if name in named} | seeds | shown)
    return pd.DataFrame(lines)


def said(found: pd.DataFrame) -> str:
    """One sentence: how far accuracy under direct attack moves over the seeds, and int8's difference from fp32."""
    values = found.assign(direct=100 * found["direct"].astype(float))
    moves = values.groupby(BY)["direct"].agg(lambda v: v.max() - v.min()).max()
    table = values.pivot(index=[*BY[:-1], "seed"], columns="variant", values="direct")
    gains = table["int8-dynamic"] - table["fp32"]
    return (
        f"Over {found['seed'].nunique()} fine-tuning seeds, accuracy under direct attack moves by up to {moves:.1f} points "
        f"for one attack and variant; int8's difference from fp32 on the same seed lies between {gains.min():+.1f} and "
        f"{gains.max():+.1f} points."
    )


def text(found: pd.DataFrame) -> str:
    """`spread` and `said` as plain text."""
    return f"{plain(spread(found))}\n\n{said(found)}"
