"""Which code makes what: every module that could change a result belongs to a stage; a comment changes nothing."""

import subprocess

import pytest
from test_imports import MODULES

from qrsupport import provenance

MAKERS = ("training", "quantization", "lexicons", "attacks")
CONTENT = {"attacks.workers"}  # who attacks what changes no record


def test_every_module_that_makes_something_belongs_to_a_stage():
    listed = {name for stage in provenance.STAGES for name in provenance.modules(stage)}
    needed = {name for name in MODULES if name.split(".")[0] in MAKERS} - CONTENT
    assert needed <= listed, f"add to a stage: {needed - listed}"
    assert listed <= set(MODULES)


@pytest.mark.parametrize("module", ["report.canvas", "report.figures", "report.show", "analysis.metrics", "cli", "book.build"])
def test_what_only_shows_makes_nothing_again(module):
    assert all(module not in provenance.modules(stage) for stage in provenance.STAGES)


def test_fine_tuned_weights_do_not_depend_on_attacks():
    rooms = {name.split(".")[0] for name in provenance.modules("training")}
    assert rooms == {"training", "quantization"} and "quantization.simulate" not in provenance.modules("training")


def test_comments_docstrings_and_layout_do_not_count_and_code_does():
    text = '"""Doc."""\ndef f(x):\n    """Doc."""\n    return x + 1  # why\n'
    same = '"""Other."""\n\ndef f( x ):\n    # else\n    return (x + 1)\n'
    assert provenance.digest(text) == provenance.digest(same) != provenance.digest(text.replace("1", "2"))
    assert provenance.digest('def f():\n    """Doc."""\n') == provenance.digest("def f():\n    pass\n")


def test_commit_is_that_of_the_checkout():
    root = provenance.FOLDER.parent
    if not (root / ".git").exists():
        pytest.skip("no git checkout")
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=root, text=True).strip()
    assert provenance.commit().removesuffix("-dirty") == head
