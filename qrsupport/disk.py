"""What a disk refuses, named: the place, and the operating system's words for it."""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from pathlib import Path

from .errors import BadCheckpoint, ChapterFailed, QRError, StorageError

REFUSALS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EFBIG,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EIO,
)
FULL = 2**18
"""Bytes: a file system with fewer to spare counts as full."""
SYMPTOMS = (BadCheckpoint, ChapterFailed)
"""Errors of ours that can come of a file cut short: on a full disk, the disk is what to name."""


@contextlib.contextmanager
def storage_errors(path: Path):
    """Turns what goes wrong while `path` is written into a StorageError that names the place, if the disk is the cause.

    The cause is the disk if the operating system says so, in Python's words or in a library's, or
    if a file system in use is full: some libraries do not look whether what they wrote arrived,
    and stumble over it later.
    """
    try:
        yield
    except Exception as e:
        if isinstance(e, QRError) and not isinstance(e, SYMPTOMS):
            raise
        said = refusal(e, Path(path))
        if not said:
            raise
        raise StorageError(said) from e


def refusal(error: BaseException, path: Path) -> str:
    """Which place the disk refused, and in which words, as the cause of `error` while `path` was written; else empty."""
    cause: BaseException | None = error
    while cause:
        code, name = _number(cause), getattr(cause, "filename", None)
        if code in (errno.ENOSPC, errno.EDQUOT):
            return f"cannot write {name or fullest(path)}: {os.strerror(code)}"
        above = isinstance(name, (str, os.PathLike)) and path.is_relative_to(name)
        if code in REFUSALS or (code and above):
            return f"cannot write {path}: {os.strerror(code)}" + (f" ({name})" if name else "")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    place = fullest(path)
    if spare(place) >= FULL:
        return ""
    return f"cannot write {place}: {os.strerror(errno.ENOSPC)} ({type(error).__name__}: {str(error)[:200]})"


def _number(error: BaseException) -> int | None:
    """The operating system's number of an error; of a library written in Rust it is in the message."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def spare(path: Path) -> int:
    """Bytes that may still be written to the file system of `path`."""
    return shutil.disk_usage(next(d for d in (path, *path.parents) if d.exists())).free


def fullest(path: Path) -> Path:
    """`path`, or the directory for temporary files if its file system has less to spare."""
    try:
        temporary = Path(tempfile.gettempdir())
    except FileNotFoundError:  # none can be written to
        return path
    return temporary if spare(temporary) < spare(path) else path
