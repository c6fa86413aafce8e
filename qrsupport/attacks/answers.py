"""What classifiers answered before, one file each, so that an attack does not ask again what another one asked.

Attacks on one classifier that differ in margin, goal, ranking or budget ask many of the same texts.  A file is named by the
classifier's digest and by what answers it (ONNX Runtime's version and 8-bit kernel, or PyTorch's and the GPU), and lies in a
folder of the CPU's own; so what another version or machine answered is never read.  It is SQLite, which several processes
may use at once; a row has the digest of a text, the logits and a checksum.  A file that is damaged or cannot be used is left alone, with a line; a full one is only read.
"""

import hashlib
import random
import sqlite3
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .. import config
from ..errors import DependentAnswers
from ..quantization import ensembles, victim

FORMAT = 1
LIMIT = 2**28
"""Bytes of a file beyond which nothing is added."""
TOGETHER, EVERY = 256, 1.0
"""Answers that are written together at the latest, and seconds after which fewer are: what an end at any time can lose."""
PATIENCE = 5.0
"""Seconds that a process waits for others to have written."""


def kept(model, folder: Path | None):
    """The classifier `model`, or the ensemble of its members, with what it answered kept in `folder`; None: kept nowhere."""
    return model if folder is None else each(model, lambda member: Kept(member, folder))


def each(model, wrapped: Callable):
    """`wrapped(model)`, of an ensemble the ensemble of its members, each `wrapped`."""
    if isinstance(model, ensembles.Ensemble):
        return ensembles.Ensemble(model.path, model.rule, list(map(wrapped, model.members)), model.seed)
    return wrapped(model)


class Kept:
    """A `victim.Victim` whose answers are looked up in a file of `folder` first; one in `victim.ONE_IN` of those found there is
    asked again all the same."""

    def __init__(self, model: victim.Victim, folder: Path):
        self.model, self.new, self.written = model, {}, time.monotonic()
        made_of = [FORMAT, model.digest, *model.asked_by]
        self.file = Path(folder) / f"{config.key(made_of)}.sqlite"
        self.draw = random.Random(model.digest)
        self.base = self._open()

    def __getattr__(self, name: str):
        return getattr(self.model, name)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Logits, shape (len(texts), classes), as the classifier gives or gave them.

        Raises DependentAnswers if one that is asked again gets another answer than the one in the file.
        """
        keys = [digest(text) for text in texts]
        found = self._found(list(dict.fromkeys(keys)))
        asked = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        known = [(key, text) for key, text in zip(keys, texts, strict=True) if key not in asked]
        for key, text in known:
            if self.draw.random() * victim.ONE_IN < 1:
                self._check(text, found[key])
        fresh = dict(zip(asked, self.model(list(asked.values())), strict=True)) if asked else {}
        self._keep(fresh)
        found |= fresh
        return np.stack([found[key] for key in keys]) if keys else self.model(texts)

    def _check(self, text: str, found: np.ndarray) -> None:
        again = self.model([text])[0]
        if not np.array_equal(again, found, equal_nan=True):
            raise DependentAnswers(
                f"{self.file} holds the logits {found.tolist()} for a text that now gets {again.tolist()}; delete it and the "
                "records of this run"
            )

    def _found(self, keys: list[bytes]) -> dict[bytes, np.ndarray]:
        """What the file or this process holds of the texts with these digests."""
        rows = {key: self.new[key] for key in keys if key in self.new}
        if self.base and (rest := [key for key in keys if key not in rows]):
            wanted = f"SELECT text, logits FROM answers WHERE text IN ({','.join('?' * len(rest))})"
            rows |= dict(self._tried(lambda base: base.execute(wanted, rest).fetchall()) or ())
        answers = {key: unpacked(key, row, len(self.model.labels)) for key, row in rows.items()}
        return {key: answer for key, answer in answers.items() if answer is not None}

    def _keep(self, fresh: dict[bytes, np.ndarray]) -> None:
        """Takes answers into the file, many together."""
        if not self.base:
            return
        self.new |= {key: packed(key, answer) for key, answer in fresh.items()}
        if len(self.new) >= TOGETHER or (self.new and time.monotonic() - self.written > EVERY):
            rows, self.new, self.written = list(self.new.items()), {}, time.monotonic()
            self._tried(lambda base: self._write(base, rows))

    def _write(self, base: sqlite3.Connection, rows: list) -> None:
        if self.file.stat().st_size < LIMIT:
            with base:
                base.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)

    def _open(self) -> sqlite3.Connection | None:
        """The file, made if need be; None where there can be none."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            base = sqlite3.connect(self.file, timeout=PATIENCE, isolation_level="IMMEDIATE")
            base.execute("PRAGMA synchronous=OFF")
            base.execute("PRAGMA journal_mode=TRUNCATE")  # the other kind needs memory that machines do not share
            base.execute("CREATE TABLE IF NOT EXISTS answers (text BLOB PRIMARY KEY, logits BLOB) WITHOUT ROWID")
            return base
        except (OSError, sqlite3.Error) as e:
            self._left_aside(e)
            return None

    def _tried(self, do):
        """What `do` gives with the file; None if it fails, after which the file is used no more."""
        try:
            return do(self.base)
        except (OSError, sqlite3.Error) as e:
            self._left_aside(e)
            self.base = None
            return None

    def _left_aside(self, why: Exception) -> None:
        print(f"answers are not kept: {self.file}: {why}", file=sys.stderr, flush=True)


def digest(text: str) -> bytes:
    """What a text is found by."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def packed(key: bytes, answer: np.ndarray) -> bytes:
    """A row's logits, 32-bit floats, and their checksum, which covers the key."""
    content = np.asarray(answer, "<f4").tobytes()
    return content + zlib.crc32(key + content).to_bytes(4, "little")


def unpacked(key: bytes, row: bytes, classes: int) -> np.ndarray | None:
    """The logits of a row, shape (classes,); None if it is damaged."""
    content, check = row[:-4], row[-4:]
    if len(content) != 4 * classes or zlib.crc32(key + content).to_bytes(4, "little") != check:
        return None
    return np.frombuffer(content, "<f4").astype(np.float32)
