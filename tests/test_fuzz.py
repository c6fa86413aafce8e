"""Whatever a file, a parameter or a text holds: an answer or an error with a name."""

import contextlib
import gzip
import io
import json
import pickle
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qrsupport import config, pipeline, profiles, project, recorded, store
from qrsupport.book import chapters
from qrsupport.data import embedded
from qrsupport.errors import QRError
from qrsupport.lexicons import published, sememes, thesaurus, word_encoder
from qrsupport.quantization import classifiers
from qrsupport.report import published_variants
from qrsupport.training import backbones

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
DEEP = b"[" * 100_000
BYTES = st.binary(max_size=80) | st.text(max_size=40).map(lambda t: t.encode("utf-8", "surrogatepass")) | st.just(DEEP)
ANY_JSON = JUNK.map(lambda x: json.dumps(x).encode())


@contextlib.contextmanager
def a_file(name, content):
    with tempfile.TemporaryDirectory() as room:
        file = Path(room) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        yield file


@contextlib.contextmanager
def named():
    """Lets errors of the package pass, nothing else; they say something."""
    try:
        yield
    except QRError as e:
        assert len(str(e)) > 20


def lists(file):
    return thesaurus.read_lists(file.parents[1])("good")


def archive(file):
    v = published.Vectors(file)
    return v("good"), [v.cosine(a, b) for a in v.rows for b in v.rows]


READERS = {
    "sts.csv": word_encoder.read_sts,
    "reviews.jsonl.gz": lambda f: list(word_encoder.read_reviews(f, 10)),
    "glossary.txt": sememes.glossary,
    "dictionary.txt": sememes.dictionary,
    thesaurus.LISTS: lists,
    "table.pkl": published.sememe_table,
    "vectors.zip": archive,
    "meta.json": lambda f: (store.meta(f.parent), store.stale(f.parent, {}), store.intact(f.parent)),
    "records.jsonl": lambda f: recorded.Folder(f.parent).load(),
    "journal.jsonl": lambda f: recorded.Folder(f.parent).load(),
    "predictions.json": lambda f: recorded.read_clean(f.parent),
    "measures.json": published_variants.read,
    "lexicon.tsv": lambda f: embedded.parse_lexicon(f.read_text("utf-8", "replace")),
    "config.json": lambda f: backbones.check(config.Parameters(backbone=str(f.parent))),
}


@FEW
@given(st.sampled_from(sorted(READERS)), BYTES | ANY_JSON | BYTES.map(gzip.compress))
def test_every_reader_of_a_file(name, content):
    with a_file(name, content) as file, named():
        READERS[name](file)


SAID = st.dictionaries(st.sampled_from(["depends", "files", "made", "records"]), JUNK, max_size=4)


@FEW
@given(SAID, st.sampled_from(["", "{}\n", "[1]\n"]))
def test_every_meta(content, lines):
    with a_file("meta.json", json.dumps(content).encode()) as file:
        (file.parent / "records.jsonl").write_text(lines)
        for use in (
            lambda: recorded.Folder(file.parent).load(),
            lambda: recorded.Folder(file.parent).open({}),
            lambda: store.stale(file.parent, {}),
            lambda: store.meta(file.parent),
        ):
            with named():
                use()


MEASURES = ["grid", "clean", "pairs", "parameters", "latency", "versions", "machine"]


@FEW
@given(st.fixed_dictionaries(dict.fromkeys(MEASURES, JUNK | st.lists(st.dictionaries(st.sampled_from(MEASURES), JUNK)))))
@pytest.mark.slow
def test_every_file_of_measures(content):
    with a_file("measures.json", json.dumps(content).encode()) as file, named():
        published_variants.read(file)


@FEW
@given(JUNK, st.sampled_from(["sums.json"]))
def test_sums_of_what_was_fetched(content, name):
    with a_file(name, json.dumps(content).encode()) as file, named():
        (file.parent / published.HOWNET).write_bytes(b"content")
        published.fetch("hownet", file.parent)


ARRAYS = st.sampled_from(
    [
        np.eye(2),
        np.eye(3),
        np.zeros((2, 0)),
        np.zeros(2),
        np.array([[0, 1], [1, 0]]),
        np.array([[0, 5], [1, 9]]),
        "x",
        None,
    ]
)
WORDS = st.sampled_from(
    [{"a": 0, "b": 1}, {"a": 0, "b": 5}, {"a": 0}, {1: 0, 2: 1}, ["a"], {"a": "0", "b": "1"}, 3, {}]
)


@FEW
@given(ARRAYS, ARRAYS, WORDS, st.integers(0, 400))
def test_every_archive_of_vectors(matrix, nearest, words, cut):
    room = io.BytesIO()
    with zipfile.ZipFile(room, "w") as z:
        for name, array in (("paragram.npy", matrix), ("nn.npy", nearest)):
            if array is not None:
                part = io.BytesIO()
                np.save(part, np.array(array))
                z.writestr(f"p/{name}", part.getvalue())
        z.writestr("p/wordlist.pickle", pickle.dumps(words))
    content = room.getvalue()
    for whole in (content, content[:cut], content[:cut] + b"\0\1\2" + content[cut + 3 :]):
        with a_file("v.zip", whole) as file, named():
            archive(file)


