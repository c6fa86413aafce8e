"""Quantization at any width, simulated: an ONNX file whose weights and activations are rounded as integers would be.

The formula is that of `training.formula`.  What is rounded by it is that of ONNX Runtime's dynamic
quantization, so that 8 bits can be checked against its kernel.  One scale a tensor.  Weights
(constant operands) of MatMul and Gemm: symmetric, 2 ** (bits - 1) - 1 steps on either side of zero.
Weights of Gather (embeddings), and activations (the other operand of a MatMul or Gemm with a
weight): asymmetric, 2 ** bits levels over the range of the tensor and zero.  Texts are asked one at
a time, so that is one range a text.  Arithmetic, biases, normalization and the products of
attention stay in 32-bit floating point.

The file stores a weight's integers; ONNX Runtime turns them into floats once, when it loads the file.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .. import catalog
from ..errors import BadCheckpoint, BadParameter
from ..training import formula
from . import weights as borrowed

LOW, HIGH = catalog.LOWEST_BITS, catalog.HIGHEST_BITS
WEIGHT = {"MatMul": 1, "Gemm": 1, "Gather": 0}
"""Which input of an operation is its weight if it is constant."""
SCALE_BYTES = 4


def check_bits(bits: int | None) -> None:
    """Raises BadParameter for a width outside 2 to 16; None stands for 32-bit floating point."""
    if bits is not None and not LOW <= bits <= HIGH:
        raise BadParameter(f"bits={bits!r} is out of range; a simulated width must lie in [{LOW}, {HIGH}]")


def rewrite(source: Path, target: Path, weights: int | None, activations: int | None) -> dict:
    """Writes a copy of the ONNX file `source` with weights and activations at so many bits; None leaves them alone.

    Returns `bytes`: what the file would take if it stored the rounded weights at their width.
    Raises BadParameter for a width outside 2 to 16, BadCheckpoint for a file without weights to round.
    """
    import onnx

    for bits in (weights, activations):
        check_bits(bits)
    model = borrowed.load(source)
    constants = {t.name: t for t in model.graph.initializer}
    used = {n.input[WEIGHT[n.op_type]]: n.op_type for n in model.graph.node if n.op_type in WEIGHT}
    used = {name: kind for name, kind in used.items() if name in constants and _is_weight(constants[name])}
    if not used:
        raise BadCheckpoint(f"{source} has no constant weights to round; its architecture cannot be simulated")
    size = borrowed.size(source)
    if weights is not None:
        for name, kind in used.items():
            codes = asymmetric_codes if kind == "Gather" else symmetric_codes
            size += _round_weight(model.graph, constants[name], weights, codes)
    if activations is not None:
        _round_activations(model.graph, set(used), activations)
    onnx.save(model, target)
    if weights is None and (lender := Path(source).with_name(borrowed.FILE)).exists():
        borrowed.share(target, lender)
    return {"bytes": size}


def symmetric_codes(weight: np.ndarray, bits: int):
    """(integers of `weight`, their zero point 0, their scale): 2 ** bits - 1 levels around zero, one scale a tensor."""
    return _codes(weight, bits, formula.SYMMETRIC, np.int8 if bits <= 8 else np.int16)


def asymmetric_codes(weight: np.ndarray, bits: int):
    """(integers of `weight`, their zero point, their scale): 2 ** bits levels over its range and zero, one scale a tensor."""
    return _codes(weight, bits, formula.ASYMMETRIC, np.uint8 if bits <= 8 else np.uint16)


def _codes(weight: np.ndarray, bits: int, steps, kind: type):
    found = formula.evaluate(steps, formula.constants(bits) | {"x": weight}, formula.NUMPY)
    return found["kept"].astype(kind), np.float32(found["point"]), np.float32(found["scale"])


def levels(bits: int) -> dict[str, int]:
    """How many numbers of `bits` bits each kind of tensor can hold, counted on the whole of a dense range."""
    dense = np.linspace(-1, 1, 4 * 2**bits + 1, dtype=np.float32)
    one, other = (len(np.unique(codes(dense, bits)[0])) for codes in (symmetric_codes, asymmetric_codes))
    return {"weights of products": one, "embeddings": other, "activations": other}


def values(codes: np.ndarray, point: np.float32, scale: np.float32) -> np.ndarray:
    """The numbers that integers stand for, float32."""
    given = {"kept": codes.astype(np.float32), "point": point, "scale": scale}
    return formula.evaluate(formula.VALUES, given, formula.NUMPY)["rounded"]


def _is_weight(tensor) -> bool:
    return tensor.data_type == 1 and len(tensor.dims) == 2  # 1: FLOAT


def _round_weight(graph, tensor, bits: int, codes) -> int:
    """Puts the integers of an initializer, as `codes` makes them, and the operations of `values` in its place.

    Returns by how many bytes integers of so many bits are larger than the floats were.
    """
    from onnx import numpy_helper

    name, weight = tensor.name, numpy_helper.to_array(tensor)
    parts = dict(zip(("codes", "point", "scale"), codes(weight, bits), strict=True))
    graph.initializer.remove(tensor)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(v), f"{name}/{part}") for part, v in parts.items())
    steps, names = (("Cast", ("codes",), "kept"), *formula.VALUES), {"kept": f"{name}/units", "rounded": name}
    for at, node in enumerate(operations(name, steps, {"Cast": {"to": 1}}, names)):  # 1: FLOAT
        graph.node.insert(at, node)
    return (weight.size * bits + 7) // 8 + SCALE_BYTES - weight.nbytes


def _round_activations(graph, weights: set[str], bits: int) -> None:
    """Puts the rounding of its activation before each MatMul and Gemm that has a weight in `weights`."""
    from onnx import numpy_helper

    whole = dict.fromkeys(("ReduceMin", "ReduceMax"), {"keepdims": 0})
    used = {name for _, inputs, _ in formula.ASYMMETRIC for name in inputs}
    values = {name: value for name, value in formula.constants(bits).items() if name in used}
    graph.initializer.extend(numpy_helper.from_array(np.float32(value), name) for name, value in values.items())
    change_activations(graph, weights, "rounded", lambda name: operations(name, formula.ASYMMETRIC, whole))


def change_activations(graph, weights: set[str], new: str, made: Callable[[str], list]) -> None:
    """Has each MatMul and Gemm that has a weight in `weights` read, in place of its activation `name`, `name/new`, which
    the nodes `made(name)` make of it."""
    nodes, done = [], set()
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in weights:
            name = node.input[0]
            if name not in done:  # query, key and value share one
                nodes += made(name)
                done.add(name)
            node.input[0] = f"{name}/{new}"
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def operations(name: str, steps, attributes: dict[str, dict], names: dict[str, str] | None = None) -> list:
    """ONNX nodes for `steps`: (operation, inputs, output) each.

    The input "x" stands for tensor `name`; one with a slash is a tensor of the whole graph; all other inputs and outputs
    are put under `name`, but for those that `names` calls otherwise.  `attributes`: those of each kind of operation.
    """
    from onnx import helper

    known = {"x": name} | (names or {})

    def called(part: str) -> str:
        return known.get(part) or (part if "/" in part else f"{name}/{part}")

    return [
        helper.make_node(kind, [called(x) for x in given], [called(out)], name=called(out), **attributes.get(kind, {}))
        for kind, given, out in steps
    ]
