"""Controls: classifiers that differ from FP32 as much as the quantized one does, but not by quantization.

A gain is a finding about quantization only if it beats theirs: an attack stops just past the
boundary of the model it attacked, and any other model wins some texts back.  `noise` is as large as
the rounding error of the weights.  The others are matched by what they do: noise on weights or on
activations whose size is chosen so that the logits of clean texts move as much as int8's do, and
int8's mean shift of the logits, alone (`shifted`) or taken out (`unshifted`).
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from ..errors import BadCheckpoint
from . import classifiers, export, simulate, victim, weights

SAMPLE = 128
"""Clean texts on which controls are matched."""
TOLERANCE = 0.005
"""By what share the movement of the logits may miss int8's."""
STEPS = 40
PROPORTIONAL = 20
"""Steps after which the search for a size only halves its bracket."""
LEVELS = 255
DRIFT = (
    ("ReduceMin", ("x",), "min"), ("Min", ("min", "noise/zero"), "low"),
    ("ReduceMax", ("x",), "max"), ("Max", ("max", "noise/zero"), "high"),
    ("Sub", ("high", "low"), "range"), ("Mul", ("range", "noise/size"), "size"),
    ("Shape", ("x",), "length"), ("Slice", ("pattern", "noise/begin", "length"), "drawn"),
    ("Mul", ("drawn", "size"), "added"), ("Add", ("x", "added"), "noisy"),
)  # fmt: skip
"""From an activation to itself with noise: `noise/size` times the range of its text and zero times a pattern by place."""


@dataclass(frozen=True)
class Pair:
    """What a control is matched with: the folders of the fp32 and the int8 variant, clean texts, the seed of the draws."""

    fp32: Path
    int8: Path
    texts: Sequence[str]
    seed: int

    @cached_property
    def logits(self) -> np.ndarray:
        """fp32's and int8's logits, shape (2, texts, classes), float64."""
        return np.stack([classifiers.load(path)(self.texts) for path in (self.fp32, self.int8)]).astype(np.float64)

    @property
    def shift(self) -> np.ndarray:
        """By how much int8's logits are above fp32's in the mean over the texts, a number a class."""
        return (self.logits[1] - self.logits[0]).mean(0)

    @cached_property
    def norms(self) -> dict[str, float]:
        """The Euclidean norm of int8's rounding error of each tensor that it stores in 8 bits."""
        return norms(self.fp32 / "model.onnx", self.int8 / "model.onnx")


def norms(fp32: Path, int8: Path) -> dict[str, float]:
    """The Euclidean norm of the rounding error, by tensor of the ONNX file `fp32` that `int8` stores in 8 bits.

    Raises BadCheckpoint if there is none.
    """
    errors = export.weight_errors(fp32, int8)
    if not errors:
        raise BadCheckpoint(f"{int8} holds no 8-bit weight of {fp32}, so there is no error to match; delete its folder")
    return {name: float(np.linalg.norm(error.astype(np.float64))) for name, error in errors.items()}


def noise(fp32: Path, int8: Path, target: Path, draw: int, seed: int) -> dict:
    """Writes to `target` the ONNX file `fp32` with Gaussian noise added to every tensor that `int8` stores in 8 bits.

    The noise of a tensor is scaled so that its Euclidean norm is that of the tensor's
    quantization error; tensors that quantization leaves alone are left alone.  What rounds the
    activations in an int8 model has no counterpart here.  Each tensor's noise depends on `seed`,
    `draw` and the tensor's name alone.

    Returns `tensors` (how many were changed) and `norm` (of the whole noise).  Raises
    BadCheckpoint if no tensor is quantized in `int8`.
    """
    import onnx

    sizes = norms(fp32, int8)
    onnx.save(noisy_weights(fp32, sizes, f"{seed}:{draw}", 1.0), target)
    return {"tensors": len(sizes), "norm": math.hypot(*sizes.values())}


