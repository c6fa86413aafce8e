"""The foot of a page: the command that made it, with what, on what, when, and how long it took."""

import datetime
import json
import shlex
from importlib.metadata import version
from pathlib import Path

from .. import config, project, provenance
from ..escaping import markdown, visible
from ..training import fine_tuning

KEY = "qrsupport"
"""Where an executed notebook's metadata hold what `about` returns."""
LIBRARIES = ("qrsupport", "torch", "transformers", "onnxruntime", "textattack", "numpy")


def about() -> dict:
    """What a page is made with, here and now: CPU, versions, commit, date."""
    return {
        "machine": fine_tuning.hardware(),
        "versions": {name: version(name) for name in LIBRARIES},
        "commit": provenance.commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def of_chapter(chapter: str, given: dict, seconds: float) -> dict:
    """`about`, and the command and effective parameters of an executed chapter."""
    set_here = {name: value for name, value in given.items() if name not in config.PLACE}
    arguments = " ".join(f"-p {name} {shlex.quote(str(value))}" for name, value in sorted(set_here.items()))
    effective = {name: config.FIELDS[name].default for name in project.parameters(chapter) if name not in config.PLACE}
    command = f"qrsupport run {chapter} {arguments}".strip()
    return {"command": command, "parameters": effective | set_here, "seconds": round(seconds, 1)} | about()


def text(found: dict) -> str:
    """The foot in MyST Markdown, folded; `found` as `of_chapter` or `about` returns it.  Empty for an empty `found`."""
    if not found:
        return ""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    took = f", in {_time(found['seconds'])}" if "seconds" in found else " while the site was built"
    commit = f", commit `{found['commit']}`" if found["commit"] else ""
    parts = [f"The code of this page ran on {found['date']}{took}, on {markdown(found['machine'])}, with {versions}{commit}."]
    if "command" in found:
        given = "\n".join(f"{name} = {json.dumps(value)}" for name, value in found["parameters"].items())
        parts += [f"This command makes its records again:\n\n```bash\n{visible(found['command'])}\n```"]
        parts += [f"All parameters:\n\n```text\n{given}\n```"]
    body = "\n\n".join(parts)
    return f"\n::::{{dropdown}} How this page was made\n{body}\n::::\n"


def times(folder: Path):
    """The executed chapters in a folder of notebooks: how long each took, on what, when; a `tables.Html`."""
    import pandas as pd

    from ..report import tables

    rows = []
    for name, template in project.chapters().items():
        file = Path(folder) / template.name
        found = json.loads(file.read_text("utf-8"))["metadata"].get(KEY) if file.is_file() else None
        seconds, machine, date = (found[key] for key in ("seconds", "machine", "date")) if found else (None, None, None)
        rows.append([name, "not run" if seconds is None else _time(seconds), machine or "", date or ""])
    names = ["chapter", "time", "CPU", "date"]
    return tables.table(pd.DataFrame(rows, columns=names), "How long each chapter's page took, with what earlier chapters had made at hand")


def _time(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02} minutes" if seconds >= 60 else f"{seconds:.1f} seconds"
