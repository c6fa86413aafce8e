"""Datasets by name: generated, from a directory of published files (`QRSUPPORT_DATA`), or from the Hugging Face hub;
or the user's own (see `files`).

Split and label order are the same whichever source is used; texts are stripped of surrounding white space, so that the
published files and the hub's copies agree.
"""

import functools
import hashlib
import json
import os
import random
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from .. import catalog, config
from ..config import Parameters, settled
from ..errors import BadData, BadParameter, MissingResource, NoNetwork, UnknownName
from . import embedded, files
from .hub import HUB, SPLITS, Rows, carve, read_hub


@dataclass(frozen=True)
class Split:
    """Texts, class numbers and ids, equally long; the id "mr/test/00012" is row 12 (from 0) of MR's test split."""

    texts: tuple[str, ...]
    labels: tuple[int, ...]
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Three splits; `labels` are the class names in class order, `evaluation` names the split to measure on."""

    name: str
    labels: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    evaluation: str

    def eval_split(self) -> Split:
        """The split that accuracy and attacks are measured on."""
        return getattr(self, self.evaluation)

    def aside(self) -> tuple[str, Split]:
        """Name and split of the texts that are neither learned from nor measured on: what sizes of controls are set by."""
        name = next(name for name in ("validation", "test") if name != self.evaluation)
        return name, getattr(self, name)

    def repeating(self, ids: Iterable[str]) -> "Dataset":
        """These data with the training examples `ids` once more, at the end of the training split."""
        row = {name: i for i, name in enumerate(self.train.ids)}
        again = [*range(len(row)), *(row[name] for name in ids)]
        columns = (self.train.texts, self.train.labels, self.train.ids)
        return replace(self, train=Split(*(tuple(column[i] for i in again) for column in columns)))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) over the texts and labels of all splits."""
        splits = [(getattr(self, s).texts, getattr(self, s).labels) for s in SPLITS]
        return hashlib.sha256(json.dumps(splits).encode("ascii")).hexdigest()


# The published files --------------------------------------------------------------------------------------------------


def read_lines(path: Path, content: bytes) -> list[str]:
    """The lines of a UTF-8 file, without line ends.

    Raises BadData, naming the file and the line, if it is empty or not UTF-8.
    """
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        raise BadData(f"{path}, line {line}: not UTF-8 ({e.reason}); restore the published file") from e
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise BadData(f"{path} is empty; restore the published file")
    return [line.removesuffix("\r") for line in lines]


def read_rows(
    path: Path, parse: Callable[[str], tuple[str, str]], classes: Iterable[str], header: str = "", blank: bytes = b""
) -> Rows:
    """The rows of a file that has one example a line; `header` is skipped if it is the first line.

    The bytes `blank`, if any, are read as a space.  `parse` takes a line to (text, label) and raises ValueError if it cannot; `classes` are the labels in class order.
    Raises MissingResource if the file is not there, BadData, naming file and line, if it is malformed.
    """
    if not path.is_file():
        raise MissingResource(f"{path} is missing; put the published file there; the page Data says where it comes from, `qrsupport doctor` what else is missing")
    classes, rows, content = list(classes), [], path.read_bytes()
    for number, line in enumerate(read_lines(path, content.replace(blank, b" ") if blank else content), 1):
        if number == 1 and header and line == header:
            continue
        try:
            text, label = parse(line)
        except ValueError as e:
            raise BadData(f"{path}, line {number}: {line[:80]!r} is not a text and a label; {e}") from e
        if label not in classes:
            raise BadData(f"{path}, line {number}: label {label[:80]!r} is not one of {', '.join(classes)}")
        rows.append((text.strip(), classes.index(label)))
    if not rows:
        raise BadData(f"{path} holds no example; restore the published file")
    return rows


def parse_glue(line: str) -> tuple[str, str]:
    """GLUE's format: text, tab, label."""
    if line.count("\t") != 1:
        raise ValueError("one tab was expected")
    text, label = line.split("\t")
    return text, label


def parse_stanford(line: str) -> tuple[str, str]:
    """The sentence-level distribution's format: label, space, text."""
    label, space, text = line.partition(" ")
    if not space:
        raise ValueError("a label, a space and a text were expected")
    return text, label


def parse_emotion(line: str) -> tuple[str, str]:
    """Emotion's format: text, semicolon, name of the class."""
    text, semicolon, label = line.rpartition(";")
    if not semicolon:
        raise ValueError("a semicolon was expected")
    return text, label


