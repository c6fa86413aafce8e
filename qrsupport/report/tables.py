"""Tables as escaped HTML for a notebook and as plain text for a terminal."""

import math
import re
from collections.abc import Iterable

import pandas as pd

from .. import catalog
from ..escaping import escape, visible

CLASSES = "tex2jax_ignore mathjax_ignore"  # neither MathJax nor MyST reads inside
WHOLE = re.compile(r"\[[-+\d., ]+\]|[-+\d.,]+ (?:%|points)|\bn [\d,]+")
"""What a narrow column must not break: an interval, a percentage, a number of examples."""
MOST = 12
"""Rows of a table that a page shows at once."""


class Html:
    """Shows as `html` in a notebook and as `text` elsewhere."""

    def __init__(self, html: str, text: str):
        self.html, self.text = html, text

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def cell(value: object) -> str:
    """A value as it is printed: four significant digits; — for NaN, "not run" for None."""
    if value is None:
        return "not run"
    if isinstance(value, float):
        if math.isnan(value):
            return "—"
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def p_value(p: float) -> str:
    """A p value with two significant digits, none smaller than 0.001."""
    return "—" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.2g}"


def percent(value: float, digits: int = 1) -> str:
    """A proportion in per cent."""
    return "—" if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def estimate(value: float, lower: float, upper: float, n: int) -> str:
    """A proportion with its interval and n: `61.0 % [51.2, 70.0], n 100`; "not run" without n."""
    return f"{percent(value)} [{100 * lower:.1f}, {100 * upper:.1f}], n {n}" if n else "not run"


def points(value: float | None) -> str:
    """A difference in percentage points, with its sign; "not run" for None."""
    return "not run" if value is None or math.isnan(value) else f"{value:+.2f}"


def _texts(df: pd.DataFrame) -> list[list[str]]:
    return [[cell(v) for v in row] for row in df.astype(object).itertuples(index=False, name=None)]


def plain(df: pd.DataFrame) -> str:
    """`df` as aligned plain text, its index left out; tabulate would make columns two wider than their headings."""
    head, *rows = [[visible(v) for v in row] for row in ([str(c) for c in df.columns], *_texts(df))]
    if not rows:
        return "  ".join(head) + "\n(no rows)"
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * w for w in widths], *rows]
    return "\n".join("  ".join(v.ljust(w) for v, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def print_table(df: pd.DataFrame) -> None:
    """Prints `plain(df)`."""
    print(plain(df))


def backbones(df: pd.DataFrame, whole: bool = True) -> str:
    """What the pretrained backbones in `df` are, or in short what they are not; empty where there is none."""
    known = [name for name, entry in catalog.BACKBONES.items() if entry.about and name in set(df.get("backbone", ()))]
    if whole:
        return " ".join(f"{name} is {catalog.BACKBONES[name].about}." for name in known)
    return "; ".join(f"{name} is not one of the paper's models" for name in known)


def table(df: pd.DataFrame, caption: str = "", most: int = MOST, keys: Iterable[str] | None = None) -> Html:
    """`df` as an HTML table, everything escaped, its index left out; whole and as plain text in a terminal.

    On a page a column with one value alone stands in the caption, as `name: value`: of two or more rows any such column but
    one of floats, which are measures; with `keys`, the columns that say what a row is, only those, of a single row too;
    `keys=()` leaves every column.  Rows beyond the first `most` are folded away (0: none is).  The caption, above the box in
    which a wide table scrolls, also says that pretrained backbones in the column `backbone` are not the paper's; in a terminal
    it says what they are.  A table without rows has no head.
    """
    names, rows = [str(c) for c in df.columns], _texts(df)
    fixed = _constant(names, rows, _words(df) if keys is None else keys, 2 if keys is None else 1)
    said = "; ".join(f"{names[i]}: {rows[0][i]}" for i in fixed if rows[0][i])
    title = ". ".join(filter(None, (caption, said, backbones(df, whole=False))))
    shown = [i for i in range(len(names)) if i not in fixed]
    cut = most if 0 < most < len(rows) else len(rows)
    page = _grid(names, rows[:cut], shown)
    if rest := rows[cut:]:
        page += f"<details data-rows='{len(rest)}'><summary>{_count(len(rest))} of {len(rows):,}</summary>{_grid(names, rest, shown)}</details>"
    whole = ". ".join(filter(None, (caption, backbones(df))))
    return Html(captioned(page, title), f"{visible(whole)}\n{plain(df)}" if whole else plain(df))


def captioned(page: str, caption: str) -> str:
    """HTML of tables under their caption, which stays in sight where a wide table is scrolled."""
    title = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<div class="{CLASSES}"><figure class="results">{title}{page}</figure></div>'


def scrolled(head: str, body: str) -> str:
    """A table from the HTML of its headings and rows, in a box within which a wide one scrolls, with the keyboard too."""
    grid = f'<table class="table dataframe"><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>'
    return f'<div class="table-scroll" style="overflow-x:auto" tabindex="0">{grid}</div>'


def _count(n: int) -> str:
    return f"{n:,} more row{'s' if n > 1 else ''}"


def _words(df: pd.DataFrame) -> list[str]:
    """The columns that hold no measure."""
    return [str(c) for c, kind in zip(df.columns, df.dtypes, strict=True) if kind.kind != "f"]


def _constant(names: list[str], rows: list[list[str]], wanted: Iterable[str], least: int) -> list[int]:
    """The places of the columns that go into the caption of `least` rows or more; none where no column would be left."""
    among = set(wanted) if len(rows) >= least else set()
    found = [i for i, name in enumerate(names) if name in among and len({row[i] for row in rows}) == 1]
    return found if len(found) < len(names) else []


def _unbroken(text: str) -> str:
    """A cell's text as HTML, in which a line ends only between its parts (`WHOLE`)."""
    return WHOLE.sub(r'<span class="whole">\g<0></span>', escape(text))


def _grid(names: list[str], rows: list[list[str]], shown: list[int]) -> str:
    """The columns `shown` of these rows as an HTML table."""
    head = "".join(f'<th scope="col">{escape(names[i])}</th>' for i in shown)
    body = "".join("<tr>" + "".join(f"<td>{_unbroken(row[i])}</td>" for i in shown) + "</tr>\n" for row in rows)
    if not rows:
        head, body = "", "<tr><td>(no rows)</td></tr>"
    return scrolled(head, body)
