"""Parameters: their types, defaults, ranges and help; reading a chapter's; the stable identity of a stage."""

import functools
import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from . import catalog, store
from .errors import BadParameter, UnknownName

KINDS = (".csv", ".tsv", ".jsonl", ".parquet")
"""Files of labelled texts that can be read."""


def is_own(dataset: str) -> bool:
    """Whether a dataset is the user's own, a path or a hub id `owner/name`, and not one of the catalogue's."""
    known = dataset in catalog.DATASETS or not dataset
    return not known and ("/" in dataset or Path(dataset).suffix.lower() in KINDS or Path(dataset).exists())


def parameter(default, help, *, choices=None, low=None, high=None, each=False, imports=False, beside=None):
    """A dataclass field that carries its help, its valid names (`choices`; further ones if `beside(name)`) or range,
    whether it is a list of names, and whether an import path `package.module:Class` will do for a name."""
    limits = {"choices": choices, "low": low, "high": high, "each": each, "imports": imports, "beside": beside}
    return field(default=default, metadata={"help": help} | limits)


@dataclass(frozen=True)
class Parameters:
    """Every parameter of every chapter; the defaults are the quick profile."""

    dataset: str = parameter(
        "embedded",
        "what to classify: a name, a file or directory of labelled texts, or a hub id",
        choices=catalog.DATASETS,
        beside=is_own,
    )
    text_column: str = parameter("text", "own data: the column of the texts")
    label_column: str = parameter("label", "own data: the column of the labels")
    labels: str = parameter("", "own data: class names in class order, with commas; empty: those found")
    splits: str = parameter("80/10/10", "own data without splits: per cent for training, validation, test")
    split_seed: int = parameter(0, "own data without splits: seed of the split", low=0)
    backbone: str = parameter("minilm-l6", "what is fine-tuned: a name, a hub id or a local directory")
    backbones: str = parameter(
        "t5-mini,minilm-l6", "what is fine-tuned, one after the other; as `backbone`, with commas"
    )
    seed: int = parameter(0, "seed of the fine-tuning", low=0)
    epochs: int = parameter(
        -1,
        "passes over the training data; -1: as suits the backbone; 0: none, a fine-tuned checkpoint as it is",
        low=-1,
        high=1000,
    )
    label_map: str = parameter(
        "", "epochs 0: pairs that say which class each output of the checkpoint is; empty: by name"
    )
    batch_size: int = parameter(32, "examples per step", low=1, high=4096)
    learning_rate: float = parameter(0.0, "peak learning rate of AdamW; 0: as suits the backbone", low=0, high=1.0)
    max_length: int = parameter(128, "longest input in tokens; longer texts are truncated", low=8, high=512)
    word_dropout: float = parameter(
        0.0,
        "share of words hidden in training, against overfitting; 0.3 suits small models on real data",
        low=0,
        high=0.9,
    )
    train_limit: int = parameter(
        -1,
        "use only so many training examples, a seeded sample; 0: all; -1: all, or on generated data what suits the backbone",
        low=-1,
    )

    per_channel: bool = parameter(False, "int8: one weight scale per output channel instead of one per tensor")
    reduce_range: bool = parameter(False, "int8: 7-bit weights, for CPUs whose 8-bit kernels overflow")
    weight_type: str = parameter("QInt8", "int8: signed or unsigned weights", choices=("QInt8", "QUInt8"))
    calibration_examples: int = parameter(
        128, "int8 static: training texts that set the activation ranges", low=1, high=100_000
    )
    latency_repeats: int = parameter(200, "timed predictions for the latency figure", low=10, high=100_000)

    variant: str = parameter("fp32", "the classifier attacked", choices=catalog.VARIANTS)
    targets: str = parameter(
        "fp32,int8-dynamic", "variants on which the adversarial set is replayed", choices=catalog.VARIANTS, each=True
    )
    variants: str = parameter(
        "fp32,int8-dynamic,w2,w4,a4,w4a4,w8a8",
        "variants to build, attack and compare",
        choices=catalog.VARIANTS,
        each=True,
    )
    attack: str = parameter("textfooler", "the recipe", choices=catalog.ATTACKS, imports=True)
    resources: str = parameter("embedded", "where an attack's words come from", choices=catalog.RESOURCES)
    n: int = parameter(100, "examples attacked, a seeded sample of the evaluation split", low=1, high=1_000_000)
    attack_seed: int = parameter(0, "seed of the sample and of each example's random state", low=0)
    query_budget: int = parameter(0, "most queries an example; 0: no limit", low=0)
    margin: float = parameter(
        0.0, "probability by which a wrong class must lead before an attack stops", low=0, high=0.99
    )
    joint: str = parameter(
        "", "further variants that the attack must fool at the same time", choices=catalog.VARIANTS, each=True
    )
    spare: str = parameter(
        "", "variants that must still give the label when the attack succeeds", choices=catalog.VARIANTS, each=True
    )
    ranking: str = parameter(
        "",
        "greedy attacks: the variant by whose answers words are ranked, or random; empty: the one attacked",
        choices=(*catalog.VARIANTS, catalog.RANDOM),
        beside=lambda name: not name,
    )
    restart: int = parameter(
        0,
        "other random states for the same examples: 1, 2 and so on; greedy attacks draw no number unless ranking is random",
        low=0,
    )
    workers: int = parameter(1, "attacking processes; changes the time, never a record", low=1, high=256)

    adversarial_attack: str = parameter(
        "textfooler", "the recipe that makes adversarial training examples", choices=catalog.ATTACKS
    )
    adversarial_examples: int = parameter(80, "training examples attacked for adversarial training", low=1)

    network: bool = parameter(False, "may fetch data, backbones and published resources")
    setting: str = parameter(
        "", "compare only runs with these values, as the column `setting` shows them; empty: all"
    )
    run_dir: str = parameter("", "where every artefact lies; empty: QRSUPPORT_RUNS or _build/runs of the project")


