"""From a torch checkpoint to ONNX, from ONNX to 8 bits, and what rounding did to the weights."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np

from ..errors import BadCheckpoint
from . import weights

OPSET = 17
TOLERANCE = 1e-3
NAMES = ("input_ids", "attention_mask", "token_type_ids")


def to_onnx(checkpoint: Path, file: Path) -> list[str]:
    """Writes the classifier in folder `checkpoint` (Hugging Face layout) as an ONNX file; returns its input names.

    Its weights stay in the checkpoint's model.safetensors, of which a link lies beside the file (see `weights`).

    Inputs are those that its tokenizer gives, int64, batch × length, both free; the output is
    `logits`, batch × classes.  Uses torch's tracing exporter: it takes a second, leaves no paths
    of this machine in the file, and writes the same bytes each time.

    Raises BadCheckpoint if the model cannot be loaded or exported.
    """
    import torch

    from ..training import architectures

    model, tokenizer = _load(checkpoint)
    names = [name for name in NAMES if name in tokenizer.model_input_names]
    example = tuple(torch.ones(2, 8, dtype=torch.long) for _ in names)
    axes = {name: {0: "batch", 1: "length"} for name in names} | {"logits": {0: "batch"}}
    try:
        with quiet():
            torch.onnx.export(
                _positional(architectures.traceable(model), names), example, str(file), dynamo=False, opset_version=OPSET,
                input_names=names, output_names=["logits"], dynamic_axes=axes,
            )  # fmt: skip
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as e:
        raise BadCheckpoint(f"{checkpoint} cannot be exported to ONNX: {e}") from e
    weights.share(file, Path(checkpoint) / "model.safetensors")
    return names


def compare(checkpoint: Path, victim, texts) -> dict:
    """How an exported classifier's logits differ from torch's on `texts`, one at a time.

    Keys: max_logit_difference, label_agreement (share of 1), n.
    """
    import torch

    model, _ = _load(checkpoint)
    ours = victim(texts)
    with torch.no_grad():
        theirs = np.stack([model(torch.tensor([victim.ids(text)])).logits[0].numpy() for text in texts])
    return {
        "max_logit_difference": float(np.abs(ours - theirs).max()),
        "label_agreement": float((ours.argmax(1) == theirs.argmax(1)).mean()),
        "n": len(texts),
    }


def quantize(source: Path, target: Path, per_channel: bool, reduce_range: bool, weight_type: str) -> None:
    """Writes an 8-bit copy of the ONNX file `source`: ONNX Runtime's `quantize_dynamic` with these options."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet():
        quantize_dynamic(
            weights.load(source), target, per_channel=per_channel, reduce_range=reduce_range, weight_type=QuantType[weight_type]
        )


def weight_error(fp32: Path, int8: Path) -> np.ndarray:
    """8-bit weight minus 32-bit weight, for every weight that was quantized: one flat array, float32."""
    found = [error.ravel() for error in weight_errors(fp32, int8).values()]
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def weight_errors(fp32: Path, int8: Path) -> dict[str, np.ndarray]:
    """8-bit weight minus 32-bit weight of each quantized tensor of an ONNX file, float32, by the tensor's 32-bit name.

    A tensor that the 8-bit model stores turned is compared, and returned, turned.
    """
    from onnx import numpy_helper

    before, after = weights.load(fp32).graph, weights.load(int8).graph
    old = {t.name: numpy_helper.to_array(t) for t in before.initializer}
    new = {t.name: numpy_helper.to_array(t) for t in after.initializer}
    turned = {n.input[1] for n in before.node if n.op_type == "Gemm" and _attribute(n, "transB", 0)}
    axes = {n.input[0]: _attribute(n, "axis", 1) for n in after.node if n.op_type == "DequantizeLinear"}
    found = {}
    for name, weight in old.items():
        stored, weight = (f"{name}_Transposed", weight.T) if name in turned else (name, weight)
        if f"{stored}_quantized" in new:
            found[name] = _dequantized(new, stored, axes.get(f"{stored}_quantized", -1)) - weight
    return found


def _dequantized(tensors: dict, name: str, axis: int) -> np.ndarray:
    """The 8-bit tensor of this name as 32-bit floats; `axis` is that of its scales if it has several."""
    codes = tensors[f"{name}_quantized"].astype(np.float32)
    shape = [1] * codes.ndim
    shape[axis] = -1
    scale, zero = (tensors[f"{name}_{part}"].astype(np.float32) for part in ("scale", "zero_point"))
    if scale.size > 1:
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return (codes - zero) * scale


def _attribute(node, name: str, default: int) -> int:
    return next((a.i for a in node.attribute if a.name == name), default)


def _load(checkpoint: Path):
    """(model in evaluation mode with plain attention, tokenizer)."""
    import transformers as hf
    from safetensors import SafetensorError

    try:
        model = hf.AutoModelForSequenceClassification.from_pretrained(
            checkpoint, use_safetensors=True, local_files_only=True, attn_implementation="eager"
        )
        return model.eval(), hf.AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as e:
        raise BadCheckpoint(f"{checkpoint} does not load as a sequence classifier: {e}") from e


def _positional(model, names):
    """`model` with positional arguments in the order of `names` and bare logits as its answer."""
    import torch

    class Positional(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *given):
            return self.model(**dict(zip(names, given, strict=True)), return_dict=True).logits

    return Positional().eval()


@contextlib.contextmanager
def quiet():
    """Silences the exporter's and the quantizer's remarks on the way."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
