"""Rounding to so many levels: the formula, once, for the file that is executed and for the model that learns.

A step is an ONNX operation: (operation, inputs, output), where "x" is what is rounded and a name with a slash one of
`constants`.  `quantization.simulate` writes the steps of `ASYMMETRIC` into a file as they stand, and has `evaluate` take
those of a weight in NumPy, once; `rounding` takes them in torch at every step of fine-tuning.  Half to even, zero exact.
"""

import operator

import numpy as np

TINY = 1e-30
VALUES = (("Sub", ("kept", "point"), "signed"), ("Mul", ("signed", "scale"), "rounded"))
"""From integers, their zero point and their scale to the numbers that they stand for."""
SYMMETRIC = (
    ("Abs", ("x",), "size"), ("ReduceMax", ("size",), "most"), ("Max", ("most", "round/tiny"), "some"),
    ("Div", ("some", "round/steps"), "scale"), ("Identity", ("round/zero",), "point"),
    ("Div", ("x", "scale"), "units"), ("Round", ("units",), "whole"),
    ("Neg", ("round/steps",), "least"), ("Clip", ("whole", "least", "round/steps"), "kept"), *VALUES,
)  # fmt: skip
"""2 ** bits - 1 levels around zero."""
ASYMMETRIC = (
    ("ReduceMin", ("x",), "min"), ("Min", ("min", "round/zero"), "low"),
    ("ReduceMax", ("x",), "max"), ("Max", ("max", "round/zero"), "high"),
    ("Sub", ("high", "low"), "range"), ("Max", ("range", "round/tiny"), "some"),
    ("Div", ("some", "round/levels"), "scale"), ("Neg", ("low",), "depth"),
    ("Div", ("depth", "scale"), "offset"), ("Round", ("offset",), "point"),
    ("Div", ("x", "scale"), "units"), ("Round", ("units",), "whole"),
    ("Add", ("whole", "point"), "code"), ("Clip", ("code", "round/zero", "round/levels"), "kept"), *VALUES,
)  # fmt: skip
"""2 ** bits levels over the range of `x` and zero, as DynamicQuantizeLinear and back."""
EITHER = {
    "Add": operator.add, "Sub": operator.sub, "Mul": operator.mul, "Div": operator.truediv, "Neg": operator.neg,
    "Abs": abs, "Identity": lambda x: x,
}  # fmt: skip
NUMPY = EITHER | {
    "ReduceMin": lambda x: x.min(initial=np.inf), "ReduceMax": lambda x: x.max(initial=-np.inf),
    "Min": np.minimum, "Max": np.maximum, "Round": np.rint, "Clip": np.clip,
}  # fmt: skip
"""What the operations are in NumPy: one range for the whole of `x`, which may be empty."""


def torch(axes) -> dict:
    """What the operations are in torch: a range for each place outside of `axes`."""
    axes = tuple(axes)
    return EITHER | {
        "ReduceMin": lambda x: x.amin(axes, keepdim=True), "ReduceMax": lambda x: x.amax(axes, keepdim=True),
        "Min": lambda x, most: x.clamp(max=most), "Max": lambda x, least: x.clamp(min=least),
        "Round": lambda x: x.round(), "Clip": lambda x, least, most: x.clamp(least, most),
    }  # fmt: skip


def constants(bits: int) -> dict[str, float]:
    """The constants of the steps for so many bits."""
    levels, steps = 2**bits - 1, 2 ** (bits - 1) - 1
    return {"round/levels": levels, "round/steps": steps, "round/zero": 0.0, "round/tiny": TINY}


def evaluate(steps, given: dict, meaning: dict) -> dict:
    """`given` (values by name) and the outputs of all steps, taken as `meaning` says: `NUMPY` or `torch(axes)`."""
    found = dict(given)
    for operation, inputs, output in steps:
        found[output] = meaning[operation](*(found[name] for name in inputs))
    return found
