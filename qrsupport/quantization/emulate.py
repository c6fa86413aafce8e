"""ONNX Runtime's dynamic 8 bits without its kernels: the same integers as 32-bit floats, one activation range for each text.

In ONNX Runtime on the CPU each text gets the answer that the kernel gives it alone, in company too.  Why: the kernel takes a
range over its whole call, here each text has its own; the rounding is the kernel's (`training.formula`); and products of
integers are summed without an error, in any order, because no sum leaves the integers below 2 ** 24, which a 32-bit float
holds.  For that a weight is two halves, `16 * high + low`, with a product each.  Elsewhere, as on a GPU, these products are
exact too, but softmax and normalization may have other last bits, by which a number can round to the next integer.
"""

from pathlib import Path

import numpy as np

from ..errors import BadCheckpoint
from ..training import formula
from .simulate import operations

HALF = 16
WIDEST = 2**24 // (255 * HALF)
"""The longest row whose sum is exact: an activation less its zero point is at most 255, a half at most 16."""


def rewrite(file: Path) -> None:
    """Rewrites the ONNX file `file`, as `quantize_dynamic` makes it, in floats.

    Raises BadCheckpoint if it holds no 8-bit product, or one of longer rows than `WIDEST`.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(file)
    graph, ranks = model.graph, _ranks(model)
    known = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    nodes, added, gone = [], constants(), set()
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            nodes += _rounded(node, ranks)
        elif node.op_type == "MatMulInteger":
            parts, made = _product(node, known, str(file))
            nodes, added, gone = nodes + made, added | parts, gone | {node.input[1], *node.input[3:]}
        else:
            nodes.append(node)
    if not gone:
        raise BadCheckpoint(f"{file} holds no product in 8 bits to emulate")
    kept = [tensor for tensor in graph.initializer if tensor.name not in gone]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept + [numpy_helper.from_array(value, name) for name, value in added.items()])
    onnx.save(model, file)


def constants() -> dict[str, np.ndarray]:
    """The constants of the rounding to 8 bits, and the size of a half, by name."""
    used = {name for _, inputs, _ in formula.ASYMMETRIC for name in inputs}
    found = {name: np.asarray(value, np.float32) for name, value in formula.constants(8).items() if name in used}
    return found | {"emulate/half": np.asarray(HALF, np.float32)}


def halves(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(high, low), int8, of integers between -255 and 255: `16 * high + low`, high -16 to 16, low -8 to 7."""
    low = (weight + HALF // 2) % HALF - HALF // 2
    return ((weight - low) // HALF).astype(np.int8), low.astype(np.int8)


def _rounded(node, ranks: dict[str, int]) -> list:
    """In place of a DynamicQuantizeLinear: code less zero point and scale of each text, under the names of code and scale."""
    name, (code, scale, _) = node.input[0], node.output
    axes = dict.fromkeys(("ReduceMin", "ReduceMax"), {"axes": list(range(1, ranks[name])), "keepdims": 1})
    steps = [step for step in formula.ASYMMETRIC if step not in formula.VALUES] + [formula.VALUES[0]]
    return operations(name, steps, axes, {"signed": code, "scale": scale})


def _product(node, known: dict[str, np.ndarray], file: str) -> tuple[dict[str, np.ndarray], list]:
    """In place of a MatMulInteger: (new constants, nodes), the product with each half of the weight, then their sum."""
    from onnx import helper

    weight = known[node.input[1]].astype(np.int32)
    if len(node.input) > 3:
        weight = weight - known[node.input[3]].astype(np.int32)
    if len(weight) > WIDEST:
        raise BadCheckpoint(f"{file}: {node.input[1]} has rows of {len(weight)}; sums are exact up to {WIDEST}")
    code, out = node.input[0], node.output[0]

    def step(kind: str, inputs: list[str], output: str, **about):
        return helper.make_node(kind, inputs, [output], name=output, **about)

    parts, made = dict(zip((f"{out}/high", f"{out}/low"), halves(weight), strict=True)), []
    for part in parts:
        made += [step("Cast", [part], f"{part}/float", to=1), step("MatMul", [code, f"{part}/float"], f"{part}/sum")]  # 1: FLOAT
    made.append(step("Mul", [f"{out}/high/sum", "emulate/half"], f"{out}/whole"))
    return parts, [*made, step("Add", [f"{out}/whole", f"{out}/low/sum"], out)]


def _ranks(model) -> dict[str, int]:
    """How many axes each tensor has whose shape can be told."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model).graph
    found = [v for v in (*graph.value_info, *graph.input) if v.type.tensor_type.HasField("shape")]
    return {v.name: len(v.type.tensor_type.shape.dim) for v in found}
