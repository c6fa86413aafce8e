"""Quantization-aware fine-tuning: a model that rounds while it learns, as `simulate` rounds when it is executed: by `formula`.

Forward, weights and activations of linear layers and the weights of embeddings are rounded to so
many bits; backward, rounding passes the gradient on as if it were not there (straight through).
An activation's range is taken over one text of the batch, padding included, as it is taken over
one text when the classifier is asked.
"""

import contextlib
from functools import partial

from . import formula

BITS = {"qat8": 8, "qat4": 4}
"""Checkpoints that are fine-tuned so, and to how many bits."""


@contextlib.contextmanager
def rounded(model, bits: int | None):
    """Within, the linear layers and embeddings of `model` (torch) round to `bits` bits; None changes nothing."""
    import torch

    forms = {torch.nn.Linear: _linear, torch.nn.Embedding: _embedding} if bits else {}
    changed = [(m, form) for m in model.modules() for kind, form in forms.items() if isinstance(m, kind)]
    for module, form in changed:
        module.forward = partial(form, module, bits)  # type: ignore[arg-type]  # none is changed where bits is None
    try:
        yield
    finally:
        for module, _ in changed:
            del module.forward


def _linear(layer, bits: int, x):
    from torch.nn.functional import linear

    return linear(asymmetric(x, bits, range(1, x.ndim)), symmetric(layer.weight, bits), layer.bias)


def _embedding(layer, bits: int, ids):
    from torch.nn.functional import embedding

    return embedding(ids, asymmetric(layer.weight, bits, range(layer.weight.ndim)), layer.padding_idx)


def symmetric(w, bits: int):
    """`w` (any shape) rounded to 2 ** bits - 1 levels around zero, one scale for the whole tensor."""
    return _through(w, formula.SYMMETRIC, bits, range(w.ndim))


def asymmetric(x, bits: int, axes):
    """`x` rounded to 2 ** bits levels, zero among them, over zero and its range along `axes`."""
    return _through(x, formula.ASYMMETRIC, bits, axes)


def _through(x, steps, bits: int, axes):
    """`x` rounded by `steps` of `formula`; its gradient is that of `x`."""
    exact = x.detach()
    found = formula.evaluate(steps, formula.constants(bits) | {"x": exact}, formula.torch(axes))
    return x + (found["rounded"] - exact)
