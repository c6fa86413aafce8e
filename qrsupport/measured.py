"""What `qrsupport measure` wrote, read and shown: many variants of one checkpoint side by side."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from . import catalog, store, widths
from .errors import StaleArtefact
from .report import pairs_table
from .tables import Html, points

LEVEL = 0.05


@dataclass(frozen=True)
class Measured:
    """A file of `qrsupport measure`: `about` (machine, versions, parameters, latency by variant) and the tables
    `metrics.headline`, `metrics.clean` and `metrics.pairs` of its records."""

    about: dict
    grid: pd.DataFrame
    clean: pd.DataFrame
    pairs: pd.DataFrame


def read(file: Path) -> Measured:
    """The measures in a file.

    Raises StaleArtefact, naming the file, if it is none of `qrsupport measure`'s.
    """
    content = store.read_json(file)
    try:
        tables = [pd.DataFrame(content.pop(kind)) for kind in ("grid", "clean", "pairs")]
        found = Measured(content, *tables)
        about(found), table(found)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise StaleArtefact(f"{file} was not written by `qrsupport measure` ({type(e).__name__}: {e})") from e
    return found


def about(found: Measured) -> str:
    """One paragraph: what was measured, on what, with which versions."""
    p, n = found.about["parameters"], int(found.grid["direct_n"].max())
    attacked = f"{p['attack']} with {p['resources']} resources, {n} examples (attack seed {p['attack_seed']})"
    versions = ", ".join(f"{name} {number}" for name, number in sorted(found.about["versions"].items()))
    return (
        f"{p['backbone']} on {p['dataset']}, seed {p['seed']}, {p['epochs']} epochs; {attacked}; "
        f"{len(found.grid)} variants. {found.about['machine']}; {versions}."
    )


def table(found: Measured) -> Html:
    """Each variant: size, time, clean accuracy, agreement with fp32, direct and transfer accuracy."""
    return widths.variant_table(found.grid, found.clean, found.about["latency"])


def _against_fp32(found: Measured, protocol: str) -> pd.DataFrame:
    rows = found.pairs[found.pairs["protocol"] == protocol]
    return rows[[("fp32" in (a, b)) for a, b in zip(rows["variant_a"], rows["variant_b"], strict=True)]]


def differing(found: Measured, protocol: str) -> Html:
    """The variants whose accuracy under a protocol differs from that of fp32: Holm-corrected p below 0.05."""
    rows = _against_fp32(found, protocol)
    return pairs_table(rows[rows["p_holm"] < LEVEL])


def verdict(found: Measured, protocol: str, variant: str = "int8-dynamic") -> str:
    """One sentence: how many variants differ from fp32 under a protocol, and whether `variant` is one of them."""
    rows = _against_fp32(found, protocol)
    differ = rows[rows["p_holm"] < LEVEL]
    row = rows[rows["variant_b"] == variant].iloc[0]
    simulated = sum(catalog.execution(name) == "simulated" for name in differ["variant_b"])
    return (
        f"Under *{protocol}*, {len(differ)} of {len(rows)} variants differ from `fp32` ({simulated} of them simulated); "
        f"`{variant}` differs by {points(100 * row['difference'])} points, p {row['p_holm']:.2g} after correction."
    )
