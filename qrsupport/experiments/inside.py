"""What lies inside an executable classifier: the weights of its products, and the numbers that meet them while it reads a text.

Of 32-bit ONNX files; an ensemble has none of its own.
"""

from pathlib import Path

import numpy as np

from ..quantization import batching, classifiers, simulate, weights


def weight_tensors(folder: Path) -> dict[str, np.ndarray]:
    """The constant matrices that quantization rounds, float32, by their name in the ONNX file of a variant's folder."""
    return _weights(weights.load(Path(folder) / "model.onnx"))


def _weights(model) -> dict[str, np.ndarray]:
    from onnx import numpy_helper

    used = {n.input[simulate.WEIGHT[n.op_type]] for n in model.graph.node if n.op_type in simulate.WEIGHT}
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.name in used and len(t.dims) == 2}


def activation_tensors(folder: Path, text: str) -> dict[str, np.ndarray]:
    """What the products (MatMul, Gemm) with a constant matrix are given while the classifier in `folder` reads `text`.

    By the name of the matrix, float32, the last axis that of the product.
    """
    import onnxruntime
    from onnx import ValueInfoProto

    model, asked = weights.load(Path(folder) / "model.onnx"), classifiers.load(folder)
    known = _weights(model)
    met = {n.input[1]: n.input[0] for n in model.graph.node if n.op_type in ("MatMul", "Gemm") and n.input[1] in known}
    names = sorted(set(met.values()))
    model.graph.output.extend(ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), batching.options(1, False), providers=batching.PROVIDERS)
    ids = np.array([asked.ids(text)], np.int64)
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    found = dict(zip(names, session.run(names, {name: given[name] for name in asked.inputs}), strict=True))
    return {matrix: found[name] for matrix, name in met.items()}
