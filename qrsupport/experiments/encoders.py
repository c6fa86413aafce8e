"""Which sentence encoder is worth the name: agreement with people's grades, and what each refuses in an attack.

TextFooler lets a candidate pass if the 15 words around the new word mean what they meant before, as
a sentence encoder sees it.  An encoder whose threshold refuses nothing there is no constraint.
`compare` takes every candidate that TextFooler's other constraints let pass, one word exchanged in a
text, and asks each encoder.
"""

import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .. import config
from ..attacks import wiring
from ..data import datasets
from ..lexicons import resources, sources, universal, word_encoder
from ..quantization import export
from ..training import pretrained
from . import coverage

from textattack.shared import AttackedText  # isort: skip

MINILM = "minilm-l6"
VERSIONS = ("qrsupport", "textattack", "onnxruntime", "nltk", "numpy")


class Pooled(word_encoder.Encoder):
    """all-MiniLM-L6-v2 as it was made to be used: the mean of the last layer over the tokens, unit length.

    In ONNX Runtime, one thread, a text at a time.  Not used by any attack: it is compared.
    """

    dimensions, threshold = 384, None

    def __init__(self, folder: Path):
        import onnxruntime
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        with tempfile.TemporaryDirectory() as room:
            file = Path(room) / "pooled.onnx"
            _export(folder, file)
            self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def encode(self, texts) -> np.ndarray:
        ids = [np.array([self.tokenizer.encode(text).ids], np.int64) for text in texts]
        found = [self.session.run(None, {"input_ids": row})[0][0] for row in ids]
        return np.array([v / np.linalg.norm(v) for v in found], np.float64).reshape(-1, self.dimensions)


def _export(folder: Path, file: Path) -> None:
    """Writes the mean of the last layer of the BERT in `folder`, for texts of one length, as ONNX."""
    import torch
    from transformers import AutoModel

    class Mean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModel.from_pretrained(folder, local_files_only=True, trust_remote_code=False,
                                                   use_safetensors=True, dtype=torch.float32)  # fmt: skip

        def forward(self, input_ids):
            return self.model(input_ids, torch.ones_like(input_ids)).last_hidden_state.mean(1)

    with export.quiet():
        torch.onnx.export(
            Mean().eval(), (torch.ones(2, 8, dtype=torch.long),), str(file), dynamo=False, opset_version=export.OPSET,
            input_names=["input_ids"], output_names=["vectors"], dynamic_axes={"input_ids": {0: "batch", 1: "length"}},
        )  # fmt: skip


def all_encoders() -> dict[str, word_encoder.Encoder]:
    """The encoders that are compared, by name.  Raises MissingResource, naming what to fetch, if one is not at hand."""
    return {
        "word vectors": word_encoder.Text(sources.encoder_folder()[0]),
        "all-MiniLM-L6-v2": Pooled(pretrained.folder(MINILM)),
        "Universal Sentence Encoder": universal.Universal(sources.universal_folder()[0]),
    }


def candidates(p: config.Parameters) -> tuple[float, int, list[tuple[str, str]]]:
    """What TextFooler would ask its sentence encoder first: (the recipe's threshold, texts, windows before and after).

    Of `p.n` texts of the evaluation split those of 15 words or more, in each every candidate for one
    word that the other constraints let pass; a window is the 15 words around it.
    """
    attack = wiring.build("textfooler", resources.load(p.resources, p.network, "textfooler"), wiring.Wrapper(None))
    (constraint,) = [c for c in attack.constraints if isinstance(c, wiring.Encoded)]
    attack.constraints.remove(constraint)
    split, found, texts = datasets.load(p).eval_split(), [], 0
    for i in datasets.sample(split, p.n, p.attack_seed):
        text = AttackedText(split.texts[i])
        if text.num_words < constraint.window_size:
            continue
        texts += 1
        for changed in attack.get_transformations(text, text):
            (place,) = changed.attack_attrs["newly_modified_indices"]
            found.append(tuple(t.text_window_around_index(place, constraint.window_size) for t in (text, changed)))
    return constraint.threshold, texts, found


def published(folder: Path, window: int = 15) -> list[tuple[str, str]]:
    """Windows before and after of single substitutions in logs of TextFooler that ran with its own encoder.

    Its encoder let each of them pass, in texts of `window` words or more.
    """
    found = []
    for pairs in coverage.logs(folder, "").values():
        for pair in pairs:
            texts = [AttackedText(text) for text in (pair.before, pair.after)]
            places = [i for i, (a, b) in enumerate(zip(*(t.words for t in texts), strict=False)) if a != b]
            if len(pair.swaps) == len(places) == 1 and texts[0].num_words == texts[1].num_words >= window:
                found.append(tuple(t.text_window_around_index(places[0], window) for t in texts))
    return sorted(set(found))


def similarities(one: word_encoder.Encoder, windows: list[tuple[str, str]]) -> tuple[np.ndarray, float]:
    """The angular similarity of each pair of windows, and the milliseconds that a distinct window took."""
    distinct = list(dict.fromkeys(w for pair in windows for w in pair))
    start = time.perf_counter()
    vectors = dict(zip(distinct, one.encode(distinct), strict=True))
    spent = 1000 * (time.perf_counter() - start) / max(1, len(distinct))
    before, after = (np.stack([vectors[w] for w in side]) for side in zip(*windows, strict=True))
    return word_encoder.angular(before, after), spent


def compare(p: config.Parameters, logs: Path | None = None) -> list[dict]:
    """A row an encoder: STS-B by part, its threshold and whose it is, candidates refused of how many, time a window.

    `logs`: a folder of published logs of TextFooler; then also how many of their single substitutions pass.
    """
    recipe, texts, windows = candidates(p)
    data, _ = sources.data_files(*(word_encoder.STS.format(part) for part in ("dev", "test")))
    theirs, rows = published(logs) if logs else [], []
    for name, one in all_encoders().items():
        grades = word_encoder.calibrate(one, data)
        own = isinstance(one, universal.Universal)
        threshold = recipe if own else grades["threshold"]
        found, spent = similarities(one, windows)
        row = {
            "encoder": name,
            "threshold": threshold,
            "from": "recipe" if own else "STS-B",
            "calibrated": grades["threshold"],
            "texts": texts,
            "candidates": len(found),
            "refused": int((found < threshold).sum()),
            "refused_calibrated": int((found < grades["threshold"]).sum()),
            "milliseconds": round(spent, 2),
        }
        row |= {f"pearson_{part['part']}": part["pearson"] for part in grades["parts"]}
        if theirs:
            passed = similarities(one, theirs)[0] >= threshold
            row |= {"published": len(theirs), "published_passed": int(passed.sum())}
        rows.append(row)
    return rows


def measure(p: config.Parameters, textfooler: Path | None = None, spaces: Path | None = None) -> dict:
    """What `qrsupport candidates` writes, numbers and names: `encoders` of `compare`; and, from published logs by
    search space in the folder `spaces`, `coverage` of `coverage.measure` and `added` of `coverage.beyond`."""
    found: dict = {"parameters": {name: getattr(p, name) for name in ("dataset", "resources", "n", "attack_seed")},
             "versions": {name: version(name) for name in VERSIONS}, "coverage": [], "added": {}}  # fmt: skip
    if spaces:
        found |= {"coverage": coverage.measure(spaces), "added": coverage.beyond()}
    return found | {"encoders": compare(p, textfooler)}
