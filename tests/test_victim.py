"""One text, one answer, whatever the company and the CPU; any string is a text."""

import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from qrsupport import pipeline
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint
from qrsupport.quantization import classifiers, victim

ODD = [
    "",
    "film",
    "film " * 10_000,
    "🎬👍🏽",
    "a\0b",
    "\ud800",
    "x\ud800y",
    "\ud83d\ude00",
    "\u202eabc",
    " \t\n ",
    "é" * 300,
]


@pytest.fixture(scope="module", params=["fp32", "int8-dynamic"])
def classifier(tiny, request):
    return pipeline.classifier(tiny, request.param)


@pytest.fixture(scope="module")
def int8(tiny):
    return pipeline.classifier(tiny, "int8-dynamic")


@pytest.fixture(scope="module")
def texts(tiny):
    return datasets.load(tiny).eval_split().texts[:48]


def test_answer_does_not_depend_on_the_company(classifier, texts):
    together = classifier(texts)
    alone = np.concatenate([classifier([text]) for text in texts])
    assert together.dtype == np.float32 and together.shape == (48, 2)
    assert np.array_equal(together, alone)
    assert np.array_equal(classifier(texts[::-1])[::-1], alone)
    assert np.array_equal(victim.predict(classifier, texts), alone)


def test_naive_padded_batch_changes_an_int8_answer(int8, texts):
    assert np.abs(victim.padded_batch(int8, texts) - int8(texts)).max() > 1e-4


def test_any_string_is_a_text(classifier):
    answers = classifier(ODD)
    assert answers.shape == (len(ODD), 2) and np.isfinite(answers).all()
    assert np.array_equal(answers, np.concatenate([classifier([text]) for text in ODD]))
    for text in ODD:
        assert 2 <= len(classifier.ids(text)) <= classifier.max_length


def test_long_texts_are_truncated_and_short_ones_are_not(classifier):
    room = classifier.max_length - 2
    assert classifier.truncated("film " * 10_000) and classifier.truncated("film " * (room + 1))
    assert not classifier.truncated("film " * room) and not classifier.truncated("")
    assert np.array_equal(classifier(["film " * 10_000]), classifier(["film " * room]))


def test_no_text_no_answer(classifier):
    assert classifier([]).shape == (0, 2) == victim.predict(classifier, []).shape


@pytest.mark.parametrize("classes", [2, 3, 4, 6, 33])
def test_probabilities_are_those_of_earlier_records_to_the_last_bit(classes):
    """The formula that records were made with, before SciPy's took its place."""
    for size in (0.01, 1, 10, 100):
        logits = (np.random.default_rng(classes).standard_normal((2000, classes)) * size).astype(np.float32)
        shifted = np.exp(logits.astype(np.float64) - logits.astype(np.float64).max(axis=-1, keepdims=True))
        assert np.array_equal(victim.probabilities(logits), shifted / shifted.sum(axis=-1, keepdims=True))
        assert np.array_equal(victim.probabilities(logits[:1]), victim.probabilities(logits)[:1]), "alone as among others"


def test_probabilities_sum_to_one_closely():
    rows = victim.probabilities(np.array([[1e4, -1e4], [0.1, 0.2]], np.float32))
    assert rows.dtype == np.float64 and np.abs(rows.sum(1) - 1).max() < 1e-12 and np.isfinite(rows).all()
    assert rows[0, 0] == 1 and rows[1, 1] > rows[1, 0]


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "variant.json"])
@pytest.mark.parametrize("spoil", [lambda f: f.unlink(), lambda f: f.write_text("{}")], ids=["missing", "spoilt"])
def test_unusable_folder_is_refused_naming_the_file(int8, tmp_path, name, spoil):
    path = shutil.copytree(int8.path, tmp_path / "variant")
    spoil(path / name)
    with pytest.raises(BadCheckpoint, match=name):
        classifiers.load(path)


def test_asking_needs_neither_torch_nor_transformers():
    code = "import sys, qrsupport.quantization.victim as v; print({'torch', 'transformers', 'textattack'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_int8_answers_are_those_of_exact_integer_arithmetic(int8, texts):
    model = onnx.load(int8.path / "model.onnx")
    model.opset_import[0].version = 19  # the reference has no earlier DequantizeLinear; the operations are the same
    reference = ReferenceEvaluator(model)
    for text in texts[:6]:
        ids = np.array([int8.ids(text)], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        expected = reference.run(None, {name: given[name] for name in int8.inputs})[0]
        assert np.abs(int8([text])[0] - expected[0]).max() < 1e-3


def test_one_thread_is_asked_for(int8):
    options = int8.session.get_session_options()
    assert options.intra_op_num_threads == 1
    assert onnxruntime.get_device() == "CPU"
