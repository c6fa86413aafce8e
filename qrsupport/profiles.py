"""What a profile runs: the names to cross, and the parameters that differ from the defaults.  A profile is no more than that."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .catalog import PAPER_ATTACKS


@dataclass(frozen=True)
class ProfileEntry:
    """`grid`: the names to cross; `parameters`: what differs from the defaults; `per`: what differs for one name or chapter."""

    help: str
    grid: dict[str, tuple[str, ...]]
    parameters: dict[str, object] = field(default_factory=dict)
    per: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


PROFILES = {
    "quick": ProfileEntry(
        "generated data, one pretrained backbone, minutes on two cores, no network",
        {"dataset": ("embedded",), "backbone": ("minilm-l6",), "attack": PAPER_ATTACKS},
        {"latency_repeats": 50},
        per={"pso": {"n": 20}} | dict.fromkeys(("bitwidths", "controls", "aware", "ensembles", "architectures"), {"n": 40}),
    ),
    "study": ProfileEntry(
        "the three real data sets under QRSUPPORT_DATA, both small backbones, hours on two cores, no network",
        {
            "dataset": ("sst2", "emotion", "mr"),
            "backbone": ("bert-small", "distilbert-small"),
            "attack": PAPER_ATTACKS,
        },
        {
            "resources": "local",
            "n": 100,
            "adversarial_examples": 1000,
            "workers": 1,
            "backbones": "bert-small,t5-mini,switch-mini",
        },
        {
            "pso": {"n": 30},
            "sst2": {"epochs": 3, "learning_rate": 5e-4, "word_dropout": 0.2},
            "emotion": {"epochs": 8, "learning_rate": 1e-3, "word_dropout": 0.1},
            "mr": {"epochs": 10, "learning_rate": 5e-4, "word_dropout": 0.3},
        },
    ),
    "paper": ProfileEntry(
        "the paper's checkpoints and resources, fewer examples (-p n 1000 -p train_limit 0: all); needs network; see `qrsupport plan`",
        {
            "dataset": ("sst2", "emotion", "mr"),
            "backbone": ("bert-base-uncased", "distilbert-base-uncased"),
            "attack": PAPER_ATTACKS,
        },
        {
            "resources": "published",
            "network": True,
            "n": 100,
            "train_limit": 10_000,
            "epochs": 3,
            "learning_rate": 2e-5,
            "backbones": "bert-large-uncased,t5-base,google/switch-base-8",
        },
        {"pso": {"n": 20}},
    ),
}
