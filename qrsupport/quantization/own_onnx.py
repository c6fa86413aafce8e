"""A classifier that comes as an ONNX file with its tokenizer, taken as it is: checked, its classes in the data's order."""

import math
import time
from pathlib import Path

import numpy as np

from .. import config, store
from ..data import datasets
from ..errors import BadCheckpoint
from ..training import fine_tuning, given
from ..training.given import ONNX
from . import victim

QUANTIZED = {"DynamicQuantizeLinear", "QuantizeLinear", "DequantizeLinear", "MatMulInteger", "QLinearMatMul",
             "DynamicQuantizeMatMul", "MatMulNBits", "QAttention", "QGemm"}  # fmt: skip


def take(p: config.Parameters, dataset: datasets.Dataset, folder: Path) -> dict:
    """Writes the ONNX file `p.backbone` as a checkpoint to `folder` (see `fill`) and evaluates it; as `fine_tuning.fine_tune`."""
    start = time.time()
    classifier = fill(p, dataset.labels, folder)
    texts, labels = dataset.validation.texts, np.array(dataset.validation.labels)
    chances = victim.probabilities(victim.predict(classifier, texts, progress=True))
    right, loss = chances.argmax(1) == labels, -np.log(chances[np.arange(len(labels)), labels].clip(1e-12))
    row = fine_tuning.untrained({"validation loss": float(loss.mean()), "validation accuracy": float(right.mean())})
    return fine_tuning.notes(p, dataset, folder, ([row], [0.0]), fine_tuning.tried(0, {}), size(folder), "cpu", start)


def fill(p: config.Parameters, classes: tuple[str, ...], folder: Path):
    """Fills `folder` with the ONNX file of `p.backbone`, answering in class order, its tokenizer and settings.

    Raises BadCheckpoint for a file that is quantized already, has
    other inputs than token ids, mask and token types, keeps its weights elsewhere, or does not fit its tokenizer.
    """
    path = Path(p.backbone)
    settings = given.check_onnx(p, path)
    model = _load(path / ONNX)
    named = settings.get("id2label") or {i: f"LABEL_{i}" for i in range(len(classes))}
    outputs = {int(i): str(label) for i, label in named.items()}
    places = given.order(str(path), outputs, classes, p.label_map)
    store.write_bytes(folder / ONNX, _turned(model, places).SerializeToString(deterministic=True))
    store.write_bytes(folder / "tokenizer.json", (path / "tokenizer.json").read_bytes())
    labels = {"id2label": dict(enumerate(classes)), "label2id": {c: i for i, c in enumerate(classes)}}
    store.write_json(folder / "config.json", settings | labels)
    about = {
        "labels": list(classes), "max_length": p.max_length, "pad_id": settings.get("pad_token_id") or 0,
        "inputs": [i.name for i in model.graph.input], "precision": "fp32", "variant": "fp32",
    }  # fmt: skip
    store.write_json(folder / "variant.json", about)
    classifier = victim.Victim(folder)
    classifier(["word " * p.max_length])  # as long as a text may be
    return classifier


def size(checkpoint: Path) -> int:
    """The number of weights in a checkpoint's ONNX file."""
    import onnx

    return sum(math.prod(t.dims) for t in onnx.load(checkpoint / ONNX).graph.initializer)


def _load(file: Path):
    """The ONNX model in `file`, checked as `fill` says."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(file, load_external_data=False)
    except (DecodeError, ValueError, OSError) as e:
        raise BadCheckpoint(f"{file} is not an ONNX file ({str(e)[:200]})") from e
    graph = model.graph
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in graph.initializer):
        raise BadCheckpoint(f"{file} keeps its weights in another file; save it as one file")
    quantized = sorted({node.op_type for node in graph.node} & QUANTIZED)
    if quantized or any(t.data_type == onnx.TensorProto.FLOAT16 for t in graph.initializer):
        found = ", ".join(quantized) or "16-bit weights"
        raise BadCheckpoint(f"{file} is not in 32 bits any more ({found}); give the file that it was made from")
    weights = {t.name for t in graph.initializer}
    inputs = {i.name: i.type.tensor_type.elem_type for i in graph.input if i.name not in weights}
    known = set(inputs) <= set(victim.INPUTS) and set(inputs.values()) == {onnx.TensorProto.INT64}
    if not known or "input_ids" not in inputs or not graph.output:
        raise BadCheckpoint(
            f"{file} has the inputs {', '.join(inputs)}; input_ids, and if needed {' and '.join(victim.INPUTS[1:])}, "
            "each int64, were expected"
        )
    del graph.input[:]
    graph.input.extend(i for i in onnx.load(file, load_external_data=False).graph.input if i.name in inputs)
    return model


def _turned(model, places: list[int]):
    """`model` (ONNX) with `logits` as its one output, the classes in the order `places`."""
    from numpy import array, int64
    from onnx import helper, numpy_helper

    graph = model.graph
    output = next((o for o in graph.output if o.name == "logits"), graph.output[0])
    del graph.output[:]
    graph.output.append(output)
    if places != sorted(places):
        graph.initializer.append(numpy_helper.from_array(array(places, int64), "class_order"))
        graph.node.append(helper.make_node("Gather", [output.name, "class_order"], ["logits_in_order"], axis=1))
        graph.output[0].name = "logits_in_order"
    return model
