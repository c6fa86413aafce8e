"""How fast this machine is: models of the backbones' shapes with random weights, in ONNX Runtime and in one step of
fine-tuning.

A backbone is measured as a BERT of its depth and width, of a few made-up tokens: what is not at hand needs no network,
and weights and vocabulary do not change the time.  Imports torch inside functions.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import catalog, config, store
from ..data import datasets
from ..quantization import export, victim
from ..training import backbones

TOKENS, STEP = 28, 8
"""Tokens of a measured text; examples of a measured step."""


@dataclass(frozen=True)
class Pace:
    """Seconds a text in 32-bit and in 8-bit (one thread), seconds an example of fine-tuning; `measured` or scaled."""

    fp32: float
    int8: float
    tuning: float
    measured: bool = True

    def scaled(self, factor: float) -> "Pace":
        return Pace(self.fp32 * factor, self.int8 * factor, self.tuning * factor, False)


def shape(backbone: str) -> tuple[int, int, int]:
    """Layers, width and heads; BERT-base's for a backbone that is not in the catalogue."""
    return catalog.BACKBONES[backbone].shape if backbone in catalog.BACKBONES else catalog.BackboneEntry.shape


def weights(size: tuple[int, int, int]) -> int:
    """Weights of the layers."""
    return 12 * size[0] * size[1] ** 2


def paces(names, seconds: float, say: Callable[[str], None]) -> dict[str, Pace]:
    """The pace of each backbone; shapes are measured from the smallest on until `seconds` have passed.

    The others are scaled from the largest measured one, by the weights of their layers.
    """
    start, took, found = time.monotonic(), 0.0, {}
    for size in sorted({shape(name) for name in names}, key=weights):
        passed, last = time.monotonic() - start, max(found, key=weights, default=None)
        # The next is not begun if it would end too late at the pace of the last one.
        if last and passed + took * weights(size) / weights(last) > seconds:
            break
        say(f"measuring a model of {size[0]} layers of {size[1]} ({passed:.0f} s so far)")
        begun = time.monotonic()
        found[size] = measure(size)
        took = time.monotonic() - begun
    largest = max(found, key=weights)
    return {
        name: found.get(shape(name)) or found[largest].scaled(weights(shape(name)) / weights(largest)) for name in names
    }


def measure(size: tuple[int, int, int]) -> Pace:
    """The pace of one shape."""
    with tempfile.TemporaryDirectory(prefix="qr-pace-") as room:
        p = config.make(run_dir=room, backbone="bert-small")
        checkpoint = Path(room) / "checkpoint"
        tuning = _tuning(_write(size, checkpoint))
        fp32, int8 = (_asking(executable(p, checkpoint, variant)) for variant in ("fp32", "int8-dynamic"))
    return Pace(fp32, int8, tuning)


def executable(p: config.Parameters, checkpoint: Path, variant: str) -> Path:
    """A checkpoint that was not fine-tuned here, as FP32 or int8 dynamic ONNX in a variant's folder."""

    def build(room: Path) -> None:
        about = {"labels": list(datasets.load(p).labels), "max_length": p.max_length, "pad_id": 0, "precision": variant}
        file = room / ("fp32.onnx" if variant == "int8-dynamic" else "model.onnx")
        about["inputs"] = export.to_onnx(checkpoint, file)
        if variant == "int8-dynamic":
            export.quantize(file, room / "model.onnx", False, False, "QInt8")
            file.unlink()
        store.write_bytes(room / "tokenizer.json", (checkpoint / "tokenizer.json").read_bytes())
        store.write_json(room / "variant.json", about)

    depends = {"checkpoint": store.sha256(checkpoint / "model.safetensors"), "variant": variant}
    return store.made(config.run_dir(p) / "bench" / f"{variant}-{config.key(depends)}", depends, build)


def _write(size: tuple[int, int, int], folder: Path):
    """Writes a random model of this shape with a tokenizer of a few tokens; returns the model."""
    import transformers as hf

    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join((*backbones.SPECIAL, "word")) + "\n", "utf-8")
    hf.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    layers, width, heads = size
    model = hf.BertForSequenceClassification(
        hf.BertConfig(
            vocab_size=len(backbones.SPECIAL) + 1, num_hidden_layers=layers, hidden_size=width,
            num_attention_heads=heads, intermediate_size=4 * width,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    return model


def _tuning(model) -> float:
    """Seconds an example of one step of AdamW, on the device and threads that `train` takes."""
    import torch

    from ..training import fine_tuning

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(fine_tuning.THREADS)
    model = model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    ids, labels = torch.ones((STEP, TOKENS), dtype=torch.long, device=device), torch.zeros(STEP, dtype=torch.long)
    for _ in range(2):  # the first is for warming up
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(input_ids=ids).logits, labels.to(device))
        loss.backward()
        optimizer.step()
        loss.detach().item()
    torch.set_num_threads(threads)
    return (time.perf_counter() - start) / STEP


def _asking(folder: Path) -> float:
    """Median seconds a text of one thread, asked one at a time, as attacks ask."""
    model, text = victim.Victim(folder), " ".join(["word"] * (TOKENS - 2))
    model([text])
    times = []
    while len(times) < 5 or (sum(times) < 2 and len(times) < 100):
        start = time.perf_counter()
        model([text])
        times.append(time.perf_counter() - start)
    return statistics.median(times)
