"""textattack imports with an empty home, no NLTK data and sockets refused, and leaves no trace there."""

import os
import subprocess
import sys

import pytest

from qrsupport import offline
from qrsupport.errors import MissingResource

ALONE = """
import os, socket, sys

def refuse(*args, **kwargs):
    raise AssertionError(f"a socket was opened: {args}")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
before = dict(os.environ)
from qrsupport import offline

textattack = offline.textattack()
assert offline.textattack() is textattack is sys.modules["textattack"]
changed = {k for k in {*before, *os.environ} if before.get(k) != os.environ.get(k)}
assert not changed & {*offline.MOVED, "TOKENIZERS_PARALLELISM"}, changed
assert "flair.embeddings" not in sys.modules and "bert_score.score" not in sys.modules

from collections import OrderedDict
import numpy as np
from qrsupport.attacks import wiring as attacks; from qrsupport.lexicons import resources

class Model:
    def __call__(self, texts):
        z = np.array([2.0 * t.count("wonderful") + t.count("story") - 1.5 for t in texts])
        return np.stack([-z, z], axis=1)

for name in ("textfooler", "pwws", "pso", "deepwordbug"):
    built = attacks.build(name, resources.load("embedded", attack=name), attacks.Wrapper(Model()))
    result = built.attack(OrderedDict(text="a wonderful story"), 1)
    assert type(result).__name__ == "SuccessfulAttackResult", (name, result)
import lemminflect  # left for its first use

assert lemminflect.getInflection("see", "VBD") == ("saw",)
"""


@pytest.mark.slow
def test_everything_embedded_works_alone(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("QRSUPPORT_", "NLTK_", "TA_", "HF_", "XDG_"))}
    env |= {"HOME": str(home), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ALONE], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert list(home.iterdir()) == []
    assert not list(tmp_path.glob("qrsupport-*")), "the private directory must be gone"


def test_data_dir_must_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("QRSUPPORT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(MissingResource, match="nowhere"):
        offline.data_dir()
    monkeypatch.delenv("QRSUPPORT_DATA")
    assert offline.data_dir() is None


def test_data_that_others_can_write_is_copied(monkeypatch, tmp_path):
    monkeypatch.setenv("QRSUPPORT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "nltk_data"
    words = folder / "corpora" / "words"
    words.parent.mkdir(parents=True)
    words.write_text("one\n")
    for path in (folder, words.parent, words):
        path.chmod(path.stat().st_mode & ~0o022)
    assert offline.readable(folder) == folder
    words.chmod(0o664)
    copy = offline.readable(folder)
    assert copy != folder and (copy / "corpora" / "words").read_text() == "one\n"
    assert not any(p.stat().st_mode & 0o022 for p in (copy, *copy.rglob("*")))
    words.write_text("one\ntwo\n")
    assert (offline.readable(folder) / "corpora" / "words").read_text() == "one\ntwo\n"


def test_stop_words():
    words = offline.stop_words()
    assert {"the", "not", "i'm", "don't"} <= set(words)
    assert all(w == w.lower() and w.split() == [w] for w in words)
    assert not {"good", "bad", "film"} & set(words)
