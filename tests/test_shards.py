"""An attack in shards: they run anywhere, in any order, more than once; together they are one run."""

import dataclasses
import json
import os
import shutil

import pytest

from qrsupport import config, pipeline, recorded, records
from qrsupport.attacks import running
from qrsupport.errors import BadParameter

OF = 3


@pytest.fixture
def p(tiny, tmp_path):
    """Parameters of a run directory of its own, with the checkpoint and the variants of `tiny`."""
    q = dataclasses.replace(tiny, attack="pwws", n=8, run_dir=str(tmp_path / "runs"))
    pipeline.variant(tiny, "fp32")
    (tmp_path / "runs").mkdir()
    for kind in ("checkpoints", "variants"):
        os.symlink(config.run_dir(tiny) / kind, tmp_path / "runs" / kind)
    return q


def bytes_of(p):
    """The records' file without their timing."""
    lines = (pipeline.attack_folder(p).path / recorded.RECORDS).read_text().splitlines()
    return [json.dumps(json.loads(line) | {"timing": {}}) for line in lines]


def run(p, part, of=OF):
    return pipeline.attack_shard(p, part, of, progress=False)


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """What one run writes."""
    q = dataclasses.replace(tiny, attack="pwws", n=8, run_dir=str(tmp_path_factory.mktemp("whole")))
    pipeline.attack(q, progress=False)
    return bytes_of(q)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 2, 1, 3)])
def test_shards_are_one_run(p, whole, order, monkeypatch):
    for part in order:
        assert [r.position for r in run(p, part)] == list(range(part - 1, 8, OF))
    asked = []
    monkeypatch.setattr(running, "outcomes", lambda task, todo: asked.extend(todo) or ())
    found = pipeline.attack(p, progress=False)
    assert not asked and len(found) == 8 and bytes_of(p) == whole
    assert not (pipeline.attack_folder(p).path / recorded.SHARDS).exists()


def test_what_no_shard_made_is_attacked(p, whole):
    run(p, 2)
    unfinished = pipeline.attack_folder(p).shard(1, OF)
    unfinished.open(pipeline.attack_folder(p).shard(2, OF).depends())
    record = run(dataclasses.replace(p, run_dir=p.run_dir, n=1), 1)[0]
    os.replace(unfinished.path / recorded.RECORDS, unfinished.path / recorded.JOURNAL)  # as a kill leaves it
    meta = json.loads((unfinished.path / "meta.json").read_text())
    (unfinished.path / "meta.json").write_text(json.dumps({k: v for k, v in meta.items() if k != "records"}))
    with open(unfinished.path / recorded.JOURNAL, "a") as f:
        f.write('{"example": "half')
    found = pipeline.attack(p, progress=False)
    assert found[0] == record and bytes_of(p) == whole
    assert os.listdir(pipeline.attack_folder(p).path / recorded.SHARDS) == [f"1-of-{OF}"], "one is still being filled"
    assert run(p, 1) == [record], "which makes nothing that the whole has"
    pipeline.attack(p, progress=False)
    assert not (pipeline.attack_folder(p).path / recorded.SHARDS).exists() and bytes_of(p) == whole


def test_a_shard_of_something_else_is_not_taken_over(p, whole, capsys):
    run(p, 1)
    shard = pipeline.attack_folder(p).shard(1, OF)
    meta = json.loads((shard.path / "meta.json").read_text())
    other = shard.path.with_name(f"2-of-{OF}")
    shutil.copytree(shard.path, other)
    meta["depends"]["code"] = {"search": "other"}
    (other / "meta.json").write_text(json.dumps(meta))
    (other / "meta.json").write_text(json.dumps(meta | {"records": {}}))
    content = [dataclasses.replace(r, status=records.Status.skipped) for r in shard.load()]
    (other / recorded.RECORDS).write_text("".join(records.to_line(r) + "\n" for r in content))
    pipeline.attack(p, progress=False)
    assert bytes_of(p) == whole
    run(p, 2)
    assert "made again" in capsys.readouterr().err and (other / "superseded-1").is_dir()
    pipeline.attack(p, progress=False)
    assert bytes_of(p) == whole and (other / "superseded-1" / recorded.RECORDS).exists(), "superseded records stay"


def test_a_damaged_shard_is_made_again(p, whole):
    run(p, 1)
    file = pipeline.attack_folder(p).shard(1, OF).path / recorded.RECORDS
    file.write_text(file.read_text().replace("the", "teh", 1))
    pipeline.attack(p, progress=False)
    assert bytes_of(p) == whole


@pytest.mark.parametrize("part", [0, 4])
def test_a_part_lies_among_the_parts(p, part):
    with pytest.raises(BadParameter, match=rf"part={part} must lie in \[1, 3\]"):
        run(p, part)
    assert not pipeline.attack_folder(p).path.exists()
