"""Asking a classifier: one text, one answer, whatever the company.

Imports neither torch nor transformers (on a GPU, torch).  An answer depends on the model's file and the text alone:
each text is asked by itself, unpadded, because dynamic quantization takes one activation range a
tensor, which a neighbour or padding would change.  Texts of one length are asked together where
`batching` says that the answers stay the same to the last bit, and why; a seeded sample of all
answers, one in `ONE_IN`, is asked again alone, and a difference ends the run.

8-bit products: where the machine's fastest kernel gets products wrong (`batching.saturates`, asked
once a process), the exact one is taken, so that an int8 answer is not a property of the CPU.
"""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path

import numpy as np
import onnxruntime
from scipy.special import softmax
from tokenizers import Tokenizer

from .. import store
from ..errors import BadCheckpoint, DependentAnswers
from . import batching, weights

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
ONE_IN = 100
"""One answer in so many is asked again alone."""


class Victim:
    """An executable classifier in a folder with model.onnx, tokenizer.json and variant.json.

    `labels` in class order; `max_length` in tokens; `digest` is `weights.digest`, `bytes` the size of model.onnx and its weights
    (if simulated, that of a file which stored its weights at their width).  `exact`: whether to take the exact 8-bit
    kernel; None: where this machine's fastest one saturates.  `device`: "cpu", or "cuda", where PyTorch runs what is no
    kernel for CPUs.  `asked_by`: what the answers depend on beside the file.
    """

    def __init__(self, path: Path, threads: int = 1, exact: bool | None = None, device: str = "cpu"):
        self.path = Path(path)
        about = _read(self.path)
        self.labels: tuple[str, ...] = tuple(about["labels"])
        self.max_length: int = about["max_length"]
        self.pad: int = about["pad_id"]
        self.inputs: tuple[str, ...] = tuple(about["inputs"])
        self.digest: str = weights.digest(self.path)
        self.bytes: int = about["bytes"] or (self.path / "model.onnx").stat().st_size
        self.tokenizer = _tokenizer(self.path / "tokenizer.json", self.max_length)
        self.device = batching.place(about["precision"], device)
        self.together = batching.most(about["precision"], about["architecture"], self.device)
        exact = batching.saturates() if exact is None else exact
        if self.device == "cpu":
            self.session = _session(self.path / "model.onnx", threads, exact)
            self.asked_by: tuple = onnxruntime.__version__, exact
        else:
            from . import on_torch

            self.session = on_torch.Session(self.path / "model.onnx", self.device)
            self.asked_by = on_torch.version(self.device)
        self._check_fit()
        self._special: list[int] = self.tokenizer.encode("").ids
        self._piece = lru_cache(2**16)(self._piece_ids) if by_piece(self.tokenizer) else None
        self._draw, self._shared = random.Random(self.digest), False

    def _check_fit(self) -> None:
        """Raises BadCheckpoint unless the model has a row for the tokenizer's last token and an answer for each label."""
        try:
            found = self._ask([[max(0, self.tokenizer.get_vocab_size() - 1), self.pad]])
            fits = found.shape == (1, len(self.labels)) and found.dtype.kind == "f"
        except Exception as e:  # onnxruntime's exceptions share no public base
            raise BadCheckpoint(
                f"{self.path}: model.onnx does not fit tokenizer.json and variant.json ({str(e)[:300]}); delete it"
            ) from e
        if not fits:
            raise BadCheckpoint(
                f"{self.path}: model.onnx answers {found.shape[1:]} numbers, variant.json names {len(self.labels)} labels"
            )

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Logits, shape (len(texts), classes), float32; any string is a valid text.

        Raises DependentAnswers if a text of the sample gets another answer alone.
        """
        found = np.zeros((len(texts), len(self.labels)), np.float32)
        same_length = defaultdict(list)
        ids = [self.ids(text) for text in texts]
        for i, row in enumerate(ids):
            same_length[len(row)].append(i)
        for places in same_length.values():
            for start in range(0, len(places), self.together):
                some = places[start : start + self.together]
                found[some] = self._ask([ids[i] for i in some])
                for i in self._sample(some):
                    self._check_alone(ids[i], found[i], len(some))
        return found

    def _sample(self, places: list[int]) -> list[int]:
        """Those of the places of texts asked together that are asked again; the first time, at least one."""
        drawn = [i for i in places if self._draw.random() * ONE_IN < 1]
        first = len(places) > 1 and not self._shared
        self._shared |= len(places) > 1
        return (drawn or places[-1:]) if first else drawn

    def _check_alone(self, ids: list[int], found: np.ndarray, among: int) -> None:
        alone = self._ask([ids])[0]
        if not np.array_equal(alone, found, equal_nan=True):
            raise DependentAnswers(
                f"{self.path}: a text of {len(ids)} tokens has logits {found.tolist()} among {among} and {alone.tolist()} "
                "alone; delete the records of this run and set QRSUPPORT_ALONE=1, which asks each text alone"
            )

    def ids(self, text: str) -> list[int]:
        """Token ids with the special ones, at most `max_length`; the same as the tokenizer's for the whole text."""
        if self._piece is None:
            return self._encode(text).ids
        start, end = self._special
        pieces = chain.from_iterable(map(self._piece, clean(text).split(" ")))
        return [start, *islice(pieces, self.max_length - 2), end]

    def _piece_ids(self, piece: str) -> list[int]:
        return self.tokenizer.encode(piece, add_special_tokens=False).ids

    def truncated(self, text: str) -> bool:
        """Whether the text is longer than `max_length` tokens, so that its end is not read."""
        return bool(self._encode(text).overflowing)

    def _encode(self, text: str):
        return self.tokenizer.encode(clean(text))

    def _ask(self, ids: list[list[int]]) -> np.ndarray:
        """Logits of token ids, padded to the longest: shape (len(ids), classes).

        On a GPU a call is filled to `together` rows: another number of rows may take another kernel, with other sums.
        Raises BadCheckpoint if the model cannot take what the tokenizer gives.
        """
        rows = ids if self.device == "cpu" else ids + ids[-1:] * (self.together - len(ids))
        try:
            return self.session.run(None, self.inputs_of(rows))[0][: len(ids)]
        except Exception as e:  # onnxruntime's exceptions share no public base
            raise BadCheckpoint(
                f"{self.path / 'model.onnx'} cannot take the tokens of {self.path / 'tokenizer.json'} "
                f"({str(e)[:200]}); delete {self.path} so that it is made again"
            ) from e

    def inputs_of(self, ids: list[list[int]]) -> dict[str, np.ndarray]:
        """The model's inputs for token ids, padded to the longest: each int64, shape (len(ids), length)."""
        width = max(map(len, ids))
        padded = np.array([row + [self.pad] * (width - len(row)) for row in ids], np.int64)
        mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in ids], np.int64)
        given = {"input_ids": padded, "attention_mask": mask, "token_type_ids": np.zeros_like(padded)}
        return {name: given[name] for name in self.inputs}


