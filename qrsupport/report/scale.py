"""What the workflow itself costs, from the file that `make scale` writes."""

from pathlib import Path

import pandas as pd

from .. import store
from . import tables

ADVICE = "`make scale` writes it anew"


def read(path: Path) -> dict:
    """The measurements: `planning` (rows of jobs, seconds, megabytes), `overhead` (seconds a job), `attack`, `machine`, `load`.

    Raises StaleArtefact if the file cannot be read.
    """
    return store.read_json(path, advice=ADVICE)


def planning(found: dict) -> tables.Html:
    """How long planning takes, and how much memory, by the number of jobs."""
    rows = pd.DataFrame(found["planning"]).astype(object)
    shown = pd.DataFrame({
        "jobs": [f"{n:,}" for n in rows["jobs"]], "seconds": [f"{s:.1f}" for s in rows["seconds"]],
        "megabytes": [f"{m:,}" for m in rows["megabytes"]],
    })  # fmt: skip
    about = (
        f"Planning a grid of so many jobs, nothing run. {found['machine']}, {found['attack']['cores']} cores; processes that "
        f"wanted to run before it: {found['load']}"
    )
    return tables.table(shown, about, keys=())


def said(found: dict) -> str:
    """What the other measurements show, in Markdown."""
    a, most = found["attack"], max(found["planning"], key=lambda row: row["jobs"])
    each = 1000 * most["seconds"] / most["jobs"]
    return (
        f"A job costs {each:.1f} ms of planning when there are {most['jobs']:,}. The engine adds {found['overhead']:.2f} s to each "
        f"job that it runs. One attack on {a['n']} examples takes {a['bare']:.0f} s as a bare call. The whole workflow with its "
        f"{a['shards']} shards takes {a['one']:.0f} s on one core and {a['all']:.0f} s on {a['cores']}, "
        f"{a['one'] / a['all']:.1f} times as fast. A record takes {a['bytes_a_record']:,} bytes, an attack's folder {a['files']} files."
    )
