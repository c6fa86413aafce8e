"""`import textattack` with no network, no NLTK data, an empty home directory and nothing written there.

`textattack()` is the only way the package imports it.  What stands in the way, and what is done:

- it keeps a cache directory and downloads NLTK data on first import: it gets a private temporary
  one (`TA_CACHE_DIR`) with the mark `post_install_check_3` that says "already done";
- `TA_CACHE_DIR` makes it move `HF_HOME` and other caches: those variables are put back, and the
  libraries that read them at import are imported before it;
- some defaults read NLTK's English stop words: ours are supplied where NLTK has none;
- it imports flair (8 of 17 s, with its models) only for three names, and bert_score, jieba,
  language_tool_python and others for parts that no attack here uses: a stand-in with the three
  names, and modules that load when first used.
"""

import atexit
import contextlib
import errno
import gc
import importlib
import importlib.util
import logging
import os
import shutil
import socket
import stat
import sys
import tempfile
import threading
import types
from pathlib import Path
from unittest import mock

from . import store
from .config import key
from .errors import MissingResource, NoNetwork

STOP_WORDS = Path(__file__).with_name("stopwords.txt")
MOVED = ("TA_CACHE_DIR", "TFHUB_CACHE_DIR", "PYTORCH_TRANSFORMERS_CACHE", "HF_HOME", "XDG_CACHE_HOME")
LAZY = ("jieba", "bert_score", "language_tool_python", "OpenHowNet", "pinyin", "lemminflect")
HERE = ("127.0.0.1", "::1", "localhost")
_lock = threading.RLock()
_private: list[Path] = []


def textattack():
    """The module textattack, imported without network and without a trace in the user's home."""
    with _lock:
        if "textattack" not in sys.modules:
            _import()
        nltk_path()
        return sys.modules["textattack"]


def data_dir() -> Path | None:
    """The directory QRSUPPORT_DATA names, or None if it is not set.

    Raises MissingResource if it is set and is no directory.
    """
    named = os.environ.get("QRSUPPORT_DATA", "")
    if named and not Path(named).is_dir():
        raise MissingResource(f"QRSUPPORT_DATA={named!r} is not a directory; point it at the data, or unset it")
    return Path(named) if named else None


def cache_dir() -> Path:
    """Where what is built or fetched once is kept: QRSUPPORT_CACHE, else `qrsupport` in the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("QRSUPPORT_CACHE") or Path(base) / "qrsupport").absolute()


def stop_words() -> list[str]:
    """The package's own English stop words, lower case."""
    lines = STOP_WORDS.read_text("utf-8").splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]


def nltk_path() -> None:
    """Puts QRSUPPORT_DATA/nltk_data first on NLTK's search path, what the package fetched next, our stop words last.

    NLTK refuses files that others can write; such a directory is copied to a private one first.
    """
    import nltk

    found = []
    data = data_dir()
    if data and (data / "nltk_data").is_dir():
        found.append(readable(data / "nltk_data"))
    fetched = cache_dir() / "published" / "nltk_data"
    if fetched.is_dir():
        found.append(readable(fetched))
    first = [str(d) for d in found]
    last = str(private() / "nltk_data")
    nltk.data.path[:] = [*first, *(d for d in nltk.data.path if d not in (*first, last)), last]


def readable(folder: Path) -> Path:
    """`folder`, or a copy in the cache directory if another account may write to any part of it."""
    everything = (folder, *folder.rglob("*"))
    if not any(writable_by_others(p.lstat()) for p in everything):
        return folder
    files = [p for p in everything if p.is_file()]
    seen = {str(p.relative_to(folder)): [p.stat().st_size, p.stat().st_mtime_ns] for p in files}

    def copy(room: Path) -> None:
        for name in seen:
            (room / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, room / name)
        for p in (room, *room.rglob("*")):
            p.chmod(0o755 if p.is_dir() else 0o644)

    return store.made(cache_dir() / f"nltk_data-{key([str(folder), seen])}", {"files": seen}, copy)


def writable_by_others(status: os.stat_result) -> bool:
    """NLTK's rule: group or others may write, or the owner is neither this account nor root."""
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) or status.st_uid not in (0, os.geteuid())


