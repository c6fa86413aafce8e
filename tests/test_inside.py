"""Inside an executable classifier: its matrices and what meets them, and the figures that are drawn of leads."""

import numpy as np
import pytest

from qrsupport import pipeline
from qrsupport.errors import NoRecords
from qrsupport.experiments import inside
from qrsupport.quantization import classifiers
from qrsupport.report import leads

TEXT = "a fine film, and a kind one"


def test_activations_meet_the_weights_that_they_are_multiplied_with(tiny):
    folder = pipeline.variant(tiny, "fp32")
    weights, met = inside.weight_tensors(folder), inside.activation_tensors(folder, TEXT)
    assert met and met.keys() <= weights.keys()
    assert all(x.ndim == 2 and x.dtype == np.float32 for x in weights.values())
    tokens = len(classifiers.load(folder).ids(TEXT))
    for name, x in met.items():
        assert x.shape[-1] in weights[name].shape and x.shape[0] == 1 and tokens in (*x.shape, tokens * (x.ndim == 2))


def test_another_text_meets_other_numbers(tiny):
    folder = pipeline.variant(tiny, "fp32")
    one, other = (inside.activation_tensors(folder, text) for text in (TEXT, "a dull film, and an unkind one"))
    assert any(one[name].shape != other[name].shape or not np.allclose(one[name], other[name]) for name in one)


def test_crossings_say_how_many_lines_end_above_zero():
    shown = leads.crossings(np.array([-0.1, -0.5]), {"a": np.array([0.2, -0.3]), "b": np.array([0.1, 0.4])})
    assert "a: 1 of 2 end above 0" in shown.alt and "b: 2 of 2 end above 0" in shown.alt and "Leads of 2 texts" in shown.alt
    with pytest.raises(NoRecords, match="fooled the source"):
        leads.crossings(np.zeros(0), {})


def test_the_plane_counts_the_texts_that_fool_both():
    found = {"joint": np.array([[-0.2, -0.1], [-0.3, -0.2]]), "alone": np.array([[-0.1, 0.2]]), "none": np.zeros((0, 2))}
    shown = leads.goals("fp32", "int8-dynamic", found, margin=0.2)
    assert "joint: 2 of 2 texts fool both; alone: 0 of 1 texts fool both." in shown.alt
    with pytest.raises(NoRecords, match="successful attacks"):
        leads.goals("a", "b", {"none": np.zeros((0, 2))})