FIELDS = {f.name: f for f in fields(Parameters)}
OWN = ("text_column", "label_column", "labels", "splits", "split_seed")
MODEL = (
    "dataset", *OWN, "backbone", "seed", "epochs", "label_map", "batch_size", "learning_rate", "max_length", "word_dropout", "train_limit",
)  # fmt: skip
LATER = ("spare", "ranking", "restart")
"""Parameters of an attack that are part of its identity only where they are not the default: those of before had none."""
ATTACK = ("attack", "resources", "attack_seed", "query_budget", "margin", "joint", *LATER)
AIM = ATTACK[ATTACK.index("attack_seed") + 1 :]
"""What an attack has beyond its recipe, words and sample."""
PLACE = ("network", "run_dir")
PATHS = ("dataset", "backbone", "backbones")
"""Parameters beside `run_dir` that may be a path."""
ENVIRONMENT = ("QRSUPPORT_RUNS", "QRSUPPORT_DATA", "QRSUPPORT_CACHE")
CHAPTERS = {
    "finetune": (*MODEL, *PLACE),
    "quantize": (*MODEL, *catalog.INT8_OPTIONS, "latency_repeats", *PLACE),
    "attack": (
        *MODEL, *catalog.INT8_OPTIONS, *catalog.STATIC, "variant", "targets", *ATTACK, "n", "workers",
        "adversarial_attack", "adversarial_examples", *PLACE,
    ),
    "adversarial": (
        *MODEL, *catalog.INT8_OPTIONS, "adversarial_attack", "adversarial_examples", *ATTACK, "n", "workers", *PLACE,
    ),
    "compare": ("setting", "run_dir"),
    "bitwidths": (
        *MODEL, *catalog.INT8_OPTIONS, *catalog.STATIC, "latency_repeats", "variants", *ATTACK, "n", "workers", *PLACE,
    ),
    "controls": (*MODEL, *catalog.INT8_OPTIONS, *ATTACK, "n", "workers", *PLACE),
    "aware": (*MODEL, *catalog.INT8_OPTIONS, "attack", "resources", "attack_seed", "n", "workers", *PLACE),
    "ensembles": (*MODEL, *catalog.INT8_OPTIONS, "latency_repeats", *ATTACK, "n", "workers", *PLACE),
    "architectures": (
        "dataset", *OWN, "backbones", *MODEL[MODEL.index("seed"):], *catalog.INT8_OPTIONS, "latency_repeats", *ATTACK, "n", "workers", *PLACE,
    ),
}  # fmt: skip


