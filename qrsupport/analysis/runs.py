"""Everything recorded under a run directory, told apart: what differs between two runs becomes part of a row's name.

The *setting* of a model is the parameters of its fine-tuning beside data set, backbone and seed, and the device that answered; a
variant's *options* are its own, such as those of the int8 quantization.  Where one model has been
run with several, each is named by the values that differ among them, a default left out:
`epochs=1`, `int8-dynamic (per_channel=true)`.
"""

import dataclasses
import json
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import Any

from .. import catalog, config, recorded, records, schema, store
from ..errors import NoRecords

MODEL = ("dataset", "backbone", "seed")
ASKED = ("joint", "spare", "ranking")
"""Fields that name further variants."""
DEVICE = {"device": config.FIELDS["device"].default}
"""Where a run was asked that does not say."""
SETTING = (*(name for name in config.MODEL if name not in MODEL), *DEVICE)


def load(run_dir: Path, setting: str = "") -> tuple[list[records.Record], list[records.Replay], list[dict]]:
    """The records, replays and clean predictions under a run directory, with `setting`, and the names of variants, that
    tell them apart.

    `setting`, such as `epochs=6, per_channel=false`, keeps only the runs with these values, and those that do not
    depend on them.  Raises NoRecords if no record or no replay is left, UnknownName or BadParameter for a
    `setting` that cannot be.
    """
    wanted, run = schema.narrowing(setting), Path(run_dir)
    found = [
        [(p, content) for p, content in part if all(_has(one, wanted) for one in p.values())]
        for part in (_stored(run, records.Record), _stored(run, records.Replay), _clean(run))
    ]
    for (stage, kind), part in zip(recorded.STAGES.items(), found, strict=False):
        if not any(content for _, content in part):
            with_these = f" with {setting}" if setting else ""
            raise NoRecords(
                f"no {kind.__name__.lower()}s{with_these} under {run / stage}; run the attack chapter or `make book`"
            )
    names = Names(one for part in found for p, _ in part for one in p.values())
    attacked, replayed, clean = [[names(p, r) for p, content in part for r in content] for part in found]
    return attacked, replayed, clean


def _stored(run: Path, kind: type) -> list[tuple[dict, list]]:
    """(parameters of the source or, for replays, source and target; records) of each folder."""
    found = []
    for folder in recorded.folders(run, kind):
        p = _parameters(folder.depends())
        sides = {side: p[side] if isinstance(p.get(side), dict) else {} for side in ("source", "target")}
        found.append((sides if kind is records.Replay else {"source": p}, folder.load()))
    return found


def _clean(run: Path) -> list[tuple[dict, list[dict]]]:
    folders = sorted(f.parent for f in run.glob("clean/*/predictions.json"))
    return [({"source": _parameters(store.intact(folder)["depends"])}, [recorded.read_clean(folder)]) for folder in folders]


def _parameters(depends: dict) -> dict:
    found = depends.get("parameters")
    return found if isinstance(found, dict) else {}


def _has(p: dict, wanted: dict) -> bool:
    """Whether a run's parameters have these values, where it depends on them."""
    p = {name: config.FIELDS[name].default for name in config.LATER if "attack" in p} | DEVICE | p
    return all(p[name] == value for name, value in wanted.items() if name in p)


class Names:
    """Names for the runs with these parameters (`config.identity` of each)."""

    def __init__(self, runs):
        self.settings, self.options = defaultdict(set), defaultdict(set)
        for p in runs:
            self.settings[_model(p)].add(_values(p, SETTING))
            named = [config.split(str(p.get(name, ""))) for name in ("variant", *ASKED)]
            for variant in chain.from_iterable(named):
                self.options[_model(p), variant].add(_values(p, _own(variant)))

    def __call__(self, p: dict[str, dict], of: Any) -> Any:
        """A record, replay or clean prediction with its names; `p`: the parameters of its `source` and `target`."""
        source = p["source"]
        given: dict = {"setting": self.setting(source)}
        if isinstance(of, dict):
            return of | given | {"variant": self.variant(source, of["variant"])}
        for several in ASKED:
            given[several] = ",".join(self.variant(source, name) for name in config.split(getattr(of, several)))
        if isinstance(of, records.Record):
            return dataclasses.replace(of, **given, variant=self.variant(source, of.variant))
        sides = {side: self.variant(p[side], getattr(of, side)) for side in ("source", "target")}
        return dataclasses.replace(of, **given, **sides)

    def setting(self, p: dict) -> str:
        """What tells a run from others of its model; empty if nothing does."""
        return _label(p, SETTING, self.settings[_model(p)])

    def variant(self, p: dict, name: str) -> str:
        """A variant's name with the options that tell it from others of its name."""
        label = _label(p, _own(name), self.options[_model(p), name])
        return f"{name} ({label})" if label else name


def _own(variant: str) -> tuple[str, ...]:
    return catalog.VARIANTS[variant].options if variant in catalog.VARIANTS else ()


def _model(p: dict) -> tuple[str, ...]:
    return tuple(_text(p.get(name)) for name in MODEL)


def _values(p: dict, names) -> tuple[tuple[str, str], ...]:
    return tuple((name, _text((DEVICE | p).get(name, "unset"))) for name in names)


def _text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _label(p: dict, names, among: set[tuple]) -> str:
    """The values of the parameters in `names` that differ among all runs, defaults left out."""
    own, usual = dict(_values(p, names)), {name: field.default for name, field in config.FIELDS.items()}
    if isinstance(p.get("backbone"), str):  # what is left open is settled by the backbone
        usual |= config.suited(p["backbone"], p.get("dataset", ""))
    differing = {name for values in among for name, value in values if own[name] != value}
    return ", ".join(
        f"{name}={own[name]}" for name in names if name in differing and own[name] != _text(usual[name])
    )
