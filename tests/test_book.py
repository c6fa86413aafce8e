"""The quick profile end to end, from an empty home with sockets refused; then the site in a real browser: no error, no
request, one search, tables that sort, formulas, dark mode, phones.  One file, so that one process makes the book."""

import functools
import html
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
from importlib.resources import files

import pytest
import yaml
from small_book import BROWSER, ROOT, SMALL, SOURCES, begin, make

from qrsupport import project
from qrsupport.book import build, chapters, grid


def source(folder, name):
    return (folder / "_build" / "html" / f"{name}.html").read_text("utf-8")


pytestmark = pytest.mark.slow
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def whole_book(tmp_path_factory):
    """A small book that `make book` made: (folder, the finished process)."""
    folder = begin(tmp_path_factory.mktemp("book"))
    return folder, make(folder, "-p", "attack", "textfooler")


def test_nothing_reached_for_the_network(whole_book):
    folder, _ = whole_book
    refused = folder.parent / "refused"
    assert not refused.exists(), refused.read_text()


def test_the_refusal_refuses(whole_book):
    folder, _ = whole_book
    code = "import urllib.request; urllib.request.urlopen('http://example.org', timeout=5)"
    env = os.environ | {"PYTHONPATH": str(folder.parent / "site"), "REFUSED": str(folder.parent / "tried")}
    done = subprocess.run([sys.executable, "-c", code], check=False, env=env, capture_output=True, text=True)
    assert "refused by the test" in done.stderr and (folder.parent / "tried").exists()


def test_output_names_the_page_the_headline_and_the_time(whole_book):
    folder, done = whole_book
    assert str(folder / "_build" / "html" / "index.html") in done.stdout.splitlines()
    rows = [line for line in done.stdout.splitlines() if "textfooler" in line]
    assert any("int8-dynamic" in row for row in rows) and any("fp32" in row for row in rows)
    assert "not run" not in done.stdout
    assert re.search(r"time taken: \d+:\d\d", done.stdout)
    assert re.search(r"\[\d+/\d+\] \d\d-\S+: \d+:\d\d, about \d+:\d\d left", done.stderr)


def test_nothing_is_written_outside_build(whole_book):
    folder, _ = whole_book
    assert {f.name for f in folder.iterdir()} <= {*SOURCES, "_build", ".snakemake"}
    for f in (ROOT / "nbs").glob("*.ipynb"):
        assert f.read_bytes() == (folder / "nbs" / f.name).read_bytes()


def test_every_job_left_an_executed_copy_or_records(whole_book):
    folder, _ = whole_book
    (run_dir,) = (folder / "_build").glob("runs*")
    planned = chapters.plan("quick", SMALL | {"attack": "textfooler"})
    assert {f.stem for f in (run_dir / chapters.ATTACKED).glob("*.json")} == {j.name for j in planned if not j.page}
    jobs = [job for job in planned if job.page]
    assert {job.chapter for job in jobs} == set(project.chapters())
    assert {f.stem for f in (run_dir / "chapters").glob("*.ipynb")} == {j.name for j in jobs}
    for job in jobs:
        cells = json.loads(chapters.output(job.name, run_dir).read_text("utf-8"))["cells"]
        assert any(c.get("outputs") for c in cells)
        assert not [o for c in cells for o in c.get("outputs", ()) if o["output_type"] == "error"]


def test_running_again_does_nothing(whole_book):
    folder, _ = whole_book
    before = stamps(folder)
    done = make(folder, "-p", "attack", "textfooler")
    assert stamps(folder) == before
    assert "jobs to do" not in done.stderr


def stamps(folder):
    (run_dir,) = (folder / "_build").glob("runs*")
    files = [*grid.outputs(chapters.plan("quick", SMALL | {"attack": "textfooler"}), run_dir), folder / "_build" / "html" / "index.html"]
    return {f.name: f.stat().st_mtime_ns for f in files}


def test_a_changed_chapter_runs_again_and_nothing_before_it(whole_book):
    folder, _ = whole_book
    before, pages = stamps(folder), [ran(folder, name) for name in ("book/plan", "book/times")]
    template = folder / "nbs" / "05-compare.ipynb"
    template.write_text(template.read_text("utf-8").replace("# Compare", "# Compare all"), "utf-8")
    make(folder, "-p", "attack", "textfooler")
    changed = {name for name, stamp in stamps(folder).items() if before[name] != stamp}
    assert changed == {"05-compare.ipynb", "index.html"}
    assert "Compare all" in source(folder, "nbs/05-compare")
    now = [ran(folder, name) for name in ("book/plan", "book/times")]
    assert now[0] == pages[0] and now[1] != pages[1]  # the plan's outputs were kept; the times are of this build


