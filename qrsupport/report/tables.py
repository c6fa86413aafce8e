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


PADDED = 512
"""Tokens to which TextAttack's wrapper pads every text."""


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
            lines.append({"model": part.get("model", ""), "attack": part["attack"], "step": step["step"],
                          "seconds": f"{seconds[i]:.2f}", "times faster than before": gain, "in all": f"{seconds[0] / seconds[i]:.1f}"})  # fmt: skip
    return pd.DataFrame(lines)


def bench_cold(found: dict) -> pd.DataFrame:
    """The comparisons of `make bench` with the seconds it took to start and warm up the engine's workers."""
    rows = [(r["name"], f"{r['cold_start_s']:.2f}") for r in found["rows"] if "cold_start_s" in r]
    return pd.DataFrame(rows, columns=["comparison", "cold start, s"])


def bench_kept(found: dict) -> pd.DataFrame:
    """The attacks of `make kept`, in order: texts that the model was asked, how many fewer with answers kept; seconds, the share
    of these in the model, and the ratio to those with answers kept."""
    rows = pd.DataFrame(found["rows"])
    return rows[["attack", "variant"]].assign(**{
        "texts asked": rows["texts"],
        "found kept": [percent(1 - r.texts_kept / r.texts, 0) for r in rows.itertuples()],
        "all asked, s": rows["asked"].map("{:.1f}".format),
        "in the model": [percent(r.model / r.asked, 0) for r in rows.itertuples()],
        "times as fast": [f"{r.asked / r.kept:.2f}" if r.identical else "none: outcomes differ" for r in rows.itertuples()],
    })  # fmt: skip


def waits(found: dict, digits: int = 1) -> pd.DataFrame:
    """What `make waits` timed: seconds now and, where there is one, in the older checkout, with the range of the turns."""

    def shown(times: list[float] | None) -> str:
        if not times:
            return "—"
        middle, low, high = (f"{t:.{digits}f}" for t in times)
        return middle if low == high else f"{middle} [{low}, {high}]"

    rows = found["rows"]
    older = {f"before ({found['commits']['before']}), s": [shown(r.get("before")) for r in rows]} if "before" in found["commits"] else {}
    ratios = {"times as fast": [f"{r['before'][0] / r['now'][0]:.{digits}f}" for r in rows]} if older else {}
    return pd.DataFrame({"what": [r["name"] for r in rows]} | older | {"now, s": [shown(r["now"]) for r in rows]} | ratios)


def waits_said(found: dict) -> str:
    """Which commands got faster and which slower since the older checkout, beyond the range of their turns."""
    told = {"faster": [], "slower": []}
    for row in (row for row in found["rows"] if "before" in row):
        (_, low, high), (_, before_low, before_high) = row["now"], row["before"]
        for which, there in (("faster", high < before_low), ("slower", low > before_high)):
            told[which] += [f"*{row['name']}*"] if there else []
    said = [f"{which} than before: {', '.join(names) or 'none'}" for which, names in told.items()]
    return f"Beyond the range of the turns, {'; '.join(said)}."


def searches(found: dict) -> pd.DataFrame:
    """What `make search` timed: seconds an example of each attack, now and in the older checkout; no ratio where an outcome differs."""
    timed = waits(found, digits=2)
    if "times as fast" in timed:
        alike = [row["identical"] for row in found["rows"]]
        timed["times as fast"] = timed["times as fast"].where(alike, "none: outcomes differ")
    return timed.rename(columns={"what": "attack"}).assign(examples=[row["examples"] for row in found["rows"]])


def searches_said(found: dict) -> str:
    """How many attacked examples ended alike in both checkouts of `make search`, and between which ratios the times lie."""
    rows = [row for row in found["rows"] if "before" in row]
    if not rows:
        return "No older checkout was timed."
    alike, ratios = (row["examples"] for row in rows if row["identical"]), [row["before"][0] / row["now"][0] for row in rows]
    return (
        f"{sum(alike)} of {sum(row['examples'] for row in rows)} attacks are in comparisons whose every text and query count is equal. "
        f"The engine is {min(ratios):.2f} to {max(ratios):.2f} times as fast as at {found['commits']['before']}."
    )


def functions(found: dict, variant: str, most: int = 10) -> pd.DataFrame:
    """The share of the time that each attack on a variant spends inside a function, those first that take most of any attack."""
    shares = {row["attack"]: dict(row["functions"]) for row in found["rows"] if row["variant"] == variant}
    names = sorted({name for of in shares.values() for name in of}, key=lambda name: -max(of.get(name, 0) for of in shares.values()))
    told, rest = names[:most], "all others"
    return pd.DataFrame({"function": [*told, rest]} | {
        attack: [percent(share) for share in (*(of.get(name, 0) for name in told), 1 - sum(of.get(name, 0) for name in told))]
        for attack, of in shares.items()
    })  # fmt: skip


def functions_said(found: dict) -> str:
    """Which function takes the largest share, and between which shares of the time over all attacks and variants."""
    first = {row["functions"][0][0] for row in found["rows"]}
    shares = [row["functions"][0][1] for row in found["rows"]]
    asking = ", ".join(f"`{name}`" for name in sorted(first))
    return f"Asking the classifier ({asking}) takes {percent(min(shares), 0)} to {percent(max(shares), 0)} of the time."


