"""What is fine-tuned: pretrained weights by name, the package's own small architectures, local Hugging Face
directories, hub ids.

torch and transformers are imported inside the functions that need them, so that `check` is light.
"""

import re
from pathlib import Path

from .. import catalog, config, store
from ..data import datasets
from ..errors import BadCheckpoint, BadParameter, NoNetwork, UnknownName
from . import given, pretrained

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY, LAYERS, WIDTH, HEADS, INNER, POSITIONS = 8000, 2, 128, 2, 512, 512
DROPOUT, EXPERTS = 0.1, 4
LARGEST = 2**31
"""Bytes of weights from which a model no longer fits into one ONNX file."""


def is_small(name: str) -> bool:
    """Whether `name` is one of the package's own, trained from scratch."""
    return name in BUILDERS


def check(p: config.Parameters) -> None:
    """Refuses a backbone that cannot work, before any work; imports nothing heavy.

    Pretrained weights by name are fetched if they are not there and the network was asked for.

    Raises MissingResource for weights that were never fetched, UnknownName for a name that is neither known, nor a directory, nor of the form owner/name;
    NoNetwork for a hub id that is not in the local cache when the network was not asked for;
    BadCheckpoint for a directory that lacks a file, holds a pickle only, or a classifier of another
    number of classes, or with `epochs=0` a classifier that was never trained; BadParameter for a `max_length` beyond what it was made for.
    """
    name = p.backbone
    if is_small(name):
        if not p.epochs:
            raise BadCheckpoint(f"backbone {name!r} cannot be taken as it is: {given.UNTRAINED}")
        return
    if name in pretrained.SOURCES or (name and Path(name).is_dir()):
        _check_directory(p, Path(location(p)))
    elif name not in catalog.BACKBONES and not _is_hub_id(name):
        raise UnknownName("backbone", name, catalog.BACKBONES)
    elif not p.network and not _cached(name):
        raise NoNetwork(
            f"backbone {name!r} has to be fetched from the Hugging Face hub; set network=True or give a local directory"
        )


def location(p: config.Parameters) -> str:
    """What transformers loads the backbone from: a directory, or a hub id."""
    return str(pretrained.folder(p.backbone, p.network)) if p.backbone in pretrained.SOURCES else p.backbone


def slug(name: str) -> str:
    """A backbone's name as part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", Path(name).name) or "backbone"


def digest(p: config.Parameters) -> str:
    """What tells two backbones of one name apart: a hash of a directory's weights (taken as they are: of its settings
    and tokenizer too); empty for others."""
    if p.backbone in pretrained.SOURCES:
        return config.key(pretrained.SOURCES[p.backbone].files)
    if is_small(p.backbone) or not Path(p.backbone).is_dir():
        return ""
    path = Path(p.backbone)
    files = sorted(path.glob("*.safetensors"))
    if not p.epochs:
        files += [f for f in (path / n for n in (given.ONNX, "config.json", "tokenizer.json", "vocab.txt")) if f.is_file()]
    return config.key([store.sha256(f) for f in files])


def build(p: config.Parameters, dataset: datasets.Dataset):
    """(model, fast tokenizer) before fine-tuning; new weights are drawn from torch's global generator.

    Raises as `check`, and BadCheckpoint if the files do not load.
    """
    check(p)
    return _small(p.backbone, dataset) if is_small(p.backbone) else _pretrained(p, dataset)


def names(labels: tuple[str, ...]) -> dict:
    """The label names as a Hugging Face configuration holds them."""
    return {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}


def _is_hub_id(name: str) -> bool:
    """Whether `name` can be one of a hub's: owner/name, in the letters that it allows."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name