def read_sst2(folder: Path) -> dict[str, Rows]:
    """SST-2: GLUE's train and validation splits, and the Stanford sentences with labels as the test split."""
    glue = {"train": folder / "glue" / "train.tsv", "validation": folder / "glue" / "dev.tsv"}
    rows = {s: read_rows(path, parse_glue, "01", "sentence\tlabel") for s, path in glue.items()}
    return rows | {"test": read_rows(folder / "stanford" / "stsa.binary.test", parse_stanford, "01")}


def read_emotion(folder: Path) -> dict[str, Rows]:
    """Emotion: train.txt, val.txt and test.txt, with or without a header line."""
    files = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}
    return {
        s: read_rows(folder / file, parse_emotion, catalog.EMOTIONS, "text;label_name") for s, file in files.items()
    }


POLARITY_LINES = {"train": (0, 4265), "validation": (4265, 4798), "test": (4798, 5331)}


def polarity_bytes(folder: Path, name: str) -> tuple[Path, bytes]:
    """Where a polarity file is, on its own or in sentence_polarity.zip, and its content.

    Raises MissingResource if it is in neither place, BadData if the archive cannot be read.
    """
    path, archive = folder / name, folder / "sentence_polarity.zip"
    if path.is_file():
        return path, path.read_bytes()
    if not archive.is_file():
        raise MissingResource(f"neither {path} nor {archive} is there; put sentence polarity v1.0 there (see the page Data)")
    try:
        with zipfile.ZipFile(archive) as z:
            return archive / name, z.read(next(n for n in z.namelist() if Path(n).name == name))
    except StopIteration as e:
        raise BadData(f"{archive} does not contain {name}; restore the published file") from e
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError) as e:
        raise BadData(f"{archive} cannot be read ({e}); restore the published file") from e


def read_mr(folder: Path) -> dict[str, Rows]:
    """MR: the usual split of each class by line (Hugging Face's rotten_tomatoes), the positives first."""
    sides = {}
    for label, name in ((1, "rt-polarity.pos"), (0, "rt-polarity.neg")):
        path, content = polarity_bytes(folder, name)
        try:
            lines = read_lines(path, content)
        except BadData:
            if not content:
                raise
            lines = read_lines(path, content.decode("latin-1").encode("utf-8"))  # as first published
        expected = POLARITY_LINES["test"][1]
        if len(lines) != expected:
            raise BadData(
                f"{path}, line {min(len(lines), expected)}: the file has {len(lines)} lines, not {expected}; "
                "restore the published file"
            )
        sides[label] = [(line.strip(), label) for line in lines]
    return {s: sides[1][start:end] + sides[0][start:end] for s, (start, end) in POLARITY_LINES.items()}


def parse_trec(line: str) -> tuple[str, str]:
    """TREC's format: coarse class, colon, fine class, space, text."""
    label, space, text = line.partition(" ")
    if not space or ":" not in label:
        raise ValueError("a coarse and a fine class with a colon between, a space and a text were expected")
    return text, label.partition(":")[0]


def read_agnews(folder: Path) -> dict[str, Rows]:
    """AG News as text classification suites pass it on: dev.tsv, 10,001 rows of the published train set, and test.tsv.

    These hold an item's description alone; the hub's texts are title and description.
    """
    rows = {name: read_rows(folder / f"{name}.tsv", parse_glue, catalog.TOPICS) for name in ("dev", "test")}
    return carve(rows["dev"]) | {"test": rows["test"]}


def read_trec(folder: Path) -> dict[str, Rows]:
    """TREC, coarse classes: raw/TREC.train and raw/TREC.test; the one byte that is not ASCII is read as a space."""
    files = {name: folder / "raw" / f"TREC.{name}" for name in ("train", "test")}
    rows = {s: read_rows(path, parse_trec, catalog.QUESTIONS, blank=b"\xf0") for s, path in files.items()}
    return carve(rows["train"]) | {"test": rows["test"]}


READERS = {
    "sst2": read_sst2,
    "mr": read_mr,
    "emotion": read_emotion,
    "agnews": read_agnews,
    "trec": read_trec,
}
"""Published data sets: a function of the folder with the files each."""


# Loading --------------------------------------------------------------------------------------------------------------


