"""Fine-tuning: one loop for every checkpoint; adversarial training is the same loop with more examples.

Two runs with the same parameters on the same machine give the same checkpoint files, byte for
byte; times and the host's name are kept beside them, in the artefact's meta.
"""

import contextlib
import dataclasses
import json
import os
import platform
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path

from .. import catalog, config, records, store
from ..data import datasets
from ..errors import CannotRun
from ..escaping import markdown
from . import backbones, given, rounding

OPTIONS = dict.fromkeys(("base", "other-seed", *rounding.BITS), ()) | dict.fromkeys(catalog.LEARNED_FROM, catalog.ADVERSARIAL_OPTIONS)
VERSIONS = ("torch", "transformers", "tokenizers")
THREADS = 1
WARM_UP, WEIGHT_DECAY, CLIP, POINTS = 0.1, 0.01, 1.0, 60


def refuse_training(p: config.Parameters, which: str) -> None:
    """Raises CannotRun if a checkpoint that is taken as it is (`epochs` 0) would have to be trained."""
    if not p.epochs and which != "base":
        raise CannotRun(
            f"the checkpoint {which!r} has to be fine-tuned, and epochs=0 takes {p.backbone} as it is; "
            "take the variants noise-1, noise-2 and noise-3, or set epochs to 1 or more"
        )


def identity(p: config.Parameters, which: str) -> dict:
    """The parameters that a checkpoint depends on."""
    own = {option: getattr(p, option) for option in OPTIONS[which]}
    return config.identity(p) | own | {"checkpoint": which}


def history(path: Path):
    """The learning curve of a checkpoint as a table.

    Columns: step, epoch, train loss (mean since the row before), validation loss, validation
    accuracy (both at the end of each epoch, else missing), seconds since the start.
    """
    import pandas

    table = pandas.DataFrame(json.loads((Path(path) / "history.json").read_text("utf-8")))
    table["seconds"] = store.meta(path)["timing"]["seconds"]
    return table


def validation_accuracy(path: Path) -> float:
    """Accuracy on the validation split after the last epoch of a checkpoint."""
    return store.read_json(Path(path) / "history.json")[-1]["validation accuracy"]


def build(
    p: config.Parameters, dataset: datasets.Dataset, folder: Path, which: str, attacked: list[records.Record], start: Path | None
) -> dict:
    """Writes the checkpoint `which` to `folder`; `attacked`: the attack on training examples, for adversarial training;
    `start`: the checkpoint that learns for an epoch more, in place of the backbone for all epochs.

    Returns what `fine_tune` does and, with `attacked`, what that cost."""
    cost = costs(attacked) if attacked else {}
    if start:
        p = dataclasses.replace(config.settled(p), epochs=1)
    return fine_tune(p, dataset, folder, examples(attacked), rounding.BITS.get(which), cost, start) | cost


def examples(attacked: list[records.Record]) -> tuple[list[str], list[int]]:
    """The texts and labels that adversarial training adds: the successful perturbations of training examples.

    A text to which the model does not give its label is skipped, not attacked, and never added."""
    won = [r for r in attacked if r.status is records.Status.succeeded]
    return [r.perturbed for r in won], [r.label for r in won]


def costs(attacked: list[records.Record]) -> dict:
    """What an attack on training examples cost: attack_seconds, attack_queries, examples_succeeded, _failed and _skipped."""
    ended = {s.value: sum(r.status is s for r in attacked) for s in records.Status}
    counts = {f"examples_{name}": ended[name] for name in ("succeeded", "failed", "skipped")}
    seconds = round(sum(r.timing.get("seconds", 0.0) for r in attacked), 3)
    return {"attack_seconds": seconds, "attack_queries": sum(r.queries for r in attacked)} | counts


def attacked(path: Path) -> dict[str, int]:
    """How the attack on training examples ended of which an adversarially trained checkpoint learned: the number of
    examples by status; those that succeeded were added.  Empty for other checkpoints."""
    meta = store.meta(path)
    return {s.value: meta[key] for s in records.Status if (key := f"examples_{s.value}") in meta}


