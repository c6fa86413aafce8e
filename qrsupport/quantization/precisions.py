"""The precision ladder: from the 32-bit variant's ONNX file to one at another precision.

Each entry of `MADE` is a function of (parameters, data, folder of the 32-bit variant, file to write); it
returns what variant.json says beside the rest: `bytes` where the file's size is not what the
precision takes.  Whether its texts may be asked together is said in `batching`, by its name.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from .. import catalog
from ..data import datasets
from ..errors import BadParameter
from . import batching, classifiers, emulate, export, saturate, simulate, victim, weights

BLOCK = 32
LINEAR = ("MatMul", "Gemm")


def dynamic(p, dataset, source: Path, target: Path, **options) -> dict:
    """ONNX Runtime's dynamic quantization; `options` stand for the parameters of the same name."""
    given = {name: getattr(p, name) for name in catalog.INT8_OPTIONS} | options
    export.quantize(source / "model.onnx", target, **given)
    return {}


def emulated(p, dataset, source: Path, target: Path) -> dict:
    """As `dynamic`, then rewritten in floats (`emulate`); `bytes` are those of the file before."""
    dynamic(p, dataset, source, target)
    size = weights.size(target)
    emulate.rewrite(target)
    return {"bytes": size}


def saturating(p, dataset, source: Path, target: Path) -> dict:
    """As `dynamic`, then rewritten so that products saturate (`saturate`); `bytes` are those of the file before."""
    dynamic(p, dataset, source, target)
    return {"bytes": weights.size(target), "saturating": saturate.rewrite(target)}


def static(p, dataset, source: Path, target: Path, method: str) -> dict:
    """8 bits with activation ranges fixed beforehand, from `p.calibration_examples` seeded training texts.

    Only products with a weight are quantized: ranges for everything would include the attention
    mask's, whose size leaves nothing of the rest.
    """
    train = dataset.train
    texts = [train.texts[i] for i in datasets.sample(train, p.calibration_examples, p.seed)]
    calibrated(source, target, method, texts)
    return {}


def calibrated(source: Path, target: Path, method: str, texts) -> None:
    """Writes the variant in folder `source` in 8 bits, its activation ranges taken from `texts` by `method`.

    `method`: MinMax, Entropy or Percentile, as ONNX Runtime has them.  Texts are run one at a
    time, unpadded, as they are asked.  Raises BadParameter without texts.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    if not len(texts):
        raise BadParameter("the calibration set is empty (0 texts); set calibration_examples to 1 or more")
    with export.quiet():
        quantize_static(
            weights.load(source / "model.onnx"), target, _reader(classifiers.load(source), texts), QuantFormat.QDQ, LINEAR,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod[method],
            extra_options={"MatMulConstBOnly": True, "CalibStridedMinMax": 1},
        )  # fmt: skip


def _reader(model: victim.Victim, texts):
    """The texts as ONNX Runtime's calibration reads them: in parts of one text, so that lengths may differ."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __len__(self):
            return len(texts)

        def set_range(self, start_index, end_index):
            self.left = list(texts[start_index:end_index])

        def get_next(self):
            return model.inputs_of([model.ids(self.left.pop(0))]) if self.left else None

    return Reader()


def weight_only(p, dataset, source: Path, target: Path, bits: int) -> dict:
    """Weights of MatMul in blocks of 32 with a scale each, symmetric; activations and sums in 32 bits (MatMulNBits)."""
    import onnx

    onnx.save(_n_bits(weights.load(source / "model.onnx"), bits), target)
    return {}


def _n_bits(model, bits: int):
    """`model` (ONNX) with each constant operand of a MatMul in `bits` bits: 4 or 8."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    with export.quiet():
        quantizer = MatMulNBitsQuantizer(model, bits, BLOCK, is_symmetric=True, accuracy_level=1)
        quantizer.process()
    return quantizer.model.model


def half(p, dataset, source: Path, target: Path) -> dict:
    """Weights and activations in 16-bit floating point, inputs and logits as before.

    Where a CPU has no 16-bit kernel, ONNX Runtime computes in 32 bits between roundings.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with export.quiet():
        onnx.save(convert_float_to_float16(weights.load(source / "model.onnx"), keep_io_types=True), target)
    return {}


@lru_cache
def _lacks_n_bits(bits: int) -> str:
    """Why this machine's ONNX Runtime cannot multiply by `bits`-bit weights; empty if it can."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    one = numpy_helper.from_array(np.ones((BLOCK, BLOCK), np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, BLOCK]) for name in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="m")], "probe", *[[e] for e in ends], [one]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", export.OPSET)], ir_version=8)
    try:
        session = onnxruntime.InferenceSession(_n_bits(model, bits).SerializeToString(), providers=batching.PROVIDERS)
        session.run(None, {"x": np.ones((1, BLOCK), np.float32)})
    except Exception as e:  # onnxruntime's exceptions share no public base
        return f"ONNX Runtime {onnxruntime.__version__} here has no kernel for {bits}-bit weights ({str(e)[:200]})"
    return ""


def lacks(variant: str) -> str:
    """Why `variant` cannot run on this machine; empty if it can."""
    entry = catalog.VARIANTS[variant]
    if entry.members:
        return next(filter(None, (lacks(member) for member in entry.members)), "")
    return PROBES.get(entry.precision, str)()


def simulated(p, dataset, source: Path, target: Path, weights: int | None, activations: int | None) -> dict:
    """As `simulate.rewrite`."""
    return simulate.rewrite(source / "model.onnx", target, weights, activations)


MADE: dict[str, Callable[..., dict]] = {
    "int8-dynamic": dynamic,
    catalog.EMULATED: emulated,
    catalog.SATURATING: saturating,
    "int8-dynamic-channel": partial(dynamic, per_channel=True, reduce_range=False, weight_type="QInt8"),
    "int8-dynamic-unsigned": partial(dynamic, per_channel=False, reduce_range=False, weight_type="QUInt8"),
    "int8-dynamic-reduced": partial(dynamic, per_channel=False, reduce_range=True, weight_type="QInt8"),
    "int8-static-minmax": partial(static, method="MinMax"),
    "int8-static-entropy": partial(static, method="Entropy"),
    "int8-static-percentile": partial(static, method="Percentile"),
    "int8-weights": partial(weight_only, bits=8),
    "int4-weights": partial(weight_only, bits=4),
    "fp16": half,
    **{name: partial(simulated, weights=w, activations=a) for name, (w, a) in catalog.SWEEP.items()},
}
PROBES = {f"int{bits}-weights": partial(_lacks_n_bits, bits) for bits in (4, 8)}
"""Why a precision cannot run on this machine, empty if it can; those not named run wherever ONNX Runtime does."""
