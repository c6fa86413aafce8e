"""The parameters of every chapter, in groups, as one typed model: types, defaults, ranges, help.

pydantic checks them whenever they are made, `dataclasses.replace` included; what is wrong is said by an error of ours.
"""

import json
import os
from dataclasses import fields
from typing import Annotated, NoReturn

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

from . import attack_catalog, catalog
from .errors import BadParameter, UnknownName
from .values import VARIANTS, Names, Text, about, absolute, import_path, is_own, split


def _narrows(setting: str) -> str:
    narrowing(setting)
    return setting


class Named:
    """A group of parameters whose values are checked; what is wrong with one is said by an error of ours."""

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, given, handler):
        try:
            return handler(given)
        except ValidationError as e:
            first = e.errors(include_url=False)[0]
        return _refuse(first)


def _refuse(error) -> NoReturn:
    """Raises one of our errors for pydantic's: UnknownName or BadParameter."""
    (name, *_), value = error["loc"], error["input"]
    if name not in FIELDS:
        raise UnknownName("parameter", name, FIELDS)
    if error["type"].endswith("_type"):
        kind = type(FIELDS[name].default).__name__
        raise BadParameter(f"{name} must be of type {kind}, not {value!r} ({type(value).__name__})")
    low, high = (_limit(name, side) for side in ("ge", "le"))
    raise BadParameter(f"{name}={value!r} is out of range; it must lie in [{low}, {high}]")


def _limit(name: str, side: str):
    """The least (`ge`) or the largest (`le`) value of a parameter; None where there is none."""
    return next((getattr(m, side) for m in FIELDS[name].metadata if hasattr(m, side)), None)


CHECKED = ConfigDict(strict=True, extra="forbid", defer_build=True)


@dataclass(frozen=True, config=CHECKED)
class Data(Named):
    """What is classified; all but the first are of data of the user's own."""

    dataset: Annotated[
        Text,
        AfterValidator(absolute),
        Names(catalog.DATASETS, others=is_own),
        about("what to classify: a name, a file or directory of labelled texts, or a hub id"),
    ] = "embedded"
    text_column: Annotated[Text, about("own data: the column of the texts")] = "text"
    label_column: Annotated[Text, about("own data: the column of the labels")] = "label"
    labels: Annotated[Text, about("own data: class names in class order, with commas; empty: those found")] = ""
    splits: Annotated[Text, about("own data without splits: per cent for training, validation, test")] = "80/10/10"
    split_seed: Annotated[int, about("own data without splits: seed of the split", ge=0)] = 0


@dataclass(frozen=True, config=CHECKED)
class FineTuning(Named):
    """What is fine-tuned, and how."""

    backbone: Annotated[
        Text, AfterValidator(absolute), about("what is fine-tuned: a name, a hub id or a local directory")
    ] = "minilm-l6"
    seed: Annotated[int, about("seed of the fine-tuning", ge=0)] = 0
    epochs: Annotated[
        int,
        about(
            "passes over the training data; -1: as suits the backbone; 0: none, a fine-tuned checkpoint as it is",
            ge=-1,
            le=1000,
        ),
    ] = -1
    label_map: Annotated[
        Text, about("epochs 0: pairs that say which class each output of the checkpoint is; empty: by name")
    ] = ""
    batch_size: Annotated[int, about("examples per step", ge=1, le=4096)] = 32
    learning_rate: Annotated[float, about("peak learning rate of AdamW; 0: as suits the backbone", ge=0, le=1.0)] = 0.0
    max_length: Annotated[int, about("longest input in tokens; longer texts are truncated", ge=8, le=512)] = 128
    word_dropout: Annotated[
        float,
        about(
            "share of words hidden in training, against overfitting; 0.3 suits small models on real data", ge=0, le=0.9
        ),
    ] = 0.0
    train_limit: Annotated[
        int,
        about(
            "use only so many training examples, a seeded sample; 0: all; -1: all, or on generated data what suits the backbone",
            ge=-1,
        ),
    ] = -1


@dataclass(frozen=True, config=CHECKED)
class Int8(Named):
    """How int8-dynamic quantizes."""

    per_channel: Annotated[bool, about("int8: one weight scale per output channel instead of one per tensor")] = False
    reduce_range: Annotated[bool, about("int8: 7-bit weights, for CPUs whose 8-bit kernels overflow")] = False
    weight_type: Annotated[Text, Names(("QInt8", "QUInt8")), about("int8: signed or unsigned weights")] = "QInt8"


@dataclass(frozen=True, config=CHECKED)
class Calibration(Named):
    """What static quantization takes its ranges from."""

    calibration_examples: Annotated[
        int, about("int8 static: training texts that set the activation ranges", ge=1, le=100_000)
    ] = 128