def fine_tune(
    p: config.Parameters, dataset: datasets.Dataset, folder: Path, extra=((), ()), bits: int | None = None, costs=None,
    start_from: Path | None = None,
) -> dict:
    """Fine-tunes `p.backbone`, or the checkpoint `start_from`, on the training split and `extra` (texts, labels), and
    writes the checkpoint to `folder`.

    AdamW, linear warm-up and decay, gradients clipped at norm 1, batches of similar length, 32-bit
    floats, one CPU thread or one GPU; a share `p.word_dropout` of the tokens is replaced by the mask
    token (or the unknown one) in training.  With `bits`, the model rounds to so many while it learns.  The last epoch's weights are kept: nothing is selected on the
    validation split.  Without epochs the model is evaluated and written as it is.  Returns seconds, the number of parameters, and timing.
    """
    import torch

    p = config.settled(p)
    with _determinism(p.seed):
        model, tokenizer = backbones.build(dataclasses.replace(p, backbone=str(start_from or p.backbone)), dataset)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        loop = _Loop(p, model.to(device), tokenizer, device)
        examples = loop.encode((*dataset.train.texts, *extra[0]), (*dataset.train.labels, *extra[1]))
        start = time.time()
        validation = loop.encode(dataset.validation.texts, dataset.validation.labels)
        with rounding.rounded(model, bits):
            rows, seconds = loop.run(examples, validation) if p.epochs else ([untrained(loop.evaluate(validation))], [0.0])
        model.to("cpu").save_pretrained(folder, safe_serialization=True)
        tokenizer.save_pretrained(folder)
    count = sum(w.numel() for w in model.parameters())
    added = tried(len(extra[0]), costs or {}) + (f", for one epoch more of {start_from.name}" if start_from else "")
    return notes(p, dataset, folder, (rows, seconds), added, count, device.type, start)


def untrained(measured: dict) -> dict:
    """The one row of the learning curve of a checkpoint taken as it is."""
    return {"step": 0, "epoch": 0, "train loss": None} | measured


def notes(p, dataset, folder: Path, history, extra: str, count: int, device: str, start: float) -> dict:
    """Writes history and card of a checkpoint; warns of one that guesses better turned; returns notes for its meta."""
    rows, seconds = history
    warning = "" if p.epochs else given.doubt(rows[-1]["validation accuracy"], dataset.labels)
    if warning:
        print(f"warning: {p.backbone}: {warning}", file=sys.stderr, flush=True)
    store.write_json(folder / "history.json", rows)
    store.write_text(folder / "card.md", card(p, dataset, extra, count, rows[-1], device, warning))
    timing = {"seconds": seconds, "host": platform.node(), "started": round(start, 3)}
    notes = {"warning": warning} if warning else {}
    return {"seconds": round(time.time() - start, 3), "parameters": count, "timing": timing} | notes


def card(
    p: config.Parameters, dataset: datasets.Dataset, extra: str, count: int, last: dict, device: str, warning: str = ""
) -> str:
    """What is worth knowing of a checkpoint, in Markdown."""
    entry = catalog.BACKBONES.get(p.backbone)
    about = [f"- backbone: {entry.about}"] if entry and entry.about else []
    sizes = ", ".join(f"{name} {len(getattr(dataset, name).texts)}" for name in ("train", "validation", "test"))
    lines = [
        f"# {markdown(p.backbone)} {'fine-tuned' if p.epochs else 'as it is, for use'} on {markdown(dataset.name)}",
        "",
        *([f"**Warning: {warning}.**", ""] if warning else []),
        *about,
        f"- data: {markdown(dataset.name)}, classes {', '.join(map(markdown, dataset.labels))}; examples: {sizes}; fingerprint {dataset.fingerprint}",
        f"- adversarial examples added to the training split: {extra}",
        f"- validation{' after the last epoch' if p.epochs else ''}: loss {last['validation loss']:.4f}, accuracy {last['validation accuracy']:.4f}",
        f"- parameters of the model: {count}",
        f"- hardware: {markdown(hardware() if device == 'cpu' else device)}",
        f"- versions: {', '.join(f'{v} {version(v)}' for v in VERSIONS)}; Python {platform.python_version()}",
        "",
        "| parameter | value |",
        "| --- | --- |",
        *(f"| {name} | {markdown(value)} |" for name, value in config.identity(p).items()),
    ]
    return "\n".join(lines) + "\n"


def tried(added: int, costs: dict) -> str:
    """How many adversarial examples were added, and how the attack on the others ended."""
    if "examples_skipped" not in costs:
        return str(added)
    attacked = costs["examples_succeeded"] + costs["examples_failed"]
    return f"{added} (attacked {attacked}, failed {costs['examples_failed']}; skipped, label not given: {costs['examples_skipped']})"


def hardware() -> str:
    """The CPU's model, as Linux names it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def check_device(device: str) -> None:
    """Raises CannotRun if `device`, the parameter, is "cuda" and this machine's PyTorch reaches no GPU."""
    if device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        why = "finds no GPU" if torch.version.cuda else "is built without CUDA"
        raise CannotRun(f"device={device!r} cannot run: PyTorch {torch.__version__} here {why}; take device='cpu'")