def check(name: str, value: Any) -> Any:
    """`value` as the type of parameter `name`.

    Raises UnknownName for a parameter or a choice that does not exist, BadParameter for a wrong type or range.
    """
    if name not in FIELDS:
        raise UnknownName("parameter", name, FIELDS)
    f = FIELDS[name]
    kind: Any = type(f.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise BadParameter(f"{name} must be of type {kind.__name__}, not {value!r} ({type(value).__name__})")
    if kind is str and re.search("[\0\ud800-\udfff]", value):
        raise BadParameter(f"{name}={value!r} is not UTF-8; if it should be, set PYTHONUTF8=1")
    meta = f.metadata
    if name == "setting":
        narrowing(value)
    if name == "run_dir" and value:
        value = os.path.abspath(os.path.expanduser(value))
    if name in PATHS:
        value = ",".join(map(absolute, split(value))) if meta["each"] else absolute(value)
    if meta["choices"]:
        for item in split(value) if meta["each"] else (value,):
            others = (meta["imports"] and _import_path(name, item)) or (meta["beside"] and meta["beside"](item))
            if item not in meta["choices"] and not others:
                _check_width(item)
                raise UnknownName(name, item, meta["choices"])
    if (meta["low"] is not None and not value >= meta["low"]) or (
        meta["high"] is not None and not value <= meta["high"]
    ):
        raise BadParameter(f"{name}={value!r} is out of range; it must lie in [{meta['low']}, {meta['high']}]")
    return value


def _import_path(name: str, value: str) -> bool:
    """Whether `value` has the form of an import path.  Raises BadParameter if it has a colon and another form."""
    if ":" not in value:
        return False
    parts = [part for side in value.split(":") for part in side.split(".")]
    if value.count(":") > 1 or not all(map(str.isidentifier, parts)):
        raise BadParameter(f"{name}={value!r} is not an import path of the form package.module:Class")
    return True


def parse(name: str, value):
    """`value` of parameter `name` as it is given outside Python, checked: a text, or what papermill makes of one.

    Raises as `check`.
    """
    kind: Any = type(FIELDS[name].default) if name in FIELDS else str
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if kind is str or type(value) is kind:
        return check(name, value)
    try:
        text = str(value)
        return check(name, words[text.lower()] if kind is bool else kind(text))
    except (ValueError, KeyError) as e:
        raise BadParameter(f"{name} must be of type {kind.__name__}, not {value!r}") from e


def _check_width(name: str) -> None:
    """Raises BadParameter for the name of a simulated variant, such as `w4a8`, with a width that cannot be."""
    for bits in re.findall(r"\d+", name) if re.fullmatch(r"[wa]\d+|w\d+a\d+", name) else ():
        if not catalog.LOWEST_BITS <= int(bits) <= catalog.HIGHEST_BITS:
            raise BadParameter(
                f"bits={bits} is out of range in {name!r}; it must lie in [{catalog.LOWEST_BITS}, {catalog.HIGHEST_BITS}]"
            )


def absolute(value: str) -> str:
    """A path seen from the working directory, so that it means the same from any other; what is none stays as it is."""
    known = {*catalog.BACKBONES, *catalog.DATASETS, ""}
    return value if value in known or not _is_path(value) else os.path.abspath(os.path.expanduser(value))


def _is_path(value: str) -> bool:
    return value.startswith((".", "/", "~")) or os.path.exists(value)


def settle_places() -> None:
    """Makes the directories that the environment names absolute, before anything runs elsewhere."""
    for name in ENVIRONMENT:
        if os.environ.get(name):
            os.environ[name] = os.path.abspath(os.path.expanduser(os.environ[name]))


def narrowing(setting: str) -> dict:
    """The values in a text such as `epochs=6, per_channel=false`, by name.

    Raises BadParameter for a text of another form, else as `check`.
    """
    found = {}
    for part in split(setting):
        name, equals, text = (word.strip() for word in part.partition("="))
        if not equals:
            raise BadParameter(f"setting={setting!r} must be of the form NAME=VALUE, NAME=VALUE; {part!r} is not")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        found[name] = check(name, value)
    return found


def split(names: str) -> list[str]:
    """The items of a comma-separated parameter."""
    return [item.strip() for item in names.split(",") if item.strip()]


def make(**given) -> Parameters:
    """Parameters of everything else: the defaults, changed by what is given, checked before any work.

    Parameters:
        given: names and values, such as `n=10`; `qrsupport list` and the chapters name them all.
    Returns: A frozen `Parameters`: one attribute a parameter. `dataclasses.replace(p, n=20)` gives a changed copy.
    Raises:
        UnknownName: for a name or a choice that does not exist, with the nearest that does.
        BadParameter: for a wrong type, or a number out of its range.
    Example:
        >>> import qrsupport as qr
        >>> p = qr.parameters(backbone="bert-small", train_limit=1200, epochs=3, n=10)
        >>> p.dataset, p.attack, p.n
        ('embedded', 'textfooler', 10)
    """
    return Parameters(**{name: check(name, value) for name, value in given.items()})


def read(chapter: str, namespace: dict) -> Parameters:
    """The parameters of a chapter, from the variables its `parameters` cell (or papermill) defined.

    Call it in the first cell after `parameters`: any other variable is a misspelt parameter and
    raises UnknownName with a suggestion, before any work.
    """
    settle_places()
    own = CHAPTERS[chapter]
    ignored = {"In", "Out", "exit", "quit", "open", "get_ipython"}
    given = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in ignored and not callable(value) and not hasattr(value, "__spec__")
    }
    for name in given:
        if name not in own:
            raise UnknownName(f"parameter of the chapter {chapter!r}", name, own)
    return make(**{name: parse(name, value) for name, value in given.items()})


