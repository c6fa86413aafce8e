"""A user's own files: read as they are meant, or refused with file and line."""

import csv
import dataclasses
import json

import pyarrow
import pytest
from pyarrow import parquet

from qrsupport import config
from qrsupport.data import datasets, files
from qrsupport.errors import BadData, BadParameter, MissingResource, NoNetwork, UnknownName

ROWS = [(f"{word} film {i}", label) for i in range(20) for word, label in (("good", "positive"), ("bad", "negative"))]


def write(path, rows=ROWS, text="text", label="label"):
    """`rows` in the format that the file's name says."""
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.table({text: [t for t, _ in rows], label: [y for _, y in rows]}), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({text: t, label: y}) + "\n" for t, y in rows), "utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as f:
            csv.writer(f, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([(text, label), *rows])
    return path


def load(path, **given):
    return datasets.load(config.make(dataset=str(path), **given))


@pytest.mark.parametrize("kind", config.KINDS)
def test_each_kind_of_file_gives_the_same_splits(kind, tmp_path):
    found = load(write(tmp_path / f"own{kind}"))
    assert found.labels == ("negative", "positive") and found.evaluation == "test"
    assert {s: len(getattr(found, s).texts) for s in datasets.SPLITS} == {"train": 32, "validation": 4, "test": 4}
    assert found.fingerprint == load(write(tmp_path / "other.csv")).fingerprint
    for split in datasets.SPLITS:
        part = getattr(found, split)
        assert all((found.labels[y] == "positive") == t.startswith("good") for t, y in zip(part.texts, part.labels))
        assert 2 * sum(part.labels) == len(part.labels)
    assert found.test.ids[1] == f"{found.name}/test/00001" and found.name.startswith("own-")


def test_columns_classes_and_splits_by_parameter(tmp_path):
    path = write(tmp_path / "own.csv", [(t, y == "positive") for t, y in ROWS], "body", "verdict")
    path.write_text(path.read_text().replace("True", "1").replace("False", "0"))
    given = {"text_column": "body", "label_column": "verdict"}
    assert load(path, **given).labels == ("0", "1")
    found = load(path, **given, labels="bad, good", splits="10/10/80")
    assert found.labels == ("bad", "good") and len(found.test.texts) == 32
    assert found.test.texts != load(path, **given, splits="10/10/80", split_seed=1).test.texts
    assert found.test.texts == load(path, **given, splits="10/10/80", seed=5).test.texts


def test_whole_numbers_are_in_order_of_size(tmp_path):
    assert load(write(tmp_path / "own.csv", [(f"text {i}", i % 11) for i in range(110)])).labels[-2:] == ("9", "10")


def test_equal_texts_stay_together(tmp_path):
    found = load(write(tmp_path / "own.csv", ROWS * 3))
    parts = [set(getattr(found, s).texts) for s in datasets.SPLITS]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


def test_byte_order_mark_and_quoted_newlines_are_accepted_and_lines_are_right(tmp_path):
    path = tmp_path / "own.csv"
    rows = '"two\nlines",positive\nplain,negative\n' + "".join(f"{t},{y}\n" for t, y in ROWS)
    path.write_text("\ufefftext,label\n" + rows, "utf-8")
    assert "two\nlines" in {t for s in datasets.SPLITS for t in getattr(load(path), s).texts}
    path.write_text("\ufefftext,label\n" + rows.replace("plain", ""), "utf-8")
    with pytest.raises(BadData, match=r"own.csv, line 4: the text is empty"):
        load(path)


GOOD = "text,label\na,x\nb,y\n"


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("e.csv", "", "e.csv is empty"),
        ("e.jsonl", "\ufeff\n", "e.jsonl is empty"),
        ("h.csv", "text,label\n", "h.csv holds no example"),
        ("o.csv", "text,label\na,x\nb,x\n", r"o.csv, line 2 and all other 1 rows have the label 'x'"),
        ("d.csv", "text,label,text\na,x,b\n", r"d.csv, line 1: there are two columns 'text'"),
        ("d.jsonl", '{"text": "a", "text": "b", "label": 1}\n', r"d.jsonl, line 1: there are two columns 'text'"),
        ("m.csv", "texts,label\na,x\n", r"m.csv, line 1: no column 'text'; the columns are 'texts', 'label'.*mean 'texts'"),
        ("m.tsv", GOOD, r"m.tsv, line 1: no column 'text'; the columns are 'text,label'"),
        ("m.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', r"m.jsonl, line 2: no column 'label'"),
        ("t.csv", GOOD + "  ,x\n", r"t.csv, line 4: the text is"),
        ("l.csv", GOOD + "c,\n", r"l.csv, line 4: the label is empty"),
        ("r.csv", GOOD + "c, d,x\n", r"r.csv, line 4: 3 cells, the header has 2"),
        ("q.csv", GOOD + '"c,x\n', r"q.csv, line 4: unexpected end of data"),
        ("u.csv", GOOD.encode() + b"\xff,x\n", r"u.csv, line 4: not UTF-8"),
        ("j.jsonl", '{"text": "a", "label": 1}\n{"text": \n', r"j.jsonl, line 2: .* is not JSON"),
        ("k.jsonl", "[1]\n", r"k.jsonl, line 1: .* is not an object"),
        ("n.jsonl", '{"text": 3, "label": 1}\n', r"n.jsonl, line 1: the text is 3"),
        ("f.jsonl", '{"text": "a", "label": 0.5}\n', r"f.jsonl, line 1: the label is 0.5"),
        ("s.jsonl", '{"text": "\\ud800", "label": 1}\n', r"s.jsonl, line 1: the text holds half"),
        ("x.parquet", "no parquet", r"x.parquet cannot be read as Parquet"),
        ("few.csv", GOOD, r"few.csv has 2 different texts, too few to split"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(BadData, match=words):
        load(tmp_path / name)


def test_parquet_names_the_row_and_the_columns(tmp_path):
    path = write(tmp_path / "own.parquet", [("a", "x"), (None, "y")])
    with pytest.raises(BadData, match="own.parquet, row 2: the text is empty"):
        load(path)
    with pytest.raises(BadData, match="own.parquet: no column 'label_'.*'text', 'label'.*did you mean 'label'"):
        load(path, label_column="label_")


def test_label_outside_the_class_set(tmp_path):
    path = write(tmp_path / "own.csv", [*ROWS, ("odd", "neutral")])
    with pytest.raises(BadData, match="own.csv, line 42: label 'neutral' is not one of negative, positive"):
        load(path, labels="negative,positive")
    with pytest.raises(BadParameter, match="labels="):
        load(path, labels="negative,negative")
    for shares in ("80/20", "80/10/20", "100/0/0", "a/b/c"):
        with pytest.raises(BadParameter, match="splits="):
            load(path, splits=shares)


def test_directory_of_splits(tmp_path):
    write(tmp_path / "train.csv")
    with pytest.raises(MissingResource, match="holds no test file"):
        load(tmp_path)
    write(tmp_path / "test.jsonl", ROWS[:6])
    found = load(tmp_path)
    assert (len(found.train.texts), len(found.validation.texts), found.test.texts) == (36, 4, tuple(t for t, _ in ROWS[:6]))
    write(tmp_path / "dev.parquet", ROWS[:8])
    assert len(load(tmp_path).validation.texts) == 8
    write(tmp_path / "test.jsonl", [("odd", "neutral")])
    with pytest.raises(BadData, match="test.jsonl, line 1: label 'neutral' is not one of"):
        load(tmp_path)
    write(tmp_path / "test.csv", ROWS)
    with pytest.raises(BadData, match="holds test.csv and test.jsonl"):
        load(tmp_path)


def test_a_changed_file_is_another_dataset(tmp_path):
    p = config.make(dataset=str(write(tmp_path / "own.csv")))
    before = config.identity(p), datasets.load(p).fingerprint
    write(tmp_path / "own.csv", [*ROWS, ("one more", "positive")])
    assert config.identity(p) != before[0] and datasets.load(p).fingerprint != before[1]
    (tmp_path / "moved").mkdir()
    again = config.make(dataset=str(write(tmp_path / "moved" / "own.csv")))
    assert config.identity(again) == before[0]


def test_columns_are_part_of_the_identity_of_own_data_alone(tmp_path):
    own, known = config.make(dataset=str(write(tmp_path / "own.csv"))), config.make()
    for change in ({"text_column": "b"}, {"label_column": "b"}, {"labels": "a,b"}, {"splits": "70/10/20"}, {"split_seed": 1}):
        assert config.identity(own) != config.identity(dataclasses.replace(own, **change))
        assert config.identity(known) == config.identity(dataclasses.replace(known, **change))


def test_paths_that_are_not_there(tmp_path):
    with pytest.raises(MissingResource, match="gone.csv is not there"):
        load(tmp_path / "gone.csv")
    with pytest.raises(UnknownName, match="did you mean 'emotion'"):
        config.make(dataset="emotoin")
    (tmp_path / "own.xlsx").write_text("x")
    with pytest.raises(BadParameter, match="own.xlsx is of no known kind"):
        load(tmp_path / "own.xlsx")


def test_hub_ids_need_the_network():
    with pytest.raises(NoNetwork, match="somebody/something"):
        load("somebody/something")


def hub(**splits):
    """A hub's answer, made with the `datasets` library: a dict of splits with named classes."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    tables = {s: {"text": [t for t, _ in rows], "label": [y for _, y in rows]} for s, rows in splits.items()}
    return lambda name: datasets.DatasetDict({s: datasets.Dataset.from_dict(t, features) for s, t in tables.items()})


def test_hub_dataset_has_its_class_names_and_its_splits():
    rows = [(f"text {i}", i % 2) for i in range(40)]
    names, found = files.read("a/b", network=True, fetch=hub(train=rows, test=rows[:4]))
    assert names == ("no", "yes") and found["test"] == rows[:4]
    assert {s: len(r) for s, r in found.items()} == {"train": 36, "validation": 4, "test": 4}
    names, found = files.read("a/b", network=True, fetch=hub(train=rows))
    assert {s: len(r) for s, r in found.items()} == {"train": 32, "validation": 4, "test": 4}
    with pytest.raises(BadData, match=r"a/b \(test\), row 1: label '-1' is not one of no, yes"):
        files.read("a/b", network=True, fetch=hub(train=rows, test=[("hidden", -1)]))
    with pytest.raises(BadData, match="a/b has the splits validation"):
        files.read("a/b", network=True, fetch=hub(validation=rows))