@contextlib.contextmanager
def _determinism(seed: int):
    """Seeds torch and Python and fixes what would let two runs differ; restores the switches afterwards."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


class _Loop:
    """The optimisation: what `fine_tune` describes."""

    def __init__(self, p: config.Parameters, model, tokenizer, device):
        self.p, self.model, self.device = p, model, device
        self.tokens = tokenizer.backend_tokenizer
        self.tokens.no_padding()
        self.tokens.enable_truncation(p.max_length)
        self.pad = tokenizer.pad_token_id or 0
        self.hidden = next(t for t in (tokenizer.mask_token_id, tokenizer.unk_token_id, self.pad) if t is not None)
        self.special = set(tokenizer.all_special_ids)
        self.order = random.Random(p.seed)

    def encode(self, texts, labels) -> list[tuple[list[int], int]]:
        """(token ids, class) of each example, truncated, unpadded."""
        ids = [e.ids for e in self.tokens.encode_batch(list(texts), add_special_tokens=True)]
        return list(zip(ids, labels, strict=True))

    def batches(self, examples, shuffle: bool):
        """Batches of similar length; shuffled: in chunks of 50 batches, each sorted by length, in random order."""
        size, order = self.p.batch_size, list(range(len(examples)))
        chunk = size * 50 if shuffle else max(len(order), 1)
        if shuffle:
            self.order.shuffle(order)
        found = []
        for i in range(0, len(order), chunk):
            part = sorted(order[i : i + chunk], key=lambda j: len(examples[j][0]))
            found += [part[k : k + size] for k in range(0, len(part), size)]
        if shuffle:
            self.order.shuffle(found)
        return [[examples[j] for j in batch] for batch in found]

    def forward(self, batch, train: bool = False):
        """Loss (mean over the batch) and logits, shape (batch, classes)."""
        import torch

        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(i) for i, _ in batch], True, self.pad)
        lengths = torch.tensor([len(i) for i, _ in batch])
        mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()
        if train and self.p.word_dropout:
            drop = (torch.rand(ids.shape) < self.p.word_dropout) & ~torch.isin(ids, torch.tensor(sorted(self.special)))
            ids = ids.masked_fill(drop, self.hidden)
        target = torch.tensor([label for _, label in batch]).to(self.device)
        logits = self.model(input_ids=ids.to(self.device), attention_mask=mask.to(self.device)).logits
        return torch.nn.functional.cross_entropy(logits, target), logits

    def evaluate(self, examples) -> dict:
        """Loss and accuracy over `examples`."""
        import torch

        self.model.eval()
        loss = right = 0.0
        with torch.no_grad():
            for batch in self.batches(examples, shuffle=False):
                value, logits = self.forward(batch)
                loss += value.item() * len(batch)
                right += (logits.argmax(1).cpu() == torch.tensor([label for _, label in batch])).sum().item()
        n = max(len(examples), 1)
        return {"validation loss": loss / n, "validation accuracy": right / n}

    def run(self, train, validation) -> tuple[list[dict], list[float]]:
        """Optimises; returns the learning curve's rows and the seconds at each."""
        import torch
        from tqdm.auto import tqdm

        a_epoch = -(-len(train) // self.p.batch_size)
        total = a_epoch * self.p.epochs
        warm, every = max(1, int(WARM_UP * total)), max(1, total // POINTS)
        optimizer = torch.optim.AdamW(self.groups(), lr=self.p.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / warm, max(0.0, (total - step) / max(1, total - warm)))
        )
        rows, seconds, losses, step, start = [], [], [], 0, time.time()
        with tqdm(total=total, desc=f"fine-tune {self.p.backbone} on {self.p.dataset}", unit="step") as bar:
            for epoch in range(1, self.p.epochs + 1):
                for i, batch in enumerate(self.batches(train, shuffle=True), 1):
                    losses.append(self.update(batch, optimizer, schedule))
                    step += 1
                    if step % every == 0 or i == a_epoch:
                        end = self.evaluate(validation) if i == a_epoch else {}
                        row = {"step": step, "epoch": epoch, "train loss": sum(losses) / len(losses)}
                        rows.append(row | {"validation loss": None, "validation accuracy": None} | end)
                        seconds.append(round(time.time() - start, 3))
                        bar.set_postfix(loss=f"{row['train loss']:.3f}", **{k: f"{v:.3f}" for k, v in end.items()})
                        losses = []
                    bar.update()
        return rows, seconds

    def update(self, batch, optimizer, schedule) -> float:
        """One step of the optimiser; the batch's loss."""
        import torch

        self.model.train()
        loss, _ = self.forward(batch, train=True)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        return loss.item()

    def groups(self) -> list[dict]:
        """The parameters, with weight decay on matrices only."""
        matrices = [w for w in self.model.parameters() if w.ndim > 1]
        others = [w for w in self.model.parameters() if w.ndim <= 1]
        return [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
