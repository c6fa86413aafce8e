"""An ONNX classifier's file run in PyTorch, operation by operation: how a GPU answers (`device=cuda`).

The file stays the classifier; this is another way to run it.  What depends on the weights alone is computed once, what
depends on the number and length of the texts once for each such shape.  On a GPU the rest is recorded as a CUDA graph for
each shape, so that an answer costs one launch in place of hundreds.  Sums are in 32 bits (no TF32).  An operation that is
not in `OPERATIONS` is an error that names it, never another answer.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..errors import CannotRun
from . import weights

TYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float16, 11: torch.float64,
}  # fmt: skip
"""ONNX's numbers of element types."""


def version(device: str) -> tuple[str, ...]:
    """What answers on `device` depend on beside a file: PyTorch's version and the GPU's name."""
    return torch.__version__, torch.cuda.get_device_name() if device == "cuda" else device


class Session:
    """The classifier in the ONNX file `file` on `device`; answers as an `onnxruntime.InferenceSession` does.

    Raises CannotRun naming the operations that are not known here, or one whose sizes a text's content decides.
    """

    def __init__(self, file: Path, device: str):
        from onnx import numpy_helper

        model = weights.load(file)
        unknown = sorted({node.op_type for node in model.graph.node} - set(OPERATIONS) - {"Constant", "Shape"})
        if unknown:
            raise CannotRun(f"{file} has operations that are not known in PyTorch here: {', '.join(unknown)}; take device='cpu'")
        torch.set_float32_matmul_precision("highest")  # whatever was set before: no TF32
        self.device = torch.device(device)
        self.output = model.graph.output[0].name
        self.inputs = [i.name for i in model.graph.input]
        self.fixed = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in model.graph.initializer}
        self.nodes = self._without_fixed([Node(node) for node in model.graph.node])
        self._refuse_sizes(file)
        self.placed: dict[str, torch.Tensor] = {}
        self.ready: dict[tuple, Callable] = {}
        self.kept: list[list[Step]] = []
        self.pool = torch.cuda.graph_pool_handle() if self.device.type == "cuda" else None

    def _without_fixed(self, nodes: list["Node"]) -> list["Node"]:
        """The nodes that depend on the inputs; what the others give is computed and put among what is fixed."""
        rest = []
        for node in nodes:
            if node.kind == "Constant":
                self.fixed[node.output] = node.about["value"]
            elif node.kind != "Shape" and all(name in self.fixed for name in node.inputs if name):
                self.fixed[node.output] = node.call([self.fixed.get(name) for name in node.inputs])
            else:
                rest.append(node)
        used = {name for node in rest for name in node.inputs}
        self.fixed = {name: value for name, value in self.fixed.items() if name in used}
        return rest

    def _refuse_sizes(self, file: Path) -> None:
        """Raises CannotRun for an operation that reads as numbers what depends on a text's content."""
        depends = set(self.inputs)
        for node in self.nodes:
            given = [i for i, name in enumerate(node.inputs) if name in depends and node.kind != "Shape"]
            if {*given} & {*NUMBERS.get(node.kind, ())}:
                raise CannotRun(f"{file}: {node.kind} {node.output} takes sizes from a text's content; take device='cpu'")
            depends |= {node.output} if given else set()

    def run(self, _outputs, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Logits for the inputs, each int64, texts × length, in a list of one."""
        shape = next(iter(given.values())).shape
        with torch.inference_mode():
            if shape not in self.ready:
                self.ready[shape] = self._prepared(shape)
            return [self.ready[shape]({name: torch.from_numpy(given[name]) for name in self.inputs})]

    def _prepared(self, shape: tuple) -> Callable[[dict], np.ndarray]:
        """What answers inputs of this shape."""
        given = {name: torch.zeros(shape, dtype=torch.int64, device=self.device) for name in self.inputs}
        steps = self._steps(given)
        if self.device.type != "cuda":
            return lambda new: self._follow(steps, new).numpy()
        return self._recorded(steps, given)

    def _recorded(self, steps: list["Step"], given: dict) -> Callable[[dict], np.ndarray]:
        """The steps as a CUDA graph; it reads and writes memory of its own, so the tensors are kept with it."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self._follow(steps, given)  # libraries choose their kernels before they are recorded
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            found = self._follow(steps, given)

        def replay(new: dict) -> np.ndarray:
            for name, tensor in given.items():
                tensor.copy_(new[name])
            graph.replay()
            return found.cpu().numpy()

        self.kept.append(steps)
        return replay

    def _steps(self, given: dict) -> list["Step"]:
        """The operations whose results depend on the texts, for inputs of the shapes in `given`; the others are done here."""
        sized, found, steps = dict(self.fixed), dict(given), []
        for node in self.nodes:
            varies = [name in found for name in node.inputs]
            if node.kind == "Shape":
                (name,) = node.inputs
                sized[node.output] = node.extent(found[name] if name in found else sized[name])
            elif not any(varies):
                sized[node.output] = node.call([sized.get(name) for name in node.inputs])
            else:
                arguments = [self._argument(node, i, sized) for i in range(len(node.inputs))]
                step = Step(node, arguments, [i for i, varying in enumerate(varies) if varying])
                found[node.output] = step.call(found)
                steps.append(step)
        last = {name: i for i, step in enumerate(steps) for name in step.reads()}
        for i, step in enumerate(steps):
            step.frees = [name for name in step.reads() if last[name] == i and name not in given]
        return steps

    def _argument(self, node: "Node", i: int, sized: dict):
        """Input `i` of a node if it is fixed for this shape: on the device, but where it is read as numbers; else None."""
        name = node.inputs[i]
        if name not in sized:
            return None
        if i in NUMBERS.get(node.kind, ()):
            return sized[name]
        if name not in self.fixed:
            return sized[name].to(self.device)
        if name not in self.placed:
            self.placed[name] = self.fixed[name].to(self.device)
        return self.placed[name]

    def _follow(self, steps: list["Step"], given: dict) -> torch.Tensor:
        found = dict(given)
        for step in steps:
            found[step.node.output] = step.call(found)
            for name in step.frees:
                del found[name]
        return found[self.output]


class Node:
    """An ONNX operation: its kind, inputs, output and attributes."""

    def __init__(self, node):
        from onnx import helper, numpy_helper

        self.kind, self.inputs, self.output = node.op_type, list(node.input), node.output[0]
        self.about = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if hasattr(self.about.get("value"), "raw_data"):
            self.about["value"] = torch.tensor(numpy_helper.to_array(self.about["value"]))

    def call(self, arguments: list) -> torch.Tensor:
        return OPERATIONS[self.kind](self.about, *arguments)

    def extent(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sizes of a tensor, or those that a Shape asks for."""
        return torch.tensor(list(tensor.shape)[self.about.get("start", 0) : self.about.get("end")], dtype=torch.int64)


class Step:
    """A node with those of its arguments that the texts do not change; `frees` names what is read last here."""

    def __init__(self, node: Node, arguments: list, varying: list[int]):
        self.node, self.arguments, self.varying = node, arguments, varying
        self.frees: list[str] = []

    def reads(self) -> list[str]:
        """The names of what it takes from earlier steps, each once."""
        return list(dict.fromkeys(self.node.inputs[i] for i in self.varying))

    def call(self, found: dict[str, torch.Tensor]) -> torch.Tensor:
        taken = [found[self.node.inputs[i]] if i in self.varying else x for i, x in enumerate(self.arguments)]
        return self.node.call(taken)


# What the operations mean, as ONNX says (opset 17): attributes first, then the inputs. --------------------------------


def _numbers(tensor: torch.Tensor | None) -> list[int]:
    return [] if tensor is None else tensor.reshape(-1).tolist()


def _reshape(about: dict, x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(_numbers(shape))])


def _expand(about: dict, x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, _numbers(shape)))


def _gather(about: dict, x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    axis = about.get("axis", 0) % x.dim()
    places = torch.where(places < 0, places + x.shape[axis], places)
    taken = x.index_select(axis, places.reshape(-1).long())
    return taken.reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def _unsqueeze(about: dict, x: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    rank = x.dim() + axes.numel()
    for axis in sorted(axis % rank for axis in _numbers(axes)):
        x = x.unsqueeze(axis)
    return x


def _squeeze(about: dict, x: torch.Tensor, axes: torch.Tensor | None = None) -> torch.Tensor:
    return x.squeeze() if axes is None else x.squeeze(tuple(_numbers(axes)))


def _slice(about: dict, x: torch.Tensor, starts, ends, axes=None, steps=None) -> torch.Tensor:
    begins = _numbers(starts)
    parts = [slice(None)] * x.dim()
    for axis, start, end, step in zip(
        _numbers(axes) or range(len(begins)), begins, _numbers(ends), _numbers(steps) or [1] * len(begins), strict=True
    ):
        parts[axis] = slice(start, end, step)
    return x[tuple(parts)]


def _constant_of_shape(about: dict, shape: torch.Tensor) -> torch.Tensor:
    value = about.get("value", torch.zeros(1))
    return torch.full(_numbers(shape), value.item(), dtype=value.dtype)


def _div(about: dict, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.div(x, y) if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


def _gemm(about: dict, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor | None = None) -> torch.Tensor:
    x, y = x.T if about.get("transA") else x, y.T if about.get("transB") else y
    found = about.get("alpha", 1.0) * (x @ y)
    return found if z is None else found + about.get("beta", 1.0) * z


def _normalized(about: dict, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor | None = None) -> torch.Tensor:
    axis = about.get("axis", -1) % x.dim()
    return torch.nn.functional.layer_norm(x, x.shape[axis:], scale, shift, about.get("epsilon", 1e-5))


def _dequantized(about: dict, codes: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
    if scale.dim():  # one for each place of an axis
        shape = [1] * codes.dim()
        shape[about.get("axis", 1)] = -1
        scale, zero = scale.reshape(shape), None if zero is None else zero.reshape(shape)
    whole = codes.to(torch.int32)
    return (whole if zero is None else whole - zero.to(torch.int32)).to(scale.dtype) * scale


def _reduced(reduce: Callable) -> Callable:
    """An operation over `axes` (attribute or second input; none: all) by `reduce(x, axes, keepdim)`."""

    def operation(about: dict, x: torch.Tensor, axes: torch.Tensor | None = None) -> torch.Tensor:
        given = about.get("axes") or _numbers(axes)
        if not given and about.get("noop_with_empty_axes"):
            return x
        given = given or range(x.dim())
        return reduce(x, tuple(given), bool(about.get("keepdims", 1)))

    return operation


def _running_sum(about: dict, x: torch.Tensor, axis: torch.Tensor) -> torch.Tensor:
    (along,) = _numbers(axis)
    x = x.flip(along) if about.get("reverse") else x
    found = x.cumsum(along, dtype=x.dtype) - (x if about.get("exclusive") else 0)
    return found.flip(along) if about.get("reverse") else found


def _several(of_two: Callable) -> Callable:
    def operation(about: dict, x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        for other in others:
            x = of_two(x, other)
        return x

    return operation


def _plain(function: Callable) -> Callable:
    return lambda about, *inputs: function(*inputs)


OPERATIONS: dict[str, Callable] = {
    name: _plain(function)
    for name, function in {
        "Abs": torch.abs, "Add": torch.add, "And": torch.logical_and, "Equal": torch.eq, "Erf": torch.erf, "Exp": torch.exp,
        "Floor": torch.floor, "Greater": torch.gt, "Identity": lambda x: x, "Less": torch.lt, "Log": torch.log,
        "MatMul": torch.matmul, "Mul": torch.mul, "Neg": torch.neg, "Not": torch.logical_not, "Or": torch.logical_or,
        "Pow": lambda x, y: torch.pow(x, y).to(x.dtype), "Relu": torch.relu,
        "Range": lambda *ends: torch.arange(*(end.item() for end in ends), dtype=ends[0].dtype),
        "Round": torch.round, "Sign": torch.sign, "Sigmoid": torch.sigmoid, "Sqrt": torch.sqrt, "Sub": torch.sub,
        "Tanh": torch.tanh, "Tile": lambda x, times: x.repeat(_numbers(times)), "Where": torch.where,
        "Clip": lambda x, *ends: torch.clamp(x, *ends) if any(end is not None for end in ends) else x,
    }.items()
} | {
    "Cast": lambda about, x: x.to(TYPES[about["to"]]),
    "Concat": lambda about, *parts: torch.cat(parts, about["axis"]),
    "ConstantOfShape": _constant_of_shape,
    "CumSum": _running_sum,
    "DequantizeLinear": _dequantized,
    "Div": _div,
    "Expand": _expand,
    "Gather": _gather,
    "Gemm": _gemm,
    "LayerNormalization": _normalized,
    "Max": _several(torch.maximum),
    "Min": _several(torch.minimum),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(torch.mean),
    "ReduceMin": _reduced(torch.amin),
    "ReduceSum": _reduced(torch.sum),
    "Reshape": _reshape,
    "Slice": _slice,
    "Softmax": lambda about, x: torch.softmax(x, about.get("axis", -1)),
    "Squeeze": _squeeze,
    "Transpose": lambda about, x: x.permute(about.get("perm", list(range(x.dim()))[::-1])),
    "Unsqueeze": _unsqueeze,
}  # fmt: skip
NUMBERS = {
    "ConstantOfShape": (0,), "CumSum": (1,), "Expand": (1,), "Range": (0, 1, 2), "ReduceMax": (1,), "ReduceMean": (1,),
    "ReduceMin": (1,), "ReduceSum": (1,), "Reshape": (1,), "Slice": (1, 2, 3, 4), "Squeeze": (1,), "Tile": (1,),
    "Unsqueeze": (1,),
}  # fmt: skip
"""Inputs that are read as numbers, which must not depend on what a text says."""
