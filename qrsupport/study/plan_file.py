"""The study's plan: which classifiers are fine-tuned, attacked and compared, in which order, read from one file.

`book/study.toml` holds it.  A unit (one data set, backbone and seed, and a program) is what is run,
published and checked as a whole; a program is a list of steps.  Nothing here does any of it.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from .. import attack_catalog, catalog, config, declared, project, store
from ..data import embedded, origins
from ..declared import items, keys, once
from ..errors import BadParameter, UnknownName

FILE = "book/study.toml"
KEYS = ("changes", "resources", "attack_seed", "units", "rates", "models", "groups", "programs")
DOES = {
    "tune": "checkpoints are fine-tuned; the validation accuracy of `base` must reach the floor",
    "clean": "each variant answers the whole evaluation split",
    "direct": "each variant is attacked itself",
    "transfer": "the adversarial set of each source is replayed on each target",
}
NEEDS = {
    "tune": ("checkpoints",),
    "clean": ("variants",),
    "direct": ("attack", "n", "variants"),
    "transfer": ("attack", "n", "sources", "targets"),
}
NAMED = ("variants", "sources", "targets")
TUNING = ("dataset", "backbone", "epochs", "learning_rate", "batch_size", "max_length", "word_dropout", "train_limit",
          "adversarial_attack", "adversarial_examples")  # fmt: skip
ASKING = ("tune", "ask")


@dataclass(frozen=True)
class Step:
    """One step of a program: what it does (`DOES`), and with what; groups are spelled out.

    `given` holds the parameters of the attack that differ from the defaults.
    """

    does: str
    checkpoints: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    attack: str = ""
    n: int = 0
    given: tuple[tuple[str, object], ...] = ()

    @property
    def label(self) -> str:
        """The step in one line, without its lists: `direct textfooler, margin 0.3`."""
        aims = [f"{name} {value}" for name, value in self.given]
        return ", ".join([" ".join(filter(None, (self.does, self.attack))), *aims])


@dataclass(frozen=True)
class Unit:
    """What is run and published as a whole; `blind`: not looked at before the analysis is fixed in code."""

    name: str
    model: str
    program: str
    seed: int
    blind: bool
    floor: float
    parameters: dict
    steps: tuple[Step, ...]

    def make(self, **more) -> config.Parameters:
        """The unit's parameters, checked, with `more`."""
        return config.make(**self.parameters | more)

    def size(self) -> int:
        """Examples of the evaluation split."""
        return split_size(self.parameters["dataset"], catalog.DATASETS[self.parameters["dataset"]].evaluation)

    def attacked(self, step: Step) -> int:
        """Examples that a step attacks: its `n`, or the whole split if that is smaller."""
        return min(step.n, self.size())


@dataclass(frozen=True)
class Plan:
    """The whole plan, in the file's order; `models` and `rates` as they stand in it.

    `changes` says what each version changed: the last is the plan's.
    """

    changes: tuple[str, ...]
    units: tuple[Unit, ...]
    models: dict[str, dict]
    groups: dict[str, tuple[str, ...]]
    rates: dict[str, dict]
    rates_from: str

    @property
    def version(self) -> int:
        return len(self.changes)

    def unit(self, name: str) -> Unit:
        """Raises UnknownName."""
        found = {unit.name: unit for unit in self.units}
        if name not in found:
            raise UnknownName("unit of the plan", name, found)
        return found[name]


def read(file: Path | None = None) -> Plan:
    """The plan in `file` (default: the book's), checked whole.

    Raises UnknownName for a key or a name that does not exist, with the nearest that does; BadParameter for a value
    that cannot be, a missing key, or a file that is no TOML.
    """
    file = Path(file or project.sources() / FILE)
    content = declared.read(file, f"restore the book's {FILE}")
    keys("key of the plan", content, KEYS, KEYS)
    groups = {name: _variants(f"group {name}", members, {}) for name, members in _table(content, "groups").items()}
    programs = {
        name: tuple(_step(f"program {name}", step, groups) for step in items(f"program {name}", steps))
        for name, steps in _table(content, "programs").items()
    }
    models = {name: _model(name, model) for name, model in _table(content, "models").items()}
    common = {name: config.check(name, content[name]) for name in ("resources", "attack_seed")}
    units = tuple(_unit(unit, models, programs, common) for unit in items("units", content["units"]))
    once("unit", [unit.name for unit in units])
    rates = _rates(_table(content, "rates"), units)
    changes = tuple(map(str, items("changes", content["changes"])))
    return Plan(changes, units, models, groups, rates, content["rates"]["from"])


def _table(content: dict, name: str) -> dict:
    return keys(name, content[name], content[name])


def _variants(where: str, names, groups: dict) -> tuple[str, ...]:
    """The variants that `names` (of variants or groups) name, each once, in order."""
    found = []
    for name in items(where, names):
        if not isinstance(name, str) or name not in {*groups, *catalog.VARIANTS}:
            raise UnknownName(f"variant or group in {where}", name, [*groups, *catalog.VARIANTS])
        found += groups.get(name, (name,))
    return tuple(dict.fromkeys(found))


