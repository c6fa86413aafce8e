"""Datasets on the Hugging Face hub: where each of the catalogue's lies, and fetching rows; no script of theirs is run."""

import os
from collections.abc import Callable, Iterable

from .. import catalog
from ..errors import BadData, NoNetwork

SPLITS = ("train", "validation", "test")
Rows = list[tuple[str, int]]  # (text, class number), in the order of the published file or split


def carve(rows: Rows) -> dict[str, Rows]:
    """A train and a validation split from published training rows: every tenth row (10, 20, ...) is for validation."""
    return {"train": [row for i, row in enumerate(rows, 1) if i % 10], "validation": rows[9::10]}


# Of each split: repository (after an @ its revision), split there, names of the text and label columns.  A validation
# split that is not there is carved from the train split.  GLUE's own SST-2 test split has no labels.
PARQUET = "CogComp/trec@refs/convert/parquet"  # the main revision is a script, which is never run
HUB = {
    "sst2": {
        "train": ("stanfordnlp/sst2", "train", "sentence", "label"),
        "validation": ("stanfordnlp/sst2", "validation", "sentence", "label"),
        "test": ("SetFit/sst2", "test", "text", "label"),
    },
    "mr": {s: ("cornell-movie-review-data/rotten_tomatoes", s, "text", "label") for s in SPLITS},
    "emotion": {s: ("dair-ai/emotion", s, "text", "label") for s in SPLITS},
    "agnews": {s: ("fancyzhx/ag_news", s, "text", "label") for s in ("train", "test")},
    "trec": {s: (PARQUET, s, "text", "coarse_label") for s in ("train", "test")},
}


def fetch(repository: str, split: str | None = None):
    """The rows of a hub dataset's split, each a dict of its columns; without `split` a dict of all splits.

    `repository` is `owner/name`, after an @ its revision.

    Raises NoNetwork if the hub cannot be reached and the dataset is not in the local cache.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import datasets

    name, _, revision = repository.partition("@")
    try:
        return datasets.load_dataset(name, split=split, revision=revision or None)
    except OSError as e:
        raise NoNetwork(f"cannot fetch {repository} ({split or 'all splits'}) from the Hugging Face hub: {e}") from e
    except (ValueError, RuntimeError) as e:  # several configurations, or a script
        raise BadData(f"{repository} of the Hugging Face hub cannot be read as it is: {e}") from e


def read_hub(name: str, fetch: Callable[[str, str], Iterable[dict]] = fetch) -> dict[str, Rows]:
    """A dataset from the hub, by way of `fetch(repository, split)`.

    Raises NoNetwork as `fetch` does, BadData if a row has other columns or a label outside the class set.
    """
    classes, found = range(len(catalog.DATASETS[name].labels)), {}
    for split, (repository, there, column, target) in HUB[name].items():
        rows = []
        for number, row in enumerate(fetch(repository, there)):
            text, label = row.get(column), row.get(target)
            if not isinstance(text, str) or label is None or label not in classes:
                raise BadData(f"{repository} ({there}), row {number}: {row!r} is not a {column!r} and a known label")
            rows.append((text.strip(), int(label)))
        if not rows:
            raise BadData(f"{repository} ({there}) holds no example")
        found[split] = rows
    return found if "validation" in found else carve(found["train"]) | {"test": found["test"]}
