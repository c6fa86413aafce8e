"""Records, replays and clean predictions as Parquet and CSV files with a data dictionary (`qrsupport export`)."""

import dataclasses
import inspect
import json
import typing
from pathlib import Path

import pandas as pd

from .. import config, recorded, records, store
from ..errors import NoRecords

MARKED = ("=", "+", "-", "@", "\t", "\r", "'")
"""A text that begins with one of these carries one `'` more in CSV: a spreadsheet would take it for a formula."""
FIELDS = {
    "path": "folder of the record below the run directory",
    "seconds": "how long it took (empty: not measured)",
    "predicted": "label that the variant gives to the unattacked example",
}
README = """# Exported records

Made by `qrsupport export` from a run directory. Each table comes as Parquet (exact) and as CSV (UTF-8; lists as JSON).

- In CSV a text that begins with one of `= + - @ '`, a tab or a carriage return carries one `'` more in front, so that no
  spreadsheet takes it for a formula; take it off to have the text.
- Lone surrogates, which no file format holds, are U+FFFD, as the classifier read them.
- Texts come from the data set and keep its licence: look there before you pass them on.
- Columns `source.…` and `target.…`, or plain names beside those below, are parameters of the run; `qrsupport list` and the
  book say what they mean.

"""


def export(run_dir: Path, out: Path) -> list[Path]:
    """Writes `records`, `replays` and `clean` (.parquet and .csv) and README.md into folder `out`; returns the files.

    A kind of which there is nothing gives an empty table.  Raises NoRecords if there is nothing at all,
    StaleArtefact for a file that was altered, StorageError if `out` refuses.
    """
    tables = {
        "records": rows_of(run_dir, records.Record),
        "replays": rows_of(run_dir, records.Replay),
        "clean": clean(run_dir),
    }
    if not any(map(len, tables.values())):
        raise NoRecords(f"nothing is recorded under {run_dir}; run the attack chapter or `make book`")
    files = []
    for name, table in tables.items():
        files += [Path(out) / f"{name}.parquet", Path(out) / f"{name}.csv"]
        store.write_bytes(files[-2], table.to_parquet(index=False))
        store.write_text(files[-1], to_csv(table))
    store.write_text(Path(out) / "README.md", README + dictionary(tables))
    return [*files, Path(out) / "README.md"]


def rows_of(run_dir: Path, kind: type) -> pd.DataFrame:
    """One row a record or replay: its fields, the run's parameters, `path`."""
    names = [f.name for f in dataclasses.fields(kind) if f.name not in (records.GIVEN, "timing")]
    rows = []
    for folder in recorded.folders(run_dir, kind):
        given = {"path": str(folder.path.relative_to(run_dir))} | _flat(folder.depends().get("parameters", {}))
        for r in folder.load():
            own = {name: getattr(r, name) for name in names} | {"status": r.status.value}
            rows.append(given | own | {"seconds": r.timing.get("seconds")})
    return _frame(rows, [*names, "seconds", "path"])


def clean(run_dir: Path) -> pd.DataFrame:
    """One row an example of the evaluation split and variant."""
    rows = []
    for file in sorted(Path(run_dir).glob("clean/*/predictions.json")):
        found, p = recorded.read_clean(file.parent), store.intact(file.parent)["depends"]["parameters"]
        fixed = {name: found[name] for name in ("dataset", "backbone", "seed", "variant", "split", "execution")}
        fixed = p | fixed | {"path": str(file.parent.relative_to(run_dir))}
        answers = zip(found["ids"], found["labels"], found["predicted"], strict=True)
        rows += [fixed | {"example": i, "label": y, "predicted": z} for i, y, z in answers]
    return _frame(rows, ["example", "dataset", "backbone", "seed", "variant", "split", "label", "predicted", "path"])


def _flat(p: dict) -> dict:
    """Parameters by name; of replays as `source.name` and `target.name`."""
    sides = {side: p[side] for side in ("source", "target") if isinstance(p.get(side), dict)}
    if not sides:
        return p
    return {f"{side}.{name}": value for side, part in sides.items() for name, value in part.items()}


def _frame(rows: list[dict], first: list[str]) -> pd.DataFrame:
    """The rows with columns `first`, then the others; every text as a file can hold it."""
    others = sorted({name for row in rows for name in row} - {*first})
    held = [{name: _whole(v) if isinstance(v, str) else v for name, v in row.items()} for row in rows]
    return pd.DataFrame(held, columns=[*first, *others])


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def to_csv(table: pd.DataFrame) -> str:
    """CSV with a line of names, texts quoted, lists as JSON; `marked` says what is put before a text."""
    return table.map(_cell).to_csv(index=False, quoting=2, lineterminator="\n")  # 2: all but numbers


def _cell(value):
    if isinstance(value, (list, tuple)):
        return json.dumps(list(value))
    return marked(value) if isinstance(value, str) else value


def marked(text: str) -> str:
    """`text`, with a `'` before it if it begins with one of `MARKED`."""
    return f"'{text}" if text.startswith(MARKED) else text


def dictionary(tables: dict[str, pd.DataFrame]) -> str:
    """What each table's rows and columns are, in Markdown, from the records' own descriptions."""
    about = {"records": inspect.getdoc(records.Record), "replays": inspect.getdoc(records.Replay)}
    about["clean"] = "A variant's answer to one example of the evaluation split, unattacked."
    types = {"records": typing.get_type_hints(records.Record), "replays": typing.get_type_hints(records.Replay), "clean": {}}
    parts = []
    for name, table in tables.items():
        lines = [f"| `{column}` | {_type(types[name].get(column), column)} | {_meaning(column)} |" for column in table]
        head = f"## {name}: {len(table):,} rows\n\n{about[name]}\n\n| column | type | meaning |\n| --- | --- | --- |\n"
        parts.append(head + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _type(hint, column: str) -> str:
    field = config.FIELDS.get(column.rpartition(".")[2])
    hint = hint or (type(field.default) if field else str)
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("|", "or")


def _meaning(column: str) -> str:
    field = config.FIELDS.get(column.rpartition(".")[2])
    return FIELDS.get(column) or (str(field.description).replace("|", "\\|") if field else "see above")