def _step(where: str, step, groups: dict) -> Step:
    """A step, checked against what it `does`."""
    known = (*Step.__dataclass_fields__, *config.AIM)
    does = keys(f"key of a step of {where}", step, [k for k in known if k != "given"], ["does"])["does"]
    if does not in DOES:
        raise UnknownName(f"step of {where}", does, DOES)
    attacks = config.AIM if does in ("direct", "transfer") else ()
    keys(f"key of a step {does!r} of {where}", step, ("does", *NEEDS[does], *attacks), NEEDS[does])
    lists: dict = {name: _variants(f"{name} of {where}", step[name], groups) for name in NAMED if name in step}
    if does == "tune":
        lists["checkpoints"] = tuple(map(_checkpoint, items(f"checkpoints of {where}", step["checkpoints"])))
    if not attacks:
        return Step(does, **lists)
    given = tuple((name, config.check(name, step[name])) for name in config.AIM if name in step)
    attack, n = (config.check(name, step[name]) for name in ("attack", "n"))
    return Step(does, **lists, attack=attack, n=n, given=_alone(where, given, lists))


def _alone(where: str, given: tuple, lists: dict) -> tuple:
    """`given`, whose lists name variants in the catalogue's order and none that is attacked itself.

    Records name them so; another spelling would find none of them.
    """
    attacked = {*lists.get("variants", ()), *lists.get("sources", ())}
    for name, value in given:
        named = [item for item in config.split(str(value)) if item in catalog.VARIANTS]
        if named != [item for item in catalog.VARIANTS if item in named and item not in attacked]:
            raise BadParameter(f"{name}={value!r} of {where} must be in the catalogue's order, without {sorted(attacked)}")
    return given


def _checkpoint(name: str) -> str:
    known = {entry.checkpoint for entry in catalog.VARIANTS.values()}
    if name not in known:
        raise UnknownName("checkpoint", name, known)
    return name


def _model(name: str, model) -> dict:
    """A model's parameters of the fine-tuning, its `floor` and why they are what they are (`because`)."""
    own = ("floor", "because")
    keys(f"key of model {name!r}", model, (*TUNING, *own), ("dataset", "backbone", "epochs", "learning_rate", *own))
    for key, known in (("backbone", catalog.BACKBONES), ("dataset", catalog.DATASETS)):
        if model[key] not in known:
            raise UnknownName(f"{key} of model {name!r}", model[key], known)
    if not isinstance(model["floor"], float) or not 0 <= model["floor"] <= 1:
        raise BadParameter(f"floor={model['floor']!r} of model {name!r} must be a share from 0.0 to 1.0")
    return {key: config.check(key, value) if key in TUNING else value for key, value in model.items()}


def _unit(unit, models: dict, programs: dict, common: dict) -> Unit:
    needed = ("name", "model", "seed", "program")
    keys("key of a unit", unit, (*needed, "blind"), needed)
    for kind, known in (("model", models), ("program", programs)):
        if unit[kind] not in known:
            raise UnknownName(f"{kind} of unit {unit['name']!r}", unit[kind], known)
    if not isinstance(unit["name"], str) or not unit["name"].replace("-", "").isalnum():
        raise BadParameter(f"unit {unit['name']!r} must be named with letters, digits and hyphens")
    model, blind = models[unit["model"]], unit.get("blind", False)
    if type(blind) is not bool:
        raise BadParameter(f"blind={blind!r} of unit {unit['name']!r} must be true or false")
    given = {name: model[name] for name in TUNING if name in model} | common
    given["seed"] = config.check("seed", unit["seed"])
    about = {name: unit[name] for name in needed}
    return Unit(**about, blind=blind, floor=model["floor"], parameters=given, steps=programs[unit["program"]])


def _rates(rates: dict, units: tuple[Unit, ...]) -> dict[str, dict]:
    """Seconds of one core by backbone and what is done; of every backbone and attack that a unit needs."""
    keys("key of rates", rates, ("from", *catalog.BACKBONES), ["from"])
    found = {name: row for name, row in rates.items() if name != "from"}
    for name, row in found.items():
        for key, value in keys(f"key of rates.{name}", row, (*ASKING, *attack_catalog.ATTACKS), ASKING).items():
            if not isinstance(value, (int, float)) or not value > 0:
                raise BadParameter(f"rates.{name}.{key}={value!r} must be seconds, more than 0")
    for unit in units:
        needed = {step.attack for step in unit.steps if step.does == "direct"}
        backbone = unit.parameters["backbone"]
        keys(f"rates.{backbone}", found.get(backbone, {}), (*ASKING, *attack_catalog.ATTACKS), sorted(needed))
    return found


def split_size(dataset: str, split: str) -> int:
    """Examples of a data set's `train`, `validation` or `test` split."""
    published = origins.SOURCES.get(dataset)
    sizes = published.sizes if published else None
    return (sizes or tuple(embedded.SIZES.values()))[("train", "validation", "test").index(split)]


def parameters(unit: Unit, step: Step, **more) -> config.Parameters:
    """The parameters of a step of a unit, with `more`."""
    attack = {"attack": step.attack, "n": step.n} if step.attack else {}
    return unit.make(**attack, **dict(step.given), **more)


def content(unit: Unit) -> dict:
    """The unit as JSON holds it."""
    return dataclasses.asdict(unit)


def index(run_dir: Path, unit: Unit) -> Path:
    """The file that notes what a unit has made."""
    return Path(run_dir) / "study" / f"{unit.name}.json"


def noted(run_dir: Path, unit: Unit) -> dict:
    """What a unit has made so far, as `study_run` noted it; empty before its first job.

    Raises StaleArtefact for a damaged file.
    """
    file = index(run_dir, unit)
    return store.read_json(file) if file.is_file() else {}