def memory(found: dict) -> pd.DataFrame:
    """What `make memory` added up: megabytes that each worker beyond the first takes, now and in the older checkout, and those of so many workers."""
    sizes, said = found["sizes"], []
    for row in found["rows"]:
        line = {"backbone": row["model"], "variant": row["variant"], "each further one, MB": f"{further(row['now'], sizes):,.0f}"}
        if "before" in row:
            line[f"the same before ({found['commits']['before']}), MB"] = f"{further(row['before'], sizes):,.0f}"
        line |= {f"{size} worker{'s' * (size > 1)}, MB": f"{held:,}" for size, held in zip(sizes, row["now"], strict=True)}
        said.append(line)
    return pd.DataFrame(said)


def memory_said(found: dict) -> str:
    """What a further worker takes on the variant that takes most, and took in the older checkout."""
    most = max(found["rows"], key=lambda row: row["now"][-1])
    now, before = (further(most[side], found["sizes"]) if side in most else None for side in ("now", "before"))
    since = f" At {found['commits']['before']} it took {before:,.0f} MB." if before else ""
    return f"On `{most['model']}`, `{most['variant']}`, each further worker takes {now:,.0f} MB.{since}"


def further(held: list[float], sizes: list[int]) -> float:
    """Megabytes of each worker beyond the first, from those of `sizes` workers."""
    return (held[-1] - held[0]) / (sizes[-1] - sizes[0])


def device_rows(found: dict) -> pd.DataFrame:
    """What `qrsupport device` compared: how many texts get another label, and how far logits are apart."""
    rows = pd.DataFrame(found["agreement"])
    return pd.DataFrame({
        "compared": [f"{' on '.join(row.one)}, {' on '.join(row.other)}" for row in rows.itertuples()],
        "n": rows["n"], "other labels": rows["labels"],
        "largest difference": rows["largest"].map("{:.2g}".format), "root mean square": rows["rms"].map("{:.2g}".format),
    })  # fmt: skip


def device_said(found: dict) -> str:
    """How the emulation of 8 bits compares with the kernel, and whether a GPU took part."""
    (row,) = (row for row in found["agreement"] if row["other"][0] == catalog.EMULATED)
    said = "every logit is the same to the last bit" if row["largest"] == 0 else f"logits differ by at most {row['largest']:.2g}"
    where = "PyTorch on a GPU took no part in this record." if found["device"] == "cpu" else f"The GPU is {found['device']}."
    return f"Of {row['n']:,} texts {row['labels']:,} get another label from the emulation than from the kernel; {said}. {where}"


def device_speed(found: dict) -> pd.DataFrame:
    """Texts a second of each variant where `qrsupport device` asked it."""
    rows = pd.DataFrame(found["speed"])
    return rows[["variant", "device"]].assign(**{"texts a second": rows["texts_a_second"].map("{:.0f}".format)})


def device_searches(found: dict) -> pd.DataFrame:
    """Attacks where `qrsupport device` ran them: time, queries, and how many examples end as on the CPU."""
    rows = pd.DataFrame(found["searches"])
    return rows[["attack", "variant", "device", "examples"]].assign(**{
        "seconds an example": (rows["seconds"] / rows["examples"]).map("{:.3g}".format),
        "queries an example": (rows["queries"] / rows["examples"]).map("{:.0f}".format),
        "queries a second": (rows["queries"] / rows["seconds"]).map("{:,.0f}".format),
        "ended as on the CPU": ["" if same is None or same != same else f"{same:.0f}" for same in rows["same"]],
    })  # fmt: skip


def device_searched(found: dict) -> str:
    """How much longer each attack of `qrsupport device` took on the CPU, and how often it ended the same."""
    rows, said = found["searches"], []
    for here, there in zip(rows[::2], rows[1::2], strict=True):
        sides = [f"{row['variant']} ({row['device']})" for row in (here, there)]
        times = f"takes {here['seconds'] / there['seconds']:.2g} times as long on {sides[0]} as on {sides[1]}"
        said.append(f"The attack {there['attack']} {times}; {there['same']} of {there['examples']} examples end the same.")
    return " ".join(said)


def bench_missed(found: dict) -> str:
    """One sentence on the comparisons that miss their target, each with the time above the floor of the same model and
    attack, where it was measured."""
    rows = bench_rows(found)
    floors = {r["name"].rpartition(":")[0]: r["ratio"] for r in found["rows"] if r["name"].endswith(": floor")}
    lengths, said = {r["name"]: r.get("tokens") for r in found["rows"]}, []
    for row in rows[rows["met"] == "no"].itertuples():
        floor = floors.get(row.comparison.rpartition(":")[0])
        above = f"; {floor:.2f} times the floor" if floor else ""
        if (tokens := lengths.get(row.comparison)) and "stock" in row.comparison:
            above += f"; {PADDED} tokens are {PADDED / tokens:.0f} times the texts' length"
        said.append(f"{row.comparison} ({row.ratio}, target {row.target}{above})")
    return f"Missed: {', '.join(said)}." if said else "No target is missed."
