"""The study's published files: one Parquet file and one manifest a unit, as `qrsupport study export` writes them.

A row is a variant's answer to a text.  `kind` says which: `clean` (an example of the evaluation
split), `direct` (the end of an attack on `variant`), `transfer` (what `target` says of a text that
fooled `variant`; of all other members of the adversarial set it says what it says of the example).
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .. import config, store
from ..analysis.outcomes import LETTERS, number
from ..errors import StaleArtefact

FOLDER = "book/results/study"
TEXT, WHOLE, REAL = pa.string(), pa.int32(), pa.float32()
_TYPES = {str: TEXT, int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
SCHEMA = pa.schema(
    [("kind", TEXT), ("variant", TEXT), ("target", TEXT), ("attack", TEXT)]
    + [(name, _TYPES[type(config.FIELDS[name].default)]) for name in config.AIM]
    + [
        ("example", TEXT),
        ("position", WHOLE),
        ("status", TEXT),
        ("label", WHOLE),
        ("answer", WHOLE),
        ("probabilities", pa.list_(REAL)),
        ("lead", REAL),
        ("queries", WHOLE),
        ("evaluations", WHOLE),
        ("words", WHOLE),
        ("words_changed", WHOLE),
        ("similarity", REAL),
        ("text", TEXT),
        ("perturbed", TEXT),
    ]
)
MEANING = {
    "kind": "clean, direct or transfer",
    "variant": "the classifier that answers; under transfer the source, whose texts are replayed",
    "target": "under transfer: the classifier that answers",
    "example": "id of the example: data set, split, number",
    "position": "place in the seeded sample (direct, transfer) or in the evaluation split (clean)",
    "status": "how the attack on the source ended",
    "label": "the true class",
    "answer": "the class given to the text, of an attack: to its last text",
    "probabilities": "of the answer, in class order",
    "lead": "logit of the label minus the highest other; below 0: wrong",
    "queries": "TextAttack's count of queries",
    "evaluations": "distinct texts that the classifier was asked",
    "words": "words of the text",
    "words_changed": "words that the attack's last text changes",
    "similarity": "angular similarity of text and perturbed text by the resource set's sentence encoder",
    "text": "first 16 digits of the text's SHA-256",
    "perturbed": "the same of the attack's last text",
} | {name: config.FIELDS[name].description for name in ("attack", *config.AIM)}
"""Column → what it holds, in one line; part of every manifest."""


def write(file: Path, rows: list[dict]) -> None:
    """The rows as a Parquet file, a missing value where a row lacks a column."""
    columns = [pa.array([row.get(f.name) for row in rows], f.type) for f in SCHEMA]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=SCHEMA), sink, compression="zstd")
    store.write_bytes(file, sink.getvalue().to_pybytes())


def manifest(folder: Path, unit: str) -> dict:
    """A unit's manifest; empty if it is not published.  Raises StaleArtefact for a damaged one."""
    file = Path(folder) / f"{unit}.json"
    return store.read_json(file) if file.is_file() else {}


def used(folder: Path, units: list[str]) -> dict[str, tuple[str, str]]:
    """By label of a step, the digest of the resources that the published units used in it, and the first unit that did."""
    found: dict = {}
    for unit in units:
        for label, digest in manifest(folder, unit).get("resources", {}).items():
            found.setdefault(label, (digest, unit))
    return found


def rows(folder: Path, unit: str) -> pd.DataFrame:
    """A unit's rows, with `dataset`, `backbone` and `seed`; none if it is not published.

    Raises StaleArtefact for a file that is not the one of its manifest.
    """
    about, file = manifest(folder, unit), Path(folder) / f"{unit}.parquet"
    if not about:
        return pd.DataFrame(columns=["dataset", "backbone", "seed", *SCHEMA.names])
    if not file.is_file() or store.sha256(file) != about["sha256"]:
        raise StaleArtefact(f"{file} is missing or not the file of its manifest; {store.REMAKE}")
    known = {name: about["parameters"][name] for name in ("dataset", "backbone", "seed")}
    return pq.read_table(file, schema=SCHEMA).to_pandas().assign(**known)


def load(folder: Path, units: list[str]) -> pd.DataFrame:
    """The rows of several units, each row once: what two units of one checkpoint share is the same.

    `seed` is text here.  Another kind of processor fine-tunes the same seed to other weights; a later unit with such a
    checkpoint is marked with a letter, `0`, then `0b`, so that no variant of one is compared with another's.  `since`: the
    plan's version with which the first unit of a row's data set, backbone and seed was published, letters apart.
    """
    fits: dict[tuple, list] = {}
    parts = []
    for unit in units:
        about = manifest(folder, unit)
        if about:
            p, checkpoint = about["parameters"], about.get("checkpoints", {}).get("base")
            mine = fits.setdefault((p["dataset"], p["backbone"], p["seed"]), [])
            mine += [checkpoint] if checkpoint not in mine else []
            seed = f"{p['seed']}{('', *LETTERS)[mine.index(checkpoint)]}"
            parts.append(rows(folder, unit).assign(seed=seed, since=about["version"]))
    found = pd.concat(parts or [rows(folder, "").assign(since=0)], ignore_index=True)
    found["since"] = found.groupby(["dataset", "backbone", number(found)])["since"].transform("min")
    key = ["dataset", "backbone", "seed", "kind", "variant", "target", "attack", *config.AIM, "example"]
    return found.drop_duplicates(key, ignore_index=True)
