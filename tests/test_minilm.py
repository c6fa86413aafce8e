"""The default backbone, pretrained: what holds for the small ones holds for it."""

import dataclasses

import numpy as np
import pytest

from qrsupport import config, pipeline
from qrsupport.attacks import one_example, tasks
from qrsupport.data import datasets
from qrsupport.records import Status
from qrsupport.training import pretrained

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def p(tmp_path_factory):
    """A run directory with minilm-l6 fine-tuned for a moment."""
    if not pretrained.at_hand("minilm-l6"):
        pytest.skip("the weights of minilm-l6 were not fetched; `qrsupport fetch minilm-l6`")
    made = config.make(train_limit=320, epochs=2, run_dir=str(tmp_path_factory.mktemp("runs")))
    pipeline.checkpoint(made)
    return made


@pytest.mark.parametrize("variant", ["fp32", "int8-dynamic"])
@pytest.mark.parametrize("attack", ["textfooler", "pwws", "pso"])
def test_outcomes_are_those_of_textattack(p, attack, variant):
    task = tasks.Task(dataclasses.replace(p, attack=attack), variant, pipeline.variant(p, variant), "")
    stock, ours = one_example.Searcher(task, stock=True), one_example.Searcher(task)
    split = datasets.load(p).eval_split()
    for position, i in enumerate(datasets.sample(split, 2 if attack == "pso" else 4, 0)):
        example = tasks.Example(position, split.ids[i], split.texts[i], split.labels[i])
        a, b = stock(example), ours(example)
        assert a.status is not Status.error, a.note
        assert (a.status, a.perturbed, a.queries) == (b.status, b.perturbed, b.queries)
        assert a.probabilities_after == b.probabilities_after


def test_eight_bits_move_the_logits_of_a_pretrained_model(p):
    """What a small model from scratch does not show: an int8 error that can be seen in the logits."""
    texts = datasets.load(p).eval_split().texts[:40]
    fp32, int8 = (pipeline.classifier(p, name)(texts) for name in ("fp32", "int8-dynamic"))
    assert np.abs(fp32 - int8).mean() > 0.005 and (fp32.argmax(1) == int8.argmax(1)).mean() > 0.8
