"""The study's results in words: the verdict, from findings alone."""

import pandas as pd

from .. import catalog
from ..analysis import gains, outcomes, paper_claims, sweep, transfers
from ..report.tables import percent
from . import findings, limits, parts, trained
from .findings import AGAINST, FOR, LEVEL, Finding, interval

ANSWERS = {
    "robust": "By the plan's rules 8-bit dynamic quantization makes these classifiers more robust.",
    "only different": "By the plan's rules 8-bit dynamic quantization does not make these classifiers robust, only different.",
    findings.UNDECIDED: "By the plan's rules the records leave it undecided whether quantization makes these classifiers robust.",
    findings.MISSING: "The records that the verdict needs are not there yet.",
}
TRANSFER = {
    FOR: "Under transfer it recovers more than noise of its size.",
    AGAINST: "Under transfer it recovers no more than noise of its size.",
}

SWARM = "pso"


def verdict(found: list[Finding]) -> str:
    """The verdict in a few sentences, with the numbers of both primary outcomes."""
    answer = findings.verdict(found)
    if answer == findings.MISSING:
        return ANSWERS[answer]
    itself, suite = (interval(finding.gain) for finding in found[:2])
    numbers = f"Attacked itself, `int8-dynamic` gains {itself} over `fp32`; over all attacks of the suite that are published {suite}."
    return " ".join(filter(None, (ANSWERS[answer], numbers, TRANSFER.get(found[2].verdict))))


def answer(rows: pd.DataFrame, units: tuple[int, int], n: int = gains.DRAWS) -> list[str]:
    """The book's answer in four parts or five, from the main rows; one sentence where the verdict lacks records.

    `units`: how many of the planned units that bear on it are published whole, and how many are planned.
    """
    found = findings.all_of(rows, n)
    answer, moved = findings.verdict(found), replayed(rows, n)
    if answer == findings.MISSING or not moved:
        return [ANSWERS[findings.MISSING]]
    there = [name for name in findings.DATASETS if (rows["dataset"] == name).any()]
    missing = "" if len(there) == len(findings.DATASETS) else f" of {', '.join(findings.DATASETS)}"
    own, suite = found[:2]
    beyond = f", and {interval(own.excess)} beyond the mean of such noise" if own.excess else ""
    return [
        f"{ANSWERS[answer]} That is preliminary: it rests on {units[0]} of the plan's {units[1]} units that bear on it, "
        f"on {_sized(findings.BACKBONE)} and the data {', '.join(there)}{missing}, and on those attacks of the suite that these units hold.",
        f"**Replayed.** {moved}",
        f"**Attacked itself**, `int8-dynamic` gains {interval(own.gain)} over `fp32`{beyond} (H1: {own.verdict}); over all attacks so "
        f"far it gains {interval(suite.gain)} (H2: {suite.verdict}).",
        f"**Held to few words** (an outcome that the plan did not name at first). {few(rows, n)}",
        *trained.short(rows, n),
    ]


def _sized(backbone: str) -> str:
    """A backbone and how large it is."""
    layers, width, _ = catalog.BACKBONES[backbone].shape
    return f"`{backbone}` ({layers} layers of {width})"


def _ease(found: dict) -> str:
    """How easy int8 is to fool beside fp32, from its gain."""
    if found["lower"] <= 0 <= found["upper"]:
        return "as easy to fool, so far as the interval tells"
    return "easier to fool" if found["upper"] < 0 else "harder to fool"


