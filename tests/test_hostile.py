"""Files from strangers run nothing and leave their directory alone; a disk that refuses harms nothing that was there."""

import builtins
import contextlib
import dataclasses
import errno
import http.server
import io
import json
import os
import pickle
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from stored import all_clean

from qrsupport import config, pipeline, store
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint, BadData, NoNetwork, QRError, StaleArtefact, StorageError
from qrsupport.lexicons import published, sources, word_encoder
from qrsupport.quantization import classifiers
from qrsupport.training import backbones


class Payload:
    """Makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.fixture
def canary(tmp_path):
    """(a pickle that makes a directory when loaded, whether it has); it does so if it is loaded."""
    mark = tmp_path / "ran"
    content = pickle.dumps(Payload(mark))
    pickle.loads(content)
    assert mark.is_dir(), "a canary that cannot sing"
    mark.rmdir()
    yield content, mark
    assert not mark.exists(), "the payload ran"


# no pickle, no code --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def local(tiny, tmp_path_factory):
    """A checkpoint as somebody else's directory in Hugging Face layout."""
    return Path(shutil.copytree(pipeline.checkpoint(tiny), tmp_path_factory.mktemp("theirs") / "backbone"))


@pytest.fixture
def theirs(local, tmp_path):
    return Path(shutil.copytree(local, tmp_path / "backbone"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "training_args.bin", "optimizer.pt", "model.safetensors"])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside the weights"])
def test_a_pickle_in_a_backbone_is_never_loaded(tiny, theirs, tmp_path, canary, name, alone):
    content, _ = canary
    if alone:
        (theirs / "model.safetensors").unlink()
    (theirs / name).write_bytes(content)
    p = dataclasses.replace(tiny, backbone=str(theirs), run_dir=str(tmp_path / "runs"))
    if alone or name == "model.safetensors":
        with pytest.raises(BadCheckpoint):
            backbone(p)
    else:
        backbone(p)


def backbone(p):
    return backbones.build(p, datasets.load(p))


def test_a_backbones_own_code_is_never_run(tiny, theirs, tmp_path, canary):
    _, mark = canary
    code = f"import os\nos.mkdir({str(mark)!r})\nclass Model: pass\nclass Config: pass\n"
    (theirs / "modeling_theirs.py").write_text(code)
    settings = json.loads((theirs / "config.json").read_text())
    names = {"AutoConfig": "modeling_theirs.Config", "AutoModelForSequenceClassification": "modeling_theirs.Model"}
    (theirs / "config.json").write_text(json.dumps(settings | {"auto_map": names, "model_type": "theirs"}))
    with pytest.raises(BadCheckpoint):
        backbone(dataclasses.replace(tiny, backbone=str(theirs), run_dir=str(tmp_path / "runs")))


@pytest.mark.parametrize("name", ["tokenizer.json", "model.onnx", "variant.json"])
def test_a_pickle_in_a_variant_is_refused(tiny, tmp_path, canary, name):
    folder = shutil.copytree(pipeline.variant(tiny, "fp32"), tmp_path / "variant")
    (folder / name).write_bytes(canary[0])
    with pytest.raises(BadCheckpoint, match=name):
        classifiers.load(folder)


def test_pickles_in_what_is_fetched_and_built_are_refused(tmp_path, canary):
    content, mark = canary
    (tmp_path / "t.pkl").write_bytes(content)
    with pytest.raises(BadData, match="names"):
        published.sememe_table(tmp_path / "t.pkl")
    arrays = {"paragram.npy": np.eye(2), "nn.npy": np.array([[0, 1], [1, 0]])}
    for spoilt in (*arrays, "wordlist.pickle"):
        parts = {name: npy(array) for name, array in arrays.items()} | {
            "wordlist.pickle": pickle.dumps({"a": 0, "b": 1})
        }
        parts[spoilt] = content if spoilt.endswith("pickle") else npy(np.array([Payload(mark)], object))
        with zipfile.ZipFile(tmp_path / "v.zip", "w") as z:
            for name, part in parts.items():
                z.writestr(name, part)
        with pytest.raises(BadData):
            published.Vectors(tmp_path / "v.zip")
    room = tmp_path / "encoder"
    room.mkdir()
    (room / "words.json").write_text('["a"]')
    (room / "vectors.npy").write_bytes(npy(np.array([Payload(mark)], object)))
    with pytest.raises(ValueError, match="allow_pickle"):
        word_encoder.Text(room)


