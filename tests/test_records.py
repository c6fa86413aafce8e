"""Records are appended whole, survive a kill, and are never mixed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrsupport import records
from qrsupport.errors import NoRecords, StaleArtefact
from qrsupport.records import Folder, Record, Status


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
    assert not (tmp_path / records.JOURNAL).exists()


def test_the_bytes_do_not_depend_on_order_or_on_stops(tmp_path):
    content = []
    for name, order in (("a", [0, 1, 2, 3]), ("b", [3, 1]), ("b", [0, 2])):
        folder = Folder(tmp_path / name)
        folder.open({"a": 1})
        for position in order:
            folder.append(record(position))
        folder.close()
        content.append((tmp_path / name / records.RECORDS).read_bytes())
    assert content[0] == content[2] != content[1]


def test_a_half_written_line_is_dropped_and_its_example_runs_again(tmp_path):
    folder = Folder(tmp_path)
    folder.open({})
    folder.append(record(0))
    with open(tmp_path / records.JOURNAL, "a") as f:
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


def test_records_of_something_else_are_refused_by_name(tmp_path):
    Folder(tmp_path).open({"model": "abc", "versions": {"textattack": "0.3.11"}})
    with pytest.raises(StaleArtefact, match="model: 'abc' → 'def'"):
        Folder(tmp_path).open({"model": "def", "versions": {"textattack": "0.3.11"}})


def test_a_damaged_line_is_named(tmp_path):
    folder = Folder(tmp_path)
    folder.open({})
    folder.append(record(0))
    folder.close()
    (tmp_path / records.RECORDS).write_text(records.to_line(record(0)) + '\n{"example": 1}\n')
    with pytest.raises(StaleArtefact, match="records.jsonl, line 2"):
        folder.load()


@given(st.text())
def test_any_line_gives_a_record_or_a_named_error(line):
    with pytest.raises(StaleArtefact):
        records.from_line(line, Record)


def test_an_empty_run_directory_says_what_to_run(tmp_path):
    with pytest.raises(NoRecords, match="make book"):
        records.load_all(tmp_path)


def test_the_adversarial_set_holds_the_original_where_the_attack_did_not_succeed():
    texts = {s: records.adversarial_text(record(0, status=s, text="old", perturbed="new")) for s in Status}
    assert [s for s in Status if texts[s] == "new"] == [Status.succeeded]
    assert all(status.remedy for status in Status)
