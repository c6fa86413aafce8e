"""The built site in a real browser: no error, no request, one search, tables that sort, formulas, dark mode, phones."""

import functools
import http.server
import json
import shutil
import threading
from importlib.resources import files

import pytest
from small_book import ROOT

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not BROWSER, reason="no chromium on this machine")]
PHONE = {"width": 390, "height": 844}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(made):
    """The site, served on this machine; a file:// page may not read the search index."""
    folder, _ = made
    handler = functools.partial(Quiet, directory=str(folder / "_build" / "html"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def names(made):
    folder, _ = made
    html = folder / "_build" / "html"
    found = sorted(str(f.relative_to(html)) for room in ("book", "nbs") for f in (html / room).rglob("*.html"))
    assert len(found) > 20
    return found


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        started = p.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


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
