"""What the recipes name, as TextAttack publishes it: fetched only when asked, checked, and read without running anything.

Upstream publishes no checksums, so the first fetch is trusted: the SHA-256 of each file is written
beside it, into `sums.json`, and compared at every later use.  TextAttack ships two tables as
pickles; they are read by `tables`, which builds containers, strings and numbers and nothing else.
"""

import importlib.util
import io
import pickle
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

from .. import store
from ..errors import BadData, MissingResource, NoNetwork, StaleArtefact

TEXTATTACK = "https://textattack.s3.amazonaws.com/"
NLTK = "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/"
VECTORS, HOWNET = "paragramcf.zip", "word_candidates_sense.pkl"
UNIVERSAL = "Universal Sentence Encoder 3"
GET_UNIVERSAL = "pip install tensorflow tensorflow-hub; or, its multilingual version, `qrsupport fetch use-multilingual-v3`; or use resources='local' or 'embedded'"
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError, MemoryError, NotImplementedError)
"""What zipfile and NumPy raise for files that are not what they should be."""
FILES = {
    "vectors": {VECTORS: TEXTATTACK + "word_embeddings/paragramcf"},
    "hownet": {HOWNET: TEXTATTACK + "transformations/hownet/word_candidates_sense.pkl"},
    "wordnet": {"nltk_data/corpora/wordnet.zip": NLTK + "corpora/wordnet.zip"},
    "stopwords": {"nltk_data/corpora/stopwords.zip": NLTK + "corpora/stopwords.zip"},
    "tagger": {
        "nltk_data/taggers/averaged_perceptron_tagger_eng.zip": NLTK + "taggers/averaged_perceptron_tagger_eng.zip",
        "nltk_data/taggers/universal_tagset.zip": NLTK + "taggers/universal_tagset.zip",
    },
}


def fetch(part: str, folder: Path) -> dict[str, str]:
    """The files of a part, in `folder`, fetched if need be: {name: sha256}.

    Raises NoNetwork if one has to be fetched and cannot be, StaleArtefact if one is not what was fetched first.
    """
    return {name: _checked(name, url, folder) for name, url in FILES[part].items()}


def _checked(name: str, url: str, folder: Path) -> str:
    """The SHA-256 of `folder/name`, fetched from `url` if it is not there, after comparing it with the recorded one."""
    path, sums = folder / name, folder / "sums.json"
    with store.lock(sums):
        known = store.read_json(sums) if sums.is_file() else {}
        if not isinstance(known, dict):
            raise StaleArtefact(f"{sums} does not hold the SHA-256 of files; delete it")
        if not path.is_file():
            _get(url, path)
        digest = store.sha256(path)
        if known.setdefault(name, digest) != digest:
            raise StaleArtefact(
                f"{path} is not what was fetched first: sha256 {digest}, recorded {known[name]}; "
                f"delete it to fetch it again, and its line in {sums} only if you trust the new one"
            )
        store.write_json(sums, known)
    return digest


def _get(url: str, path: Path) -> None:
    """Writes the content at `url` to `path`, whole or not at all, with a progress bar.  Raises NoNetwork if it cannot be had."""
    import pooch
    import requests

    print(f"fetching {url}", file=sys.stderr)
    with store.writing(path) as file:
        try:
            pooch.HTTPDownloader(progressbar=True, chunk_size=2**20, timeout=60)(url, file, None)
        except (requests.RequestException, ValueError) as e:
            raise NoNetwork(f"cannot fetch {url}: {e}") from e


class _Tables(pickle.Unpickler):
    """Reads a pickle that names no class and no function; any that does is refused before anything runs."""

    def find_class(self, module, name):
        raise BadData(f"the pickle names {module}.{name}; only containers, strings and numbers are read")

    def persistent_load(self, pid):
        raise BadData("the pickle refers to something outside itself; only containers, strings and numbers are read")


def tables(content: bytes, where: str):
    """The dicts, lists, strings and numbers of a pickle.

    Raises BadData, naming `where`, if the pickle is malformed or names any class or function, even a harmless one.
    """
    try:
        return _Tables(io.BytesIO(content)).load()
    except BadData as e:
        raise BadData(f"{where}: {e}") from None
    except Exception as e:
        raise BadData(f"{where}: not a pickle of plain tables ({type(e).__name__}: {e})") from e