def _cached(name: str) -> str:
    """The hub's configuration file of `name` in the local cache; empty if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return found if isinstance(found, str) else ""


def _check_directory(p: config.Parameters, path: Path) -> None:
    if given.is_onnx(path):
        content = given.check_onnx(p, path)
    else:
        content = store.read_json(path / "config.json", BadCheckpoint, "it is missing or is not JSON")
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{path / 'config.json'} is not a configuration; name another backbone")
    if not given.is_onnx(path) and not any(path.glob("*.safetensors")):
        pickles = sorted(f.name for f in path.glob("*.bin"))
        if pickles:
            raise BadCheckpoint(f"{path / pickles[0]} is a pickle, which can run code; convert it to model.safetensors")
        raise BadCheckpoint(f"{path} holds no model.safetensors")
    if not any((path / f).exists() for f in ("tokenizer.json", "vocab.txt")):
        raise BadCheckpoint(f"{path} holds neither tokenizer.json nor vocab.txt")
    try:
        _check_configuration(p, content, str(path))
    except (TypeError, AttributeError, ValueError) as e:
        raise BadCheckpoint(f"{path / 'config.json'} is not a configuration ({e}); name another backbone") from e


def _check_configuration(p: config.Parameters, content: dict, name: str) -> None:
    """`content`: a Hugging Face configuration as a dict."""
    expected = len(datasets.classes(p))
    if any(a.endswith("ForSequenceClassification") for a in content.get("architectures") or ()):
        found = len(content.get("id2label") or (0, 1))
        if found != expected:
            raise BadCheckpoint(
                f"{name} classifies into {found} classes, {p.dataset} has {expected}; name another backbone"
            )
    elif not p.epochs and content.get("architectures"):
        raise BadCheckpoint(f"{name} cannot be taken as it is: {given.UNTRAINED}")
    positions = content.get("max_position_embeddings")
    if positions and p.max_length > positions:
        raise BadParameter(f"max_length={p.max_length} is more than the {positions} positions of {name}")


def vocabulary(texts) -> dict[str, int]:
    """A lower-cased WordPiece vocabulary of at most 8,000 entries, the same whenever the texts are.

    The trainer of the `tokenizers` library numbers continuation characters in the order of a
    hash map, which differs between processes; naming them beforehand fixes the order.
    """
    from tokenizers import trainers

    blank = _wordpiece({token: i for i, token in enumerate(SPECIAL)})
    normalize, words = blank.normalizer.normalize_str, blank.pre_tokenizer.pre_tokenize_str
    characters = sorted({c for text in texts for word, _ in words(normalize(text)) for c in word})
    first = [*SPECIAL, *characters, *("##" + c for c in characters)]
    size = max(VOCABULARY, len(first))
    blank.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=first, show_progress=False)
    )
    return blank.get_vocab(with_added_tokens=False)


def _wordpiece(entries: dict[str, int]):
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece(entries, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", entries["[SEP]"]), ("[CLS]", entries["[CLS]"]))
    return tokenizer


def _small(name: str, dataset: datasets.Dataset):
    import transformers as hf

    tokenizer = _wordpiece(vocabulary(dataset.train.texts))
    model = BUILDERS[name](tokenizer, names(dataset.labels))
    common = {"tokenizer_object": tokenizer, "model_max_length": POSITIONS}
    if name == "bert-small":
        return model, hf.BertTokenizerFast(do_lower_case=True, **common)
    if name == "distilbert-small":
        return model, hf.DistilBertTokenizerFast(do_lower_case=True, **common)
    roles = dict(zip(("pad", "unk", "cls", "eos", "mask"), SPECIAL, strict=True)) | {"sep": "[SEP]"}
    tokens = {f"{role}_token": token for role, token in roles.items()}
    return model, hf.PreTrainedTokenizerFast(model_input_names=["input_ids", "attention_mask"], **tokens, **common)


def _bert(tokenizer, labels: dict):
    import transformers as hf

    return hf.BertForSequenceClassification(
        hf.BertConfig(
            vocab_size=tokenizer.get_vocab_size(), num_hidden_layers=LAYERS, hidden_size=WIDTH,
            num_attention_heads=HEADS, intermediate_size=INNER, max_position_embeddings=POSITIONS,
            hidden_dropout_prob=DROPOUT, attention_probs_dropout_prob=DROPOUT, pad_token_id=0, **labels,
        )
    )  # fmt: skip


def _distilbert(tokenizer, labels: dict):
    import transformers as hf

    return hf.DistilBertForSequenceClassification(
        hf.DistilBertConfig(
            vocab_size=tokenizer.get_vocab_size(), n_layers=LAYERS, dim=WIDTH, n_heads=HEADS, hidden_dim=INNER,
            max_position_embeddings=POSITIONS, dropout=DROPOUT, attention_dropout=DROPOUT, seq_classif_dropout=DROPOUT,
            pad_token_id=0, **labels,
        )
    )  # fmt: skip


def _t5(tokenizer, labels: dict):
    from . import architectures

    size, end = tokenizer.get_vocab_size(), tokenizer.token_to_id("[SEP]")
    return architectures.t5(size, end, LAYERS, WIDTH, HEADS, INNER, DROPOUT, **labels)


def _switch(tokenizer, labels: dict):
    from . import architectures

    size, end = tokenizer.get_vocab_size(), tokenizer.token_to_id("[SEP]")
    return architectures.switch_encoder(size, end, LAYERS, WIDTH, HEADS, INNER, DROPOUT, EXPERTS, **labels)


BUILDERS = {
    "bert-small": _bert,
    "distilbert-small": _distilbert,
    "t5-mini": _t5,
    "switch-mini": _switch,
}
"""The package's own architectures, trained from scratch: a function of (tokenizer, label names) each."""


