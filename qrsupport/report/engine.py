"""What the page on the engine shows of its measurements: speed beside TextAttack, time by function, waits, memory, a GPU.

Each function takes the content of a record in book/results and gives a table, or a sentence about it.
"""

import pandas as pd

from .. import catalog
from . import tables

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
        "found kept": [tables.percent(1 - r.texts_kept / r.texts, 0) for r in rows.itertuples()],
        "all asked, s": rows["asked"].map("{:.1f}".format),
        "in the model": [tables.percent(r.model / r.asked, 0) for r in rows.itertuples()],
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
        attack: [tables.percent(share) for share in (*(of.get(name, 0) for name in told), 1 - sum(of.get(name, 0) for name in told))]
        for attack, of in shares.items()
    })  # fmt: skip


def functions_said(found: dict) -> str:
    """Which function takes the largest share, and between which shares of the time over all attacks and variants."""
    first = sorted({row["functions"][0][0] for row in found["rows"]})
    shares = [row["functions"][0][1] for row in found["rows"]]
    names = ", ".join(f"`{name}`" for name in first)
    return f"Most of the time goes into {names}: {tables.percent(min(shares), 0)} to {tables.percent(max(shares), 0)}."


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
