"""Reading datasets: the three sources, what is refused, and the sample."""

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrsupport import catalog, config
from qrsupport.data import datasets, embedded, hub
from qrsupport.errors import BadData, BadParameter, MissingResource, NoNetwork, QRError, UnknownName

REAL = os.environ.get("QRSUPPORT_DATA", "")
needs_data = pytest.mark.skipif(not REAL, reason="QRSUPPORT_DATA is not set")


def write(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def make_sst2(root: Path):
    write(root / "sst2/glue/train.tsv", "sentence\tlabel\na fine day \t1\nbleak\t0\n")
    write(root / "sst2/glue/dev.tsv", "sentence\tlabel\nit works . \t1\n")
    write(root / "sst2/stanford/stsa.binary.test", "0 no movement .\n1 a joy\u2028ride\n")


def make_emotion(root: Path):
    write(root / "emotion/train.txt", "text;label_name\ni feel ; odd;surprise\ni am glad;joy\n")
    write(root / "emotion/val.txt", "i am low;sadness\n")
    write(root / "emotion/test.txt", ";fear\n🙂;love")


def make_mr(root: Path, encoding="utf-8"):
    for side in ("pos", "neg"):
        lines = "".join(f"{side} caf\u00e9 {i} \n" for i in range(5331))
        write(root / f"mr/rt-polarity.{side}", lines.encode(encoding))


def make_agnews(root: Path):
    write(root / "agnews/dev.tsv", "".join(f"item {i} of #39;news \tSci/Tech\n" for i in range(1, 22)))
    write(root / "agnews/test.tsv", "markets \\ fell\tBusiness\n")


def make_trec(root: Path):
    lines = [b"LOC:city Which sister\xf0city : is it ?", *(b"ABBR:exp What is %d ?" % i for i in range(2, 12))]
    write(root / "trec/raw/TREC.train", b"\n".join(lines) + b"\n")
    write(root / "trec/raw/TREC.test", "NUM:dist How far is it ?\n")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("QRSUPPORT_DATA", str(tmp_path))
    return tmp_path


def load(name, **given):
    return datasets.load(config.make(dataset=name, **given))


def test_sst2_files(root):
    make_sst2(root)
    d = load("sst2")
    assert d.train == datasets.Split(("a fine day", "bleak"), (1, 0), ("sst2/train/00000", "sst2/train/00001"))
    assert d.test.texts == ("no movement .", "a joy\u2028ride") and d.test.labels == (0, 1)
    assert d.labels == ("negative", "positive") and d.eval_split() is d.validation


def test_emotion_files_with_and_without_header(root):
    make_emotion(root)
    d = load("emotion")
    assert d.train.texts == ("i feel ; odd", "i am glad")
    assert [d.labels[i] for i in (*d.train.labels, *d.validation.labels)] == ["surprise", "joy", "sadness"]
    assert d.test.texts == ("", "🙂") and d.eval_split() is d.test


def test_agnews_files(root):
    make_agnews(root)
    d = load("agnews")
    assert d.validation.texts == ("item 10 of #39;news", "item 20 of #39;news")
    assert len(d.train.texts) == 19 and d.train.texts[9] == "item 11 of #39;news"
    assert (d.test.texts, d.test.labels, d.labels[2]) == (("markets \\ fell",), (2,), "Business")
    assert d.eval_split() is d.test and set(d.train.labels) == {3}


def test_trec_files(root):
    make_trec(root)
    d = load("trec")
    assert d.train.texts[0] == "Which sister city : is it ?" and d.labels[d.train.labels[0]] == "LOC"
    assert d.validation.texts == ("What is 10 ?",) and len(d.train.texts) == 10
    assert d.test == datasets.Split(("How far is it ?",), (5,), ("trec/test/00000",))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_mr_files(root, encoding):
    make_mr(root, encoding)
    d = load("mr")
    assert [len(getattr(d, s).texts) for s in datasets.SPLITS] == [8530, 1066, 1066]
    assert (d.test.texts[0], d.test.texts[-1]) == ("pos café 4798", "neg café 5330")
    assert d.test.labels == (1,) * 533 + (0,) * 533 and d.test.ids[12] == "mr/test/00012"


def test_mr_archive_reads_the_same(root):
    make_mr(root)
    loose = load("mr").fingerprint
    with zipfile.ZipFile(root / "mr/sentence_polarity.zip", "w") as z:
        for side in ("pos", "neg"):
            z.write(root / f"mr/rt-polarity.{side}", f"sentence_polarity/rt-polarity.{side}")
            (root / f"mr/rt-polarity.{side}").unlink()
    assert load("mr").fingerprint == loose


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("emotion/val.txt", "i am low;sadness\ni am lost\n", "val.txt, line 2"),
        ("emotion/val.txt", "text;label_name\ni am low;blue\n", "val.txt, line 2: label 'blue'"),
        ("emotion/val.txt", b"ok;joy\n\xff\xfe;joy\n", "val.txt, line 2: not UTF-8"),
        ("emotion/val.txt", "", "val.txt is empty"),
        ("emotion/val.txt", "text;label_name\n", "val.txt holds no example"),
        ("emotion/val.txt", "text;label_name\nok;joy\ntext;label_name\n", "val.txt, line 3"),
        ("sst2/glue/dev.tsv", "sentence\tlabel\nfine\t2\n", "dev.tsv, line 2: label '2'"),
        ("sst2/glue/dev.tsv", "sentence\tlabel\nfine 1\n", "dev.tsv, line 2"),
        ("sst2/glue/dev.tsv", "index\tsentence\n0\tfine\n", "dev.tsv, line 1"),
        ("sst2/glue/dev.tsv", "fine\tvery\t1\n", "dev.tsv, line 1"),
        ("sst2/stanford/stsa.binary.test", "0 bad\n3 middling\n", "stsa.binary.test, line 2"),
        ("agnews/dev.tsv", "fine\tSports\nfine\tsports\n", "dev.tsv, line 2: label 'sports'"),
        ("agnews/test.tsv", "fine\tSports\nraw\n", "test.tsv, line 2"),
        ("agnews/dev.tsv", b"ok\tWorld\n\xf0\tWorld\n", "dev.tsv, line 2: not UTF-8"),
        ("trec/raw/TREC.train", "NUM:dist How ?\nNUM How ?\n", "TREC.train, line 2"),
        ("trec/raw/TREC.train", "NUM:dist How ?\nPLACE:x Where ?\n", "TREC.train, line 2: label 'PLACE'"),
        ("trec/raw/TREC.test", "NUM:dist\n", "TREC.test, line 1"),
        ("trec/raw/TREC.test", b"NUM:dist How ?\nNUM:dist caf\xe9\n", "TREC.test, line 2: not UTF-8"),
        ("mr/rt-polarity.pos", "good\n" * 5330, "rt-polarity.pos, line 5330: the file has 5330 lines"),
        ("mr/rt-polarity.neg", "", "rt-polarity.neg is empty"),
    ],
)
def test_malformed_files_are_named_with_their_line(root, file, content, says):
    make_sst2(root), make_emotion(root), make_mr(root), make_agnews(root), make_trec(root)
    write(root / file, content)
    with pytest.raises(BadData, match=re.escape(says)):
        load(file.partition("/")[0])