class Vectors:
    """Counter-fitted vectors and the 50 nearest words of each, as TextAttack's WordEmbedding uses them."""

    def __init__(self, path: Path):
        """`path`: the fetched zip.  Raises BadData if it is not what TextAttack ships."""
        try:
            with zipfile.ZipFile(path) as archive:
                inside = {name.rsplit("/", 1)[-1]: name for name in archive.namelist()}
                self.matrix = np.load(io.BytesIO(archive.read(inside["paragram.npy"])), allow_pickle=False)
                self.nearest = np.load(io.BytesIO(archive.read(inside["nn.npy"])), allow_pickle=False)
                self.rows = tables(archive.read(inside["wordlist.pickle"]), f"{path}: wordlist.pickle")
            self._check()
        except (*BROKEN, KeyError) as e:
            raise BadData(f"{path}: not TextAttack's archive of counter-fitted vectors ({e})") from e
        self.words = {row: word for word, row in self.rows.items()}

    def _check(self) -> None:
        """Raises ValueError unless the words are numbered as the rows of both tables are."""
        near, rows = self.nearest, self.rows
        if self.matrix.ndim != 2 or self.matrix.dtype.kind != "f":
            raise ValueError("paragram.npy does not hold vectors")
        n = len(self.matrix)
        if near.ndim != 2 or len(near) != n or near.dtype.kind not in "iu" or not ((near >= 0) & (near < n)).all():
            raise ValueError("nn.npy does not hold rows of paragram.npy")
        if not isinstance(rows, dict) or not all(isinstance(word, str) for word in rows):
            raise ValueError("wordlist.pickle does not number words")
        if not all(type(row) is int and 0 <= row < n for row in rows.values()):
            raise ValueError(f"wordlist.pickle names a row beyond the {n} of paragram.npy")

    def __contains__(self, word: str) -> bool:
        return word in self.rows

    def __call__(self, word: str) -> list[str]:
        """Up to 50 nearest words, nearest first."""
        near = self.nearest[self.rows[word]][1:51].tolist() if word in self.rows else []
        return [self.words[row] for row in near if row in self.words]

    def vector(self, word: str) -> np.ndarray | None:
        """The vector of a word, or None if it has none."""
        return self.matrix[self.rows[word]] if word in self.rows else None

    def distance(self, a: str, b: str) -> float:
        """The squared Euclidean distance of two known words' vectors."""
        return float(((self.matrix[self.rows[a]] - self.matrix[self.rows[b]]) ** 2).sum())

    def cosine(self, a: str, b: str) -> float:
        """The cosine of two known words' vectors."""
        x, y = self.matrix[self.rows[a]], self.matrix[self.rows[b]]
        return float(x @ y / max(np.linalg.norm(x) * np.linalg.norm(y), 1e-8))


def sememe_table(path: Path) -> dict[str, dict[str, list[str]]]:
    """TextAttack's HowNet candidates, {word: {"noun" | "verb" | "adj" | "adv": [words]}}, from its pickle, zipped or not.

    Raises BadData if the file is anything else.
    """
    content = path.read_bytes()
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                content = archive.read(archive.namelist()[0])
    except (*BROKEN, IndexError) as e:
        raise BadData(f"{path}: the archive cannot be read ({e})") from e
    table = tables(content, str(path))
    lists = table.values() if isinstance(table, dict) and all(isinstance(by, dict) for by in table.values()) else [None]
    if not all(isinstance(by, dict) and all(isinstance(w, list) for w in by.values()) for by in lists):
        raise BadData(f"{path}: not a table of words and their candidates by part of speech")
    return table


def has_sentence_encoder() -> bool:
    """Whether TensorFlow Hub, which the Universal Sentence Encoder needs, is installed."""
    return importlib.util.find_spec("tensorflow_hub") is not None


def need_sentence_encoder() -> None:
    """Raises MissingResource unless the Universal Sentence Encoder can be run."""
    if not has_sentence_encoder():
        raise MissingResource(
            f"{UNIVERSAL}, TextFooler's, needs TensorFlow Hub, which is not installed: {GET_UNIVERSAL}"
        )