@FEW
@given(st.binary(max_size=60) | JUNK.map(lambda x: pickle.dumps(x, 2)))
def test_every_pickle(content):
    with named():
        published.tables(content, "here")


# parameters ----------------------------------------------------------------------------------------------------------

WORD = st.text(max_size=12) | st.sampled_from(
    ["", "nan", "inf", "-1", "1e400", "٣", "1_000", "0x10", " 5 ", "true", "w99", "w0a4", "a" * 5000, "9" * 5000, "\0"]
)
NAME = st.sampled_from(sorted(config.FIELDS)) | st.text(max_size=8)


@given(st.sampled_from(sorted(project.chapters())) | st.text(max_size=8), st.lists(st.tuples(NAME, WORD), max_size=4))
@settings(deadline=None)
def test_what_is_given_on_a_command_line(chapter, pairs):
    with named():
        made = chapters.parse(chapter, pairs)
        assert config.make(**made) == config.make(**{name: config.check(name, value) for name, value in made.items()})


PLACES = ("dataset", "backbone", "backbones", "run_dir")
"""Parameters that may name a file or a folder, which is made absolute."""


@given(NAME, JUNK)
@example("run_dir", "0")
@example("dataset", "./a")
@settings(deadline=None)
def test_what_a_caller_or_a_chapter_sets(name, value):
    with named():
        found = config.check(name, value)
        assert type(found) is type(config.FIELDS[name].default) and config.check(name, found) == found
        assert found == value or name in PLACES
    for chapter in project.chapters():
        with named():
            assert isinstance(config.read(chapter, {name: value}), config.Parameters)


@given(st.sampled_from(sorted(profiles.files())) | st.text(max_size=8), st.dictionaries(NAME, JUNK | WORD, max_size=2))
@example("paper", {"dataset": "a" * 5000})
@example("paper", {"dataset": "a/" * 5000})
@example("paper", {"backbone": "./" + "é" * 200})
@settings(deadline=None, max_examples=40)
def test_what_a_profile_is_given(profile, given):
    with named():
        assert chapters.plan(profile, given)


# the classifier ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def room(tiny, tmp_path_factory):
    """A copy of a variant's folder, to be spoilt."""
    return Path(shutil.copytree(pipeline.variant(tiny, "int8-dynamic"), tmp_path_factory.mktemp("fuzz") / "variant"))


def spoilt(room, name, content):
    """Loads the classifier and asks it, with one of its files changed; any other end than a named error is a fault."""
    file, kept = room / name, (room / name).read_bytes()
    try:
        file.write_bytes(content)
        with named():
            answer = classifiers.load(room)(["a good film", ""])
            assert answer.shape[0] == 2 and np.isfinite(answer).all()
    finally:
        file.write_bytes(kept)


@settings(FEW, max_examples=50)
@given(data=st.data())
def test_every_change_of_variant_json(room, data):
    about = json.loads((room / "variant.json").read_text())
    keys = st.sampled_from([*sorted(about), "members", "rule", "seed"])
    members = st.lists(
        st.fixed_dictionaries({"folder": st.sampled_from(["variant", "..", "", "x", "/"]), "digest": JUNK}), max_size=2
    )
    changed = data.draw(st.dictionaries(keys, JUNK | members | st.just("mean"), min_size=1, max_size=3))
    spoilt(room, "variant.json", json.dumps(about | changed).encode())
    spoilt(room, "variant.json", json.dumps({k: v for k, v in about.items() if k not in changed}).encode())


@settings(FEW, max_examples=40)
@given(data=st.data())
def test_every_change_of_tokenizer_json(room, data):
    content = json.loads((room / "tokenizer.json").read_text())
    part = data.draw(st.sampled_from(sorted(content)))
    inner = content[part]
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(JUNK)
    else:
        content[part] = data.draw(JUNK)
    spoilt(room, "tokenizer.json", json.dumps(content).encode())


@settings(FEW, max_examples=10)
@given(st.sampled_from(["variant.json", "tokenizer.json", "model.onnx"]), BYTES | ANY_JSON)
def test_any_content_of_a_variants_files(room, name, content):
    spoilt(room, name, content)


@pytest.fixture(scope="module")
def classifier(room):
    return classifiers.load(room)


@settings(FEW, max_examples=100)
@given(st.text(st.characters(), max_size=200) | st.text(max_size=3).map(lambda t: t * 3000))
def test_every_text_has_an_answer(classifier, text):
    (answer,) = classifier([text])
    assert np.isfinite(answer).all() and len(classifier.ids(text)) <= classifier.max_length
    assert classifier.truncated(text) in (True, False)
    assert classifier.ids(text) == classifier._encode(text).ids


def test_the_fuzz_reaches_what_is_not_an_error(room):
    """Sound files are read, so that the tests above do not pass because everything is refused."""
    assert classifiers.load(room)(["a"]).shape == (1, 2)
    good = {
        "lexicon.tsv": b"# c\n",
        "glossary.txt": b"\n",
        "sts.csv": b"\n",
        "reviews.jsonl.gz": gzip.compress(b'{"text": "a"}'),
    }
    for name, content in good.items():
        with a_file(name, content) as file:
            READERS[name](file)
