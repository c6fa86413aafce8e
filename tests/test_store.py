"""Artefacts appear whole or not at all, once, and are checked when they are read."""

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from qrsupport import store
from qrsupport.errors import StaleArtefact, StorageError


def write(text):
    return lambda room: (room / "a.txt").write_text(text) and {"by": text}


def test_made_once_and_kept(tmp_path):
    calls = []
    for _ in range(2):
        path = store.made(tmp_path / "x", {"k": 1}, lambda room: calls.append(room) or write("one")(room))
    assert len(calls) == 1 and (path / "a.txt").read_text() == "one" and store.meta(path) == {"by": "one"}


def test_a_failed_build_leaves_nothing(tmp_path):
    def fail(room):
        (room / "half").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        store.made(tmp_path / "x", {}, fail)
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == []


def test_what_was_made_from_something_else_is_made_again_and_a_line_says_why(tmp_path, capsys):
    old = {"data": "a", "code": {"train": "1", "data": "2"}, "options": {"bits": 8}}
    for depends, text in ((old, "one"), (old | {"code": {"train": "3", "data": "2"}}, "two")):
        path = store.made(tmp_path / "x", depends, write(text))
    said = capsys.readouterr().err
    assert (path / "a.txt").read_text() == "two" and store.meta(path) == {"by": "two"}
    assert said.count("\n") == 1 and "x: code.train: '1' → '3'" in said and "data" not in said
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == ["x"]


def test_a_build_that_fails_leaves_the_old_artefact(tmp_path):
    path = store.made(tmp_path / "x", {"data": "a"}, write("one"))
    with pytest.raises(ZeroDivisionError):
        store.made(path, {"data": "b"}, lambda room: 1 / 0)
    assert (path / "a.txt").read_text() == "one" and store.intact(path)


@pytest.mark.parametrize("harm", ["altered", "truncated", "missing", "meta"])
def test_an_altered_artefact_is_named_and_made_again(tmp_path, harm, capsys):
    path = store.made(tmp_path / "x", {}, write("content"))
    file = path / (store.META if harm == "meta" else "a.txt")
    if harm == "missing":
        file.unlink()
    else:
        file.write_text({"altered": "Content", "truncated": "cont", "meta": "{"}[harm])
    with pytest.raises(StaleArtefact, match=file.name):
        store.intact(path)
    store.made(path, {}, write("content"))
    assert file.name in capsys.readouterr().err and store.intact(path) and (path / "a.txt").read_text() == "content"


def remake(path, turn):
    store.made(path, {"turn": turn}, lambda room: write(f"turn {turn}")(room))


def test_many_processes_that_make_it_again_leave_one_whole(tmp_path):
    context = multiprocessing.get_context("spawn")
    all = [context.Process(target=remake, args=(tmp_path / "x", i % 2)) for i in range(6)]
    [p.start() for p in all]
    [p.join() for p in all]
    assert [p.exitcode for p in all] == [0] * 6 and store.intact(tmp_path / "x")
    assert {p.name for p in tmp_path.iterdir()} == {"x", ".x.lock"}


def build_slowly(path, log):
    def build(room):
        with open(log, "a") as f:
            f.write("built\n")
        time.sleep(0.3)
        (room / "a.txt").write_text("x")

    store.made(path, {}, build)


def test_two_processes_one_builds(tmp_path):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=build_slowly, args=(tmp_path / "x", tmp_path / "log")) for _ in range(2)]
    [p.start() for p in both]
    [p.join() for p in both]
    assert [p.exitcode for p in both] == [0, 0] and (tmp_path / "log").read_text() == "built\n"


def test_a_dead_process_holds_no_lock_and_leaves_no_litter(tmp_path):
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom qrsupport import store\n"
        "def build(room):\n    (room / 'half').write_text('x')\n    os.kill(os.getpid(), 9)\n"
        "store.made(Path(sys.argv[1]), {}, build)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")]).returncode == -9
    assert list(tmp_path.glob(".x.part-*"))
    store.made(tmp_path / "x", {}, write("whole"))
    assert not list(tmp_path.glob(".x.part-*")) and (tmp_path / "x" / "a.txt").read_text() == "whole"


def test_disk_full_is_named_and_the_old_content_stays(tmp_path, monkeypatch):
    file = tmp_path / "f.json"
    store.write_json(file, {"old": 1})

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(StorageError, match="f.json.*No space left"):
        store.write_json(file, {"new": 2})
    assert json.loads(file.read_text()) == {"old": 1} and [p.name for p in tmp_path.iterdir()] == ["f.json"]


def test_a_file_in_place_of_the_directory_is_named(tmp_path):
    (tmp_path / "runs").write_text("not a directory")
    with pytest.raises(StorageError, match="runs"):
        store.made(tmp_path / "runs" / "x", {}, write("one"))