@pytest.mark.parametrize(
    "file", ["emotion/test.txt", "sst2/glue/train.tsv", "sst2/stanford/stsa.binary.test", "trec/raw/TREC.test"]
)
def test_missing_files_are_named(root, file):
    make_sst2(root), make_emotion(root), make_trec(root)
    (root / file).unlink()
    with pytest.raises(MissingResource, match=re.escape(str(root / file))):
        load(file.partition("/")[0], network=True)


def test_missing_dataset_directory_or_archive(root, monkeypatch):
    with pytest.raises(MissingResource, match=re.escape(str(root / "mr"))):
        load("mr")
    (root / "mr").mkdir()
    with pytest.raises(MissingResource, match="sentence_polarity.zip"):
        load("mr")
    monkeypatch.setenv("QRSUPPORT_DATA", str(root / "nowhere"))
    with pytest.raises(MissingResource, match="nowhere"):
        load("mr", network=True)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not an archive", b"\0" * 100])
def test_broken_archive(root, content):
    write(root / "mr/sentence_polarity.zip", content)
    with pytest.raises(BadData, match=r"sentence_polarity\.zip"):
        load("mr")


def test_archive_without_the_file(root):
    (root / "mr").mkdir()
    with zipfile.ZipFile(root / "mr/sentence_polarity.zip", "w") as z:
        z.writestr("readme", "nothing here")
    with pytest.raises(BadData, match=r"does not contain rt-polarity\.pos"):
        load("mr")


