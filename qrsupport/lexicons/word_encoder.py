"""Sentence encoders: what any does, and two that need no download.

They take the place of the Universal Sentence Encoder (universal.py) where it is not at hand, and
average one vector a word.  `Concepts` (embedded) has no training: words of one concept share
most of their vector.  `Text` (local) learns vectors from reviews by PPMI and a truncated SVD (Levy,
Goldberg & Dagan 2015) and weighs words by a / (a + p(word)) (Arora, Liang & Ma 2017), and its
threshold is calibrated on STS-B.  Similarities are angular, 1 - angle / pi, as in TextAttack.
"""

import functools
import gzip
import hashlib
import itertools
import json
import re
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from ..errors import BadData, MissingResource

WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
REVIEWS = "imdb/unsup.jsonl.gz"
STS = "sts/stsbenchmark/sts-{}.csv"
MADE: dict = {
    "reviews": 25_000,
    "window": 5,
    "least": 10,
    "dimensions": 200,
    "smoothing": 0.75,
    "iterations": 4,
    "sif": 1e-4,
    "version": 1,
}
SHARES: dict = {"word": 1.5, "concept": 3.0, "stop word": 0.2, "dimensions": 64}
SIMILAR = 4.0
"""STS-B grades from here on count as "means the same": only unimportant details differ."""


def words(text: str) -> list[str]:
    """The words of a text, lower case."""
    return WORD.findall(text.lower().replace("’", "'"))


@functools.lru_cache(1 << 15)
def arbitrary(name: str, dimensions: int) -> np.ndarray:
    """A unit vector that depends on `name` alone, the same on every machine."""
    seed = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    return vector / np.linalg.norm(vector)


