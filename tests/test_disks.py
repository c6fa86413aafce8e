"""A disk that is really full, or really read-only, is named, whoever was writing; nothing half-made is left."""

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from disks import read_only, small

from qrsupport import config, pipeline, store
from qrsupport.book import chapters
from qrsupport.errors import BadParameter, StorageError

SPARE = (64, 600, 1400, 2300, 3200, 4600, 6500, 9000)
"""Kilobytes."""
BUILT = ("int8-dynamic", "int8-static-minmax", "int8-weights", "fp16", "w4a4", "noise-1")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Parameters of a run directory with a checkpoint, its fp32 and its int8-dynamic."""
    p = config.make(backbone="bert-small", train_limit=200, epochs=1, n=2, attack="pwws", calibration_examples=4,
                    run_dir=str(tmp_path_factory.mktemp("runs")))  # fmt: skip
    pipeline.variant(p, "int8-dynamic")
    return p


def files(folder: Path) -> set[Path]:
    return {f for f in folder.rglob("*") if f.is_file() and f.suffix != ".lock"}


def parts(base, *names: str) -> list[Path]:
    """The artefacts in the run directory of `base` whose folder's name holds one of `names`."""
    return [d for d in config.run_dir(base).glob("*/*") if d.is_dir() and any(name in str(d) for name in names)]


def kilobytes(places: list[Path]) -> int:
    """What files and folders at `places` take on a disk of 4 KB blocks."""
    return sum(4 * (1 - -f.stat().st_size // 4096) for place in places for f in (place, *place.rglob("*")))


def refusals(base, disk: Path, needs: list[Path], call) -> int:
    """How often `call` is refused, by name and leaving nothing, on ever larger disks with room for `needs`, until it goes through."""
    for times, spare in enumerate(SPARE):
        with small(disk, kilobytes(needs) + spare):
            for folder in needs:
                shutil.copytree(folder, disk / folder.parent.name / folder.name)
            before = files(disk)
            try:
                call(dataclasses.replace(base, run_dir=str(disk)))
            except StorageError as e:
                assert f"cannot write {disk}" in str(e) and "No space left" in str(e)
                assert files(disk) == before
            else:
                return times
    raise AssertionError("no disk was large enough")


@pytest.mark.slow
def test_a_full_disk_is_named_when_weights_are_saved(base, tmp_path):
    assert refusals(base, tmp_path / "disk", [], pipeline.checkpoint) > 1


@pytest.mark.slow
def test_a_full_disk_is_named_when_a_classifier_is_exported(base, tmp_path):
    needs = parts(base, "checkpoints")
    assert refusals(base, tmp_path / "disk", needs, lambda p: pipeline.variant(p, "fp32")) > 1


@pytest.mark.parametrize("name", BUILT)
def test_a_full_disk_is_named_when_a_variant_is_made(base, tmp_path, name):
    needs = parts(base, "checkpoints", "fp32", *(["int8-dynamic"] if name == "noise-1" else []))
    assert refusals(base, tmp_path / "disk", needs, lambda p: pipeline.variant(p, name)) > 1


def test_a_full_disk_is_named_when_records_are_written(base, tmp_path):
    disk, needs = tmp_path / "disk", parts(base, "checkpoints", "fp32")
    with small(disk, 6000):
        for folder in needs:
            shutil.copytree(folder, disk / folder.parent.name / folder.name)
        p = dataclasses.replace(base, run_dir=str(disk))
        pipeline.attack(p, "fp32", progress=False)
        fill(disk)
        for call in (lambda: pipeline.attack(dataclasses.replace(p, n=3), "fp32", progress=False),
                     lambda: pipeline.clean(p, "fp32")):  # fmt: skip
            with pytest.raises(StorageError, match=f"cannot write {disk}.*No space left"):
                call()
        (disk / "filler").unlink()
        pipeline.attack(dataclasses.replace(p, n=3), "fp32", progress=False)


def fill(folder: Path) -> None:
    """Leaves no byte to spare."""
    with open(folder / "filler", "wb", buffering=0) as f, pytest.raises(OSError, match="No space left"):
        while f.write(bytes(4096)):
            pass


def test_a_full_directory_for_temporary_files_is_not_taken_for_the_run_directory(base, tmp_path, monkeypatch):
    with small(tmp_path / "temporary", 1500) as temporary:
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        with pytest.raises(StorageError, match=f"cannot write {temporary}"):
            pipeline.variant(base, "int8-static-minmax")
        fill(temporary)
        with pytest.raises(StorageError, match=f"cannot write {temporary}"):
            chapters.execute("finetune", {}, tmp_path / "out.ipynb")
    assert not list(tmp_path.rglob("*.ipynb"))


def test_a_mistake_is_not_put_down_to_a_disk_with_space(tmp_path):
    def build(room):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        store.made(tmp_path / "x", {}, build)


def test_a_bad_value_is_not_put_down_to_a_full_disk(tmp_path):
    def build(room):
        fill(room)
        raise BadParameter("n=0")

    with small(tmp_path / "disk", 64) as disk, pytest.raises(BadParameter):
        store.made(disk / "x", {}, build)


@pytest.mark.parametrize("place", ["/proc/x", "/proc/self/x"])
def test_a_place_that_can_hold_nothing_is_named(place):
    if not Path("/proc/self").exists():
        pytest.skip("no /proc here")
    with pytest.raises(StorageError, match=place):
        store.write_text(Path(place) / "runs" / "a", "x")


def test_a_read_only_disk_is_named(tmp_path):
    with read_only(tmp_path / "disk") as disk, pytest.raises(StorageError, match=f"{disk}.*Read-only"):
        store.made(disk / "runs" / "x", {}, lambda room: None)


@pytest.mark.slow
def test_workers_without_shared_memory_are_named(base, tmp_path):
    """/dev/shm is read-only in a namespace of the test's own."""
    code = (
        "import sys\nfrom qrsupport import config, pipeline\nfrom qrsupport.errors import StorageError\n"
        "if __name__ == '__main__':\n"
        "    p = config.make(backbone='bert-small', train_limit=200, epochs=1, n=4, attack='pwws', attack_seed=5, workers=2, run_dir=sys.argv[1])\n"
        "    try: pipeline.attack(p, 'fp32', progress=False)\n"
        "    except StorageError as e: print(e)\n"
    )
    (tmp_path / "main.py").write_text(code)
    script = 'mount -t tmpfs -o ro none /dev/shm && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, str(tmp_path / "main.py"), base.run_dir]
    if os.geteuid() or not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert "/dev/shm" in done.stdout and "workers=1" in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_named_by_the_site(tmp_path):
    needs = [Path(__file__).parents[1] / name for name in ("nbs", "book", "_config.yml", "_toc.yml")]
    with small(tmp_path / "project", kilobytes(needs) + 500) as project:
        for path in needs:
            (shutil.copytree if path.is_dir() else shutil.copy)(path, project / path.name)
        fill(project)
        done = subprocess.run([sys.executable, "-m", "qrsupport", "site"], check=False, cwd=project, capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert f"error: cannot write {project}" in done.stderr