LINE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["fine\t1", "0 bad", "sad;sadness", "sentence\tlabel", "news\tWorld", "NUM:n How ?", ""]),
)
CONTENT = st.one_of(st.binary(max_size=200), st.lists(LINE, max_size=6).map(lambda x: "\n".join(x).encode("utf-8")))


@settings(max_examples=150, deadline=None)
@given(CONTENT, st.sampled_from(sorted(datasets.READERS)))
def test_any_content_is_read_or_refused_by_name(content, name):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        files = ["train.txt", "val.txt", "test.txt", "glue/train.tsv", "glue/dev.tsv", "stanford/stsa.binary.test"]
        files += ["dev.tsv", "test.tsv", "raw/TREC.train", "raw/TREC.test"]
        for file in (*files, "rt-polarity.pos", "sentence_polarity.zip"):
            write(folder / file, content)
        try:
            splits = datasets.READERS[name](folder)
        except QRError as e:
            assert str(folder) in str(e)
        else:
            classes = range(len(catalog.DATASETS[name].labels))
            assert all(isinstance(t, str) and label in classes for rows in splits.values() for t, label in rows)


def fake_hub(rows):
    """A stand-in for the hub that notes what it was asked."""
    asked = []

    def fetch(repository, split):
        asked.append((repository, split))
        return rows(repository, split)

    return fetch, asked


def test_hub_asks_the_parquet_repositories():
    fetch, asked = fake_hub(lambda r, s: [{"sentence": " a ", "text": " a ", "label": 1, "coarse_label": 1}] * 10)
    found = {name: hub.read_hub(name, fetch) for name in hub.HUB}
    assert found["sst2"] == {split: [("a", 1)] * 10 for split in datasets.SPLITS}
    for name in ("agnews", "trec"):
        assert {split: len(rows) for split, rows in found[name].items()} == {"train": 9, "validation": 1, "test": 10}
    assert set(asked) == {
        ("stanfordnlp/sst2", "train"),
        ("stanfordnlp/sst2", "validation"),
        ("SetFit/sst2", "test"),
        *(("cornell-movie-review-data/rotten_tomatoes", s) for s in datasets.SPLITS),
        *(("dair-ai/emotion", s) for s in datasets.SPLITS),
        *(("fancyzhx/ag_news", s) for s in ("train", "test")),
        *(("CogComp/trec@refs/convert/parquet", s) for s in ("train", "test")),
    }
    assert set(hub.HUB) <= set(datasets.READERS) == set(catalog.DATASETS) - set(embedded.WRITERS)


@pytest.mark.parametrize("row", [{"text": "x", "label": -1}, {"text": "x"}, {"label": 1}, {"text": None, "label": 1}])
def test_hub_rows_of_another_shape(row):
    fetch, _ = fake_hub(lambda r, s: [{"text": "fine", "label": 0}, row])
    with pytest.raises(BadData, match="dair-ai/emotion.*row 1"):
        hub.read_hub("emotion", fetch)
    with pytest.raises(BadData, match="no example"):
        hub.read_hub("emotion", lambda r, s: [])


def test_hub_and_files_give_the_same_dataset(root):
    make_sst2(root)
    local = datasets.read("sst2")
    columns = {"stanfordnlp/sst2": "sentence", "SetFit/sst2": "text"}
    fetch, _ = fake_hub(lambda r, s: [{columns[r]: f"{t} ", "label": label} for t, label in local[s]])
    assert hub.read_hub("sst2", fetch) == local


def test_revision_of_a_hub_repository(monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: (args, kwargs))
    assert hub.fetch("CogComp/trec@refs/convert/parquet", "test") == (
        ("CogComp/trec",), {"split": "test", "revision": "refs/convert/parquet"},
    )  # fmt: skip
    assert hub.fetch("dair-ai/emotion", "test")[1]["revision"] is None


def test_directory_comes_before_the_hub_and_the_hub_needs_leave(root, monkeypatch):
    monkeypatch.setattr(datasets, "read_hub", lambda name: {"asked": name})
    assert datasets.read("mr", network=True) == {"asked": "mr"}
    make_mr(root)
    assert len(datasets.read("mr", network=True)["train"]) == 8530
    monkeypatch.delenv("QRSUPPORT_DATA")
    with pytest.raises(NoNetwork, match=r"network=True.*QRSUPPORT_DATA"):
        datasets.read("mr")


