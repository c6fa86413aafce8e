"""Logs by others: counted right, paired by text, and the book's file holds no text."""

from math import comb
from pathlib import Path

import pytest

from qrsupport import store
from qrsupport.errors import BadData, MissingResource
from qrsupport.study import evidence

ROOT = Path(__file__).parents[1]
FILE = ROOT / "book" / "results" / "evidence.json"


def write(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'"{text}","x",{result}' for text, result in rows]
    file.write_text("\n".join(["original_text,perturbed_text,result_type", *lines]) + "\n", "utf-8")
    return file


def test_a_log_is_read_by_text(tmp_path):
    file = write(tmp_path / "a.csv", [("A [[fine]] day", "Successful"), ("dull", "Failed"), ("bad", "Skipped")])
    assert evidence.read_log(file) == {"a fine day": ("succeeded", 1, 3), "dull": ("failed", 0, 1), "bad": ("skipped", 0, 1)}


@pytest.mark.parametrize("row", [("dull", "Perhaps"), ("", "Failed"), ("a fine day", "Failed")])
def test_a_row_that_is_none_is_named(tmp_path, row):
    file = write(tmp_path / "a.csv", [("a [[fine]] day", "Failed"), row])
    with pytest.raises(BadData, match="a.csv:3"):
        evidence.read_log(file)
    with pytest.raises(MissingResource, match="b.csv"):
        evidence.read_log(tmp_path / "b.csv")


def test_two_logs_are_compared_on_the_texts_that_both_have():
    plain = {"a": ("succeeded", 3), "b": ("succeeded", 2), "c": ("skipped", 0), "d": ("failed", 0), "e": ("failed", 0)}
    other = {"a": ("failed", 0), "b": ("failed", 0), "c": ("failed", 0), "d": ("succeeded", 2), "f": ("failed", 0)}
    found = evidence.compared(*({t: evidence.Ended(*e, words=10) for t, e in log.items()} for log in (plain, other)))
    assert (found["n"], found["kept_plain"], found["kept_other"]) == (4, 1, 3)
    assert (found["only_other"], found["only_plain"]) == (3, 1)
    assert found["p"] == pytest.approx(2 * (comb(4, 0) + comb(4, 1)) / 2**4)
    few = found["few"]  # two of ten words at most: a's attack needs three
    assert (few["kept_plain"], few["kept_other"], few["only_other"], few["only_plain"]) == (2, 3, 2, 1)


def test_the_books_file_adds_up_and_holds_numbers_only():
    found = store.read_json(FILE)
    for log in found["logs"]:
        assert log["n"] == log["succeeded"] + log["failed"] + log["skipped"]
    kept = {(log["source"], log["log"]): log["failed"] for log in found["logs"]}
    for pair in found["pairs"]:
        assert pair["kept_plain"] == kept[pair["source"], pair["plain"]]
        assert pair["kept_other"] - pair["kept_plain"] == pair["only_other"] - pair["only_plain"]
    names = {name for s in evidence.SOURCES.values() for pair in s.compare for name in pair} | set(evidence.SOURCES)
    texts = {value for part in found.values() for row in part for value in row.values() if isinstance(value, str)}
    assert all(text in names or len(text) == 64 for text in texts)
    assert repr(evidence.logs_table(found)).count("\n") == len(found["logs"]) + 2
    assert repr(evidence.pairs_table(found)).count("\n") == len(found["pairs"]) + 2