def project() -> Path:
    """The nearest folder above the working directory that holds `_toc.yml`, else the working directory."""
    here = Path.cwd()
    return next((d for d in (here, *here.parents) if (d / "_toc.yml").exists()), here)


def sources() -> Path:
    """The folder with the chapters and the book's other sources: the project's, else that which was installed with the package."""
    if (project() / "nbs").is_dir():
        return project()
    try:
        files = metadata.files("qrsupport") or ()
    except metadata.PackageNotFoundError:
        files = ()
    return next((Path(f.locate()).resolve().parent for f in files if f.name == "_toc.yml"), project())


def run_dir(p: Parameters) -> Path:
    """Where this run's artefacts lie."""
    return Path(p.run_dir or os.environ.get("QRSUPPORT_RUNS", "") or project() / "_build" / "runs").absolute()


def settled(p: Parameters) -> Parameters:
    """`p` with what suits the backbone in place of what was left open (-1 epochs or training examples, learning rate 0)."""
    entry = catalog.BACKBONES.get(p.backbone)
    suits = entry.fine_tuning if entry else catalog.LARGE
    limit = suits.embedded_limit if p.dataset in catalog.GENERATED else 0
    return replace(
        p,
        epochs=suits.epochs if p.epochs < 0 else p.epochs,
        learning_rate=p.learning_rate or suits.learning_rate,
        train_limit=limit if p.train_limit < 0 else p.train_limit,
    )


def dataset_name(dataset: str) -> str:
    """A dataset's name in ids, records and folders: the user's own get their file's name and a digest of its content
    (a hub id: of the id)."""
    if not is_own(dataset):
        return dataset
    path = Path(dataset)
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in KINDS) if path.is_dir() else [path]
    content = [[f.name, _sha256(f, f.stat().st_mtime_ns, f.stat().st_size)] for f in files if f.is_file()] or dataset
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", path.stem if path.exists() else dataset).strip("-") or "data"
    return f"{stem}-{key(content)[:8]}"


@functools.lru_cache(64)
def _sha256(file: Path, changed: int, size: int) -> str:
    """The digest of a file, computed again when its time of change or its size has changed."""
    return store.sha256(file)


def others(p: Parameters) -> list[str]:
    """The variants beside the one attacked that an attack asks."""
    return [name for name in (*split(p.joint), *split(p.spare), p.ranking) if name not in ("", catalog.RANDOM)]


def identity(p: Parameters, variant: str = "", attack: bool = False) -> dict:
    """The parameters that an artefact depends on: of the checkpoint, with `variant` of that variant, and with `attack`
    of an attack on it (and on those that it must fool at the same time, spare or be ranked by).

    Two artefacts are the same if and only if their identities are.  `n`, `workers`, places and
    the latency's repeats are not part of it: they change how much is done, not what.
    """
    p = settled(p)
    asked = [variant, *others(p)] if attack else [variant] if variant else []
    names = [*MODEL, *(option for name in asked for option in catalog.VARIANTS[name].options)]
    if attack:
        names += [name for name in ATTACK if name not in LATER or getattr(p, name) != FIELDS[name].default]
    values = asdict(p)
    found = {name: values[name] for name in dict.fromkeys(names)} | {"dataset": dataset_name(p.dataset)}
    if not is_own(p.dataset):
        found = {name: value for name, value in found.items() if name not in OWN}
    return found | ({"variant": variant} if variant else {})


def key(content) -> str:
    """Twelve hexadecimal digits that name `content` (anything JSON can hold), the same on every machine."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