def ran(folder, name):
    """When the code of a page ran, as its foot says."""
    return re.search(r"The code of this page ran on ([^ ,]+)", source(folder, name))[1]


def test_pages_need_no_other_host(whole_book):
    folder, _ = whole_book
    for file in (folder / "_build" / "html").rglob("*.html"):
        text = file.read_text("utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]+src=\"(https?://[^\"]+)\"", text)
        fetched += re.findall(r"<link[^>]+rel=\"(?:stylesheet|preload)\"[^>]+href=\"(https?://[^\"]+)\"", text)
        assert not fetched, file.name


def test_nothing_published_names_a_folder_of_this_machine(whole_book):
    folder, _ = whole_book
    places = [str(place).encode() for place in (folder, folder.parent, ROOT, sys.prefix)]
    for file in (folder / "_build" / "html").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [place for place in places if place in content], file


def test_every_image_says_what_it_shows(whole_book):
    folder, _ = whole_book
    for notebook in project.chapters().values():
        for tag in re.findall(r"<img[^>]*>", source(folder, f"nbs/{notebook.stem}")):
            alt = re.search(r'alt="([^"]*)"', tag)
            assert alt and len(alt[1]) > 20, tag[:200]
    assert "<img" in source(folder, "nbs/05-compare") and "<img" in source(folder, "nbs/01-finetune")


def test_browser_shows_the_front_page_and_the_headline(whole_book):
    folder, _ = whole_book
    if not BROWSER:
        pytest.skip("no chromium on this machine")
    shown = dump(folder, "book/intro")
    title = yaml.safe_load((folder / "_config.yml").read_text("utf-8"))["title"]
    assert html.escape(title) in shown or title in shown
    for name in ("book/intro", "nbs/05-compare"):
        text = dump(folder, name)
        (table,) = re.findall(r"<figcaption>Accuracy with 95 % Wilson intervals.*?</table>", text, re.DOTALL)
        for word in ("textfooler", "int8-dynamic", "clean accuracy", "direct", "recovery"):
            assert word in table, (name, word)
    assert re.search(r'<img[^>]+alt="Bars of accuracy', dump(folder, "nbs/05-compare"))


def dump(folder, name):
    """The page's document after its scripts have run."""
    profile = folder.parent / "browser"
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               f"--user-data-dir={profile}", "--virtual-time-budget=3000", "--dump-dom",
               (folder / "_build" / "html" / f"{name}.html").as_uri()]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def test_committed_settings_run_the_chapters_on_a_bare_checkout():
    settings = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert settings["execute"]["execute_notebooks"] in ("cache", "auto", "force")
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    listed = [contents["root"], *(c["file"] for part in contents["parts"] for c in part["chapters"])]
    assert {f"nbs/{notebook.stem}" for notebook in project.chapters().values()} <= set(listed)
    for name in listed:
        assert (ROOT / f"{name}.md").exists() or (ROOT / f"{name}.ipynb").exists()


def test_progress_counts_only_what_this_run_did(tmp_path, capsys):
    folder, now = tmp_path / "chapters", time.time()
    folder.mkdir()
    grid.begin(tmp_path, 5)
    assert "5 jobs" in capsys.readouterr().err
    for name, age in {"old": -60, "one": 10, "two": 30, "three": 50}.items():
        file = folder / f"{name}.ipynb"
        file.touch()
        os.utime(file, (now + age,) * 2)
        if name == "one":
            assert grid.progress(tmp_path, "one", 65) == "[1/5] one: 01:05"
    assert grid.progress(tmp_path, "three", 5) == "[3/5] three: 00:05, about 00:40 left"


def test_runs_of_other_parameters_lie_elsewhere(monkeypatch, tmp_path):
    monkeypatch.delenv("QRSUPPORT_RUNS", raising=False)
    places = [build.runs("quick", {}), build.runs("study", {}), build.runs("quick", {"epochs": 2})]
    assert len(set(places)) == 3
    assert build.runs("quick", {"n": 9}) == build.runs("quick", {})
    monkeypatch.setenv("QRSUPPORT_RUNS", str(tmp_path))
    assert build.runs("study", {}) == tmp_path


