"""The width sweep in the study's published rows: clean accuracy, accuracy under direct attack and recovery, width by width."""

import pandas as pd

from .. import catalog
from . import metrics, outcomes, transfers
from .outcomes import MODEL

CELL = [*MODEL, "attack"]


def examples(rows: pd.DataFrame) -> pd.DataFrame:
    """Outcomes of direct attacks in the cells that hold widths: those of the widths and of fp32, on the examples that all of them have."""
    found = outcomes.direct(rows)
    swept = found["variant"].isin(catalog.SWEEP)
    cells = found[swept][CELL].drop_duplicates()
    found = found[swept | (found["variant"] == "fp32")].merge(cells, on=CELL)
    wanted = found.groupby(CELL)["variant"].transform("nunique")
    return found[found.groupby([*CELL, "example"])["variant"].transform("nunique") == wanted].reset_index(drop=True)


def measures(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a model, attack and width, with one for fp32 before them, in the order of the catalogue.

    Columns `CELL`, variant, and as `metrics.proportion` gives them: clean (whole evaluation split), direct, recovery (of
    the texts that fooled fp32; of fp32 itself none is recovered).
    """
    by, cells = [*CELL, "variant"], []
    clean = dict(list(outcomes.clean(rows).groupby([*MODEL, "variant"])["right"]))
    won = dict(list(transfers.outcomes(rows).groupby(by)["right"]))
    for key, part in examples(rows).groupby(by):
        mine, all_of = won.get(key, []), clean.get((*key[:3], key[-1]), [])
        cells.append(
            dict(zip(by, key, strict=True))
            | metrics.proportion(sum(all_of), len(all_of), "clean")
            | metrics.proportion(part["right"].sum(), len(part), "direct")
            | metrics.proportion(sum(mine), len(mine), "recovery")
        )
    names = [f"{name}{end}" for name in ("clean", "direct", "recovery") for end in ("", "_lower", "_upper", "_n")]
    order = ["fp32", *catalog.SWEEP].index
    return pd.DataFrame(cells, columns=[*by, *names]).sort_values(
        "variant", key=lambda column: column.map(order), ignore_index=True, kind="stable"
    )