def npy(array):
    room = io.BytesIO()
    np.save(room, array, allow_pickle=True)
    return room.getvalue()


@pytest.mark.parametrize(
    "name", ["sst2/glue/train.tsv", "emotion/train.txt", "mr/sentence_polarity.zip", "mr/rt-polarity.pos"]
)
def test_a_pickle_in_place_of_a_data_set_is_refused(tmp_path, canary, monkeypatch, name):
    monkeypatch.setenv("QRSUPPORT_DATA", str(tmp_path))
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(canary[0])
    with pytest.raises(BadData):
        datasets.read(name.split("/")[0])


def test_a_pickle_in_the_cache_is_refused(tmp_path, canary, monkeypatch):
    monkeypatch.setenv("QRSUPPORT_CACHE", str(tmp_path))
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / published.HOWNET).write_bytes(canary[0])
    with pytest.raises(BadData):
        sources._published_sememes()


@pytest.mark.parametrize("inside", ["../rt-polarity.pos", "/tmp/rt-polarity.pos", "..\\rt-polarity.pos"])
def test_an_archive_writes_nothing_anywhere(tmp_path, monkeypatch, inside):
    folder = tmp_path / "data" / "mr"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "sentence_polarity.zip", "w") as z:
        z.writestr(inside, "good\n" * 10)
        z.writestr("../evil", "x")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setenv("QRSUPPORT_DATA", str(tmp_path / "data"))
    with pytest.raises(BadData):
        datasets.read("mr")
    assert sorted(tmp_path.rglob("*")) == before


# a disk that refuses -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def refusing(monkeypatch, below, code):
    """Every file below a folder opens for reading only and takes no byte, as on a full or a read-only disk."""
    plain, real_open, real_mkdir = builtins.open, os.open, os.mkdir

    def refuse(path):
        raise OSError(code, os.strerror(code), str(path))

    def inside(path):
        return isinstance(path, (str, os.PathLike)) and Path(path).absolute().is_relative_to(below)

    def opened(path, mode="r", *rest, **more):
        if inside(path) and set(mode) & set("wax+") and not str(path).endswith(".lock"):
            refuse(path)
        return plain(path, mode, *rest, **more)

    def low(path, flags, *rest, **more):
        if inside(path) and flags & (os.O_WRONLY | os.O_RDWR) and not str(path).endswith(".lock"):
            refuse(path)
        return real_open(path, flags, *rest, **more)

    def made(path, *rest, **more):
        if inside(path) and not Path(path).exists():
            refuse(path)
        return real_mkdir(path, *rest, **more)

    with monkeypatch.context() as m:
        m.setattr(builtins, "open", opened)
        m.setattr(io, "open", opened)
        m.setattr(os, "open", low)
        m.setattr(os, "mkdir", made)
        yield


def snapshot(folder):
    return {f: f.read_bytes() for f in Path(folder).rglob("*") if f.is_file() and not f.name.endswith(".lock")}


STAGES = {
    "fine-tune": lambda p: pipeline.checkpoint(dataclasses.replace(p, seed=7)),
    "quantize": lambda p: pipeline.variant(dataclasses.replace(p, reduce_range=True), "int8-dynamic"),
    "attack": lambda p: pipeline.attack(dataclasses.replace(p, attack="pwws", n=3, attack_seed=111), progress=False),
    "more of an attack": lambda p: pipeline.attack(
        dataclasses.replace(p, attack="pwws", n=9, attack_seed=12), progress=False
    ),
    "replay": lambda p: pipeline.replay(dataclasses.replace(p, attack="pwws", n=3, attack_seed=12), "fp32", "fp32"),
    "clean": lambda p: pipeline.clean(p, "int8-dynamic"),
}