def noisy_weights(fp32: Path, sizes: dict[str, float], drawn: str, scale: float):
    """The ONNX model in `fp32` with Gaussian noise of `scale` times its size in every tensor named; `drawn` names the draw."""
    from onnx import numpy_helper

    model = weights.load(fp32)
    for tensor in model.graph.initializer:
        if tensor.name in sizes:
            weight = numpy_helper.to_array(tensor)
            added = gaussian(weight.shape, scale * sizes[tensor.name], f"{drawn}:{tensor.name}")
            tensor.CopyFrom(numpy_helper.from_array((weight + added).astype(weight.dtype), tensor.name))
    return model


def gaussian(shape: tuple[int, ...], norm: float, name: str) -> np.ndarray:
    """Gaussian noise of this shape and Euclidean norm, float64, that depends on `name` alone."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    drawn = np.random.default_rng(seed).standard_normal(shape)
    return drawn * (norm / max(float(np.linalg.norm(drawn)), 1e-30))


def noisy_activations(fp32: Path, names: set[str], tokens: int, drawn: str, scale: float):
    """The ONNX model in `fp32` with noise in the input of every MatMul and Gemm whose weight is in `names`.

    As int8 rounds it, an activation is off by a share of its range: at `scale` 1 by as much in the
    mean square as rounding to 256 levels over the range of the text and zero.  The noise is Gaussian
    and fixed: drawn once (`drawn`) for each activation, channel and place in the text, of at most
    `tokens`; where an activation has no places (after pooling), for each channel.  It depends on the
    text by its range alone, and on no other text.
    """
    from onnx import numpy_helper

    model = weights.load(fp32)
    shapes, size = _shapes(model), scale / (LEVELS * math.sqrt(12))
    constants = {"size": np.float32(size), "zero": np.float32(0), "begin": np.zeros(1, np.int64)}
    found = [numpy_helper.from_array(value, f"noise/{name}") for name, value in constants.items()]

    def made(name: str) -> list:
        rank, channels = shapes[name]
        shape = (tokens, channels) if rank == 3 else (channels,)
        pattern = gaussian(shape, math.sqrt(math.prod(shape)), f"{drawn}:{name}").astype(np.float32)
        found.append(numpy_helper.from_array(pattern, f"{name}/pattern" if rank == 3 else f"{name}/drawn"))
        steps = [step for step in DRIFT if rank == 3 or step[0] not in ("Shape", "Slice")]
        axes = dict.fromkeys(("ReduceMin", "ReduceMax"), {"axes": list(range(1, rank))})
        return simulate.operations(name, steps, axes | {"Shape": {"start": 1, "end": 2}})

    simulate.change_activations(model.graph, names, "noisy", made)
    model.graph.initializer.extend(found)
    return model


def _shapes(model) -> dict[str, tuple[int, int]]:
    """How many axes the input of each MatMul and Gemm with a constant weight has, and how many channels."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model).graph
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in (*graph.value_info, *graph.input)}
    sizes, found = {t.name: t.dims for t in graph.initializer}, {}
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in sizes:
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            found[node.input[0]] = ranks[node.input[0]], sizes[node.input[1]][1 if turned else 0]
    return found


def movement(logits: np.ndarray, before: np.ndarray) -> float:
    """The root mean square, over texts and classes, of the difference of two arrays of logits."""
    return float(np.sqrt(np.mean((logits - before) ** 2)))


def centred(logits: np.ndarray) -> np.ndarray:
    """Logits less what all classes of a text share, which its probabilities do not depend on."""
    return logits - logits.mean(-1, keepdims=True)


def fit(pair: Pair, room: Path, made: Callable) -> dict:
    """Writes to `room` the ONNX model `made(scale)` at the scale at which logits move as much as int8's.

    `room` holds all else that a variant's folder does.  `size` finds the scale, with the same draw
    at every step.  Returns `scale`, `target` and `achieved` (root mean squares of the difference to
    fp32's logits on the pair's texts), `centred`: both of `centred` logits.  Raises BadCheckpoint if
    int8 moves no logit, or if no scale comes within `TOLERANCE` of its movement.
    """
    import onnx

    before, target = pair.logits[0], movement(*pair.logits)
    both = [movement(*centred(pair.logits))]

    def moved(scale: float) -> float:
        onnx.save(made(scale), room / "model.onnx")
        logits = victim.Victim(room)(pair.texts).astype(np.float64)
        both[1:] = [movement(centred(logits), centred(before))]
        return movement(logits, before)

    found = size(moved, target) if target else None
    if found is None:
        raise BadCheckpoint(
            f"no size of noise moves the logits of {pair.fp32} by {target:.3g}, as {pair.int8} does; delete both and rerun"
        )
    return {"scale": found[0], "target": target, "achieved": found[1], "centred": both}


