"""What `qrsupport candidates` wrote, shown: what each sentence encoder refuses, and what our lists hold."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .. import store
from ..analysis import metrics
from ..errors import StaleArtefact
from .tables import Html, estimate, percent, table

USED = "Universal Sentence Encoder"


@dataclass(frozen=True)
class Candidates:
    """A file of `qrsupport candidates`: `about` (parameters, versions), a row an encoder, a row a log and list, what
    the other neighbour list would add."""

    about: dict
    encoders: pd.DataFrame
    coverage: pd.DataFrame
    added: dict


def read(file: Path) -> Candidates:
    """The measures in a file.

    Raises StaleArtefact, naming the file, if it is none of `qrsupport candidates`'.
    """
    content = store.read_json(file)
    try:
        encoders, coverage = (pd.DataFrame(content.pop(kind)) for kind in ("encoders", "coverage"))
        found = Candidates(content, encoders, coverage, content.pop("added"))
        encoder_table(found), refusals(found), coverage_table(found), coverage_said(found), merging(found)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as e:
        raise StaleArtefact(f"{file} was not written by `qrsupport candidates` ({type(e).__name__}: {e})") from e
    return found


def share(count: int, n: int) -> str:
    """A proportion with its 95 % Wilson interval."""
    found = metrics.proportion(int(count), int(n), "x")
    return estimate(found["x"], found["x_lower"], found["x_upper"], int(n))


def encoder_table(found: Candidates) -> Html:
    """Each encoder: agreement with people's grades, threshold, what it refuses and lets pass, time."""
    rows = found.encoders
    shown = pd.DataFrame(
        {
            "encoder": rows["encoder"],
            "STS-B dev": rows["pearson_dev"].map("{:.2f}".format),
            "STS-B test": rows["pearson_test"].map("{:.2f}".format),
            "threshold": [f"{t:.3f} ({whose})" for t, whose in zip(rows["threshold"], rows["from"], strict=True)],
            "candidates refused": [share(*pair) for pair in zip(rows["refused"], rows["candidates"], strict=True)],
            "published swaps let pass": [
                share(*pair) for pair in zip(rows["published_passed"], rows["published"], strict=True)
            ],
            "ms a window": rows["milliseconds"],
        }
    )
    return table(shown, "Each sentence encoder; Pearson correlation with the grades; 95 % Wilson intervals")


def refusals(found: Candidates) -> str:
    """What the table of encoders shows."""
    rows = found.encoders.assign(
        refuses=found.encoders["refused"] / found.encoders["candidates"],
        passes=found.encoders["published_passed"] / found.encoders["published"],
    )
    rows = rows.sort_values("refuses", ascending=False)
    listed = ", ".join(f"{row.encoder} {percent(row.refuses)}" for row in rows.itertuples())
    used, nearest = rows.set_index("encoder").loc[USED], rows.loc[rows["pearson_test"].idxmax()]
    calibrated = percent(used["refused_calibrated"] / used["candidates"])
    return (
        f"Of {used['candidates']:,} candidates in {used['texts']} texts, refused: {listed}. "
        f"Of {used['published']} swaps that TextFooler's own encoder let pass in published attacks, the {USED} at "
        f"the recipe's threshold lets {percent(used['passes'])} pass. "
        f"The closest to people's grades is {nearest['encoder']} ({nearest['pearson_test']:.2f} on the test part; the "
        f"{USED} {used['pearson_test']:.2f}); a window takes it {nearest['milliseconds'] / used['milliseconds']:.1f} "
        f"times as long as the {USED}. At the threshold that separates pairs of STS-B best, "
        f"{used['calibrated']:.3f}, the {USED} would refuse {calibrated}."
    )


def coverage_table(found: Candidates) -> Html:
    """Each published log and list of ours: the share of its substitutions that the list holds."""
    rows = found.coverage
    shown = rows[["log", "list"]].copy()
    shown["substitutions held"] = [share(*pair) for pair in zip(rows["held"], rows["n"], strict=True)]
    shown["distinct ones held"] = [share(*pair) for pair in zip(rows["held_distinct"], rows["n_distinct"], strict=True)]
    shown["old words listed"] = [percent(a / b) for a, b in zip(rows["listed"], rows["n"], strict=True)]
    return table(shown, "What our lists hold of the substitutions in published attacks; 95 % Wilson intervals")


def coverage_said(found: Candidates) -> str:
    """What the table of coverage shows, for the lists that are used: lowest and highest share a resource."""
    used = found.coverage[found.coverage["list"].str.endswith("(used)")]
    used = used.assign(share=used["held"] / used["n"])
    said = []
    for resource, rows in used.groupby("resource", sort=False):
        low, high = percent(rows["share"].min()), percent(rows["share"].max())
        said.append(f"of {resource} {low}" + (f" to {high}, by log" if low != high else ""))
    return f"Our lists hold {'; '.join(said)}."


def merging(found: Candidates) -> str:
    """What merging the two neighbour lists would bring, and what it would cost."""
    rows = found.coverage[found.coverage["resource"] == found.coverage["resource"].iloc[0]]
    held = rows.groupby("list", sort=False)[["held", "n"]].sum()
    shares = ", ".join(f"{name}: {percent(row.held / row.n)}" for name, row in held.iterrows())
    added = found.added
    return (
        f"Over all logs made with these vectors: {shares}. Merging would add {added['words']:,} words to "
        f"{added['lists']:,} lists; at least {added['beyond']:,} of them lie farther away than 0.7, the bound by which "
        "every listed word is known to meet TextFooler's constraint on distance."
    )
