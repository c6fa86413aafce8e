"""What 8 bits do to a given checkpoint, on one page: attacks, controls, a verdict computed from the records."""

import dataclasses
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from .. import config, pipeline, store
from ..analysis import metrics, recovery
from ..attacks import tasks
from ..data import datasets
from ..errors import QRError
from ..lexicons import resources
from ..report import show
from ..report.tables import Html, escape, estimate, p_value, points, visible
from ..report.widths import variant_table
from ..training import fine_tuning
from . import execution, measure

CONTROLS = ("noise-1", "noise-2", "noise-3")
VARIANTS = ("fp32", "int8-dynamic", *CONTROLS)
ATTACKS = ("textfooler", "pwws")
LEVEL = 0.05
DEFAULTS = {"epochs": 0, "n": 100, "splits": "10/10/80", "workers": 0}
WORDS = {
    "embedded": "words from the small thesaurus inside the package, which knows few words of most texts: a weak attack",
    "local": "words from the files under QRSUPPORT_DATA",
    "published": "the words that each recipe names",
}
STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}"
    "table{border-collapse:collapse;font-size:.9rem;margin:1rem 0}td,th{border:1px solid #bbb;padding:.25rem .5rem;"
    "text-align:left}caption{text-align:left;font-weight:600;padding:.25rem 0}.verdict{border-left:4px solid #0072b2;"
    "padding:.5rem 1rem;background:#f2f7fb}.warning{border-left:4px solid #d55e00;padding:.5rem 1rem;background:#fdf3ec}"
)


@dataclass(frozen=True)
class Audit:
    """All that was measured of one checkpoint: records of the attacks, replays of fp32's, clean predictions, latency by
    variant (`variants.latencies`), and the warning that came with the checkpoint, if any."""

    p: config.Parameters
    attacked: list
    replays: list
    clean: list
    latency: dict[str, dict]
    warning: str


def words_at_hand(attacks, network: bool = False) -> str:
    """The resource set to take where none is named: `local` if all its parts for `attacks` are at hand, else `embedded`."""
    try:
        for attack in attacks if os.environ.get("QRSUPPORT_DATA") else ():
            resources.load("local", network, attack)
    except QRError:
        return "embedded"
    return "local" if os.environ.get("QRSUPPORT_DATA") else "embedded"


def audit(p: config.Parameters, attacks=ATTACKS, progress: bool = True) -> Audit:
    """Attacks each of `VARIANTS` of the checkpoint `p.backbone` with each of `attacks`, or loads what is there already.

    Raises what `pipeline.checkpoint` and `pipeline.attack` raise; a run that was stopped goes on where it was.
    """
    taken = store.meta(pipeline.checkpoint(p))
    latency = execution.latencies(p, VARIANTS)
    clean = [pipeline.clean(p, name) for name in VARIANTS]
    attacked, replays = [], []
    jobs = [(dataclasses.replace(p, attack=attack), name) for attack in attacks for name in VARIANTS]
    for q, name in tqdm(jobs, desc="audit", unit="attack", disable=not progress):
        found = measure.attacked_and_replayed(q, name)
        attacked, replays = attacked + found[0], replays + found[1]
    return Audit(p, attacked, replays, clean, latency, taken.get("warning", ""))


# The verdict ----------------------------------------------------------------------------------------------------------


def verdict(found: Audit) -> str:
    """One paragraph: what 8 bits cost, what they gain under direct attack and under transfer, beside the controls."""
    direct = metrics.pairs(found.attacked, among=("fp32", "int8-dynamic"))
    controls = recovery.against_controls(found.replays, ("int8-dynamic",), CONTROLS)
    transfer = metrics.transfer(metrics.replay_frames(found.replays))
    accuracy = metrics.direct(metrics.frames(found.attacked))
    said = [_cost(found)]
    for attack in dict.fromkeys(r.attack for r in found.attacked):
        rows, back = (df[df["attack"] == attack] for df in (accuracy, transfer))
        said.append(_direct(attack, rows.set_index("variant"), _one(direct, attack)))
        said.append(_transfer(back.set_index("target"), controls[controls["attack"] == attack]))
    return " ".join(said)


def _one(df: pd.DataFrame, attack: str) -> pd.Series:
    return df[df["attack"] == attack].iloc[0]


def _shown(row: pd.Series, name: str) -> str:
    return estimate(*(row[f"{name}{end}"] for end in ("", "_lower", "_upper", "_n")))


def _cost(found: Audit) -> str:
    """The clean accuracy of both precisions, agreement of labels, bytes and time."""
    rows = metrics.clean(found.clean).set_index("variant")
    fp32, int8 = rows.loc["fp32"], rows.loc["int8-dynamic"]
    time = {name: m["median"] for name, m in found.latency.items()}
    return (
        f"8 bits change clean accuracy by {points(100 * (int8['accuracy'] - fp32['accuracy']))} points, from "
        f"{_shown(fp32, 'accuracy')} to {_shown(int8, 'accuracy')}; give the same label as 32 bits to "
        f"{_shown(int8, 'agreement')} of the texts; take {int8['bytes'] / 1e6:.3g} MB in place of "
        f"{fp32['bytes'] / 1e6:.3g}; and answer in {time['int8-dynamic']:.3g} ms in place of {time['fp32']:.3g} (median, "
        "one text, one thread)."
    )


