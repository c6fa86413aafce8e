"""Tables as escaped HTML for a notebook and as plain text for a terminal."""

import math

import pandas as pd

from .. import catalog
from ..escaping import escape, visible

CLASSES = "tex2jax_ignore mathjax_ignore"  # neither MathJax nor MyST reads inside


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


def backbones(df: pd.DataFrame) -> str:
    """What the pretrained backbones in `df` are and are not; empty where there is none."""
    known = [name for name, entry in catalog.BACKBONES.items() if entry.about and name in set(df.get("backbone", ()))]
    return " ".join(f"{name} is {catalog.BACKBONES[name].about}." for name in known)


def table(df: pd.DataFrame, caption: str = "") -> Html:
    """`df` as an HTML table, everything escaped, its index left out; plain text in a terminal.

    Below the caption stands what the pretrained backbones in the column `backbone` are.  A table without rows has no head.
    """
    caption = ". ".join(filter(None, (caption, backbones(df))))
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in df.columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(v)}</td>" for v in row) + "</tr>\n" for row in _texts(df))
    if not len(df):
        head, body = "", "<tr><td>(no rows)</td></tr>"
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    text = f"{visible(caption)}\n{plain(df)}" if caption else plain(df)
    page = f'<div class="{CLASSES}" style="overflow-x:auto"><table class="table dataframe">{title}'
    return Html(f"{page}<thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>", text)


def bench_rows(found: dict) -> pd.DataFrame:
    """The rows of `make bench` as text: comparison, ratio, range over the turns, target, whether it was met."""

    def line(r: dict) -> dict:
        target = f"{'≤' if r['better'] == 'lower' else '≥'} {r['target']:g}"
        if not r["identical"]:
            return {
                "comparison": r["name"],
                "ratio": "none: outcomes differ",
                "range": "",
                "target": target,
                "met": "no",
            }
        met = r["ratio"] <= r["target"] if r["better"] == "lower" else r["ratio"] >= r["target"]
        spread = f"{r['low']:.2f} to {r['high']:.2f}"
        return {"comparison": r["name"], "ratio": f"{r['ratio']:.2f}", "range": spread, "target": target,
                "met": "yes" if met else "no"}  # fmt: skip

    return pd.DataFrame([line(r) for r in found["rows"]])


def bench_steps(found: dict) -> pd.DataFrame:
    """The steps from stock TextAttack to the engine: seconds on the same examples, gain over the step before, over all."""
    lines = []
    for part in found.get("steps", []):
        seconds = [s["seconds"] for s in part["steps"]]
        for i, step in enumerate(part["steps"]):
            gain = f"{seconds[i - 1] / seconds[i]:.2f}" if i else ""
            lines.append({"attack": part["attack"], "step": step["step"], "seconds": f"{seconds[i]:.2f}",
                          "times faster than before": gain, "in all": f"{seconds[0] / seconds[i]:.1f}"})  # fmt: skip
    return pd.DataFrame(lines)


def bench_cold(found: dict) -> pd.DataFrame:
    """The comparisons of `make bench` with the seconds it took to start and warm up the engine's workers."""
    rows = [(r["name"], f"{r['cold_start_s']:.2f}") for r in found["rows"] if "cold_start_s" in r]
    return pd.DataFrame(rows, columns=["comparison", "cold start, s"])


def bench_missed(found: dict) -> str:
    """One sentence on the comparisons that miss their target, each with the time above the floor of the same model and
    attack, where it was measured."""
    rows = bench_rows(found)
    floors = {r["name"].rpartition(":")[0]: r["ratio"] for r in found["rows"] if r["name"].endswith(": floor")}
    said = []
    for row in rows[rows["met"] == "no"].itertuples():
        floor = floors.get(row.comparison.rpartition(":")[0])
        above = f"; {floor:.2f} times the floor" if floor else ""
        said.append(f"{row.comparison} ({row.ratio}, target {row.target}{above})")
    return f"Missed: {', '.join(said)}." if said else "No target is missed."