def few(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """int8's gain where an attack may change few words, one sentence."""
    later = limits.since(rows)
    found, fresh = (limits.pooled(part, limits.FEW, n) for part in (rows, later))
    after = f"; on what was attacked after this had been noticed it is {interval(fresh)}" if fresh["places"] else ""
    after = ", all of it attacked after this had been noticed" if len(later) == len(rows) else after
    most = f"{100 * limits.FEW:.0f} % of a text's words at most"
    return f"Where an attack may change {most}, `int8-dynamic` is {_ease(found)}: the difference is {interval(found)}{after}."


def apart(rows: pd.DataFrame, n: int = gains.DRAWS) -> list[str]:
    """What the models that were not looked at first say of the direct gain, a paragraph with a list a backbone, in Markdown."""
    said = []
    for backbone, whole in rows.groupby("backbone", sort=False):
        part = findings.usual(whole)
        own, clean = findings.direct(part, n), gains.pooled(outcomes.clean(part), findings.VARIANT, findings.SOURCE, n)
        if own.gain["places"]:
            beyond = "not yet set beside such noise"
            if own.excess and own.excess["places"]:
                beyond = f"and {interval(own.excess)} beyond the mean of such noise ({_seeds(own.excess)})"
            least = "" if own.gain["places"] == 1 else "at least "
            lead = (
                f"**{_sized(backbone)} on {', '.join(own.gain['datasets'])}**, not part of that verdict ({least}{_seeds(own.gain)}, up to "
                f"{own.gain['n']} examples). Attacked itself, `int8-dynamic` gains {interval(own.gain)} over `fp32`, {beyond}. Its "
                f"clean accuracy differs by {interval(clean)}."
            )
            said.append("\n".join([lead, *(f"  - {more}" for more in _beside(whole, part, n) if more)]))
    return said


def _beside(whole: pd.DataFrame, part: pd.DataFrame, n: int) -> list[str]:
    """What qualifies a backbone's direct gain, a sentence each, empty where there is no record: which part of 8 bits it is
    that of, the other attacks, the strict constraint, few words."""
    suite, strict = findings.worst(part, n).gain, limits.strict(whole, n)
    return [
        parts.halved(part, n),
        f"Over all attacks so far `int8-dynamic` gains {interval(suite)}." if suite["places"] else "",
        f"Under a strict sentence constraint it differs by {interval(strict)} ({', '.join(strict['datasets'])})." if strict["places"] else "",
        few(part, n),
    ]


def _seeds(found: dict) -> str:
    """How many seeds a comparison has."""
    return f"{found['seeds']} seed{'s' if found['seeds'] > 1 else ''}"


def replayed(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """What fp32's adversarial set says of int8 and of noise, beside the paper's number; empty without records of both."""
    counted, noise = findings.replayed(rows, n)
    if not counted["places"] or not noise["places"]:
        return ""
    return (
        f"Put to `int8-dynamic` in place of `fp32`, texts made to fool `fp32` give {interval(counted)} more accuracy over the whole "
        f"adversarial set; the paper, which counts so as we read it, reports {paper_claims.CLAIMS[0].percent:+.2f} %. Noise that moves "
        f"the logits as much gives {interval(noise)}."
    )


def summary(found: list[Finding], rows: pd.DataFrame) -> str:
    """What the figure `figures.summary` shows, from the findings on its rows."""
    own, recovered, other = found[0], found[2], findings.seed(rows)
    said = f"Attacked itself, `int8-dynamic` differs from `fp32` by {interval(own.gain)}"
    if own.excess and own.excess["places"]:
        said += f" and from noise that moves the logits as much by {interval(own.excess)}"
    if recovered.gain["places"] and other["places"]:
        said += (
            f". Of the texts that fooled `fp32`, it recovers {interval(recovered.gain)} more than such noise, "
            f"and a classifier fine-tuned from another seed recovers {interval(other)} more than it"
        )
    names = ", ".join(sorted(rows["dataset"].unique()))
    return f"{said}. Datasets: {names}; backbone: {findings.BACKBONE}."


def seeds(rows: pd.DataFrame) -> str:
    """One sentence: what another seed recovers beside int8."""
    found = findings.seed(rows)
    if not found["places"]:
        return "No record of another seed yet."
    return f"Another fine-tuning seed recovers {interval(found)} more of `fp32`'s adversarial texts than `int8-dynamic`."


def again(rows: pd.DataFrame) -> str:
    """How alike the fine-tunings of one seed on two kinds of processor are, one sentence each; empty without any."""
    clean = rows[(rows["kind"] == "clean") & (rows["variant"] == findings.SOURCE)]
    said = []
    for (dataset, backbone, seed), part in clean.groupby(["dataset", "backbone", outcomes.number(clean)]):
        first, *others = (fit.set_index("example")["answer"] for _, fit in part.groupby("seed"))
        said += [
            f"Seed {seed} of `{backbone}` on {dataset}, fine-tuned again, gives {percent(float((first == other.reindex(first.index)).mean()))} "
            "of the clean texts the label that the first gives them."
            for other in others
        ]
    return " ".join(said)


def saturating(manifests: list[dict]) -> str:
    """How many pairs of weights can saturate, by model, from the manifests; empty without any."""
    found = {}
    for about in manifests:
        if about.get("saturating"):
            found[about["parameters"]["dataset"], about["parameters"]["backbone"]] = about["saturating"]
    said = [f"{n['pairs']:,} of {n['of']:,} in `{backbone}` on {dataset}" for (dataset, backbone), n in found.items()]
    return f"Pairs of weights that any activations could make saturate: {'; '.join(said)}." if said else ""


def swarm(rows: pd.DataFrame, n: int = gains.DRAWS) -> str:
    """What PSO, which no hypothesis is about, does to fp32 beside TextFooler on the same examples, the gains under it, and
    what int8 recovers of its texts beside noise and another seed."""
    there = rows.loc[(rows["attack"] == SWARM) & (rows["kind"] == "direct"), [*outcomes.MODEL, "example"]].drop_duplicates()
    same = rows.merge(there)
    found, moved = (read(same[same["attack"] == SWARM]) for read in (outcomes.direct, transfers.outcomes))
    controls = [name for name in findings.CORE[2:] if name in set(found["variant"])]
    own = gains.pooled(found, findings.VARIANT, findings.SOURCE, n)
    if not own["places"]:
        return "No record of PSO yet."
    gained = [f"`{name}` {interval(gains.pooled(found, name, findings.SOURCE, n))}" for name in controls]
    more = [f"`{name}` by {interval(gains.pooled(moved, findings.VARIANT, name, n))}" for name in controls]
    return (
        f"Of the texts that `fp32` gets right, PSO turns {limits.turned(same, SWARM)}; TextFooler, on the same texts, "
        f"{limits.turned(same, limits.LOOSE)}. For PSO `int8-dynamic` is {_ease(own)}: each attacked itself, its difference from "
        f"`fp32` is {interval(own)}; beside it stand {', '.join(gained)}. What `int8-dynamic` recovers of the texts that PSO made for `fp32` differs from what is recovered by {', '.join(more)}."
    )


def widths(rows: pd.DataFrame) -> str:
    """The width sweep: which widths gain or lose attacked themselves, after Holm's correction, and what each kept unattacked."""
    known = sweep.measures(rows)
    found = gains.cells(sweep.examples(rows), [name for name in catalog.SWEEP if name in set(known["variant"])])
    if not len(found):
        return "No record yet."
    whole = known[known["variant"] == "fp32"].set_index(sweep.CELL)
    clear = found[found["p_holm"] < LEVEL].join(known.set_index([*sweep.CELL, "variant"])["clean"], on=[*sweep.CELL, "variant"])
    clear = clear.join(whole["clean_lower"], on=sweep.CELL)
    kept, parts = ((clear["gain"] > 0) & (clear["clean"] >= clear["clean_lower"])).sum(), []
    for did, part in (("gain", clear[clear["gain"] > 0]), ("lose", clear[clear["gain"] < 0])):
        named = [f"`{r.variant}` ({100 * r.gain:+.1f} points; clean accuracy {percent(r.clean)})" for r in part.itertuples()]
        parts.append(f"{len(part)} {did}{': ' if named else ''}{', '.join(named)}")
    return (
        f"Widths and `fp32`, each attacked itself on the same examples: {len(found)} comparisons (exact McNemar tests, Holm's correction). "
        f"{'; '.join(parts)}. `fp32` itself has a clean accuracy of {percent(whole['clean'].mean())} and keeps {percent(whole['direct'].mean())} "
        f"under attack. Of the widths that gain, {kept or 'none'} held clean accuracy above the lower end of `fp32`'s 95 % interval."
    )


def lines(found: list[Finding]) -> str:
    """The findings as a list in Markdown."""
    return "\n".join(f"- {finding.said}" for finding in found)
