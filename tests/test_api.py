"""The public names: said so that a student can read it, with examples that run."""

import doctest
import inspect
import re
from pathlib import Path

import pytest

import qrsupport
from qrsupport.book import api

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", qrsupport.PUBLIC)
def test_every_public_name_is_explained(name):
    function = getattr(qrsupport, name)
    about, parts = api.split(inspect.getdoc(function))
    first = about.splitlines()[0]
    assert first.endswith((".", ":")) and len(inspect.getdoc(function)) > 200
    assert list(parts) == list(api.PARTS)
    names = inspect.signature(function).parameters
    if not parts["Parameters"].startswith(" as of"):
        said = re.findall(r"^    ([\w, ]+):", parts["Parameters"], flags=re.MULTILINE)
        assert [word for line in said for word in line.split(", ")] == list(names)


@pytest.fixture(scope="module")
def session():
    """The examples of all public names, in order, as one session."""
    parse = doctest.DocTestParser().get_doctest
    return [parse(inspect.getdoc(getattr(qrsupport, name)), {}, name, None, None) for name in qrsupport.PUBLIC]


def test_the_examples_say_what_happens(session, tiny, monkeypatch):
    """Run on the model that other tests have fine-tuned already: the first example names its very parameters."""
    monkeypatch.setenv("QRSUPPORT_RUNS", tiny.run_dir)
    runner, known, said = doctest.DocTestRunner(), {}, []
    for test in session:
        assert test.examples, test.name
        test.globs = known  # as in a notebook
        runner.run(test, out=said.append, clear_globs=False)
    assert not said, "".join(said)
    assert runner.tries == sum(len(test.examples) for test in session)


def test_an_example_that_lies_is_found():
    lie = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "lie", None, None)
    assert doctest.DocTestRunner().run(lie, out=lambda _: None).failed == 1


def test_the_page_names_them_all_and_escapes_the_rest():
    page = api.page()
    assert re.findall(r"^## `(\w+)`$", page, flags=re.MULTILINE) == list(qrsupport.PUBLIC)
    assert "qr.attack(p, variant=None, progress=True, recipe=None)" in page
    source = (ROOT / "book" / "api.md").read_text("utf-8")
    assert "Markdown(api.page())" in source and "- file: book/api" in (ROOT / "_toc.yml").read_text("utf-8")


def test_markup_in_a_docstring_is_shown_as_it_is():
    def function(x):
        """Takes <b>x</b> and $y$_z_, not `x_1 < 2`.

        Parameters:
            x: a *word* and [a](link)
                that goes on.
        Returns: x|y.
        """

    shown = api.entry("odd", function)
    assert r"\<b\>x\</b\> and \$y\$\_z\_" in shown and "`x_1 < 2`" in shown
    assert r"- **x**: a *word* and \[a\](link) that goes on." in shown and r"x\|y" in shown