def by_piece(tokenizer: Tokenizer) -> bool:
    """Whether a text's tokens are those of its pieces between spaces, one after the other.

    So it is for BERT's tokenizer: it normalizes character by character and splits at white space
    before anything else, and puts one token before and one behind.
    """
    about = json.loads(tokenizer.to_str())
    parts = ("normalizer", "BertNormalizer"), ("pre_tokenizer", "BertPreTokenizer"), ("model", "WordPiece")
    if not all((about[part] or {}).get("type") == kind for part, kind in parts):
        return False
    plain = not any(token["lstrip"] or token["rstrip"] for token in about["added_tokens"])
    return plain and len(tokenizer.encode("").ids) == 2


def clean(text: str) -> str:
    """`text` with each lone surrogate replaced by U+FFFD, so that it can be encoded."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis in float64, so that rows sum to one within 1e-12."""
    return softmax(np.asarray(logits, np.float64), axis=-1)


def predict(victim: Victim, texts: Sequence[str], progress: bool = False) -> np.ndarray:
    """Logits of many texts, each the one that it gets alone, with a progress bar if wanted."""
    from tqdm.auto import tqdm

    found, some = [], 8 * batching.LARGEST  # enough for texts of one length to meet
    with tqdm(total=len(texts), desc=f"ask {victim.path.name}", unit="text", disable=not progress) as bar:
        for start in range(0, len(texts), some):
            found.append(victim(texts[start : start + some]))
            bar.update(len(found[-1]))
    return np.concatenate(found) if found else victim([])


def padded_batch(victim: Victim, texts: Sequence[str]) -> np.ndarray:
    """Logits of the texts padded to one length and asked together: what not to do with a quantized model."""
    return victim._ask([encoding.ids for encoding in map(victim._encode, texts)])


def _read(path: Path) -> dict:
    for name in ("model.onnx", "tokenizer.json", "variant.json"):
        if not (path / name).is_file():
            raise BadCheckpoint(f"{path / name} is missing; delete {path} so that it is made again")
    about = store.read_json(path / "variant.json", BadCheckpoint, f"delete {path}")
    good: dict = {} if not isinstance(about, dict) else {
        "labels": _names(about.get("labels")),
        "max_length": _whole(about.get("max_length")) and about["max_length"] > 2,
        "pad_id": _whole(about.get("pad_id")),
        "inputs": _names(about.get("inputs")) and set(about["inputs"]) <= set(INPUTS),
        "precision": isinstance(about.get("precision"), str),
        "architecture": isinstance(about.get("architecture", ""), str),
        "bytes": about.get("bytes") is None or _whole(about["bytes"]),
    }
    if not good or not all(good.values()):
        wrong = ", ".join(name for name in good if not good[name]) or "an object was expected"
        raise BadCheckpoint(f"{path / 'variant.json'} is not a variant's ({wrong}); delete {path}")
    return {"bytes": None, "architecture": ""} | about


def _names(value) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


def _whole(value) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _tokenizer(file: Path, max_length: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        tokenizer.encode("any text")
    except Exception as e:  # the library raises plain Exception
        raise BadCheckpoint(f"{file} is not a tokenizer ({e}); delete {file.parent}") from e
    return tokenizer


def _session(file: Path, threads: int, exact: bool) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(str(file), batching.options(threads, exact), providers=batching.PROVIDERS)
    except Exception as e:  # onnxruntime's exceptions share no public base
        raise BadCheckpoint(f"{file} does not load in ONNX Runtime ({e}); delete {file.parent}") from e