# in a browser ---------------------------------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(whole_book):
    """The site, served on this machine; a file:// page may not read the search index."""
    folder, _ = whole_book
    handler = functools.partial(Quiet, directory=str(folder / "_build" / "html"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def names(whole_book):
    folder, _ = whole_book
    built = folder / "_build" / "html"
    found = sorted(str(f.relative_to(built)) for room in ("book", "nbs") for f in (built / room).rglob("*.html"))
    assert len(found) > 20
    return found


@pytest.fixture
def page(browser):
    found = browser.new_page(viewport={"width": 1280, "height": 900})
    yield found
    found.close()


def test_no_page_has_a_script_error_or_asks_another_machine(page, address, names):
    wrong, asked = [], []
    page.on("pageerror", lambda e: wrong.append((page.url, str(e))))
    page.on("console", lambda m: wrong.append((page.url, m.text)) if m.type == "error" else None)
    page.on("request", lambda r: asked.append(r.url))
    for name in names:
        page.goto(f"{address}/{name}")
        page.wait_for_load_state("networkidle")
    assert not wrong
    assert asked and {url for url in asked if not url.startswith((address, "data:", "blob:"))} == set()


def test_one_search_field_is_seen_and_it_finds_a_word_with_its_sentence(page, address):
    page.goto(f"{address}/book/intro.html")
    fields = page.locator("button.search-button-field, button.search-button, input[type=search]")
    assert sum(fields.nth(i).is_visible() for i in range(fields.count())) == 1
    page.goto(f"{address}/search.html?q=recovery")
    page.wait_for_selector("#search-results li")
    assert "recovery" in page.locator("#search-results li").first.inner_text().lower()


def test_a_table_sorts_by_its_headings_with_the_keyboard_and_is_saved(page, address):
    page.goto(f"{address}/nbs/05-compare.html")
    table = page.locator("table.dataframe", has=page.locator("button.sort")).first
    heads = table.locator("th")
    column = next(i for i in range(heads.count()) if len(set(cells(table, i))) > 1)
    heads.nth(column).locator("button").focus()
    page.keyboard.press("Enter")
    assert heads.nth(column).get_attribute("aria-sort") == "ascending"
    up = cells(table, column)
    page.keyboard.press("Enter")
    assert heads.nth(column).get_attribute("aria-sort") == "descending"
    assert sorted(up) == sorted(cells(table, column)) and up[0] != cells(table, column)[0]
    with page.expect_download() as saved:
        page.locator("button.save").first.click()
    assert saved.value.suggested_filename.endswith(".csv")


def cells(table, column):
    rows = table.locator("tbody tr")
    return [rows.nth(i).locator("td").nth(column).inner_text() for i in range(rows.count())]


def test_no_cell_shows_raw_markdown(page, address, names):
    for name in names:
        page.goto(f"{address}/{name}")
        raw = page.evaluate("[...document.querySelectorAll('td, .cell_output p')].map(e => e.textContent.trim()).filter(t => t.startsWith('|'))")
        assert not raw, (name, raw[:3])


def test_on_a_phone_nothing_is_wider_than_the_page_and_a_first_result_is_in_sight(browser, address, names):
    page = browser.new_page(viewport=PHONE)
    for name in names:
        page.goto(f"{address}/{name}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"] + 1, (name, wide)
        hidden = page.evaluate(
            """[...document.querySelectorAll('.cell_output table.dataframe')].filter(t => {
                 const c = t.tBodies[0]?.rows[0]?.cells; if (!c || c.length < 2) return false;
                 const b = c[1].getBoundingClientRect(); return b.width > 0 && b.left >= innerWidth; }).length"""
        )
        assert not hidden, name
    page.close()


def test_axe_finds_nothing_serious(page, address, names):
    script = files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    found = {}
    for name in names:
        page.goto(f"{address}/{name}")
        page.evaluate(script)
        # Sphinx's own list of references has a role whose parts lack theirs
        result = page.evaluate("axe.run({include: ['main'], exclude: ['.citation-list']})")
        for v in result["violations"]:
            if v["impact"] in ("serious", "critical"):
                found.setdefault(v["id"], []).append((name, v["nodes"][0]["html"][:200]))
    assert not found, json.dumps(found, indent=1)[:4000]


def test_dark_mode_is_readable(page, address):
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/nbs/05-compare.html")
    page.evaluate("document.documentElement.dataset.theme = 'dark'; document.documentElement.dataset.mode = 'dark'")
    script = files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    page.evaluate(script)
    result = page.evaluate("axe.run(document.querySelector('main'), {runOnly: ['color-contrast']})")
    assert not result["violations"], json.dumps(result["violations"][0]["nodes"][:3], indent=1)


def test_the_site_is_built_from_this_contents():
    import yaml

    contents = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    listed = [c["file"] for part in contents["parts"] for c in part["chapters"]]
    written = {str(f.relative_to(ROOT).with_suffix("")) for f in (ROOT / "book").rglob("*.md")}
    assert written == {name for name in [contents["root"], *listed] if name.startswith("book/")}
