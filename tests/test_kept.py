"""Outputs of pages of results kept between builds of the site: known again by what they come from, never in parts."""

import types
from pathlib import Path

import pytest

from qrsupport.book import build, foot, kept
from qrsupport.training import fine_tuning, pretrained

ROOT = Path(__file__).parents[1]
PAGE = "---\nfile_format: mystnb\n---\n\n# Title\n\nText.\n\n```{code-cell} python3\n1 + 1\n```\n"
FORCED = [page for page in sorted((ROOT / "book").rglob("*.md")) if kept.FORCED in page.read_text("utf-8")]
READS_MORE = ("run_dir(", "course.overview", "../nbs")
"""What a page's code calls that reads more than names the folder: the run's records, pages, executed chapters."""


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A project with one record and one page; its folder is the working directory."""
    (tmp_path / "nbs").mkdir()
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "book" / "results").mkdir(parents=True)
    (tmp_path / "book" / "results" / "a.json").write_text("1")
    (tmp_path / "book" / "page.md").write_text(PAGE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "book"


def built():
    """A build that came to its end; the folder of its outputs."""
    folder = kept.begin()
    (folder / "output").touch()
    kept.end(folder)
    return folder


def test_a_build_takes_what_the_last_one_left(book):
    folder = built()
    assert kept.begin() == folder and (folder / "output").exists()


def other_record(book, monkeypatch):
    (book / "results" / "a.json").write_text("2")


def other_library(book, monkeypatch):
    monkeypatch.setattr(kept.metadata, "distributions", lambda: [types.SimpleNamespace(name="numpy", version="0")])


def other_weights(book, monkeypatch):
    monkeypatch.setattr(pretrained, "at_hand", lambda name: False)


def other_processor(book, monkeypatch):
    monkeypatch.setattr(fine_tuning, "hardware", lambda: "another")


@pytest.mark.parametrize("changed", [other_record, other_library, other_weights, other_processor])
def test_what_is_made_from_something_else_begins_anew(book, changed, monkeypatch):
    monkeypatch.setattr(pretrained, "at_hand", lambda name: True)
    before = built()
    changed(book, monkeypatch)
    assert kept.begin() != before and not before.exists()


def test_words_of_a_page_change_nothing_and_its_code_only_its_own_foot(book, monkeypatch):
    monkeypatch.setattr(foot, "about", ({"date": date} for date in "abc").__next__)
    page, folder = book / "page.md", built()
    assert [kept.about(page, folder), kept.about(page, folder)] == [{"date": "a"}] * 2
    page.write_text(PAGE.replace("Text", "Other text"))
    assert (kept.about(page, folder), kept.folder()) == ({"date": "a"}, folder)
    page.write_text(PAGE.replace("1 + 1", "1 + 2"))
    assert (kept.about(page, folder), kept.folder()) == ({"date": "b"}, folder)


def test_what_a_stopped_build_left_is_not_taken(book):
    built()
    kept.begin()  # and no end
    assert not (kept.begin() / "output").exists()


def test_a_page_that_always_runs_is_of_this_build(book, monkeypatch):
    monkeypatch.setattr(foot, "about", ({"date": date} for date in "ab").__next__)
    page = book / "page.md"
    page.write_text(PAGE.replace("mystnb\n", "mystnb\nmystnb:\n  execution_mode: force\n"))
    folder = built()
    assert [kept.about(page, folder)["date"], kept.about(page, folder)["date"]] == ["a", "b"]


def test_pages_that_read_more_than_names_the_folder_always_run():
    """Else they would show what another run made."""
    found = [page for page in sorted((ROOT / "book").rglob("*.md"))
             if build.RUNS_NOW in page.read_text("utf-8")
             and any(word in cell for cell in kept.CELL.findall(page.read_text("utf-8")) for word in READS_MORE)]  # fmt: skip
    assert found == FORCED and found
