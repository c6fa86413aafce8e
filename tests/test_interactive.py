"""What can be tried in a page: hostile text stays text, the JSON is JSON, and a real browser works it from a file."""

import copy
import json
import re
import shutil

import numpy as np
import pytest

from qrsupport import project
from qrsupport.quantization import simulate
from qrsupport.report import interactive, trace

STATIC = project.sources() / "book" / "_static"
HOSTILE = '</script><img src=x onerror="document.title=\'taken\'"> <!-- & ]]> \u202e\u2028 "quoted"'


@pytest.fixture
def found():
    return trace.read(project.sources() / "book" / "results" / "trace.json")


def data(html, name):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.DOTALL)[1])


def hostile(found):
    """The trace with its sentence, its labels and every text begun with markup."""
    found = copy.deepcopy(found)
    found["text"], found["labels"] = f"{HOSTILE} {found['text']}", [HOSTILE, "positive"]
    for one in found["attacks"].values():
        for text in one["texts"]:
            text["text"] = f"{HOSTILE} {text['text']}"
    return found


def test_nothing_in_the_data_ends_the_script_element():
    content = {"text": HOSTILE, "n": [1, None, 0.25]}
    script = interactive.embedded("x", content)
    inside = script.removeprefix('<script type="application/json" id="x">').removesuffix("</script>")
    assert not set("<>&\u2028\u202e") & set(inside) and json.loads(inside) == content


def test_numbers_that_json_does_not_have_are_refused():
    with pytest.raises(ValueError):
        interactive.embedded("x", float("nan"))


def test_hostile_text_is_escaped_everywhere(found):
    html = interactive.stepper(hostile(found)).html
    assert "<img" not in html and "onerror=\"" not in html and "\u202e" not in html and "<!--" not in html
    shown = data(html, "play-trace")
    assert "</script>" in shown["labels"][0] and "⟨U+202E⟩" in shown["labels"][0]


@pytest.mark.parametrize("bits", interactive.BITS)
def test_rounding_is_that_of_the_simulated_widths(bits):
    row = np.random.default_rng(bits).normal(size=64).astype(np.float32)
    found = interactive.rounded(row, bits)
    codes, point, scale = simulate.symmetric_codes(row, bits)
    assert found["codes"] == codes.tolist() and point == 0 and found["scale"] == pytest.approx(float(scale), rel=1e-6)
    assert found["largest"] <= found["scale"] / 2 * (1 + 1e-6)


def test_a_row_of_zeros_stays_one():
    found = interactive.rounded([0.0, 0.0], 4)
    assert found["codes"] == [0, 0] and found["mean"] == 0 and found["zeros"] == 2


def test_the_data_of_the_steps_are_the_trace(found):
    shown = data(interactive.stepper(found).html, "play-trace")
    assert list(shown["attacks"]) == ["textfooler", "pwws", "pso"]
    for name, one in shown["attacks"].items():
        rows = trace.queries(found, name)
        assert [one["texts"][q[0]]["p"][found["label"]] for q in one["queries"]] == rows["probability"].tolist()
        assert [bool(q[2]) for q in one["queries"]] == rows["kept"].tolist()
        for text, source in zip(one["texts"], found["attacks"][name]["texts"]):
            assert " ".join(words for kind, words in text["parts"] if kind != 2) == source["text"]


# In a browser ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    """Writes a page of both widgets; gives its address."""

    def write(found):
        for name in ("play.js", "play.css"):
            shutil.copy(STATIC / name, tmp_path / name)
        body = interactive.rounding(found["row"]["weights"]).html + interactive.stepper(found).html
        head = '<meta charset="utf-8"><title>page</title><link rel="stylesheet" href="play.css"><script src="play.js" defer></script>'
        (tmp_path / "page.html").write_text(f'<!DOCTYPE html><html lang="en"><head>{head}</head><body><main>{body}</main></body></html>', "utf-8")
        return (tmp_path / "page.html").as_uri()

    return write


@pytest.fixture
def page(browser):
    made, wrong = browser.new_page(viewport={"width": 390, "height": 844}), []
    made.on("pageerror", lambda e: wrong.append(str(e)))
    yield made
    made.close()
    assert not wrong


def test_links_lead_to_a_width_and_to_a_query(page, site, found):
    address = site(found)
    page.goto(f"{address}#bits=3")
    row = interactive.rounded(found["row"]["weights"], 3)
    said = page.inner_text("#play-error")
    assert said.startswith("3 bits: 7 levels") and f"{row['zeros']} of {len(row['codes'])} weights become 0" in said
    assert page.locator("#play-bars rect").count() == 2 * len(row["codes"])
    page.goto(f"{address}#attack=textfooler&step=5")
    fifth = trace.queries(found, "textfooler").iloc[4]
    assert page.inner_text("#play-said").startswith("Query 5 of 15") and fifth["change"] in page.inner_text("#play-said")
    assert page.get_attribute("#play-step-link", "href") == "#attack=textfooler&step=5"


@pytest.mark.parametrize("hash", ["bits=99&outlier=x", "bits=3.5", "attack=__proto__&step=2", "step=-4", "step=<b>", "attack=pwws&step=1e9"])
def test_a_link_to_nothing_shows_the_beginning(page, site, found, hash):
    page.goto(f"{site(found)}#{hash}")
    assert page.inner_text("#play-said").startswith(("Query 1 of", "Query 2 of 15"))
    assert page.inner_text("#play-width") in {"3", "4"} and page.locator("#play-bars rect").count() > 0


def test_keys_and_buttons_step_through_an_attack(page, site, found):
    page.goto(site(found))
    page.select_option("#play-name", "pwws")
    last = len(trace.queries(found, "pwws"))
    page.focus("button[data-go=next]")
    for key, at in (("ArrowRight", 2), ("Enter", 3), ("ArrowLeft", 2), ("End", last), ("ArrowRight", last), ("Home", 1), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        assert page.inner_text("#play-said").startswith(f"Query {at} of {last}"), key
    page.focus("#play-step")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#play-number") == "2"
    page.click("button[data-go=last]")
    assert "The attack has succeeded" in page.inner_text("#play-said") and page.locator("#play-text ins").count() == 2
    for name in ("#play-said", "#play-error"):
        assert page.get_attribute(name, "aria-live") == "polite"


def test_the_box_leaves_out_the_largest_weight(page, site, found):
    page.goto(site(found))
    page.check("#play-outlier")
    assert page.locator("#play-bars rect").count() == 2 * (len(found["row"]["weights"]) - 1)
    page.focus("#play-bits")
    page.keyboard.press("Home")
    assert page.inner_text("#play-error").startswith("2 bits: 3 levels")


def test_hostile_text_is_shown_as_text(page, site, found):
    page.goto(site(hostile(found)))
    page.click("button[data-go=last]")
    assert page.title() == "page" and page.locator("img").count() == 0
    assert "</script><img" in page.inner_text("#play-text")


@pytest.mark.slow
def test_it_fits_a_phone_and_axe_finds_nothing_serious(page, site, found):
    from importlib.resources import files

    page.goto(site(found))
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
    page.evaluate(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8"))
    serious = [v for v in page.evaluate("axe.run()")["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, serious


def test_without_a_script_the_tables_stand_there(browser, site, found):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site(found))
    assert not page.locator("#play-rounding").is_visible() and not page.locator("#play-attack").is_visible()
    assert page.locator("table").first.is_visible() and page.locator("noscript").count() == 2
    for fold in page.locator("figure details > summary").all():  # rows beyond the first dozen
        fold.click()
    assert page.locator("td", has_text="easy → uncomplicated").first.is_visible()
    context.close()
