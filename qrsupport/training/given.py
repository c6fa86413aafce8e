"""A fine-tuned checkpoint taken as it is (`epochs=0`): which of its outputs is which class, and ONNX files.

Every classifier of the package answers in the data's class order, so a checkpoint whose classes come in another order
has the rows of its last layer (an ONNX file its logits) put into that order.
"""

import re
from pathlib import Path

from .. import config, store
from ..errors import BadCheckpoint, BadParameter

ONNX = "model.onnx"
UNTRAINED = "its classifier was never trained; set epochs to 1 or more, or name a fine-tuned checkpoint"


def is_onnx(name: str | Path) -> bool:
    """Whether a checkpoint is a directory with an ONNX file and no weights for torch."""
    path = Path(name)
    return (path / ONNX).is_file() and not any(path.glob("*.safetensors"))


def weights(checkpoint: Path) -> Path:
    """The file that holds a checkpoint's weights."""
    return checkpoint / (ONNX if (checkpoint / ONNX).is_file() else "model.safetensors")


def order(name: str, outputs: dict[int, str], classes: tuple[str, ...], label_map: str = "") -> list[int]:
    """For each class of the data, in class order, the number of the output of checkpoint `name` that stands for it.

    `outputs` are the label names of the checkpoint by number; `label_map` (`0=negative,LABEL_1=positive`) says which
    class each is.  Without it names are compared regardless of case; LABEL_0, LABEL_1, … and classes 0, 1, … are
    taken in their order.  Raises BadCheckpoint if names do not fit, BadParameter for a map that is no one-to-one map.
    """
    numbers = [str(i) for i in range(len(classes))]
    if label_map:
        found = _mapped(outputs, classes, label_map)
    else:
        unnamed = all(re.fullmatch(rf"label_{i}|{i}", outputs[i].lower()) for i in outputs)
        if unnamed or list(classes) == numbers:
            return list(range(len(classes)))
        found = {said.lower(): i for i, said in outputs.items()}
    wanted = [c.lower() for c in classes]
    if len(set(wanted)) != len(wanted) or set(found) != set(wanted):
        raise BadCheckpoint(
            f"{name} has the classes {', '.join(outputs.values())}, the data {', '.join(classes)}; say which is which, "
            f"such as label_map={','.join(f'{i}={c}' for i, c in enumerate(classes))}"
        )
    return [found[c] for c in wanted]


def _mapped(outputs: dict[int, str], classes: tuple[str, ...], label_map: str) -> dict[str, int]:
    """The output's number by class, in lower case, as `label_map` says."""
    known = {str(i): i for i in outputs} | {said.lower(): i for i, said in outputs.items()}
    pairs = [[side.strip().lower() for side in pair.split("=", 1)] for pair in config.split(label_map)]
    good = all(len(pair) == 2 and pair[0] in known and pair[1] in {c.lower() for c in classes} for pair in pairs)
    found = {pair[1]: known[pair[0]] for pair in pairs} if good else {}
    if len(pairs) != len(classes) or len(found) != len(classes) or len(set(found.values())) != len(classes):
        raise BadParameter(
            f"label_map={label_map!r} must give each output ({', '.join(outputs.values())}, or its number) one of the "
            f"classes {', '.join(classes)}, such as {','.join(f'{i}={c}' for i, c in enumerate(classes))}"
        )
    return found


def check_trained(name: str, model, missing) -> None:
    """Raises BadCheckpoint if the weights named in `missing` were not in the files of checkpoint `name`."""
    lacking = sorted(missing)
    if lacking:
        inside = any(weight.startswith(f"{model.base_model_prefix}.") for weight in lacking)
        reason = "they are incomplete; restore the files" if inside else UNTRAINED
        raise BadCheckpoint(f"{name} has no weights {', '.join(lacking[:4])}: {reason}")


def turn(name: str, model, places: list[int]) -> None:
    """Puts the rows of a torch classifier's last layer into the order `places`, and checks that its logits follow.

    Raises BadCheckpoint if there is no such layer.
    """
    import torch

    if places == sorted(places):
        return
    ids = torch.tensor([[1, 2, 3, model.config.eos_token_id or 4]])
    with torch.no_grad():
        before = model.eval()(input_ids=ids).logits[:, places]
        heads = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == len(places)]
        for part in (heads[-1].weight, heads[-1].bias) if heads else ():
            if part is not None:
                part.copy_(part[places].clone())
        if not torch.allclose(before, model(input_ids=ids).logits, atol=1e-5):
            raise BadCheckpoint(
                f"{name} has its classes in another order than the data, and no last layer that could be reordered; "
                "give the data's classes in its order with `labels`"
            )


def doubt(accuracy: float, classes: tuple[str, ...]) -> str:
    """What to say of a validation accuracy below that of guessing; empty if it is not."""
    if accuracy >= 1 / len(classes):
        return ""
    return (
        f"accuracy on the validation split is {100 * accuracy:.1f} %, below chance ({100 / len(classes):.1f} %): the "
        "label map may be turned; say which class is which with label_map"
    )


# ONNX files -----------------------------------------------------------------------------------------------------------


def check_onnx(p: config.Parameters, path: Path) -> dict:
    """The Hugging Face configuration beside an ONNX file, empty if there is none, after checks that read no weights.

    Raises BadCheckpoint for missing or unreadable files, BadParameter if it should be fine-tuned.
    """
    if p.epochs:
        raise BadParameter(f"epochs={p.epochs}: {path / ONNX} is an ONNX file, which cannot be fine-tuned; set epochs=0")
    if not (path / "tokenizer.json").is_file():
        raise BadCheckpoint(f"{path} holds {ONNX} and no tokenizer.json; put its tokenizer beside it")
    if not (path / "config.json").is_file():
        return {}
    return store.read_json(path / "config.json", BadCheckpoint, "restore it or remove it")
