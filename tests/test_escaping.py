"""Text from attacks on a built page, in a browser: stored as it is, shown escaped, run by nobody."""

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from qrsupport.recorded import Folder
from qrsupport.records import Record, Status

ROOT = Path(__file__).parents[1]
CONTROLS = "nul\0 esc\x1b[31m bell\x07 bidi\u202ereversed\u2066 zero\u200bwidth"
NASTY = [
    "<script>document.title = 'taken'; document.body.innerHTML = ''</script>",
    "<img src=x onerror=\"document.title='taken'\"> </td></table><h1>loud</h1>",
    "$x^2$ costs $$y$$ \\(z\\) \\begin{equation}w\\end{equation}",
    "{role}`target` ```{code-cell} +++ [link](javascript:alert(1)) <https://example.org> **bold** # head",
    CONTROLS,
    "\ud800 lone surrogate",
]
CELL = """from qrsupport import recorded; from qrsupport.report import show as report
found = recorded.Folder({folder!r}).load()
report.diff_table(found, len(found))"""


def record(position, text):
    return Record(
        example=f"mr/test/{position:05}", position=position, dataset="mr", backbone="bert-small", seed=0, variant="fp32",
        attack="pwws", resources="embedded", attack_seed=0, status=Status.succeeded, label=0, before=0, after=1,
        text=text, perturbed=f"{text} changed", words=3, words_changed=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("shown") / "records")
    folder.open({})
    for position, text in enumerate(NASTY):
        folder.append(record(position, text))
    folder.close()
    return folder


def test_text_is_stored_as_it_is(stored):
    assert [r.text for r in stored.load()] == NASTY
    assert (stored.path / "records.jsonl").read_bytes().isascii()


@pytest.fixture(scope="module")
def shown(stored):
    """The page's document after its scripts have run."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no chromium on this machine")
    book = stored.path.parent / "book"
    book.mkdir()
    settings = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    settings["execute"] = {"execute_notebooks": "force"}
    settings["html"].pop("favicon")
    settings["sphinx"]["config"] |= dict.fromkeys(("html_static_path", "html_css_files", "html_js_files"), [])
    settings["sphinx"]["config"]["bibtex_bibfiles"] = [str(ROOT / "book" / "references.bib")]
    (book / "_config.yml").write_text(yaml.safe_dump(settings), "utf-8")
    (book / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "id": "one"}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Texts\n", "id": "zero"},
        cell | {"source": CELL.format(folder=str(stored.path))},
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (book / "index.ipynb").write_text(json.dumps(notebook))
    build = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(book), "-W", "--all"]
    done = subprocess.run(build, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    page = book / "_build" / "html" / "index.html"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               f"--user-data-dir={book.parent / 'browser'}", "--virtual-time-budget=3000", "--dump-dom", page.as_uri()]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=180).stdout


@pytest.mark.slow
def test_no_text_is_run_or_becomes_part_of_the_page(shown):
    title = re.search(r"<title>(.*?)</title>", shown, re.DOTALL)[1]
    assert "taken" not in title and "Texts" in title
    table = re.search(r"<table.*?</table>", shown, re.DOTALL)[0]
    assert table.count("changed") >= len(NASTY)
    assert not re.search(r"<(script|img|h1|a|strong|em|code|mjx-container)\b", table)
    assert not re.search(r"href=.javascript:", shown)


@pytest.mark.slow
def test_every_text_can_be_read_as_it_was(shown):
    text = html.unescape(re.sub(r"<[^>]*>", "", shown))
    for nasty in NASTY[:4]:
        assert nasty.split(" changed")[0] in re.sub(r"\s+", " ", text), nasty


@pytest.mark.slow
def test_controls_are_pictures(shown):
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b]", shown)
    assert "nul␀ esc␛[31m bell␇ bidi⟨U+202E⟩reversed" in shown and "⟨U+D800⟩" in shown
    assert "mathjax_ignore" in shown
