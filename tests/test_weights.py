"""A 32-bit variant borrows its weights from its checkpoint: the same answers to the last bit, a fraction of the disk."""

import os
import shutil

import numpy as np
import onnx
import pytest

from qrsupport import pipeline
from qrsupport.data import datasets
from qrsupport.quantization import classifiers, export, weights


@pytest.fixture(scope="module")
def fp32(tiny):
    return pipeline.variant(tiny, "fp32")


@pytest.fixture(scope="module")
def whole(fp32, tmp_path_factory):
    """The same variant with its weights in the ONNX file."""
    folder = tmp_path_factory.mktemp("whole")
    onnx.save(weights.load(fp32 / "model.onnx"), folder / "model.onnx")
    for name in ("tokenizer.json", "variant.json"):
        shutil.copy(fp32 / name, folder)
    return folder


def test_the_weights_are_the_checkpoints_own(tiny, fp32):
    lent = fp32 / weights.FILE
    assert os.path.samefile(lent, pipeline.checkpoint(tiny) / "model.safetensors")
    assert (fp32 / "model.onnx").stat().st_size < 0.1 * lent.stat().st_size
    assert weights.size(fp32 / "model.onnx") > lent.stat().st_size * 0.95


def test_answers_are_those_of_a_file_that_holds_its_weights(tiny, fp32, whole):
    texts = datasets.load(tiny).eval_split().texts[:40]
    assert np.array_equal(classifiers.load(fp32)(texts), classifiers.load(whole)(texts))


def test_loading_gives_the_file_that_the_exporter_wrote(tiny, fp32, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "share", lambda file, lender: None)
    export.to_onnx(pipeline.checkpoint(tiny), tmp_path / "model.onnx")
    model, loaded = onnx.load(tmp_path / "model.onnx"), weights.load(fp32 / "model.onnx")
    tensors = [{t.name: onnx.numpy_helper.to_array(t) for t in m.graph.initializer} for m in (model, loaded)]
    assert tensors[0].keys() == tensors[1].keys()
    assert all(np.array_equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    assert list(model.graph.node) == list(loaded.graph.node)


def test_rounded_activations_borrow_and_rounded_weights_do_not(tiny, fp32):
    a8, w8 = (pipeline.variant(tiny, name) for name in ("a8", "w8"))
    assert os.path.samefile(a8 / weights.FILE, fp32 / weights.FILE) and not (w8 / weights.FILE).exists()


def test_the_digest_covers_what_is_borrowed(fp32, whole, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(fp32, copy)
    assert weights.digest(copy) == weights.digest(fp32) != weights.digest(whole)
    content = bytearray((copy / weights.FILE).read_bytes())
    content[-1] ^= 1
    (copy / weights.FILE).write_bytes(content)
    assert weights.digest(copy) != weights.digest(fp32)


def test_a_file_without_such_weights_stays_as_it_is(fp32, whole, tmp_path):
    from safetensors.numpy import save_file

    shutil.copytree(whole, tmp_path / "other")
    file = tmp_path / "other" / "model.onnx"
    before = file.read_bytes()
    save_file({"w": np.ones((300, 3), np.float32)}, tmp_path / "none.safetensors")
    weights.share(file, tmp_path / "none.safetensors")
    assert file.read_bytes() == before and not (tmp_path / "other" / weights.FILE).exists()
