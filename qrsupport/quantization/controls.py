"""Controls: classifiers that differ from FP32 as much as the quantized one does, but not by quantization.

A gain under transfer is a finding about quantization only if it beats theirs, because an attack
stops just past the boundary of the model it attacked.
"""

import hashlib
from pathlib import Path

import numpy as np

from ..errors import BadCheckpoint
from . import export, weights


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
    from onnx import numpy_helper

    errors = export.weight_errors(fp32, int8)
    if not errors:
        raise BadCheckpoint(f"{int8} holds no 8-bit weight of {fp32}, so there is no error to match; delete its folder")
    model, total = weights.load(fp32), 0.0
    for tensor in model.graph.initializer:
        if tensor.name in errors:
            weight = numpy_helper.to_array(tensor)
            norm = float(np.linalg.norm(errors[tensor.name].astype(np.float64)))
            added = gaussian(weight.shape, norm, f"{seed}:{draw}:{tensor.name}")
            tensor.CopyFrom(numpy_helper.from_array((weight + added).astype(weight.dtype), tensor.name))
            total += norm**2
    onnx.save(model, target)
    return {"tensors": len(errors), "norm": total**0.5}


def gaussian(shape: tuple[int, ...], norm: float, name: str) -> np.ndarray:
    """Gaussian noise of this shape and Euclidean norm, float64, that depends on `name` alone."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    drawn = np.random.default_rng(seed).standard_normal(shape)
    return drawn * (norm / max(float(np.linalg.norm(drawn)), 1e-30))
