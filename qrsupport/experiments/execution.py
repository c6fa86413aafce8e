"""How variants run here: the time of a prediction, and how far an executable model is from its checkpoint in torch."""

from .. import catalog, config, pipeline
from ..errors import CannotRun
from ..quantization import export, variants
from ..training import given


def latencies(p: config.Parameters, names, repeats: int | None = None) -> dict[str, dict]:
    """`variants.latencies` of the variants in `names` on the evaluation split."""
    folders = {name: pipeline.variant(p, name) for name in names}
    return variants.latencies(folders, pipeline.dataset(p).eval_split().texts, repeats or p.latency_repeats)


def compare_with_torch(p: config.Parameters, name: str = "fp32", n: int = variants.CHECKED) -> dict:
    """How variant `name` differs from its checkpoint in torch on `n` texts of the evaluation split.

    Keys: max_logit_difference, label_agreement (share of 1), n.  Raises CannotRun for a checkpoint that is an ONNX file.
    """
    if given.is_onnx(p.backbone):
        raise CannotRun(f"{p.backbone} is an ONNX file: there is no torch model to compare {name!r} with")
    folder, texts = pipeline.checkpoint(p, catalog.VARIANTS[name].checkpoint), variants.some_texts(pipeline.dataset(p), n, p.seed)
    return export.compare(folder, pipeline.classifier(p, name), texts)
