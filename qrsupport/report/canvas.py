"""What every figure is drawn on: seaborn's look, a palette for all eyes, hatches and markers beside every colour, alt text.

Nothing here touches pyplot's state or the backend: a figure is drawn to PNG when it is made and
shows once, as an <img> with its alt text.
"""

import base64
import io
from pathlib import Path

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .. import store
from ..errors import NoRecords
from ..escaping import escape, visible

PALETTE = sns.color_palette("colorblind")
HATCHES = ("", "//", "..", "xx", "--", "oo", "\\\\", "++")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", ":", "-.")
DPI = 144
MANY = 10_000
"""A logarithmic axis over a larger ratio is labelled at powers of ten only."""
matplotlib.rcParams["text.parse_math"] = False  # names with a dollar sign are names


class Figure:
    """A finished figure: PNG bytes and alt text; shows in Jupyter as HTML, elsewhere as its alt text."""

    def __init__(self, canvas: Canvas, alt: str):
        self.alt = visible(alt)
        self.width = round(canvas.get_figwidth() * 96)
        for axis in (axis for ax in canvas.axes for axis in (ax.xaxis, ax.yaxis) if axis.get_scale() == "log"):
            _plain(axis)
        out = io.BytesIO()
        canvas.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
        self.png = out.getvalue()

    def _repr_html_(self) -> str:
        content = base64.b64encode(self.png).decode("ascii")
        style = "max-width:100%;height:auto;background:white"
        return (
            f'<img alt="{escape(self.alt)}" width="{self.width}" style="{style}" src="data:image/png;base64,{content}">'
        )

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def save(self, path: Path) -> None:
        """Writes the PNG.  Raises StorageError if the directory refuses."""
        store.write_bytes(path, self.png)


def axes_of(rows: int = 1, columns: int = 1, width: float = 6.4, height: float = 3.8, **kwargs):
    """A canvas and its axes (rows × columns array), in seaborn's white grid, sizes in inches."""
    with sns.axes_style("whitegrid"), sns.plotting_context("notebook", font_scale=0.85):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        return canvas, canvas.subplots(rows, columns, squeeze=False, **kwargs)


def _plain(axis) -> None:
    """Labels a logarithmic axis with plain numbers: matplotlib's own labels are formulas, which are not parsed here."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1,) if high / low > MANY else (1, 2, 5), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def need(data, what: str) -> None:
    """Raises NoRecords if there is nothing in `data`; `what` is missing."""
    if len(data) == 0:
        raise NoRecords(f"no {what} to draw; run the chapter that makes them or `make book`")


def labelled(df: pd.DataFrame, always: list[str], rest: list[str]) -> pd.Series:
    """A label for each row from the columns `always` and those of `rest` that vary in `df`."""
    keep = [*always, *[c for c in rest if df[c].nunique() > 1]]
    words = {"seed": "seed ", "attack_seed": "attack seed ", "resources": "resources: ", "query_budget": "budget "}
    words |= {"margin": "margin ", "joint": "jointly with ", "spare": "sparing ", "ranking": "ranked by ", "restart": "restart "}
    return df[keep].apply(lambda row: ", ".join(f"{words.get(c, '')}{row[c]}" for c in keep if row[c] != ""), axis=1)