def angular(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """1 - angle / pi between the rows of `a` and `b`, in [0, 1]; float64."""
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosine = np.sum(a * b, axis=-1) / np.maximum(norms, 1e-12)
    return 1 - np.arccos(np.clip(cosine, -1, 1)) / np.pi


class Encoder:
    """`encode(texts)` gives (len(texts), dimensions) float64; a text without words gets one fixed vector.

    `threshold` is the least angular similarity at which a recipe's sentence constraint lets a text pass; None if
    the recipe's own threshold is right for this encoder.
    """

    dimensions: int
    threshold: float | None

    def encode(self, texts) -> np.ndarray:
        """One row a text, which does not depend on the other texts."""
        raise NotImplementedError

    def similarity(self, a: str, b: str) -> float:
        """The angular similarity of two texts."""
        return float(angular(self.encode([a]), self.encode([b]))[0])


class Averaging(Encoder):
    """An encoder that averages one vector a word."""

    def __init__(self):
        self._word = functools.lru_cache(1 << 16)(self.word)

    def word(self, word: str) -> np.ndarray:
        """The weighted vector of a lower-case word."""
        raise NotImplementedError

    def encode(self, texts) -> np.ndarray:
        return np.stack([self._encode(text) for text in texts]) if len(texts) else np.zeros((0, self.dimensions))

    def _encode(self, text: str) -> np.ndarray:
        found = [self._word(w) for w in words(text)]
        return np.add.reduce(found) / len(found) if found else arbitrary("", self.dimensions)


class Concepts(Averaging):
    """Word vectors from the embedded lexicon: weighed as `SHARES` says.

    The threshold is TextFooler's own (0.5 in its code, divided by pi as TextAttack explains).
    """

    dimensions = SHARES["dimensions"]
    threshold = 0.840845057

    def __init__(self, concepts: dict[str, list[str]], stop_words):
        super().__init__()
        self.concepts, self.stop_words = concepts, stop_words

    def word(self, word: str) -> np.ndarray:
        vector = SHARES["word"] * arbitrary(f"word {word}", self.dimensions)
        names = self.concepts.get(word, [f"only {word}"])
        shared = np.mean([arbitrary(f"concept {n}", self.dimensions) for n in names], axis=0)
        vector = vector + SHARES["concept"] * shared
        return vector * (SHARES["stop word"] if word in self.stop_words else 1.0)


class Text(Averaging):
    """Word vectors learnt from reviews.  A word seen too seldom gets a vector of its own and full weight.

    Ignoring such words instead would let every swap to a rare word pass as no change at all.
    """

    dimensions = MADE["dimensions"]

    def __init__(self, folder: Path):
        super().__init__()
        vocabulary = json.loads((folder / "words.json").read_text("utf-8"))
        self.rows = {w: i for i, w in enumerate(vocabulary)}
        self.vectors = np.load(folder / "vectors.npy", allow_pickle=False)
        counts = np.load(folder / "counts.npy", allow_pickle=False)
        self.weights = MADE["sif"] / (MADE["sif"] + counts / counts.sum())
        self.threshold = json.loads((folder / "calibration.json").read_text("utf-8"))["threshold"]

    def word(self, word: str) -> np.ndarray:
        row = self.rows.get(word)
        if row is None:
            return arbitrary(word, self.dimensions)
        return self.vectors[row].astype(np.float64) * self.weights[row]


def read_reviews(path: Path, most: int):
    """The first `most` reviews as lists of words.

    Raises BadData, with file and line, if a line is not JSON with a `text` or the file ends in the middle.
    """
    number = 0
    try:
        with gzip.open(path, "rb") as f:
            for number, line in enumerate(itertools.islice(f, most), 1):  # noqa: B007  named in the errors below
                yield words(json.loads(line)["text"].replace("<br />", " "))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise BadData(f"{path}:{number}: not JSON with a text ({e})") from e
    except (OSError, EOFError, zlib.error) as e:
        raise BadData(f"{path}: not a whole gzip file, line {number} was the last ({e}); restore it") from e


def cooccurrence(documents: list[list[str]], rows: dict[str, int], window: int):
    """Sparse symmetric counts (words, words) of pairs at most `window` words apart in one document."""
    from scipy import sparse

    ids = np.concatenate([np.array([rows.get(w, -1) for w in d] + [-1] * window, np.int32) for d in documents])
    counts = sparse.csr_matrix((len(rows), len(rows)), dtype=np.float32)
    for step in range(1, window + 1):
        a, b = ids[:-step], ids[step:]
        both = (a >= 0) & (b >= 0)
        counts = counts + sparse.csr_matrix((np.ones(both.sum(), np.float32), (a[both], b[both])), shape=counts.shape)
    return counts + counts.T


def ppmi(counts, smoothing: float):
    """Positive pointwise mutual information of sparse counts, contexts' counts raised to `smoothing`."""
    from scipy import sparse

    word = np.asarray(counts.sum(axis=1)).ravel()
    context = word**smoothing / (word**smoothing).sum()
    c = counts.tocoo()
    values = np.log(c.data / (word[c.row] * context[c.col]))
    kept = values > 0
    return sparse.csr_matrix((values[kept], (c.row[kept], c.col[kept])), shape=counts.shape)


def build(data: Path, room: Path) -> dict:
    """Learns the vectors and calibrates the threshold, into `room`, in half a minute; for `store.made`."""
    from sklearn.utils.extmath import randomized_svd
    from tqdm.auto import tqdm

    reviews = read_reviews(data / REVIEWS, MADE["reviews"])
    documents = list(tqdm(reviews, "sentence encoder: reading reviews", total=MADE["reviews"], mininterval=1))
    counted = Counter(w for d in documents for w in d)
    vocabulary = sorted((w for w, n in counted.items() if n >= MADE["least"]), key=lambda w: (-counted[w], w))
    with tqdm(total=3, desc="sentence encoder: word vectors (about 20 s)") as bar:
        counts = cooccurrence(documents, {w: i for i, w in enumerate(vocabulary)}, MADE["window"])
        bar.update()
        matrix = ppmi(counts, MADE["smoothing"])
        bar.update()
        vectors, _, _ = randomized_svd(matrix, MADE["dimensions"], n_iter=MADE["iterations"], random_state=0)
        bar.update()
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    np.save(room / "vectors.npy", vectors.astype(np.float32))
    np.save(room / "counts.npy", np.array([counted[w] for w in vocabulary], np.float64))
    (room / "words.json").write_text(json.dumps(vocabulary), "utf-8")
    (room / "calibration.json").write_text('{"threshold": 0}', "utf-8")
    found = calibrate(Text(room), data)
    (room / "calibration.json").write_text(json.dumps(found, indent=1), "utf-8")
    return {"words": len(vocabulary), "threshold": found["threshold"]}


def read_sts(path: Path) -> tuple[np.ndarray, list[str], list[str]]:
    """Grades (0 to 5) and the two sentences of each pair of an STS-B file.

    Raises MissingResource if it is not there, BadData, with file and line, if a line is malformed.
    """
    if not path.is_file():
        raise MissingResource(f"the sentence encoder's threshold is calibrated on {path}, which is not there")
    grades, left, right = [], [], []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            fields = line.decode("utf-8").split("\t")
            grades.append(float(fields[4]))
            left.append(fields[5])
            right.append(fields[6])
        except (IndexError, ValueError) as e:
            raise BadData(f"{path}:{number}: expected seven tab-separated fields with a grade in the fifth") from e
    return np.array(grades), left, right


def youden(similarities: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    """The threshold that maximises J = P(sim ≥ t | same) - P(sim ≥ t | not same), and that J."""
    order = np.argsort(-similarities, kind="stable")
    hits = np.cumsum(same[order]) / same.sum()
    alarms = np.cumsum(~same[order]) / (~same).sum()
    best = int(np.argmax(hits - alarms))
    return float(similarities[order][best]), float((hits - alarms)[best])


def calibrate(encoder: Encoder, data: Path) -> dict:
    """Threshold from STS-B dev (grades of at least SIMILAR against the rest), and how it does on dev and test."""
    found: dict = {"threshold": 0.0, "parts": []}
    for part in ("dev", "test"):
        grades, left, right = read_sts(data / STS.format(part))
        similarities, same = angular(encoder.encode(left), encoder.encode(right)), grades >= SIMILAR
        if part == "dev":
            found["threshold"] = youden(similarities, same)[0]
        passes = similarities >= found["threshold"]
        found["parts"].append(
            {
                "part": part,
                "pairs": len(grades),
                "pearson": float(np.corrcoef(grades, similarities)[0, 1]),
                "threshold": found["threshold"],
                "same that pass": float(passes[same].mean()),
                "different that pass": float(passes[~same].mean()),
            }
        )
    return found
