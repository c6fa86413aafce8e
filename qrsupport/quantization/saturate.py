"""The fastest 8-bit product of x86 CPUs without VNNI, on any CPU.

There ONNX Runtime's kernel for unsigned activations and signed weights multiplies two neighbouring activations by their
weights and adds the two products in 16 bits: a sum beyond 32,767 or -32,768 stays at that end (it *saturates*).  The sums
of these pairs are added in 32 bits, without an error.  So its product is the right one plus, for each pair that saturates,
what is cut off.  Only pairs of large weights of one sign can saturate (`pairs`), so only these are computed beside the
product, which itself comes from the kernel that does not saturate (`batching`).
"""

from pathlib import Path

import numpy as np

from ..errors import BadCheckpoint

LARGEST = 255
"""The largest unsigned 8-bit activation."""
LOW, HIGH = -(2**15), 2**15 - 1


def rewrite(file: Path) -> dict:
    """Rewrites the ONNX file `file`, as `quantize_dynamic` makes it, so that its products saturate.

    Returns `pairs` (pairs of weights that can saturate) and `of` (all pairs).  Raises BadCheckpoint for a file without a
    product of signed 8-bit weights: no other saturates.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(file)
    graph, nodes, added, counts = model.graph, [], {}, []
    known = {t.name: t for t in graph.initializer}
    for node in graph.node:
        nodes.append(node)
        weight = _signed_weight(node, known)
        if weight is not None:
            lines, columns = pairs(weight)
            counts.append((len(lines), -(-len(weight) // 2) * weight.shape[1]))
            if len(lines):
                right, node.output[0] = node.output[0], f"{node.output[0]}/right"
                added |= (tables := _tables(weight, lines, columns, right))
                nodes += _cut_off(node.input[0], node.output[0], right, list(tables))
    if not counts:
        raise BadCheckpoint(f"{file} holds no product of signed 8-bit weights; no other saturates (weight_type is QInt8 by default)")
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in added.items())
    onnx.save(model, file)
    return dict(zip(("pairs", "of"), np.sum(counts, axis=0).tolist(), strict=True))


def pairs(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(number of the pair of rows, column) of those pairs of an int8 `weight` (rows × columns) that some activations saturate."""
    both = _paired(weight)
    highest, lowest = (LARGEST * end(both, 0).sum(axis=1) for end in (np.maximum, np.minimum))
    lines, columns = np.nonzero((highest > HIGH) | (lowest < LOW))
    return lines, columns


def _paired(rows: np.ndarray) -> np.ndarray:
    """(pairs, 2, columns), int32; a row without a neighbour gets zeros."""
    even = np.pad(rows.astype(np.int32), ((0, len(rows) % 2), (0, 0)))
    return even.reshape(-1, 2, even.shape[1])


def _signed_weight(node, known: dict) -> np.ndarray | None:
    """The int8 weight of a MatMulInteger, None of any other node."""
    from onnx import numpy_helper

    if node.op_type != "MatMulInteger" or node.input[1] not in known:
        return None
    weight = numpy_helper.to_array(known[node.input[1]])
    return weight if weight.dtype == np.int8 and weight.ndim == 2 else None


def _tables(weight: np.ndarray, lines: np.ndarray, columns: np.ndarray, out: str) -> dict[str, np.ndarray]:
    """The constants of `_cut_off`, by name, in its order.

    A line of a table is a column of the weight with pairs that can saturate, filled up with weights 0; the last is empty,
    for all other columns.
    """
    touched, line = np.unique(columns, return_inverse=True)
    place = np.concatenate([np.arange(count) for count in np.bincount(line)])
    order, size = np.argsort(line, kind="stable"), (len(touched) + 1, np.bincount(line).max())
    both, found = _paired(weight), {}
    for i in (0, 1):
        index, value = np.zeros(size, np.int64), np.zeros(size, np.float32)
        index[line[order], place] = np.minimum(2 * lines[order] + i, len(weight) - 1)
        value[line[order], place] = both[lines[order], i, columns[order]]
        found |= {f"{out}/rows/{i}": index, f"{out}/weights/{i}": value}
    where = np.full(weight.shape[1], len(touched), np.int64)
    where[touched] = np.arange(len(touched))
    ends = {f"{out}/{name}": np.asarray(end, np.float32) for name, end in (("low", LOW), ("high", HIGH))}
    return found | ends | {f"{out}/last": np.asarray([-1], np.int64), f"{out}/where": where}


def _cut_off(codes: str, product: str, out: str, tables: list[str]) -> list:
    """`out`: `product` plus what the pairs of `codes` exceed 16 bits by.  32-bit floats hold all these integers exactly."""
    from onnx import helper

    first, weight, second, other, low, high, last, where = tables

    def step(kind: str, inputs: list[str], name: str, **about) -> str:
        made.append(helper.make_node(kind, inputs, [f"{out}/{name}"], name=f"{out}/{name}", **about))
        return f"{out}/{name}"

    made: list = []
    numbers = step("Cast", [codes], "codes", to=1)  # 1: FLOAT
    one = step("Mul", [step("Gather", [numbers, first], "first", axis=-1), weight], "one")
    two = step("Mul", [step("Gather", [numbers, second], "second", axis=-1), other], "two")
    both = step("Add", [one, two], "both")
    over = step("Sub", [step("Clip", [both, low, high], "held"), both], "over")
    sums = step("ReduceSum", [over, last], "sums", keepdims=0)
    spread = step("Cast", [step("Gather", [sums, where], "spread", axis=-1)], "whole", to=6)  # 6: INT32
    return [*made, helper.make_node("Add", [product, spread], [out], name=out)]
