"""A user's own labelled texts: a CSV, TSV, JSON Lines or Parquet file, a directory of them, or any dataset of the hub.

Read strictly: what cannot be a text with a label is an error that names the file and the line (of a Parquet file or a
hub dataset the row), both counted from 1.  A byte-order mark is skipped; a quoted cell may hold line ends.
"""

import csv
import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from .. import config
from ..errors import BadData, BadParameter, MissingResource, NoNetwork
from . import hub
from .hub import Rows

NAMES = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
SHOWN = 80


@dataclass(frozen=True)
class Row:
    """One example as it was found; `where` is its file and line, as an error names it."""

    where: str
    text: str
    label: str


def read(
    name: str,
    text_column: str = "text",
    label_column: str = "label",
    labels: str = "",
    shares: str = "80/10/10",
    seed: int = 0,
    network: bool = False,
    fetch: Callable = hub.fetch,
) -> tuple[tuple[str, ...], dict[str, Rows]]:
    """(class names, rows of each split) of the file, directory or hub dataset `name`.

    Class names are those in `labels` (comma separated, in class order), else those found in the training split: whole
    numbers in order of size, others in alphabetical order.  What comes without splits is split by `seed` into `shares`
    (per cent of train, validation, test), class by class; equal texts stay together.

    Raises MissingResource for a path that is not there, NoNetwork for a hub id unless `network`, BadParameter for
    `labels` or `shares` that cannot be, BadData for everything that is wrong in the data.
    """
    columns = (text_column, label_column)
    found = _parts(name, columns, network, fetch)
    if set(found) == {""}:
        whole = found[""]
        names = classes(whole, labels)
        return tuple(names), divide(whole, _numbers(whole, names), shares, seed, name)
    names = classes(found["train"], labels)
    numbered = {split: _numbers(rows, names) for split, rows in found.items()}
    if "validation" not in numbered:
        numbered |= hub.carve(numbered["train"])
    if not all(numbered.values()):
        raise BadData(f"{name} has too few training rows ({len(numbered['train'])}) to set a tenth aside for validation")
    return tuple(names), numbered


def _parts(name: str, columns: tuple[str, str], network: bool, fetch: Callable) -> dict[str, list[Row]]:
    """The rows by split, under "" where there are no splits."""
    path = Path(name)
    if path.is_dir():
        return {split: read_file(f, columns) for split, f in _split_files(path).items()}
    if path.is_file():
        return {"": read_file(path, columns)}
    if path.suffix.lower() in config.KINDS or name.count("/") != 1:
        raise MissingResource(f"{name} is not there; `dataset` is a name, an existing file or directory, or a hub id")
    if not network:
        raise NoNetwork(
            f"there is no file {name!r}, and a dataset of the Hugging Face hub has to be fetched; set network=True"
        )
    return _hub_rows(name, columns, fetch)


def read_file(path: Path, columns: tuple[str, str]) -> list[Row]:
    """The rows of one file; `columns` names those of text and label.

    Raises BadData naming file and line, BadParameter for a file of no known kind.
    """
    kind = path.suffix.lower()
    if kind not in config.KINDS:
        raise BadParameter(f"{path} is of no known kind; give one of {', '.join(config.KINDS)}")
    if kind == ".parquet":
        return _parquet(path, columns)
    content = _decoded(path)
    parsed = _json_lines(path, content) if kind == ".jsonl" else _delimited(path, content, kind, columns)
    rows = []
    for where, record in parsed:
        text, label = (record[_column(where, name, list(record), i)] for i, name in enumerate(columns))
        rows.append(_row(where, text, label))
    if not rows:
        raise BadData(f"{path} holds no example")
    return rows


def classes(rows: list[Row], labels: str = "") -> dict[str, int]:
    """Class names (with `labels`: those) with their numbers; one name may stand for a number that the data use.

    Raises BadData if there is one class only, BadParameter for names given twice or fewer than two.
    """
    found = list(dict.fromkeys(row.label for row in rows))
    if len(found) < 2:
        raise BadData(
            f"{rows[0].where} and all other {len(rows) - 1} rows have the label {found[0][:SHOWN]!r}; "
            "a classifier needs two classes"
        )
    named = config.split(labels)
    if not named:
        whole = all(label.removeprefix("-").isdecimal() for label in found)
        return {label: i for i, label in enumerate(sorted(found, key=int if whole else None))}
    if len(set(named)) != len(named) or len(named) < 2:
        raise BadParameter(f"labels={labels!r} must name two classes or more, each once")
    return {name: i for i, name in enumerate(named)}