@pytest.fixture(scope="module")
def filled(tiny, tmp_path_factory):
    """A run directory of its own with a checkpoint, two variants and an attack."""
    p = dataclasses.replace(tiny, run_dir=str(tmp_path_factory.mktemp("filled")))
    shutil.copytree(pipeline.checkpoint(tiny).parent, config.run_dir(p) / "checkpoints")
    for name in ("fp32", "int8-dynamic"):
        pipeline.variant(p, name)
    pipeline.attack(dataclasses.replace(p, attack="pwws", n=3, attack_seed=12), progress=False)
    return p


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS], ids=["full", "read-only"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_refuses_is_named_and_nothing_that_was_there_changes(filled, monkeypatch, stage, code):
    run_dir = config.run_dir(filled)
    before = snapshot(run_dir)
    with refusing(monkeypatch, run_dir, code), pytest.raises(StorageError, match=str(run_dir)):
        STAGES[stage](filled)
    assert snapshot(run_dir) == before


def test_the_disk_recovers(filled):
    """After a refusal the same call goes through: nothing is left in its way."""
    found = STAGES["more of an attack"](filled)
    assert [r.position for r in found] == list(range(9))


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_disk_that_fills_up_at_the_end_of_an_attack(filled, monkeypatch, failing):
    q = dataclasses.replace(filled, attack="pwws", n=3, attack_seed=13 if failing == "fsync" else 14)
    real, calls = getattr(os, failing), []

    def full(*arguments):
        calls.append(1)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    with monkeypatch.context() as m:
        m.setattr(os, failing, full)
        with contextlib.suppress(StorageError):
            pipeline.attack(q, progress=False)
        if failing == "fsync":
            assert len(calls) > 3
    assert len(pipeline.attack(q, progress=False)) == 3


# a download that breaks off -------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    """A server on this machine that announces as many bytes as it is told and gives `content`; every file is fetched there."""

    class Answer(http.server.BaseHTTPRequestHandler):
        content, announced = b"content", 7

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(self.announced))
            self.end_headers()
            self.wfile.write(self.content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setitem(published.FILES, "hownet", {published.HOWNET: f"http://127.0.0.1:{running.server_port}/"})
        yield Answer
        running.shutdown()


def test_a_truncated_download_is_not_kept(tmp_path, server):
    server.content, server.announced = b"x" * 400, 1000
    with pytest.raises(NoNetwork, match="400 bytes read, 600 more"):
        published.fetch("hownet", tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == [".sums.json.lock"]


def test_a_disk_that_fills_up_during_a_download_is_named(tmp_path, server, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        published.fetch("hownet", tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == [".sums.json.lock"]


def test_what_was_fetched_survives_a_later_failure(tmp_path, server):
    published.fetch("hownet", tmp_path)
    kept = snapshot(tmp_path)
    (tmp_path / published.HOWNET).write_bytes(b"cont")
    with pytest.raises(StaleArtefact, match=published.HOWNET):
        published.fetch("hownet", tmp_path)
    (tmp_path / published.HOWNET).write_bytes(b"content")
    assert snapshot(tmp_path) == kept


def test_altered_predictions_are_noticed(filled):
    pipeline.clean(filled, "fp32")
    folder = pipeline.clean_folder(filled, "fp32")
    assert all_clean(config.run_dir(filled))
    file = folder / "predictions.json"
    kept = file.read_bytes()
    file.write_bytes(kept.replace(b'"fp32"', b'"fp33"'))
    try:
        with pytest.raises(StaleArtefact, match=r"predictions\.json"):
            all_clean(config.run_dir(filled))
    finally:
        file.write_bytes(kept)
    assert issubclass(StaleArtefact, QRError) and store.intact(folder)