def read(name: str, network: bool = False) -> dict[str, Rows]:
    """The splits of a dataset from the first source that has it: generator, `QRSUPPORT_DATA`, hub if `network`.

    Raises MissingResource if the directory lacks it, NoNetwork if there is neither directory nor leave to fetch.
    """
    if name in embedded.WRITERS:
        return generated(name)
    if name not in READERS:
        raise UnknownName("dataset", name, catalog.DATASETS)
    root = os.environ.get("QRSUPPORT_DATA", "")
    if root and not Path(root).is_dir():
        raise MissingResource(f"QRSUPPORT_DATA={root!r} is not a directory; point it at the published data or unset it")
    if root and ((Path(root) / name).is_dir() or not network):
        if not (Path(root) / name).is_dir():
            raise MissingResource(f"{Path(root) / name} is missing; put the published files there (the page Data says which) or set network=True")
        return READERS[name](Path(root) / name)
    if name not in HUB:
        raise MissingResource(f"the dataset {name!r} is not on the hub; set QRSUPPORT_DATA to a directory that holds the published files")
    if not network:
        raise NoNetwork(
            f"the dataset {name!r} is not part of the package; set network=True to fetch it from the Hugging Face hub, "
            "or set QRSUPPORT_DATA to a directory that holds the published files"
        )
    return read_hub(name)


@functools.cache
def generated(name: str) -> dict[str, Rows]:
    """As `embedded.generate`, once a process."""
    return embedded.generate(name)


@functools.lru_cache(4)
def _own(content: str, name: str, *how) -> tuple[tuple[str, ...], dict[str, Rows]]:
    """As `files.read`, once a process; `content` tells one content of the files from another."""
    return files.read(name, *how)


def fetched(p: Parameters) -> bool:
    """Whether the dataset would come from the hub."""
    if config.is_own(p.dataset):
        return p.network and not Path(p.dataset).exists()
    root = os.environ.get("QRSUPPORT_DATA", "")
    return p.network and p.dataset in HUB and not (root and (Path(root) / p.dataset).is_dir())


def load(p: Parameters) -> Dataset:
    """The dataset `p.dataset`; with `p.train_limit` only so many of its training examples, always the same ones.

    Raises UnknownName, BadData, BadParameter, MissingResource or NoNetwork.
    """
    p, splits = settled(p), {}
    name = config.dataset_name(p.dataset)
    if config.is_own(p.dataset):
        how = (p.text_column, p.label_column, p.labels, p.splits, p.split_seed, p.network)
        (names, found), evaluation = _own(name, p.dataset, *how), "test"
    else:
        found = read(p.dataset, p.network)
        names, evaluation = catalog.DATASETS[p.dataset].labels, catalog.DATASETS[p.dataset].evaluation
    for part, rows in found.items():
        texts, labels = zip(*rows, strict=True)
        splits[part] = Split(texts, labels, tuple(f"{name}/{part}/{i:05d}" for i in range(len(rows))))
    if p.train_limit:
        train = splits["train"]
        kept = sorted(sample(train, p.train_limit, 0))
        splits["train"] = Split(
            tuple(train.texts[i] for i in kept), tuple(train.labels[i] for i in kept), tuple(train.ids[i] for i in kept)
        )
    return Dataset(name, names, **splits, evaluation=evaluation)


def classes(p: Parameters) -> tuple[str, ...]:
    """The class names of `p.dataset` in class order; reads the data only where they are the user's own."""
    return load(p).labels if config.is_own(p.dataset) else catalog.DATASETS[p.dataset].labels


def sample(split: Split, n: int, seed: int) -> list[int]:
    """`n` indices into a split at random, all of them if it is smaller; a smaller sample is a prefix of a larger one.

    Raises BadData if the split is empty, BadParameter if `n` is negative.
    """
    if not split.texts:
        raise BadData("cannot sample from an empty split")
    if n < 0:
        raise BadParameter(f"n={n} is out of range; it must be at least 0")
    draw = random.Random(seed).random
    keys = [draw() for _ in split.texts]
    return sorted(range(len(keys)), key=keys.__getitem__)[:n]


def summary(dataset: Dataset):
    """A pandas table with a row a split: examples, examples of each class, mean and largest number of words."""
    import pandas

    rows = {}
    for name in SPLITS:
        split = getattr(dataset, name)
        words = [len(text.split()) for text in split.texts]
        counts = {label: split.labels.count(i) for i, label in enumerate(dataset.labels)}
        rows[name] = {
            "examples": len(words),
            **counts,
            "words (mean)": sum(words) / len(words),
            "words (most)": max(words),
        }
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("split")
