"""What comes from outside is text wherever it is shown: Markdown, figures, published notebooks."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import pytest
from markdown_it import MarkdownIt

from qrsupport import escaping
from qrsupport.book import build
from qrsupport.data import datasets
from qrsupport.report import canvas, figures, show
from qrsupport.training import fine_tuning

NASTY = [
    "<img src=x onerror=alert(1)>", "a | b", "[link](javascript:alert(1))", "![x](y)", "**bold** _it_ `code` ~~gone~~",
    "$x^2$", "&lt;b&gt; &#60;", "{role}`x`", "line\nbreak", "\\<b>", "a\u202eb", "# head", "<!-- gone -->",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_markdown_shows_text_as_it_is(text):
    """In a heading, in an item and in a cell of a table."""
    m = escaping.markdown(text)
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = page.parse(f"# {m} end\n\n- item: {m}\n\n| a | b |\n| --- | --- |\n| {m} | c |\n")
    inline = [t for t in tokens if t.type == "inline"]
    assert {c.type for t in inline for c in t.children} <= {"text", "text_special"}
    found = ["".join(c.content for c in t.children) for t in inline]
    assert found == [f"{escaping.visible(text)} end", f"item: {escaping.visible(text)}", "a", "b", escaping.visible(text), "c"]


def test_a_card_holds_no_markup_of_its_names(tiny, tmp_path):
    """Backbone, data set and classes; as the card reaches chapter 1's page."""
    p = dataclasses.replace(tiny, backbone=NASTY[0], dataset="some/" + NASTY[1])
    dataset = dataclasses.replace(datasets.load(tiny), labels=(NASTY[0], NASTY[2]))
    last = {"validation loss": 0.1, "validation accuracy": 0.5}
    card = fine_tuning.card(p, dataset, 0, 1, last, "cpu")
    page = MarkdownIt("commonmark").enable("table").render(card)
    assert "onerror" in page and not re.search("<img|<a |<em|<strong", page)


def test_a_dollar_sign_in_a_figure_is_a_dollar_sign():
    measures = {"$a_b$ $": {"median": 1.0, "low": 0.5, "high": 2.0}, "$\\frac{": {"median": 2.0, "low": 1.0, "high": 3.0}}
    assert figures.latency(measures).png and show.latency_table(measures)


def test_a_published_notebook_names_no_place(tmp_path, monkeypatch):
    home, runs = tmp_path / "home", tmp_path / "home" / "runs"
    monkeypatch.setenv("HOME", str(home))
    (runs / "chapters").mkdir(parents=True)
    cell = {"cell_type": "code", "metadata": {"papermill": {"start_time": "now"}, "tags": ["x"]}, "source": f"run_dir = '{runs}'",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": f"{home}/other {home}2 {build.project.folder()}/a"}]}  # fmt: skip
    content = {"cells": [cell], "metadata": {"papermill": {"input_path": str(home / "x")}, "kernelspec": {"name": "mine"}}}
    file = runs / "chapters" / "01.ipynb"
    file.write_text(json.dumps(content))
    found = json.loads(build.published(file, {}))
    assert found["cells"][0]["metadata"] == {"tags": ["x"]} and "papermill" not in found["metadata"]
    assert found["metadata"]["kernelspec"]["name"] == "python3"
    assert found["cells"][0]["source"] == "run_dir = 'run_dir'"
    assert found["cells"][0]["outputs"][0]["text"] == f"~/other {home}2 ./a"


CHINESE = """
import sys, tempfile, pathlib
planted = pathlib.Path(tempfile.gettempdir()) / "jieba.cache"
planted.write_bytes(b"planted")
from qrsupport import offline
offline.textattack()
from textattack.shared import AttackedText
assert AttackedText("今天天气很好").words
assert planted.read_bytes() == b"planted"
import jieba
assert str(offline.private()) == jieba.dt.tmp_dir and (offline.private() / "jieba.cache").exists()
"""


@pytest.mark.slow
def test_chinese_text_leaves_the_shared_directory_alone(tmp_path):
    env = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", CHINESE], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [f.name for f in tmp_path.iterdir()] == ["jieba.cache"]


@pytest.mark.parametrize("low, high", [(1, 220), (0.001, 0.4), (30, 400_000)])
def test_a_logarithmic_axis_is_labelled_in_numbers(low, high):
    drawn, axes = canvas.axes_of()
    axes[0, 0].plot([low, high], [low, high])
    axes[0, 0].set(xscale="log", yscale="log")
    canvas.Figure(drawn, "a line")
    for axis in (axes[0, 0].xaxis, axes[0, 0].yaxis):
        labels = [label.get_text() for label in [*axis.get_ticklabels(), *axis.get_ticklabels(minor=True)] if label.get_text()]
        assert len(labels) >= 3 and all(float(text.replace(",", "")) > 0 for text in labels), labels