def _numbers(rows: list[Row], names: dict[str, int]) -> Rows:
    """The rows with class numbers.  Where the data have 0, 1, … and the classes have names, they are in class order."""
    numbered = {str(i): i for i in names.values()}
    known = names if any(row.label in names for row in rows) else numbered
    for row in rows:
        if row.label not in known:
            raise BadData(f"{row.where}: label {row.label[:SHOWN]!r} is not one of {', '.join(names)}")
    return [(row.text, known[row.label]) for row in rows]


def divide(rows: list[Row], numbered: Rows, shares: str, seed: int, name: str) -> dict[str, Rows]:
    """`numbered` as train, validation and test, class by class in these shares; equal texts stay together.

    Raises BadData naming `name` if a split would be empty.
    """
    cuts, groups, place = _cuts(shares), {}, {}
    for text, label in dict(reversed(numbered)).items():  # the first label of each text
        groups.setdefault(label, []).append(text)
    for label, texts in groups.items():
        texts.sort()
        random.Random(f"{seed} {label}").shuffle(texts)
        ends = [round(len(texts) * cut / 100) for cut in cuts]
        place |= {text: sum(i >= end for end in ends) for i, text in enumerate(texts)}
    found = {split: [row for row in numbered if place[row[0]] == i] for i, split in enumerate(hub.SPLITS)}
    empty = [split for split, part in found.items() if not part]
    if empty:
        raise BadData(
            f"{name} has {len(place)} different texts, too few to split {shares}: nothing is left for {', '.join(empty)}"
        )
    return found


def _cuts(shares: str) -> tuple[int, int]:
    """Per cent at which training and validation end.  Raises BadParameter if `shares` is not three shares of 100."""
    parts = [int(part) if part.isdecimal() else 0 for part in shares.split("/")]
    if len(parts) != 3 or min(parts) < 1 or sum(parts) != 100:
        raise BadParameter(f"splits={shares!r} must be three whole numbers that add up to 100, such as 80/10/10")
    return parts[0], parts[0] + parts[1]


def _split_files(folder: Path) -> dict[str, Path]:
    """The file of each split in a directory.  Raises BadData for two of one split, MissingResource without train or test."""
    files, found = sorted(f for f in folder.iterdir() if f.suffix.lower() in config.KINDS), {}
    for split, names in NAMES.items():
        here = [f for f in files if f.stem.lower() in names]
        if len(here) > 1:
            raise BadData(f"{folder} holds {' and '.join(f.name for f in here)}: which is the {split} split?")
        if here:
            found[split] = here[0]
    lacking = [split for split in ("train", "test") if split not in found]
    if lacking:
        raise MissingResource(
            f"{folder} holds no {' and no '.join(lacking)} file ({', '.join(config.KINDS)}); add it, or give one file, "
            "which is split"
        )
    return found


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        raise BadData(f"{path}, line {line}: not UTF-8 ({e.reason}); save the file as UTF-8") from e
    if not text.strip():
        raise BadData(f"{path} is empty")
    return text


