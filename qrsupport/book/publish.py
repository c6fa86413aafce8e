"""What is made of the book beside its site, from the sources that `make book` staged: a check of its links, a PDF."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml

from .. import project, store
from ..errors import ChapterFailed, MissingResource

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 600
"""Longest time that a browser may print."""
ROWS = 40
"""Most rows beyond those in sight that a table has on paper too."""
SETTLE = 60_000
"""Milliseconds of the page's own clock in which its scripts set formulas before it is printed; passes faster than ours."""


def staged() -> Path:
    """The folder in which `make book` left the sources of the site.  Raises MissingResource where it did not run."""
    folder = project.folder() / "_build" / "site-src"
    if not (folder / "_toc.yml").is_file():
        raise MissingResource(f"{folder} holds no sources of a site; run `make book` first")
    return folder


def _build(builder: str, *options: str) -> tuple[Path, subprocess.CompletedProcess]:
    """The folder in which jupyter-book left what a builder makes of the staged sources, and what it said."""
    folder, out = staged(), project.folder() / "_build" / builder
    shutil.rmtree(out, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(folder), "--path-output", str(out),
               "--builder", builder, "--keep-going", "--all", *options]  # fmt: skip
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    store.write_text(project.folder() / "_build" / f"{builder}.log", done.stdout)
    return out, done


def links(say: Callable[[str], None] = print) -> str:
    """Asks every external address in the book whether it answers; returns one line that counts them.

    Raises MissingResource before `make book`, and ChapterFailed with the addresses that do not answer, or if none does:
    then most likely this machine has no network.
    """
    folder = staged()
    say("asking every external address in the book; this needs a network and may take minutes")
    with tempfile.TemporaryDirectory(prefix="qr-") as room:
        settings = Path(room, "_config.yml")
        settings.write_text(_unexecuted((folder / "_config.yml").read_text("utf-8")), "utf-8")
        out, done = _build("linkcheck", "--config", str(settings))
    found = [answer for file in out.rglob("output.json") for answer in _answers(file)]
    if not found and done.returncode:
        raise ChapterFailed(
            f"the links could not be checked (all of it in _build/linkcheck.log):\n{done.stdout[-3000:]}"
        )
    return counted(found)


def _unexecuted(settings: str) -> str:
    content = yaml.safe_load(settings)
    content["execute"] = (content.get("execute") or {}) | {"execute_notebooks": "off"}
    return yaml.safe_dump(content)


def _answers(file: Path) -> list[dict]:
    """What Sphinx wrote about each address: `uri`, `status`, `info`, `filename`, `lineno`."""
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return [line for line in lines if line["uri"].startswith("http")]


def counted(found: list[dict]) -> str:
    """One line about the answers.  Raises ChapterFailed, naming the addresses that gave none."""
    broken = [line for line in found if line["status"] in ("broken", "timeout")]
    if broken and len(broken) == len(found):
        raise ChapterFailed(f"none of {len(found)} addresses answers; is there a network? First: {_said(broken[0])}")
    if broken:
        raise ChapterFailed(f"{len(broken)} of {len(found)} addresses do not answer:\n" + "\n".join(map(_said, broken)))
    moved = sum(line["status"] == "redirected" for line in found)
    return f"{len(found)} addresses answer" + (f", {moved} of them from another place" if moved else "")


def _said(line: dict) -> str:
    return f"{line['filename']}:{line['lineno']}: {line['uri']}: {' '.join(str(line['info']).split())[:200]}"


def browser() -> str:
    """The browser that prints.  Raises MissingResource, naming those looked for."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        raise MissingResource(
            f"no browser that prints to PDF is on PATH (looked for {', '.join(BROWSERS)}); install Chromium or Chrome"
        )
    return found


def pdf(say: Callable[[str], None] = print) -> Path:
    """Prints the book as one document, `_build/book.pdf`, which is there whole or not at all; returns it.

    Raises MissingResource without a browser or before `make book`, ChapterFailed with what jupyter-book or the browser said.
    """
    program, root = browser(), staged()
    say("building one page of the whole book, in a minute or a few")
    out, done = _build("singlehtml")
    made = out / "_build" / "singlehtml"
    page = made / f"{_root(root)}.html"
    if done.returncode or not page.is_file():
        raise ChapterFailed(f"the page could not be built (all of it in _build/singlehtml.log):\n{done.stdout[-3000:]}")
    whole = made / "book.html"  # from where the page's own files are found
    store.write_text(whole, printable(page.read_text("utf-8")))
    say("printing it")
    content, target = _printed(program, whole), project.folder() / "_build" / "book.pdf"
    store.write_bytes(target, content)
    return target


def _root(folder: Path) -> str:
    """The first page that the table of contents names."""
    return yaml.safe_load((folder / "_toc.yml").read_text("utf-8"))["root"]


def printable(page: str) -> str:
    """A page with what is folded opened, but for more than `ROWS` further rows of a table; book/_static/print.css says how it
    lies on paper."""

    def opened(found: re.Match) -> str:
        rows = re.search(r"data-rows='(\d+)'", found[0])
        return found[0] if rows and int(rows[1]) > ROWS else found[0].replace("<details", "<details open", 1)

    return re.sub(r"<details(?![^>]*\sopen\b)[^>]*>", opened, page)


def _printed(program: str, page: Path) -> bytes:
    """A page as PDF.  Raises ChapterFailed with what the browser said."""
    with tempfile.TemporaryDirectory(prefix="qr-") as room:
        target = Path(room, "book.pdf")
        command = [program, "--headless", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={room}/profile",
                   *(["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []), "--no-pdf-header-footer",
                   f"--virtual-time-budget={SETTLE}", f"--print-to-pdf={target}", page.as_uri()]  # fmt: skip
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, errors="replace", timeout=SECONDS
            )
        except subprocess.TimeoutExpired as e:
            raise ChapterFailed(f"{program} did not print {page} within {SECONDS} seconds") from e
        content = target.read_bytes() if target.is_file() else b""
    if done.returncode or not content.startswith(b"%PDF"):
        raise ChapterFailed(f"{program} did not print {page}: {done.stderr[-1000:]}")
    return content
