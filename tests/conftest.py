"""What several test files share: one small classifier of real architecture, trained for a moment."""

import os
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import small_book

from qrsupport import config, pipeline
from qrsupport.attacks import replaying
from qrsupport.quantization import classifiers


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Parameters of a run directory that holds a bert-small fine-tuned on a part of the embedded data."""
    p = config.make(backbone="bert-small", train_limit=1200, epochs=3, n=10, run_dir=str(tmp_path_factory.mktemp("runs")))
    pipeline.checkpoint(p)
    return p


@pytest.fixture(scope="session")
def whole_book(tmp_path_factory):
    """A small book that `make book` made: (folder, the finished process)."""
    folder = small_book.begin(tmp_path_factory.mktemp("book"))
    return folder, small_book.make(folder, "-p", "attack", "textfooler")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items):
    """With several processes (`-n`) the tests of a file stay together, and all that read the small book; slow ones begin first."""
    groups = {item: "book" if "whole_book" in item.fixturenames else item.path.name for item in items}
    slow = {groups[item] for item in items if item.get_closest_marker("slow")}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (groups[item] != "book", groups[item] not in slow))


@pytest.fixture(autouse=True)
def nothing_at_hand():
    """Each test opens its own classifiers: some change how one is asked."""
    classifiers._opened.cache_clear()
    replaying._one.cache_clear()