def test_unreachable_hub(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def refuse(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(NoNetwork, match="dair-ai/emotion"):
        hub.fetch("dair-ai/emotion", "train")


def test_unknown_dataset():
    with pytest.raises(UnknownName, match="did you mean 'emotion'"):
        datasets.read("emotoin")


def test_embedded_needs_nothing(monkeypatch):
    monkeypatch.delenv("QRSUPPORT_DATA", raising=False)
    for name in embedded.WRITERS:
        d = load(name, train_limit=0)
        assert {s: len(getattr(d, s).texts) for s in datasets.SPLITS} == embedded.SIZES
        assert d.labels == catalog.DATASETS[name].labels
        assert d.fingerprint == load(name, train_limit=0, seed=5).fingerprint  # the seed is the fine-tuning's


def test_fingerprint_sees_texts_and_labels(root):
    make_emotion(root)
    seen = {load("emotion").fingerprint}
    for content in ("i am low;fear\n", "i am  low;sadness\n", "i am low;sadness\ni am low;sadness\n"):
        write(root / "emotion/val.txt", content)
        seen.add(load("emotion").fingerprint)
    assert len(seen) == 4


def test_train_limit_keeps_both_classes_and_the_other_splits(root):
    make_mr(root)
    whole, some, more = (load("mr", train_limit=n) for n in (0, 50, 100))
    assert len(some.train.texts) == 50 and set(some.train.labels) == {0, 1}
    assert set(some.train.ids) < set(more.train.ids) < set(whole.train.ids)
    assert all(whole.train.texts[whole.train.ids.index(i)] == t for i, t in zip(some.train.ids, some.train.texts))
    assert some.test == whole.test and load("mr", train_limit=99_999).train == whole.train


def split_of(size):
    return datasets.Split(("x",) * size, (0,) * size, tuple(map(str, range(size))))


@given(st.integers(1, 60), st.integers(0, 80), st.integers(0, 80), st.integers(0, 5))
def test_a_smaller_sample_is_a_prefix(size, n, m, seed):
    small, large = (datasets.sample(split_of(size), k, seed) for k in sorted((n, m)))
    assert large[: len(small)] == small
    assert len(large) == len(set(large)) == min(size, max(n, m)) and set(large) <= set(range(size))


def test_samples_differ_by_seed_and_refuse_nonsense():
    assert len({tuple(datasets.sample(split_of(100), 10, seed)) for seed in range(20)}) == 20
    with pytest.raises(BadData):
        datasets.sample(split_of(0), 1, 0)
    with pytest.raises(BadParameter):
        datasets.sample(split_of(3), -1, 0)


def test_summary(root):
    make_emotion(root)
    table = datasets.summary(load("emotion"))
    assert list(table.index) == list(datasets.SPLITS) and list(table["examples"]) == [2, 1, 2]
    assert table.loc["train", "joy"] == 1 and table.loc["train", "anger"] == 0
    assert table.loc["train", "words (mean)"] == 3.5 and table.loc["train", "words (most)"] == 4


def test_importing_data_is_light():
    code = "import sys, qrsupport.data.datasets; print({'torch', 'datasets', 'pandas', 'transformers'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "set()"
    )


@needs_data
@pytest.mark.parametrize(
    ("name", "sizes", "counts"),
    [
        ("sst2", [67_349, 872, 1_821], [29_780, 37_569]),
        ("mr", [8_530, 1_066, 1_066], [4_265, 4_265]),
        ("emotion", [16_000, 2_000, 2_000], [4_666, 5_362, 1_304, 2_159, 1_937, 572]),
        ("agnews", [9_001, 1_000, 7_600], [2_249, 2_194, 2_271, 2_287]),
        ("trec", [4_907, 545, 500], [75, 1_128, 1_043, 1_104, 744, 813]),
    ],
)
def test_real_data_have_the_published_counts(name, sizes, counts):
    d = load(name)
    assert [len(getattr(d, s).texts) for s in datasets.SPLITS] == sizes
    assert [d.train.labels.count(i) for i in range(len(d.labels))] == counts
    assert len(set(d.test.ids)) == len(d.test.ids)