def size(moved: Callable[[float], float], target: float) -> tuple[float, float] | None:
    """The first scale found whose `moved(scale)` comes within `TOLERANCE` of `target`, and what it moves; None: no scale.

    Logits move nearly in proportion to noise, so the search is by false position within a bracket.
    Where they move nearly as its square, that goes round in a circle: after `PROPORTIONAL` steps the bracket is halved.
    """
    low, high, scale = 0.0, math.inf, 1.0
    for step in range(STEPS):
        achieved = moved(scale)
        if abs(achieved - target) <= TOLERANCE * target:
            return scale, achieved
        low, high = (scale, high) if achieved < target else (low, scale)
        guess = scale * target / max(achieved, target / 100)
        halved = math.isfinite(high) and step >= PROPORTIONAL
        scale = guess if low < guess < high and not halved else (low + high) / 2
    return None


def logit_noise(pair: Pair, room: Path, draw: int) -> dict:
    """Noise in the weights, shaped tensor by tensor as `noise`, of the size that `fit` finds."""
    fp32, drawn = pair.fp32 / "model.onnx", f"{pair.seed}:logits {draw}"
    return fit(pair, room, partial(noisy_weights, fp32, pair.norms, drawn))


def activation_noise(pair: Pair, room: Path, draw: int) -> dict:
    """Noise in the inputs of the products that int8 quantizes (`noisy_activations`), of the size that `fit` finds."""
    fp32, drawn = pair.fp32 / "model.onnx", f"{pair.seed}:activations {draw}"
    tokens = classifiers.load(pair.fp32).max_length
    found = fit(pair, room, partial(noisy_activations, fp32, set(pair.norms), tokens, drawn))
    _borrow(pair, room)
    return found


def shifted(pair: Pair, room: Path) -> dict:
    """fp32 with int8's mean shift of the logits added; returns `shift`, a number a class."""
    _add(pair.fp32 / "model.onnx", pair.shift, room / "model.onnx")
    _borrow(pair, room)
    return {"shift": pair.shift.tolist()}


def unshifted(pair: Pair, room: Path) -> dict:
    """int8 with its mean shift of the logits taken out; returns `shift`, what was added: a number a class."""
    _add(pair.int8 / "model.onnx", -pair.shift, room / "model.onnx")
    return {"shift": (-pair.shift).tolist()}


def _add(source: Path, shift: np.ndarray, target: Path) -> None:
    """Writes the ONNX file `source` with `shift` added to its logits, the graph's output."""
    import onnx
    from onnx import helper, numpy_helper

    model = weights.load(source)
    graph, logits = model.graph, model.graph.output[0].name
    (last,) = (node for node in graph.node if logits in node.output)
    last.output[list(last.output).index(logits)] = f"{logits}/before"
    graph.initializer.append(numpy_helper.from_array(shift.astype(np.float32), f"{logits}/shift"))
    graph.node.append(helper.make_node("Add", [f"{logits}/before", f"{logits}/shift"], [logits], name=f"{logits}/after"))
    onnx.save(model, target)


def _borrow(pair: Pair, room: Path) -> None:
    """Lets the model in `room` read its weights from where fp32's do."""
    lender = pair.fp32 / weights.FILE
    if lender.exists():
        weights.share(room / "model.onnx", lender)


DRAWN = {"logit-noise": (logit_noise, "fp32"), "activation-noise": (activation_noise, "activation-noise")}
"""Kinds of noise that are matched on clean texts: what makes a draw, and the precision that it is executed in."""
SHIFTS = {"fp32-shifted": (shifted, "fp32"), "int8-unshifted": (unshifted, "int8-dynamic")}
"""As `DRAWN`, of the controls without a draw."""
