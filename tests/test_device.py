"""Classifiers on a GPU: PyTorch runs the same file, int8-emulated is the kernel's answer, and a missing GPU is named.

No GPU is needed: PyTorch runs the operations on the CPU here, all but the recording as CUDA graphs.
"""

import dataclasses
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from qrsupport import catalog, config, pipeline
from qrsupport.attacks import answers
from qrsupport.book import chapters
from qrsupport.data import datasets
from qrsupport.errors import CannotRun, UnknownName
from qrsupport.experiments import device
from qrsupport.quantization import batching, classifiers, emulate, on_torch, victim
from qrsupport.report import engine
from qrsupport.training import fine_tuning

FLOATS = ("fp32", "noise-1", "fp32-shifted", "activation-noise-1", "int8-emulated", "w4", "a4", "w8a8")
KERNELS = ("int8-dynamic", "int8-dynamic-channel", "int8-static-minmax", "int8-weights", "fp16")


@pytest.fixture(scope="module")
def texts(tiny):
    """Texts of all lengths: empty, of one token, with words that the vocabulary does not hold, too long."""
    some = datasets.load(tiny).eval_split().texts[:40]
    return ["", "good", "zxqv \u200b \U0001f600", "word " * 300, *some]


@pytest.fixture
def as_if_a_gpu(monkeypatch):
    """PyTorch on the CPU stands for a GPU.  Its sums depend on the number of rows, so answers are not asked again alone."""
    session = on_torch.Session
    monkeypatch.setattr(fine_tuning, "check_device", lambda device: None)
    monkeypatch.setattr(on_torch, "Session", lambda file, device: session(file, "cpu"))
    monkeypatch.setattr(on_torch, "version", lambda device: ("PyTorch", "no GPU"))
    monkeypatch.setattr(victim.Victim, "_sample", lambda self, places: [])


@pytest.mark.parametrize("name", FLOATS)
def test_pytorch_gives_the_logits_of_onnx_runtime(tiny, texts, name, as_if_a_gpu):
    here, there = (pipeline.classifier(dataclasses.replace(tiny, device=device), name) for device in catalog.DEVICES)
    assert (here.device, there.device) == ("cpu", "cuda")
    apart = np.abs(here(texts) - there(texts)).max(axis=1)
    # Where activations are rounded, another last bit can round one to the next level, in few texts.
    share, most = (0.9, 0.01) if name in ("a4", "w8a8") else (1, 1e-5)
    assert np.mean(apart < 1e-5) >= share and apart.max() < most


@pytest.mark.parametrize("backbone", ["distilbert-small", "bert-small"])
def test_emulated_is_the_kernels_answer_to_the_last_bit_in_company(tiny, texts, backbone):
    p = dataclasses.replace(tiny, backbone=backbone, train_limit=200, epochs=1)
    for q in (p, dataclasses.replace(p, per_channel=True), dataclasses.replace(p, weight_type="QUInt8")):
        emulated = pipeline.classifier(q, "int8-emulated")
        assert emulated.together == batching.LARGEST
        assert np.array_equal(emulated(texts), pipeline.classifier(q, "int8-dynamic")(texts))


def test_the_halves_of_a_weight_are_small_and_make_it_up():
    weight = np.arange(-255, 256)
    high, low = emulate.halves(weight)
    assert np.array_equal(emulate.HALF * high.astype(int) + low, weight)
    assert np.abs(high).max() <= emulate.HALF and np.abs(low).max() <= emulate.HALF // 2
    assert 255 * emulate.HALF * emulate.WIDEST <= 2**24


def test_what_is_a_kernel_for_cpus_stays_there(tiny, as_if_a_gpu):
    p = dataclasses.replace(tiny, device="cuda")
    assert {name: pipeline.classifier(p, name).device for name in KERNELS} == dict.fromkeys(KERNELS, "cpu")
    assert pipeline.classifier(p, "ensemble-mean").members[0].device == "cuda"