def _direct(attack: str, rows: pd.DataFrame, pair: pd.Series) -> str:
    """What each precision holds under an attack made for it, and whether they differ."""
    gain = 100 * pair["difference"]
    differ = pair["p_holm"] < LEVEL
    what = ("more robust" if gain > 0 else "less robust") if differ else "no difference that so many texts could show"
    spread = [100 * rows.loc[name, "accuracy"] for name in CONTROLS]
    return (
        f"Attacked directly by {attack}, 32 bits hold {_shown(rows.loc['fp32'], 'accuracy')} and 8 bits "
        f"{_shown(rows.loc['int8-dynamic'], 'accuracy')} ({points(gain)} points, McNemar p {p_value(pair['p_holm'])} "
        f"after Holm's correction): {what}. The controls, 32 bits with noise as large as the rounding, hold "
        f"{min(spread):.1f} to {max(spread):.1f} %."
    )


def _transfer(rows: pd.DataFrame, tests: pd.DataFrame) -> str:
    """What each gets right of the texts that fooled fp32, and whether 8 bits win more back than the controls."""
    if not rows["recovery_n"].max():
        return "No text fooled 32 bits, so nothing can be said of transfer."
    beaten = int(((tests["direction"] == "more") & (tests["p_holm"] < LEVEL)).sum())
    what = (
        "more than each of the controls, so more than being different" if beaten == len(CONTROLS)
        else f"more than {beaten} of {len(CONTROLS)} controls" if beaten
        else "no more than the controls that so many texts could show, so no sign of robustness"
    )  # fmt: skip
    controls = "; ".join(_shown(rows.loc[name], "recovery") for name in CONTROLS)
    return (
        f"Of its texts that fooled 32 bits, 8 bits get {_shown(rows.loc['int8-dynamic'], 'recovery')} right again "
        f"(recovery rate), the controls {controls}: {what}."
    )


# The page -------------------------------------------------------------------------------------------------------------


def page(found: Audit) -> str:
    """The whole page as HTML that needs nothing beside it; everything from the data is escaped."""
    p, clean = found.p, metrics.clean(found.clean)
    grid = metrics.headline(found.attacked, found.replays, found.clean)
    transfer = metrics.transfer(metrics.replay_frames(found.replays))
    warning = f'<p class="warning">Warning: {escape(found.warning)}.</p>' if found.warning else ""
    title = escape(f"What 8 bits do to {Path(p.backbone).name} on {config.dataset_name(p.dataset)}")
    parts = [
        f"<h1>{title}</h1>", warning, f'<p class="verdict">{escape(verdict(found))}</p>', f"<p>{escape(about(found))}</p>",
        "<h2>Each variant</h2>", *_shows(variant_table(grid, clean, found.latency), show.accuracy_grid(grid)),
        "<h2>Direct attack</h2>", *_shows(show.direct_table(metrics.direct(metrics.frames(found.attacked)))),
        "<h2>Transfer</h2>", *_shows(show.transfer_table(transfer), show.transfer_bars(transfer)),
        "<h2>8 bits against each other variant</h2>",
        *_shows(show.pairs_table(metrics.pairs(found.attacked, found.replays, found.clean, against="int8-dynamic"))),
        "<h2>What the attacks changed</h2>", *_shows(*_examples(found)),
        "<h2>The parameters</h2>", *_shows(_parameters(p)),
    ]  # fmt: skip
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def about(found: Audit) -> str:
    """What was attacked, how often, with whose words, and which control is not to be had."""
    p, split = found.p, datasets.load(found.p).eval_split()
    return (
        f"{min(p.n, len(split.texts))} texts of the {len(split.texts)} in the evaluation split were attacked (seed "
        f"{p.attack_seed}), with {p.resources} resources: {WORDS[p.resources]}. Intervals are 95 % Wilson intervals. The "
        "control other-seed, the same fine-tuning with another seed, cannot be had for a given checkpoint. "
        f"{fine_tuning.hardware()}; " + ", ".join(f"{name} {version(name)}" for name in tasks.VERSIONS) + "."
    )


def _shows(*items) -> list[str]:
    return [item._repr_html_() for item in items]


def _examples(found: Audit) -> list[Html]:
    """Three successes of each attack on the 8-bit variant."""
    mine = [r for r in found.attacked if r.variant == "int8-dynamic"]
    names = datasets.classes(found.p)
    return [show.diff_table([r for r in mine if r.attack == a], 3, names) for a in dict.fromkeys(r.attack for r in mine)]


def _parameters(p: config.Parameters) -> Html:
    """The parameters that differ from the defaults of the package."""
    rows = [(f.name, str(getattr(p, f.name))) for f in dataclasses.fields(p) if getattr(p, f.name) != f.default]
    return show.table(pd.DataFrame(rows, columns=["parameter", "value"]), "Set for this audit")


def write(found: Audit, folder: Path) -> Path:
    """Writes the page to `folder`/index.html and returns the file."""
    store.write_text(Path(folder) / "index.html", page(found))
    return Path(folder) / "index.html"


def default_folder(p: config.Parameters) -> Path:
    """Where the page goes if no folder is named: below the run directory, one for each checkpoint, data and settings."""
    name = tasks.name(p, config.key(config.identity(p, "int8-dynamic", attack=True)))
    return config.run_dir(p) / "audits" / visible(name)
