"""Making the book: run the workflow, stage the executed chapters, build the site, print the headline."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import joblib
import yaml
from tqdm import tqdm

from .. import config, profiles, project, store
from ..errors import ChapterFailed
from ..training import pretrained
from . import chapters, foot, grid, kept, launch

INSTEAD = "bert-small"
RUNS_NOW = "file_format: mystnb"
"""What the head of a page says whose code runs while the site is built."""


def runs(profile: str, given: dict) -> Path:
    """The run directory of a profile: the one asked for, else one below _build for each profile and set of overrides,
    so that no table mixes them."""
    chosen = given.get("run_dir") or os.environ.get("QRSUPPORT_RUNS")
    changed = {name: value for name, value in given.items() if name not in ("n", "workers", *config.PLACE)}
    parts = ["runs", *([Path(profile).stem] if profile != "quick" else []), *([config.key(changed)] if changed else [])]
    return Path(chosen or project.folder() / "_build" / "-".join(parts)).absolute()


def pages() -> list[str]:
    """The files of the site that are not executed chapters."""
    root = project.sources()
    found = [root / "_config.yml", root / "_toc.yml", *(f for f in (root / "book").rglob("*") if f.is_file())]
    return sorted(str(f) for f in found)


def stage(executed: list[Path], outputs: Path) -> Path:
    """A folder with the sources of the site in which executed copies stand for the templates, and are not run again; what
    other pages show is kept in `outputs`."""
    root, folder = project.sources(), project.folder() / "_build" / "site-src"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "book", folder / "book")
    shutil.copy(root / "_toc.yml", folder)
    (folder / "nbs").mkdir()
    settings = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    for template in project.chapters().values():
        source = next((f for f in executed if f.name.startswith(template.stem)), template)
        (folder / "nbs" / template.name).write_text(published(source, settings), "utf-8")
    for page in (f for f in (folder / "book").rglob("*.md") if RUNS_NOW in f.read_text("utf-8")):
        page.write_text(page.read_text("utf-8") + foot.text(kept.about(page, outputs)), "utf-8")
    settings["execute"] |= {"execute_notebooks": "cache", "cache": str(outputs), "exclude_patterns": ["nbs/*"]}
    (folder / "_config.yml").write_text(yaml.safe_dump(launch.buttons(settings)), "utf-8")
    return folder


def published(notebook: Path, settings: dict) -> str:
    """An executed notebook as it is given away: what made it at its foot, and no folder of this machine in it.

    `settings` are the book's: with a repository's address in them, its second cell installs the package.
    """
    content = launch.install(json.loads(notebook.read_text("utf-8")), settings)
    for part in (content, *content["cells"]):
        part["metadata"].pop("papermill", None)
    content["metadata"]["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    if end := foot.text(content["metadata"].get(foot.KEY, {})):
        content["cells"].append({"cell_type": "markdown", "id": "foot", "metadata": {}, "source": end})
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    places = {Path(notebook).absolute().parents[1]: "run_dir", project.folder(): ".", Path(sys.prefix): "python"}
    places |= {Path(os.environ[name]): name for name in ("QRSUPPORT_DATA", "QRSUPPORT_CACHE") if os.environ.get(name)}
    places |= {Path.home(): "~"}
    for place, name in sorted(places.items(), key=lambda item: -len(str(item[0]))):
        if len(place.parts) > 1:
            text = re.sub(re.escape(json.dumps(str(place), ensure_ascii=False)[1:-1]) + r"(?![\w-])", name, text)
    return text


def site(executed: list[Path]) -> Path:
    """Builds the site from executed chapters; returns its index.html.

    Raises ChapterFailed with what jupyter-book said if it warns or fails.
    """
    root, outputs = project.folder(), kept.begin()
    folder = stage([Path(f) for f in executed], outputs)
    command = [sys.executable, "-m", "qrsupport.book.parallel", str(joblib.cpu_count()), "build", str(folder),
               "--path-output", str(root), "-W", "-n", "--keep-going", "--all"]  # fmt: skip
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    store.write_text(root / "_build" / "site.log", done.stdout)
    if done.returncode:
        raise ChapterFailed(f"the site could not be built (all of it in _build/site.log):\n{done.stdout[-3000:]}")
    kept.end(outputs)
    return root / "_build" / "html" / "index.html"


def at_hand(profile: str, given: dict) -> dict:
    """`given`, or, where a profile's pretrained weights are not on this machine, `given` with backbones that need none.

    One line says so.  A backbone that `given` names is never replaced, nor is one that may be fetched.
    """
    missing = [name for name in profiles.read(profile).grid["backbone"] if name in pretrained.SOURCES and not pretrained.at_hand(name)]
    if not missing or given.get("network"):
        return given
    if "backbone" not in given:
        print(
            f"the weights of {missing[0]} are not on this machine (`qrsupport fetch {missing[0]}` brings them): going on "
            f"with {INSTEAD}, a small model from scratch, whose figures say little about the subject",
            file=sys.stderr,
        )
    return {"backbone": INSTEAD, "backbones": f"t5-mini,{INSTEAD}"} | given


def make(profile: str, given: dict, place: grid.Place, target: str = grid.SITE) -> None:
    """Runs what has changed of a profile's jobs, builds the site if that is the target, prints where it is, the headline
    and the time.

    Raises as `chapters.plan` and `grid.run`.
    """
    started = time.monotonic()
    given = at_hand(profile, given)
    chapters.plan(profile, given)
    run_dir = runs(profile, given)
    grid.run(profile, given, run_dir, place, target)
    if target == grid.SITE:
        print(f"\n{project.folder() / '_build' / 'html' / 'index.html'}\n")
    print(headline(run_dir))
    if run_dir != config.run_dir(config.Parameters()):
        print(f"\nthese records again: {chapters.reader(run_dir)}")
    print(f"\ntime taken: {tqdm.format_interval(time.monotonic() - started)}")


def headline(run_dir: Path) -> str:
    """The headline table of the records in a run directory, as text."""
    from ..report import show

    return show.headline_text(run_dir)
