"""Records on the disk: written once, never edited.

A folder of records holds `meta.json` (what made them) and `records.jsonl` (one JSON object a
line, by position).  While a run is on, finished examples lie in `journal.jsonl` in the order in
which they finished; a half-written last line of a journal is dropped.  The run's end merges both:
it writes `records.jsonl`, then its digest into the meta, then removes the journal.  So a kill
leaves a journal beside records with or without its lines, which are merged again, or no journal
and records that are those of the digest; anything else was altered from outside.

A run can be cut into shards (`Folder.shard`): folders of their own inside, `shards/3-of-20`, which other processes or
machines fill.  The run takes over what they hold and removes them; nothing else reads them.

Records that were made from something else, by other code, or were altered are never written to: the
next run moves them into a folder `superseded-1` (2, …) beside its own and begins anew.
"""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import typing
from collections.abc import Iterable
from pathlib import Path

from . import provenance, store
from .errors import StaleArtefact
from .records import Record, Replay, Status, from_line, to_line

RECORDS, JOURNAL = "records.jsonl", "journal.jsonl"
SHARDS = "shards"
PREDICTIONS = "predictions.json"


class Folder:
    """Records of one kind in one folder, appended as they come."""

    def __init__(self, path: Path, kind: type = Record):
        self.path, self.kind = Path(path), kind

    def _lines(self, name: str) -> list[str]:
        try:
            content = (self.path / name).read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        return content[: content.rfind("\n") + 1].splitlines() if name == JOURNAL else content.splitlines()

    def load(self) -> list[typing.Any]:
        """All records by position, finished or still in the journal.

        Raises StaleArtefact naming the file if one is damaged, or if `records.jsonl` is not as its run's end left it.
        """
        found, at_rest = {}, self.at_rest()
        journal = self._lines(JOURNAL)  # first: a run that ends meanwhile moves its lines to the records
        for name, lines in ((RECORDS, self._lines(RECORDS)), (JOURNAL, journal)):
            for i, line in enumerate(lines, 1):
                record = from_line(line, self.kind, f"{self.path / name}, line {i},")
                found[record.position] = record
        if at_rest:
            self._check_digest(len(found))
        return [found[i] for i in sorted(found)]

    def at_rest(self) -> bool:
        """Whether no run is on or was stopped before its end."""
        return not (self.path / JOURNAL).exists()

    def _meta(self) -> dict:
        """The folder's meta; empty before the first `open`.

        Raises StaleArtefact if it cannot be read, or is missing though there are records.
        """
        file = self.path / store.META
        try:
            if not file.exists() and not any((self.path / name).exists() for name in (RECORDS, JOURNAL)):
                return {}
            content = store.read_json(file)
            return content | {"depends": dict(content["depends"]), "records": dict(content.get("records") or {})}
        except (ValueError, KeyError, TypeError) as e:
            raise StaleArtefact(f"{file} cannot be read ({type(e).__name__}); {store.REMAKE}") from e

    def _check_digest(self, n: int) -> None:
        """Compares `records.jsonl`, of which `n` records were read, with the meta; nothing to do before the first run's end."""
        file, noted = self.path / RECORDS, self._meta().get("records")
        if not noted:
            return
        if not file.is_file() or store.sha256(file) != noted.get("sha256"):
            raise StaleArtefact(
                f"{file} was altered after it was written: it holds {n} records of {noted.get('n')} written, "
                f"or others; {store.REMAKE}"
            )

    def shard(self, part: int, of: int) -> "Folder":
        """The folder of one part (from 1) of a run that is cut into `of`; of a run that is whole, this one."""
        return Folder(self.path / SHARDS / f"{part}-of-{of}", self.kind) if of > 1 else self

    @property
    def held_by(self) -> Path:
        """What a process locks that fills this folder; that of a shard stays when the shard is removed."""
        shard = self.path.parent.name == SHARDS
        return self.path.parents[1].with_name(f"{self.path.parents[1].name}-{self.path.name}") if shard else self.path

    def done(self) -> set[int]:
        """The positions of the records that are no errors."""
        return {r.position for r in self.load() if r.status is not Status.error}

    def take_over(self, done: set[int]) -> set[int]:
        """Adds to the journal what the shards hold beyond `done`, errors left out; returns the positions of what was added."""
        held = [r for _, found in self._shards() for r in found if r.status is not Status.error and r.position not in done]
        for _, record in sorted({r.position: r for r in held}.items()):
            self.append(record)
        return {r.position for r in held}

    def drop_shards(self) -> None:
        """Removes the shards that no process fills any more, once their records are all here; never superseded records."""
        here = {r.position for r in self.load()}
        for shard, found in self._shards():
            if shard.at_rest() and here.issuperset(r.position for r in found) and not any(shard.path.glob("superseded-*")):
                shutil.rmtree(shard.path)
        with contextlib.suppress(OSError):  # one is still being filled, or there was none
            (self.path / SHARDS).rmdir()

    def _shards(self) -> list[tuple["Folder", list]]:
        """The shards that are made from the same and can be read, each with its records; what others hold is made again."""
        found = []
        for file in sorted((self.path / SHARDS).glob(f"*/{store.META}")):
            shard = Folder(file.parent, self.kind)
            with contextlib.suppress(StaleArtefact):
                if shard.depends() == self.depends():
                    found.append((shard, shard.load()))
        return found

    def depends(self) -> dict:
        """What the records are made from, as `open` was told; empty before the first."""
        return self._meta().get("depends", {})

    def open(self, depends: dict) -> None:
        """Begins or resumes: `depends` is what the records are made from.

        Records of something else, or altered ones, are set aside, and a line says why.
        """
        depends = json.loads(json.dumps(depends))
        if reason := self._stale(depends):
            store.again(self.path, f"{reason} (what was there is now in {self._set_aside().name})")
        if not self._meta():
            store.write_json(self.path / store.META, {"depends": depends, "commit": provenance.commit()})
        for temporary in self.path.glob(".*"):  # of a process that was killed while it wrote
            temporary.unlink()
        journal = self.path / JOURNAL
        if journal.exists():  # drop a half-written last line
            store.write_text(journal, "".join(line + "\n" for line in self._lines(JOURNAL)))

    def _stale(self, depends: dict) -> str:
        """Why the folder's records cannot be gone on with; empty if they can."""
        try:
            self.load()
            return "; ".join(store.differences(self.depends() or depends, depends))
        except StaleArtefact as e:
            return str(e)

    def _set_aside(self) -> Path:
        """Moves what is there into a folder of its own, the meta last; a move that was stopped is gone on with."""
        rooms = (self.path / f"superseded-{i}" for i in itertools.count(1))
        room = next(room for room in rooms if not (room / store.META).exists())
        with store.storage_errors(room):
            room.mkdir(exist_ok=True)
            for name in (JOURNAL, RECORDS, store.META):
                if (self.path / name).exists():
                    os.replace(self.path / name, room / name)
        return room

    def append(self, record: Record | Replay) -> None:
        """Adds one record to the journal, on disk when this returns.

        Raises StorageError if the disk is full or refuses.
        """
        with store.storage_errors(self.path / JOURNAL), open(self.path / JOURNAL, "a", encoding="utf-8") as f:
            f.write(to_line(record) + "\n")
            f.flush()
            os.fsync(f.fileno())

    def fill(self, found: Iterable[Record | Replay], wanted: int, todo: int, label: str = "", progress: bool = False) -> None:
        """Adds records as they come, of `wanted` the `todo` that are missing, and ends the journal; writes nothing where there is
        nothing to do."""
        from tqdm.auto import tqdm

        with tqdm(total=wanted, initial=wanted - todo, desc=label, unit="example", disable=not progress) as bar:
            for record in found:
                self.append(record)
                bar.update()
        if todo or not self.at_rest():
            self.close()

    def close(self) -> None:
        """Merges the journal into `records.jsonl`, by position, and notes its digest, in the order the module says."""
        records, meta = self.load(), self._meta()
        content = "".join(to_line(r) + "\n" for r in records).encode("ascii")
        store.write_bytes(self.path / RECORDS, content)
        digest = {"n": len(records), "sha256": hashlib.sha256(content).hexdigest()}
        store.write_json(self.path / store.META, meta | {"records": digest})
        (self.path / JOURNAL).unlink(missing_ok=True)


STAGES = {"attacks": Record, "replays": Replay}


def folders(run_dir: Path, kind: type = Record) -> list[Folder]:
    """The folders of records (or replays) under a run directory, by name."""
    stage = next(stage for stage, of in STAGES.items() if of is kind)
    return [Folder(file.parent, kind) for file in sorted(Path(run_dir).glob(f"{stage}/*/{store.META}"))]


def read_clean(folder: Path) -> dict:
    """The clean predictions in one folder.

    Keys: dataset, backbone, seed, variant, split, class_names, ids, labels and predicted (class
    numbers, one an example of the evaluation split), probabilities (in class order), bytes (of the executable model), execution.
    Raises StaleArtefact if the folder's files are not as they were written.
    """
    store.intact(Path(folder))
    return store.read_json(Path(folder) / PREDICTIONS)
