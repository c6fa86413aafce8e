"""Records are appended whole, survive a kill, and are never mixed."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored import all_records

from qrsupport import config, recorded, records
from qrsupport.analysis import runs
from qrsupport.errors import NoRecords, StaleArtefact
from qrsupport.recorded import Folder
from qrsupport.records import Record, Status


def record(position, **changes):
    given = {
        "example": f"embedded/test/{position:05}", "position": position, "dataset": "embedded", "backbone": "bert-small",
        "seed": 0, "variant": "fp32", "attack": "pwws", "resources": "embedded", "attack_seed": 0,
        "status": Status.failed, "label": 1,
    }  # fmt: skip
    return Record(**given | changes)


@given(st.text(), st.text(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(Status))
def test_a_record_survives_its_line(text, note, similarity, status):
    r = record(3, text=text, note=note, similarity=similarity, status=status)
    line = records.to_line(r)
    assert len(line.splitlines()) == 1 and line.isascii() and records.from_line(line, Record) == r


def test_records_come_back_by_position_whatever_the_order(tmp_path):
    folder = Folder(tmp_path)
    folder.open({"a": 1})
    for position in (2, 0, 1):
        folder.append(record(position))
    in_journal = folder.load()
    folder.close()
    assert [r.position for r in folder.load()] == [0, 1, 2] and folder.load() == in_journal
    assert not (tmp_path / recorded.JOURNAL).exists()


def test_the_bytes_do_not_depend_on_order_or_on_stops(tmp_path):
    content = []
    for name, order in (("a", [0, 1, 2, 3]), ("b", [3, 1]), ("b", [0, 2])):
        folder = Folder(tmp_path / name)
        folder.open({"a": 1})
        for position in order:
            folder.append(record(position))
        folder.close()
        content.append((tmp_path / name / recorded.RECORDS).read_bytes())
    assert content[0] == content[2] != content[1]


def test_a_half_written_line_is_dropped_and_its_example_runs_again(tmp_path):
    folder = Folder(tmp_path)
    folder.open({})
    folder.append(record(0))
    with open(tmp_path / recorded.JOURNAL, "a") as f:
        f.write(records.to_line(record(1))[:40])
    assert [r.position for r in folder.load()] == [0]
    folder.open({})
    folder.append(record(1))
    assert [r.position for r in folder.load()] == [0, 1]


def test_a_rerun_of_an_error_replaces_it(tmp_path):
    folder = Folder(tmp_path)
    for status in (Status.error, Status.succeeded):
        folder.open({})
        folder.append(record(0, status=status))
        folder.close()
    assert [r.status for r in folder.load()] == [Status.succeeded]


@pytest.mark.parametrize("ended", [True, False])
def test_records_of_something_else_are_set_aside_and_a_line_says_why(tmp_path, capsys, ended):
    folder = closed(tmp_path / "one")
    if not ended:
        folder.append(record(3))
    old = folder.load()
    folder.open({"a": 1, "code": {"search": "x"}})
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "code: None → {'search': 'x'}" in said and "superseded-1" in said
    assert folder.load() == [] and Folder(folder.path / "superseded-1").load() == old
    assert folder.depends() == {"a": 1, "code": {"search": "x"}}
    folder.open({"a": 1})
    assert Folder(folder.path / "superseded-2").depends()["code"] == {"search": "x"}


def test_a_move_aside_that_was_stopped_is_gone_on_with(tmp_path, monkeypatch):
    folder = closed(tmp_path / "one")
    old, real = folder.load(), os.replace

    def stop(source, target):
        real(source, target)
        raise Killed

    monkeypatch.setattr(recorded.os, "replace", stop)
    with pytest.raises(Killed):
        folder.open({"a": 2})
    monkeypatch.undo()
    folder.open({"a": 2})
    assert folder.load() == [] and Folder(folder.path / "superseded-1").load() == old


def closed(path, n=3):
    """A folder whose run has ended with n records."""
    folder = Folder(path)
    folder.open({"a": 1})
    for position in range(n):
        folder.append(record(position))
    folder.close()
    return folder


def lines(folder):
    return (folder.path / recorded.RECORDS).read_text().splitlines(keepends=True)


@pytest.mark.parametrize(
    "harm",
    [
        lambda old: old[:-1],
        lambda old: [],
        lambda old: [*old, old[-1]],
        lambda old: [*old, records.to_line(record(3)) + "\n"],
        lambda old: [old[0].replace('"failed"', '"skipped"'), *old[1:]],
        lambda old: [*old[:-1], old[-1].rstrip("\n")],
        None,
    ],
    ids=["cut at a line's end", "emptied", "doubled", "one more", "another status", "last newline", "missing"],
)
def test_records_that_were_altered_are_refused_by_name(tmp_path, harm):
    folder = closed(tmp_path / "attacks" / "one")
    file = folder.path / recorded.RECORDS
    file.write_text("".join(harm(lines(folder)))) if harm else file.unlink()
    for reader in (folder.load, folder.close, lambda: all_records(tmp_path)):
        with pytest.raises(StaleArtefact, match=r"records\.jsonl .*3 written"):
            reader()


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"depends": 1}', '{"depends": {}, "records": [1]}'])
def test_records_without_what_made_them_are_refused_and_set_aside_by_the_next_run(tmp_path, content, capsys):
    folder, file = closed(tmp_path), tmp_path / "meta.json"
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(StaleArtefact, match=r"meta\.json"):
        folder.load()
    folder.open({"a": 1})
    assert folder.load() == [] and "meta.json" in capsys.readouterr().err
    assert (tmp_path / "superseded-1" / recorded.RECORDS).exists()


class Killed(BaseException):
    """In place of SIGKILL."""


@pytest.mark.parametrize("harmless_steps", range(7))
def test_a_kill_anywhere_in_the_runs_end_loses_nothing(tmp_path, monkeypatch, harmless_steps):
    """The disk is changed by os.replace (records, meta) and by unlinking the journal: stop before and after each."""
    whole = closed(tmp_path / "whole", 5)
    folder = closed(tmp_path / "cut", 2)
    for position in (4, 2, 3):
        folder.append(record(position))
    left = iter(range(harmless_steps))

    def step(change):
        def changed(*arguments, **more):
            if next(left, None) is None:
                raise Killed
            change(*arguments, **more)
            if next(left, None) is None:
                raise Killed

        return changed

    monkeypatch.setattr(records.store.os, "replace", step(os.replace))
    monkeypatch.setattr(Path, "unlink", step(Path.unlink))
    monkeypatch.setattr(records.store.os, "unlink", lambda path: None)  # a killed process tidies nothing up
    try:
        folder.close()
        died = False
    except Killed:
        died = True
    monkeypatch.undo()
    assert died == (harmless_steps < 6)
    again = Folder(tmp_path / "cut")
    assert again.load() == whole.load()
    again.open({"a": 1})
    again.close()
    assert (
        lines(again) == lines(whole)
        and (again.path / "meta.json").read_bytes() == (whole.path / "meta.json").read_bytes()
    )


def test_a_run_that_goes_on_is_checked_again_at_its_end(tmp_path):
    folder = closed(tmp_path)
    folder.open({"a": 1})
    folder.append(record(3))
    assert len(folder.load()) == 4
    folder.close()
    (tmp_path / recorded.RECORDS).write_text("".join(lines(folder)[:3]))  # what the first run's end left
    with pytest.raises(StaleArtefact, match="3 records of 4 written"):
        folder.load()


def test_a_damaged_line_is_named(tmp_path):
    folder = Folder(tmp_path)
    folder.open({})
    folder.append(record(0))
    folder.close()
    (tmp_path / recorded.RECORDS).write_text(records.to_line(record(0)) + '\n{"example": 1}\n')
    with pytest.raises(StaleArtefact, match="records.jsonl, line 2"):
        folder.load()


@given(st.text())
def test_any_line_gives_a_record_or_a_named_error(line):
    with pytest.raises(StaleArtefact):
        records.from_line(line, Record)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([f.name for f in dataclasses.fields(Record)]), JUNK)
def test_a_field_of_another_kind_is_refused_by_name(name, value):
    content = json.loads(records.to_line(record(0))) | {name: value}
    content = {f.name: content[f.name] for f in dataclasses.fields(Record) if f.name in content}
    line = json.dumps({k: v for k, v in content.items() if v or k not in config.LATER})  # those not set are left out
    try:
        assert records.to_line(records.from_line(json.dumps(content), Record)) == line
    except StaleArtefact as e:
        assert "is not a record" in str(e)


def test_a_line_nested_beyond_reading_is_refused():
    with pytest.raises(StaleArtefact):
        records.from_line("[" * 100_000, Record)


def test_an_empty_run_directory_says_what_to_run(tmp_path):
    with pytest.raises(NoRecords, match="make book"):
        runs.load(tmp_path)


def test_the_adversarial_set_holds_the_original_where_the_attack_did_not_succeed():
    texts = {s: records.adversarial_text(record(0, status=s, text="old", perturbed="new")) for s in Status}
    assert [s for s in Status if texts[s] == "new"] == [Status.succeeded]
    assert all(status.remedy for status in Status)