def _pretrained(p: config.Parameters, dataset: datasets.Dataset):
    import transformers as hf
    from safetensors import SafetensorError

    hf.utils.logging.set_verbosity_error()  # that the head is new is known
    source, where = location(p), {"local_files_only": not p.network, "trust_remote_code": False}
    try:
        settings = hf.AutoConfig.from_pretrained(source, **where)
        _check_configuration(p, settings.to_dict(), p.backbone)
        labels = {"num_labels": len(dataset.labels), **names(dataset.labels)}
        model, loading = hf.AutoModelForSequenceClassification.from_pretrained(
            source, use_safetensors=True, dtype="float32", output_loading_info=True, **labels, **where
        )
        tokenizer = hf.AutoTokenizer.from_pretrained(source, use_fast=True, **where)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as e:
        raise BadCheckpoint(f"backbone {p.backbone!r} does not load as a sequence classifier: {e}") from e
    if not tokenizer.is_fast:
        raise BadCheckpoint(f"backbone {p.backbone!r} has no fast tokenizer (tokenizer.json); name another backbone")
    _check_model(p.backbone, model, tokenizer)
    if not p.epochs:
        given.check_trained(p.backbone, model, loading["missing_keys"])
        given.turn(p.backbone, model, given.order(p.backbone, settings.id2label, dataset.labels, p.label_map))
    return model, tokenizer


def _check_model(name: str, model, tokenizer) -> None:
    """Refuses what could be fine-tuned but not executed afterwards, and a tokenizer with more tokens than the model."""
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise BadCheckpoint(
            f"the tokenizer of {name!r} has {len(tokenizer):,} tokens, the model {rows:,}: it is another model's; "
            "restore the tokenizer that belongs to it"
        )
    size = sum(w.numel() * w.element_size() for w in model.parameters())
    if size >= LARGEST:
        raise BadCheckpoint(
            f"backbone {name!r} has {size:,} bytes of weights, an ONNX file holds fewer than {LARGEST:,}: no variant of "
            "it can be run; name a smaller one, such as t5-base or google/switch-base-8"
        )
    end = model.config.eos_token_id
    if model.config.model_type == "t5" and tokenizer.backend_tokenizer.encode("").ids[-1:] != [end]:
        raise BadCheckpoint(
            f"the tokenizer of {name!r} does not put the end token (id {end}), which T5 classifies by, behind a text"
        )
