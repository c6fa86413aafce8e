"""Asking a classifier: one text, one answer, whatever the company.

Imports neither torch nor transformers.  An answer depends on the model's file and the text alone:
each text is asked by itself, unpadded, because dynamic quantization takes one activation range a
tensor, which a neighbour or padding would change.

8-bit products: on x86 CPUs with AVX2 or AVX512 but no VNNI, ONNX Runtime's fastest kernel
(unsigned activations, signed weights) adds pairs of products in 16 bits and saturates.  The session
option `session.x64quantprecision` makes it take the exact kernel there; CPUs with VNNI and ARM are
exact anyway.  It is always set, so that an int8 answer is not a property of the CPU.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from . import store
from .errors import BadCheckpoint

EXACT = ("session.x64quantprecision", "1")


class Victim:
    """An executable classifier in a folder with model.onnx, tokenizer.json and variant.json.

    `labels` in class order; `max_length` in tokens; `digest` is the SHA-256 of model.onnx.
    """

    def __init__(self, path: Path, threads: int = 1, exact: bool = True):
        self.path = Path(path)
        about = _read(self.path)
        self.labels: tuple[str, ...] = tuple(about["labels"])
        self.max_length: int = about["max_length"]
        self.pad: int = about["pad_id"]
        self.inputs: tuple[str, ...] = tuple(about["inputs"])
        self.digest: str = store.sha256(self.path / "model.onnx")
        self.tokenizer = _tokenizer(self.path / "tokenizer.json", self.max_length)
        self.session = _session(self.path / "model.onnx", threads, exact)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Logits, shape (len(texts), classes), float32; any string is a valid text."""
        found = [self._ask([encoding.ids])[0] for encoding in map(self._encode, texts)]
        return np.stack(found) if found else np.zeros((0, len(self.labels)), np.float32)

    def truncated(self, text: str) -> bool:
        """Whether the text is longer than `max_length` tokens, so that its end is not read."""
        return bool(self._encode(text).overflowing)

    def ids(self, text: str) -> list[int]:
        """The token ids that the classifier is given for a text."""
        return self._encode(text).ids

    def _encode(self, text: str):
        return self.tokenizer.encode(clean(text))

    def _ask(self, ids: list[list[int]]) -> np.ndarray:
        """Logits of token ids, padded to the longest: shape (len(ids), classes)."""
        width = max(map(len, ids))
        padded = np.array([row + [self.pad] * (width - len(row)) for row in ids], np.int64)
        mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in ids], np.int64)
        given = {"input_ids": padded, "attention_mask": mask, "token_type_ids": np.zeros_like(padded)}
        return self.session.run(None, {name: given[name] for name in self.inputs})[0]


def load(path: Path, threads: int = 1) -> Victim:
    """The classifier in folder `path`, with `threads` threads inside an operation.

    Raises BadCheckpoint naming the file if one is missing or unreadable.
    """
    return Victim(path, threads)


def clean(text: str) -> str:
    """`text` with each lone surrogate replaced by U+FFFD, so that it can be encoded."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis in float64, so that rows sum to one within 1e-12."""
    shifted = np.asarray(logits, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def predict(victim: Victim, texts: Sequence[str], progress: bool = False) -> np.ndarray:
    """Logits of many texts, asked one at a time, with a progress bar if wanted."""
    from tqdm.auto import tqdm

    found = [victim([text]) for text in tqdm(texts, desc=f"ask {victim.path.name}", unit="text", disable=not progress)]
    return np.concatenate(found) if found else victim([])


def padded_batch(victim: Victim, texts: Sequence[str]) -> np.ndarray:
    """Logits of the texts padded to one length and asked together: what not to do with a quantized model."""
    return victim._ask([encoding.ids for encoding in map(victim._encode, texts)])


def _read(path: Path) -> dict:
    for name in ("model.onnx", "tokenizer.json", "variant.json"):
        if not (path / name).is_file():
            raise BadCheckpoint(f"{path / name} is missing; delete {path} so that it is made again")
    try:
        about = json.loads((path / "variant.json").read_text("utf-8"))
        return {key: about[key] for key in ("labels", "max_length", "pad_id", "inputs")}
    except (ValueError, KeyError, TypeError) as e:
        raise BadCheckpoint(
            f"{path / 'variant.json'} is not a variant's ({type(e).__name__}: {e}); delete {path}"
        ) from e


def _tokenizer(file: Path, max_length: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as e:  # the library raises plain Exception
        raise BadCheckpoint(f"{file} is not a tokenizer ({e}); delete {file.parent}") from e
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def _session(file: Path, threads: int, exact: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    if exact:
        options.add_session_config_entry(*EXACT)
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime's exceptions share no public base
        raise BadCheckpoint(f"{file} does not load in ONNX Runtime ({e}); delete {file.parent}") from e