def private() -> Path:
    """This process's temporary directory, gone when it ends: TextAttack's cache and NLTK's stop words."""
    with _lock:
        if not _private:
            with store.storage_errors(Path("temporary files")):
                room = Path(tempfile.mkdtemp(prefix="qrsupport-"))
            atexit.register(shutil.rmtree, room, ignore_errors=True)
            (room / "post_install_check_3").touch()
            words = room / "nltk_data" / "corpora" / "stopwords" / "english"
            words.parent.mkdir(parents=True)
            words.write_text("\n".join(stop_words()) + "\n", "utf-8")
            for p in room.rglob("*"):
                p.chmod(0o700 if p.is_dir() else 0o600)
            _private.append(room)
        return _private[0]


@contextlib.contextmanager
def network(allowed: bool):
    """While this lasts nothing in this process reaches another machine, unless `allowed`.

    Raises NoNetwork if an attempt was refused and what was done without it ended in an error.
    """
    refused = []

    def refuse(where):
        refused.append(str(where))
        raise OSError(errno.ENETUNREACH, f"the network was not asked for: {where}")

    def connect(own):
        def inner(self, address):
            outside = self.family != getattr(socket, "AF_UNIX", None) and address[0] not in HERE
            return refuse(address[0]) if outside else own(self, address)

        return inner

    def getaddrinfo(host, *args, _own=socket.getaddrinfo, **settings):
        return _own(host, *args, **settings) if host in (None, "", *HERE) else refuse(host)

    with contextlib.ExitStack() as stack:
        if not allowed:
            for name in ("connect", "connect_ex"):
                put = mock.patch.object(socket.socket, name, connect(getattr(socket.socket, name)))
                stack.enter_context(put)
            stack.enter_context(mock.patch.object(socket, "getaddrinfo", getaddrinfo))
        try:
            yield
        except Exception as e:
            if refused:
                raise NoNetwork(
                    f"{', '.join(dict.fromkeys(refused))} was to be reached, which network=False does not allow: {e}"
                ) from e
            raise


@contextlib.contextmanager
def _uncollected():
    """Nothing is searched for garbage meanwhile, and what was imported never again: some seconds less at start and at the end."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if on:
            gc.enable()


@_uncollected()
def _import() -> None:
    """Imports textattack with the preparations that this module's docstring lists."""
    import datasets  # noqa: F401  reads HF_HOME when imported
    import transformers  # noqa: F401  as above

    nltk_path()
    before = {name: os.environ.get(name) for name in (*MOVED, "TOKENIZERS_PARALLELISM")}
    os.environ["TA_CACHE_DIR"] = str(private())
    if "flair" not in sys.modules:
        sys.modules.update(_flair())
    for name in LAZY:
        _lazy(name)
    try:
        importlib.import_module("textattack")
        logging.getLogger("textattack.shared.utils.install").setLevel(logging.ERROR)  # its remarks on every model
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class _Lazy(types.ModuleType):
    """A module that loads when first used.

    Unlike importlib's, it is not loaded by those who only look at every loaded module's `__file__`, as torch does.
    """

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        module = importlib.import_module(self.__name__)
        if self.__name__ == "jieba":  # else its dictionary is a file of a known name that anyone may have put in /tmp
            module.dt.tmp_dir = str(private())
        return getattr(module, name)


def _lazy(name: str) -> None:
    """Registers a module that is installed, but not loaded, to be loaded when first used."""
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None:
        return
    module = sys.modules[name] = _Lazy(name)
    module.__spec__, module.__path__ = spec, spec.submodule_search_locations or []


def _flair() -> dict[str, types.ModuleType]:
    """Stand-ins for flair, flair.data and flair.models: the names that textattack mentions when imported.

    Attacks here take parts of speech from their resource set's tagger, so none is ever called.
    """

    class Tokenizer:
        """Base class of textattack's tokenizer for flair."""

    class Absent:
        """Stands for a class of flair that must not be used."""

        def __init__(self, *args, **kwargs):
            raise MissingResource("flair is replaced by a stand-in here; import flair before qrsupport's attacks")

        load = __init__

    flair, data, models = (types.ModuleType(name) for name in ("flair", "flair.data", "flair.models"))
    vars(flair).update(data=data, models=models)
    vars(data).update(Tokenizer=Tokenizer, Sentence=Absent)
    vars(models).update(SequenceTagger=Absent)
    return {"flair": flair, "flair.data": data, "flair.models": models}
