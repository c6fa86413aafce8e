"""Which texts may be asked together, which 8-bit kernel is asked, and why: the one place that says so.

A text's answer must be the one it gets alone, to the last bit.  `WHY` holds, for each precision, whether texts of one
length may share a call and the reason.  The reasons are of ONNX Runtime 1.32 on x86-64: a constant weight is packed
once, and one kernel adds each row's products in blocks whose length the weight's shape alone decides; attention is
one product for each text and head; softmax, normalization and GELU go row by row.  `tests/test_batching.py` asks at
all lengths and numbers of texts, and every run asks a sample of its answers again alone (`victim.Victim`).
"""

import os
import platform
from functools import lru_cache

import numpy as np
import onnxruntime

from .. import catalog

PROVIDERS = ["CPUExecutionProvider"]
EXACT = ("session.x64quantprecision", "1")
LARGEST = 32
"""Most texts of one length asked together."""

ENCODERS = ("bert", "distilbert", "mpnet")
"""Architectures to which the reasons apply.  In Switch Transformers, whose experts weigh each other's sums, the answers
of one length differ in the last bits with their number; of T5 and of a reader's own ONNX file nothing is known."""

FLOATS = (True, "32-bit sums: each row's in an order that the weight's shape decides, whatever the number of rows")
PACKED = (True, "unpacked to 32 bits, then as fp32; the kernel for a single row meets no text, which has two tokens")
FIXED = (True, "activation ranges are constants of the file; sums of integers, in any order the same; the rest as fp32")
HALF = (False, "exponentials run over the whole call, the last few by another formula: which, the neighbours decide")
RANGES = (False, "an activation range is taken from the whole call, so from the neighbours too")
OWN = (True, "a range is each text's own, and a largest and a smallest number are the same in any order; the rest as fp32")
EXACTLY = (True, "a range is each text's own, and sums of integers below 2 ** 24 are exact in any order; the rest as fp32")
WHY: dict[str, tuple[bool, str]] = (
    {"fp32": FLOATS}
    | dict.fromkeys(("int8-weights", "int4-weights"), PACKED)
    | {f"int8-static-{method}": FIXED for method in ("minmax", "entropy", "percentile")}
    | dict.fromkeys(("int8-dynamic", *(f"int8-dynamic-{kind}" for kind in ("channel", "unsigned", "reduced"))), RANGES)
    | {"fp16": HALF, "activation-noise": OWN, catalog.EMULATED: EXACTLY, catalog.SATURATING: RANGES}
    | {name: FLOATS if activations is None else RANGES for name, (_, activations) in catalog.SWEEP.items()}
)
"""Precision → may texts of one length be asked together, and why."""


IN_FLOATS = ("fp32", "activation-noise", catalog.EMULATED, *catalog.SWEEP)
"""Precisions that are 32-bit arithmetic throughout, which a GPU has too; the others are kernels of ONNX Runtime's for CPUs."""


def place(precision: str, device: str) -> str:
    """Where a classifier of this precision is asked if `device` is: there, or "cpu" where it is a kernel for CPUs."""
    return device if precision in IN_FLOATS else "cpu"


def most(precision: str, architecture: str, device: str = "cpu") -> int:
    """How many texts of one length may be asked together: `LARGEST`, or 1 where nothing is proved.

    1 too for a precision that `WHY` does not name, an `architecture` (Hugging Face's model_type) other than `ENCODERS`,
    on processors other than x86-64, and with `QRSUPPORT_ALONE` set.  On a GPU every call has as many rows (`victim.Victim`
    fills it), so that one kernel answers each text of a length, in whatever company.
    """
    proved = (device != "cpu" or platform.machine() in ("x86_64", "AMD64")) and not os.environ.get("QRSUPPORT_ALONE")
    return LARGEST if proved and architecture in ENCODERS and WHY.get(precision, (False, ""))[0] else 1


@lru_cache(1)
def saturates() -> bool:
    """Whether this machine's fastest 8-bit kernel gets a product wrong that its exact kernel gets right.

    On x86 CPUs without VNNI the fastest kernel (unsigned activations, signed weights) adds pairs of products in 16
    bits.  The session option `EXACT` makes ONNX Runtime take another, which elsewhere costs time and changes nothing.
    """
    return not kernel_is_exact(False) and kernel_is_exact(True)


def kernel_is_exact(option: bool) -> bool:
    """Whether 8-bit products whose pairs exceed 16 bits come out right, with or without `EXACT`."""
    activations = np.full((4, 64), 255, np.uint8)
    activations[:, ::5] = 3
    weight = np.full((64, 32), 127, np.int8)
    weight[:, ::3] = -128
    session = onnxruntime.InferenceSession(product(weight), options(1, option), providers=PROVIDERS)
    right = activations.astype(np.int32) @ weight.astype(np.int32)
    return all(np.array_equal(session.run(None, {"x": activations[:n]})[0], right[:n]) for n in (1, 4))


def product(weight: np.ndarray) -> bytes:
    """An ONNX file: unsigned 8-bit `x` (rows × len(weight)) times the 8-bit `weight`, in 32-bit integers."""
    from onnx import TensorProto, helper, numpy_helper

    ends = [helper.make_tensor_value_info(n, t, None) for n, t in (("x", TensorProto.UINT8), ("y", TensorProto.INT32))]
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "product", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def options(threads: int, exact: bool) -> onnxruntime.SessionOptions:
    """Options of a session with `threads` threads inside an operation, on the exact 8-bit kernel or the fastest."""
    found = onnxruntime.SessionOptions()
    found.intra_op_num_threads, found.inter_op_num_threads = threads, 1
    found.log_severity_level = 3
    if exact:
        found.add_session_config_entry(*EXACT)
    return found