def _delimited(path: Path, content: str, kind: str, columns: tuple[str, str]) -> Iterator[tuple[str, dict]]:
    """(file and line on which it begins, cells by column) of each record of a CSV or TSV file."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter="\t" if kind == ".tsv" else ",", strict=True)
    header, line = [], 1
    try:
        for cells in reader:
            where, line = f"{path}, line {line}", reader.line_num + 1
            if not header and cells:
                header = [cell.strip() for cell in cells]
                _no_duplicates(where, header)
                for i, name in enumerate(columns):
                    _column(where, name, header, i)
            elif cells:
                if len(cells) != len(header):
                    raise BadData(f"{where}: {len(cells)} cells, the header has {len(header)}; quote what holds delimiters")
                yield where, dict(zip(header, cells, strict=True))
    except csv.Error as e:
        raise BadData(f"{path}, line {line}: {e}; a quote may be missing, or must be doubled inside quotes") from e


def _json_lines(path: Path, content: str) -> Iterator[tuple[str, dict]]:
    """(file and line, object) of each line that is not blank."""
    for number, line in enumerate(content.split("\n"), 1):
        where = f"{path}, line {number}"

        def members(pairs, where=where):
            _no_duplicates(where, [name for name, _ in pairs])
            return dict(pairs)

        if line.strip():
            try:
                record = json.loads(line, object_pairs_hook=members)
            except (ValueError, RecursionError) as e:
                raise BadData(f"{where}: {line[:SHOWN]!r} is not JSON ({str(e)[:SHOWN]})") from e
            if not isinstance(record, dict):
                raise BadData(f"{where}: {line[:SHOWN]!r} is not an object with a text and a label")
            yield where, record


def _parquet(path: Path, columns: tuple[str, str]) -> list[Row]:
    import pyarrow
    from pyarrow import parquet

    if not path.stat().st_size:
        raise BadData(f"{path} is empty")
    try:
        file = parquet.ParquetFile(path)
        header = file.schema_arrow.names
        _no_duplicates(str(path), header)
        wanted = [_column(str(path), name, header, i) for i, name in enumerate(columns)]
        table = file.read(columns=wanted)
        pairs = zip(*(table.column(name).to_pylist() for name in wanted), strict=True)
    except (pyarrow.ArrowException, OSError) as e:
        raise BadData(f"{path} cannot be read as Parquet ({str(e)[:200]})") from e
    rows = [_row(f"{path}, row {i}", *pair) for i, pair in enumerate(pairs, 1)]
    if not rows:
        raise BadData(f"{path} holds no example")
    return rows


def _hub_rows(name: str, columns: tuple[str, str], fetch: Callable) -> dict[str, list[Row]]:
    """The splits of a hub dataset, numbers turned into class names where the dataset has them."""
    found, there = {}, fetch(name)
    for split, names in NAMES.items():
        part = next((there[known] for known in names if known in there), None)
        if part is None:
            continue
        text, label = (_column(f"{name} ({split})", c, list(part.column_names), i) for i, c in enumerate(columns))
        known = getattr(part.features[label], "names", None)
        for number, row in enumerate(part.select_columns([text, label]), 1):
            where, value = f"{name} ({split}), row {number}", row[label]
            if known and isinstance(value, int) and 0 <= value < len(known):
                value = known[value]
            found.setdefault(split, []).append(_row(where, row[text], value))
    if set(found) == {"train"}:
        return {"": found["train"]}
    if not {"train", "test"} <= set(found):
        raise BadData(f"{name} has the splits {', '.join(there)}; a train and a test split are needed, or train alone")
    return found


def _no_duplicates(where: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadData(f"{where}: there are two columns {twice[0][:SHOWN]!r}; rename one")


def _column(where: str, name: str, header: list[str], place: int) -> str:
    """`name` if it is one of the columns in `header`; else raises BadData with those there are."""
    if name in header:
        return name
    close = get_close_matches(name, header, n=1, cutoff=0.5)
    there = ", ".join(repr(column[:SHOWN]) for column in header[:20])
    near = f"did you mean {close[0]!r}? " if close else ""
    raise BadData(
        f"{where}: no column {name!r}; the columns are {there}; {near}set {('text_column', 'label_column')[place]}"
    )


def _row(where: str, text: object, label: object) -> Row:
    """Raises BadData unless `text` is a string that is not blank and `label` a string, a whole number or a truth value."""
    if not isinstance(text, str) or not text.strip():
        raise BadData(f"{where}: the text is {'empty' if text is None or text == '' else repr(text)[:SHOWN]}")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise BadData(f"{where}: the text holds half of a surrogate pair: {text[:SHOWN]!r}")
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if not isinstance(label, str | int) or not str(label).strip():
        raise BadData(f"{where}: the label is {'empty' if label in (None, '') else repr(label)[:SHOWN]}")
    return Row(where, text.strip(), str(label).strip())