def test_every_call_on_a_gpu_has_the_same_number_of_rows(tiny, texts, as_if_a_gpu, monkeypatch):
    there, seen = pipeline.classifier(dataclasses.replace(tiny, device="cuda"), "fp32"), []
    run = there.session.run
    monkeypatch.setattr(there.session, "run", lambda names, given: seen.append(len(given["input_ids"])) or run(names, given))
    assert there(texts).shape == (len(texts), 2) and there([]).shape == (0, 2)
    assert set(seen) == {batching.LARGEST}


def test_an_operation_that_is_not_known_is_named(tiny, monkeypatch, as_if_a_gpu):
    monkeypatch.delitem(on_torch.OPERATIONS, "Erf")
    with pytest.raises(CannotRun, match=r"not known in PyTorch here: Erf; take device='cpu'"):
        pipeline.classifier(dataclasses.replace(tiny, device="cuda"), "fp32")


@pytest.fixture(scope="module")
def cases():
    """The examples of ONNX's own test suite, those of one operation."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if case.model and len(case.model.graph.node) == 1]


def array(value):
    """A value of a case as an array."""
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def inputs(node, case, values):
    """The inputs of a case in the order of its operation, None for one left out."""
    by_name = dict(zip((i.name for i in case.model.graph.input), values, strict=True))
    return [torch.tensor(array(by_name[name])) if name else None for name in node.inputs]


@pytest.mark.slow
@pytest.mark.parametrize("kind", on_torch.OPERATIONS)
def test_an_operation_is_right_or_refuses_on_onnx_own_examples(kind, cases):
    right = 0
    for case in (case for case in cases if case.model.graph.node[0].op_type == kind):
        for values, (wanted, *_) in case.data_sets:
            if isinstance(wanted, list):
                continue  # a sequence of tensors
            node = on_torch.Node(case.model.graph.node[0])
            try:
                found = node.call(inputs(node, case, values)).numpy()
            except (RuntimeError, TypeError, ValueError, IndexError, KeyError, NotImplementedError):
                continue  # a type or a form that PyTorch has not
            wanted = array(wanted)
            assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), case.name
            np.testing.assert_allclose(found, wanted, rtol=case.rtol, atol=max(case.atol, 1e-5), err_msg=case.name)
            right += 1
    assert right, f"no example of {kind} was followed"


def test_sizes_that_a_text_decides_are_refused(tmp_path):
    ends = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "m"]) for name in ("input_ids", "y")]
    node = helper.make_node("Reshape", ["input_ids", "input_ids"], ["y"])
    onnx.save(helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:])), tmp_path / "model.onnx")
    with pytest.raises(CannotRun, match="Reshape y takes sizes from a text's content; take device='cpu'"):
        on_torch.Session(tmp_path / "model.onnx", "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_named_before_any_work(tmp_path):
    given = {"device": "cuda", "backbone": "bert-small", "run_dir": str(tmp_path / "runs")}
    p = config.make(**given)
    for call in (lambda: pipeline.attack(p, "fp32"), lambda: pipeline.clean(p, "fp32"), lambda: pipeline.classifier(p, "fp32"),
                 lambda: chapters.check("attack", given)):  # fmt: skip
        with pytest.raises(CannotRun, match=r"device='cuda' cannot run: PyTorch .* take device='cpu'"):
            call()
    assert not (tmp_path / "runs").exists()
    with pytest.raises(UnknownName, match="cuda"):
        config.make(device="cude")


def test_records_of_two_devices_are_two_sets_and_agree(tiny, as_if_a_gpu):
    p, q = (dataclasses.replace(tiny, n=4, workers=1, device=device) for device in ("cpu", "cuda"))
    assert pipeline.attack_folder(p, "fp32").path != pipeline.attack_folder(q, "fp32").path
    assert "device" not in pipeline.tasks.identity(p, "fp32") and pipeline.clean_folder(p, "fp32") != pipeline.clean_folder(q, "fp32")
    here, there = pipeline.attack(p, "fp32"), pipeline.attack(q, "fp32")
    assert [(r.status, r.perturbed, r.queries) for r in here] == [(r.status, r.perturbed, r.queries) for r in there]
    assert pipeline.replay(q, "fp32", "fp32")[0].replayed == there[0].after
    assert pipeline.clean(q, "fp32")["predicted"] == pipeline.clean(p, "fp32")["predicted"]


def test_records_say_that_they_are_emulated(tiny):
    p = dataclasses.replace(tiny, n=3, workers=1)
    emulated, kernel = (pipeline.attack(p, name) for name in ("int8-emulated", "int8-dynamic"))
    assert {r.execution for r in emulated} == {"emulated"} and {r.execution for r in kernel} == {"kernel"}
    assert [(r.status, r.perturbed, r.queries) for r in emulated] == [(r.status, r.perturbed, r.queries) for r in kernel]


def test_answers_of_two_devices_are_kept_apart(tiny, tmp_path, as_if_a_gpu):
    p = dataclasses.replace(tiny, device="cuda")
    models = (classifiers.load(pipeline.variant(p, "fp32"), device=device) for device in catalog.DEVICES)
    assert len({answers.Kept(model, tmp_path).file for model in models}) == 2


def test_the_comparison_counts_what_differs(tiny, as_if_a_gpu):
    found = device.compare(dataclasses.replace(tiny, device="cuda"), 60, progress=False)
    moved, emulated, rounding = found["agreement"]
    assert {row["n"] for row in found["agreement"]} == {60} and moved["labels"] == 0 < rounding["rms"]
    assert 0 < moved["largest"] < 1e-5 and moved["other"] == ["fp32", "cuda"]
    assert len(found["speed"]) == 4 and all(row["texts_a_second"] > 0 for row in found["speed"])
    here = device.compare(tiny, 60, progress=False)
    assert [row["largest"] for row in here["agreement"]] == [0, pytest.approx(rounding["largest"])]


def test_a_search_ends_on_the_other_device_as_on_the_cpu(tiny, as_if_a_gpu):
    rows = device.searches(dataclasses.replace(tiny, device="cuda"), "textfooler", 6, progress=False)
    assert [(row["variant"], row["device"]) for row in rows] == [
        ("fp32", "cpu"), ("fp32", "cuda"), ("int8-dynamic", "cpu"), ("int8-emulated", "cuda"),
    ]  # fmt: skip
    assert [row["same"] for row in rows] == [None, 6, None, 6] and {row["examples"] for row in rows} == {6}
    assert all(row["seconds"] > 0 for row in rows) and rows[0]["queries"] == rows[1]["queries"] > 6
    found = {"searches": [row | {"seconds": 3.0 * (1 + (row["device"] == "cpu"))} for row in rows]}
    shown = engine.device_searches(found)
    assert list(shown["ended as on the CPU"]) == ["", "6", "", "6"] and shown["seconds an example"][0] == "1"
    said = engine.device_searched(found)
    assert "The attack textfooler takes 2 times as long on fp32 (cpu) as on fp32 (cuda); 6 of 6 examples end the same." in said


def test_the_page_says_what_was_compared(tiny):
    found = device.compare(tiny, 60, progress=False)
    rows = engine.device_rows(found)
    assert list(rows["compared"]) == ["int8-dynamic on cpu, int8-emulated on cpu", "fp32 on cpu, int8-dynamic on cpu"]
    assert set(rows["n"]) == {60} and rows["largest difference"][0] == "0"
    said = engine.device_said(found)
    assert "Of 60 texts 0 get another label" in said and "the same to the last bit" in said and "no part" in said
    emulated = next(row for row in found["agreement"] if row["other"][0] == "int8-emulated")
    said = engine.device_said(found | {"device": "GPU 9", "agreement": [emulated | {"labels": 3, "largest": 0.291}]})
    assert "Of 60 texts 3 get another label" in said and "differ by at most 0.29" in said and "The GPU is GPU 9" in said


