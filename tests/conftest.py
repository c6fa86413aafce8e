"""What several test files share: one small classifier of real architecture, trained for a moment."""

import os
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
from small_book import BROWSER

from qrsupport import config, pipeline
from qrsupport.attacks import replaying
from qrsupport.quantization import classifiers


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Parameters of a run directory that holds a bert-small fine-tuned on a part of the embedded data."""
    p = config.make(backbone="bert-small", train_limit=1200, epochs=3, n=10, run_dir=str(tmp_path_factory.mktemp("runs")))
    pipeline.checkpoint(p)
    return p


LONG = ("test_book.py", "test_study_run.py", "test_suggested.py")


@pytest.fixture(scope="module")  # its event loop runs as long as it does
def browser():
    """Chromium, driven by playwright; skips where this machine has none."""
    if not BROWSER:
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        started = p.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


def pytest_collection_modifyitems(items):
    """The files that take minutes come first, then all with long tests: of several processes (`-n`) none ends late."""
    slow = {item.path.name for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name not in LONG, item.path.name not in slow))


@pytest.fixture(autouse=True)
def nothing_at_hand():
    """Each test opens its own classifiers: some change how one is asked."""
    classifiers._opened.cache_clear()
    replaying._one.cache_clear()