@dataclass(frozen=True, config=CHECKED)
class Compared(Named):
    """Which models and runs a chapter sets side by side."""

    backbones: Annotated[
        Text,
        AfterValidator(lambda names: ",".join(map(absolute, split(names)))),
        about("what is fine-tuned, one after the other; as `backbone`, with commas"),
    ] = "t5-mini,minilm-l6"
    variant: Annotated[Text, Names(catalog.VARIANTS), about("the classifier attacked")] = "fp32"
    targets: Annotated[Text, VARIANTS, about("variants on which the adversarial set is replayed")] = "fp32,int8-dynamic"
    variants: Annotated[
        Text, VARIANTS, about("variants to build, attack and compare")
    ] = "fp32,int8-dynamic,w4,w6,a4,a6,w8a8"
    setting: Annotated[
        Text,
        AfterValidator(_narrows),
        about("compare only runs with these values, as the column `setting` shows them; empty: all"),
    ] = ""


@dataclass(frozen=True, config=CHECKED)
class Attack(Named):
    """An attack: its recipe, words and seed, then its aim."""

    attack: Annotated[Text, Names(attack_catalog.ATTACKS, others=import_path), about("the recipe")] = "textfooler"
    resources: Annotated[Text, Names(catalog.RESOURCES), about("where an attack's words come from")] = "embedded"
    attack_seed: Annotated[int, about("seed of the sample and of each example's random state", ge=0)] = 0
    query_budget: Annotated[int, about("most queries an example; 0: no limit", ge=0)] = 0
    margin: Annotated[
        float, about("probability by which a wrong class must lead before an attack stops", ge=0, le=0.99)
    ] = 0.0
    joint: Annotated[Text, VARIANTS, about("further variants that the attack must fool at the same time")] = ""
    spare: Annotated[Text, VARIANTS, about("variants that must still give the label when the attack succeeds")] = ""
    ranking: Annotated[
        Text,
        Names((*catalog.VARIANTS, catalog.RANDOM), others=lambda name: not name),
        about("greedy attacks: the variant by whose answers words are ranked, or random; empty: the one attacked"),
    ] = ""
    restart: Annotated[
        int,
        about(
            "other random states for the same examples: 1, 2 and so on; greedy attacks draw no number unless ranking is random",
            ge=0,
        ),
    ] = 0


@dataclass(frozen=True, config=CHECKED)
class Adversarial(Named):
    """What adversarial training adds."""

    adversarial_attack: Annotated[
        Text, Names(attack_catalog.ATTACKS), about("the recipe that makes adversarial training examples")
    ] = "textfooler"
    adversarial_examples: Annotated[int, about("training examples attacked for adversarial training", ge=1, le=1_000_000)] = 80


@dataclass(frozen=True, config=CHECKED)
class Size(Named):
    """How much is done and by how many: it changes no single outcome."""

    n: Annotated[int, about("examples attacked, a seeded sample of the evaluation split", ge=1, le=1_000_000)] = 100
    workers: Annotated[int, about("attacking processes, 0: as many as pay; changes the time, never a record", ge=0, le=256)] = 0
    latency_repeats: Annotated[int, about("timed predictions for the latency figure", ge=10, le=100_000)] = 200


@dataclass(frozen=True, config=CHECKED)
class Machine(Named):
    """What classifiers run on: it changes answers in their last digits."""

    device: Annotated[Text, Names(catalog.DEVICES), about("where classifiers are asked: cpu or cuda")] = "cpu"


@dataclass(frozen=True, config=CHECKED)
class Place(Named):
    """Where things lie and may come from."""

    network: Annotated[bool, about("may fetch data, backbones and published resources")] = False
    run_dir: Annotated[
        Text,
        AfterValidator(lambda path: path and os.path.abspath(os.path.expanduser(path))),
        about("where every artefact lies; empty: QRSUPPORT_RUNS or _build/runs of the project"),
    ] = ""


@dataclass(frozen=True, config=CHECKED)
class Parameters(Place, Machine, Size, Adversarial, Attack, Compared, Calibration, Int8, FineTuning, Data):
    """Every parameter of every chapter, from the last group to the first; the defaults are the quick profile."""


FIELDS: dict[str, FieldInfo] = vars(Parameters)["__pydantic_fields__"]
"""Name → pydantic's `FieldInfo`, with `default` and `description`."""
GROUPS = Parameters.__bases__[::-1]


def names(group: type) -> tuple[str, ...]:
    """The parameters of a group."""
    return tuple(field.name for field in fields(group))


def json_schema() -> dict:
    """The parameters as a JSON schema; `group` says which group each belongs to."""
    found = TypeAdapter(Parameters).json_schema()
    for group in GROUPS:
        for name in names(group):
            found["properties"][name]["group"] = group.__name__
    return found


def check(name: str, value):
    """`value` as the type of parameter `name`.

    Raises UnknownName for a parameter or a choice that does not exist, BadParameter for a wrong type or range.
    """
    if name not in FIELDS:
        raise UnknownName("parameter", name, FIELDS)
    return getattr(Parameters(**{name: value}), name)


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
