"""What can be chosen by name: one line each, importing nothing of ours.

A dataset, backbone, variant, protocol, resource set or device exists if and only if it has an entry here, an attack in
`attack_catalog`, a profile as a file (`profiles`); `qrsupport list` prints these tables and parameters are checked against them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetEntry:
    """`labels` in class order; `evaluation` is the split that accuracy and attacks are measured on."""

    help: str
    labels: tuple[str, ...]
    evaluation: str = "test"


@dataclass(frozen=True)
class VariantEntry:
    """A variant is a checkpoint (how the weights came about) at a precision (how they are executed).

    `options` names the parameters, beside those of the fine-tuning, that its identity depends on.
    An ensemble names its `members`, and its precision the rule that combines them (`ensembles.RULES`).
    `simulated`: rounded numbers in 32-bit arithmetic, for want of a kernel.  `nearest` names
    variants to take instead where this one cannot run, the nearest first.
    """

    help: str
    checkpoint: str = "base"
    precision: str = "fp32"
    options: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    simulated: bool = False
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True)
class FineTuning:
    """What suits a backbone: passes over the data, peak learning rate, training examples that suffice for the generated
    data (0: all of them)."""

    epochs: int
    learning_rate: float
    embedded_limit: int = 0


@dataclass(frozen=True)
class BackboneEntry:
    """`about`: what a pretrained backbone is and is not, said wherever a result of it is shown.

    `shape`: layers (of encoder and decoder), width and heads, by which `qrsupport plan` tells how long it takes.
    """

    help: str
    fine_tuning: FineTuning
    about: str = ""
    shape: tuple[int, int, int] = (12, 768, 12)


SCRATCH = FineTuning(6, 1e-3)
SCRATCH_T5 = FineTuning(6, 1e-3, 3000)
PRETRAINED = FineTuning(2, 1e-4, 1000)
LARGE = FineTuning(3, 2e-5, 1000)
"""Of any backbone that is not in the table, too."""

POLARITY = ("negative", "positive")
EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")
TOPICS = ("World", "Sports", "Business", "Sci/Tech")
QUESTIONS = ("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM")

DATASETS = {
    "embedded": DatasetEntry("generated short reviews, two classes; needs nothing", POLARITY),
    "embedded-emotion": DatasetEntry("generated first-person sentences, six classes; needs nothing", EMOTIONS),
    "sst2": DatasetEntry("SST-2 (GLUE): film-review phrases, two classes", POLARITY, "validation"),
    "mr": DatasetEntry("MR (rt-polarity): film-review sentences, two classes", POLARITY),
    "emotion": DatasetEntry("Emotion (CARER): tweets, six classes", EMOTIONS),
    "agnews": DatasetEntry("AG News: news items, four topics", TOPICS),
    "trec": DatasetEntry("TREC: questions by what they ask for, six coarse classes", QUESTIONS),
}

GENERATED = ("embedded", "embedded-emotion")
"""Datasets that the package generates."""

BACKBONES = {
    "minilm-l6": BackboneEntry(
        "all-MiniLM-L6-v2, pretrained: BERT architecture, 6 layers of 384 (`qrsupport fetch minilm-l6`, 84 MB)",
        PRETRAINED,
        "sentence-transformers/all-MiniLM-L6-v2: BERT architecture, 6 layers of 384, bert-base-uncased's vocabulary; every "
        "second layer of MiniLM-L12-H384-uncased, tuned on a billion sentence pairs. It has DistilBERT's depth and half "
        "its width; it is not one of the paper's models",
        (6, 384, 12),
    ),
    "mpnet-base": BackboneEntry(
        "all-mpnet-base-v2, pretrained: MPNet, 12 layers of 768, BERT-base's size (`qrsupport fetch mpnet-base`, 404 MB)",
        LARGE,
        "sentence-transformers/all-mpnet-base-v2: MPNet architecture, 12 layers of 768, relative positions; "
        "microsoft/mpnet-base tuned on a billion sentence pairs. It has BERT-base's size and a later pretraining; it is "
        "not one of the paper's models",
    ),
    "bert-small": BackboneEntry(
        "BERT architecture, 2 layers of 128, trained from scratch with its own WordPiece vocabulary",
        SCRATCH, shape=(2, 128, 2),
    ),
    "distilbert-small": BackboneEntry(
        "DistilBERT architecture, 2 layers of 128, trained from scratch with its own WordPiece vocabulary",
        SCRATCH, shape=(2, 128, 2),
    ),
    "t5-mini": BackboneEntry(
        "T5 architecture, encoder and decoder of 2 layers of 128, from scratch, the same vocabulary",
        SCRATCH_T5, shape=(4, 128, 2),
    ),
    "switch-mini": BackboneEntry(
        "Switch Transformers encoder, 2 layers of 128, one with 4 experts, from scratch, the same vocabulary",
        SCRATCH, shape=(2, 128, 2),
    ),
    "bert-base-uncased": BackboneEntry("the paper's BERT, from the Hugging Face hub (needs network)", LARGE),
    "distilbert-base-uncased": BackboneEntry(
        "the paper's DistilBERT, from the Hugging Face hub (needs network)", LARGE, shape=(6, 768, 12)
    ),
    "bert-large-uncased": BackboneEntry(
        "BERT of 24 layers of 1024, from the Hugging Face hub (needs network)", LARGE, shape=(24, 1024, 16)
    ),
    "t5-base": BackboneEntry(
        "T5, encoder and decoder of 12 layers of 768, from the Hugging Face hub (needs network)",
        LARGE, shape=(24, 768, 12),
    ),
    "google/switch-base-8": BackboneEntry(
        "Switch Transformers encoder, 8 experts, from the Hugging Face hub (needs network)", LARGE
    ),
}

INT8_OPTIONS = ("per_channel", "reduce_range", "weight_type")
ADVERSARIAL_OPTIONS = ("adversarial_attack", "adversarial_examples", "resources")
ANEW = ("anew-1", "anew-2", "anew-3")
"""Checkpoints that learned for so many further epochs, each from adversarial examples made anew."""
LONGER = {"longer-1": "anew-1", "longer-2": "anew-2", "longer-3": "anew-3"}
"""Controls of `ANEW`: for as many epochs more, with the same texts as they were before they were attacked."""
ADVERSARIAL = {"adversarial": "fp32", **dict(zip(ANEW, ("fp32", *ANEW), strict=False))}
"""Checkpoints that learn from adversarial examples, and the variant that is attacked to make them."""
LEARNED_FROM = ADVERSARIAL | {control: ADVERSARIAL[which] for control, which in LONGER.items()}
"""The same, with the controls that learn from which texts were turned."""
STARTED_FROM = {which: before for row in (ANEW, LONGER) for which, before in zip(row, ("base", *row), strict=False)}
"""Checkpoints that go on from another one for one epoch more, and which."""
STATIC = ("calibration_examples",)
EMULATED, SATURATING = "int8-emulated", "int8-saturating"
LOWEST_BITS, HIGHEST_BITS = 2, 16
BITS = (2, 3, 4, 5, 6, 7, 8, 16)
SWEEP: dict[str, tuple[int | None, int | None]] = (
    {f"w{b}": (b, None) for b in BITS} | {f"a{b}": (None, b) for b in BITS} | {f"w{b}a{b}": (b, b) for b in BITS}
)
"""Names of the bit-width sweep: bits of the weights and of the activations, None for 32-bit floating point."""


def _ladder() -> dict[str, VariantEntry]:
    """The precisions of the base checkpoint beside the paper's."""

    def rung(precision: str, help: str, options=(), nearest=("int8-dynamic",)) -> dict[str, VariantEntry]:
        return {precision: VariantEntry(help, "base", precision, options, nearest=nearest)}

    def width(name: str, weights: int | None, activations: int | None) -> VariantEntry:
        what = {"weights": weights, "activations": activations}
        said = ", ".join(f"{part} in {bits} bits" for part, bits in what.items() if bits)
        return VariantEntry(f"{said} (simulated)", "base", name, simulated=True, nearest=("int8-dynamic",))

    return (
        rung(EMULATED, "int8-dynamic in 32-bit floats, one activation range a text: batched, and on GPUs", INT8_OPTIONS)
        | rung(SATURATING, "int8-dynamic as the fastest kernel of an x86 CPU without VNNI answers, on any CPU", INT8_OPTIONS)
        | rung("int8-dynamic-channel", "8-bit dynamic, one weight scale per output channel")
        | rung("int8-dynamic-unsigned", "8-bit dynamic, unsigned weights")
        | rung("int8-dynamic-reduced", "8-bit dynamic, 7-bit weights")
        | rung("int8-static-minmax", "8-bit static, activation ranges from calibration: extremes", STATIC)
        | rung("int8-static-entropy", "8-bit static, activation ranges from calibration: least divergence", STATIC)
        | rung("int8-static-percentile", "8-bit static, activation ranges from calibration: percentiles", STATIC)
        | rung("int8-weights", "8-bit weights in blocks of 32, 32-bit activations (MatMulNBits)", nearest=("w8",))
        | rung("int4-weights", "4-bit weights in blocks of 32, 32-bit activations (MatMulNBits)", nearest=("w4",))
        | rung("fp16", "16-bit floating point", nearest=("fp32",))
        | {name: width(name, *bits) for name, bits in SWEEP.items()}
    )


def _anew(rounds: int) -> str:
    """What a checkpoint of `ANEW` is."""
    more = "1 epoch more" if rounds == 1 else f"{rounds} epochs more"
    return f"fp32 fine-tuned for {more}, with adversarial examples made anew before each, 32-bit"


def _longer(name: str) -> str:
    """What a checkpoint of `LONGER` is."""
    return f"control: as {LONGER[name]}, but with the texts unattacked that it learned from attacked, 32-bit"


MATCHED = {
    "logit-noise-1": "32-bit weights plus noise that moves clean logits as much as int8 does",
    "logit-noise-2": "as logit-noise-1, second draw",
    "logit-noise-3": "as logit-noise-1, third draw",
    "activation-noise-1": "32-bit, noise added to the inputs of products, moving clean logits as much as int8 does",
    "activation-noise-2": "as activation-noise-1, second draw",
    "activation-noise-3": "as activation-noise-1, third draw",
    "fp32-shifted": "32-bit, with int8's mean shift of clean logits added",
    "int8-unshifted": "int8-dynamic, with its mean shift of clean logits taken out",
}
"""Controls matched with int8-dynamic by what it does to logits, and what they are."""

VARIANTS = (
    {
        "fp32": VariantEntry("the fine-tuned checkpoint in 32-bit floating point"),
        "int8-dynamic": VariantEntry(
            "8-bit ONNX Runtime dynamic quantization, as in the paper", "base", "int8-dynamic", INT8_OPTIONS
        ),
        "adversarial": VariantEntry(
            "fine-tuned again with adversarial examples added, 32-bit", "adversarial", "fp32", ADVERSARIAL_OPTIONS
        ),
        "adversarial-int8": VariantEntry(
            "adversarial training, then the paper's quantization",
            "adversarial",
            "int8-dynamic",
            ADVERSARIAL_OPTIONS + INT8_OPTIONS,
        ),
        **{name: VariantEntry(_anew(i), name, "fp32", ADVERSARIAL_OPTIONS) for i, name in enumerate(ANEW, 1)},
        "anew-3-int8": VariantEntry(
            "anew-3, then the paper's quantization", "anew-3", "int8-dynamic", ADVERSARIAL_OPTIONS + INT8_OPTIONS
        ),
        **{name: VariantEntry(_longer(name), name, "fp32", ADVERSARIAL_OPTIONS) for name in LONGER},
        "other-seed": VariantEntry("control: the same fine-tuning with the next seed, 32-bit", "other-seed"),
        "noise-1": VariantEntry(
            "control: 32-bit weights plus noise as large as the int8 error", "base", "noise-1", INT8_OPTIONS
        ),
        "noise-2": VariantEntry("control: as noise-1, second draw", "base", "noise-2", INT8_OPTIONS),
        "noise-3": VariantEntry("control: as noise-1, third draw", "base", "noise-3", INT8_OPTIONS),
        **{name: VariantEntry(f"control: {help}", "base", name, INT8_OPTIONS) for name, help in MATCHED.items()},
        "ensemble-mean": VariantEntry(
            "mean of the probabilities of fp32 and int8-dynamic", "base", "mean", INT8_OPTIONS, ("fp32", "int8-dynamic")
        ),
        "ensemble-vote": VariantEntry(
            "majority of fp32, int8-dynamic and noise-1; ties go to the higher mean probability",
            "base",
            "vote",
            INT8_OPTIONS,
            ("fp32", "int8-dynamic", "noise-1"),
        ),
        "ensemble-random": VariantEntry(
            "fp32 or int8-dynamic, drawn for each text from seed and text",
            "base",
            "random",
            INT8_OPTIONS,
            ("fp32", "int8-dynamic"),
        ),
    }
    | _ladder()
    | {
        "qat8": VariantEntry(
            "fine-tuned while rounding to 8 bits, then as int8-dynamic", "qat8", "int8-dynamic", INT8_OPTIONS
        ),
        "qat4": VariantEntry(
            "fine-tuned while rounding to 4 bits, then as w4a4 (simulated)", "qat4", "w4a4", simulated=True
        ),
        "qat8-fp32": VariantEntry("control: the checkpoint of qat8 in 32-bit", "qat8"),
        "qat4-fp32": VariantEntry("control: the checkpoint of qat4 in 32-bit", "qat4"),
    }
)


def execution(variant: str) -> str:
    """How a variant is executed, as its records say: "kernel", "simulated" where a width has none (or a member's), or
    "emulated" where another kernel's integers are computed otherwise."""
    entry = VARIANTS[variant]
    if entry.precision in (EMULATED, SATURATING):
        return "emulated"
    return "simulated" if entry.simulated or "simulated" in map(execution, entry.members) else "kernel"


DEVICES = {
    "cpu": "ONNX Runtime on the CPU",
    "cuda": "PyTorch on an NVIDIA GPU; variants that are kernels of ONNX Runtime's (int8-dynamic and others) stay on the CPU",
}
"""Where classifiers are asked."""
RANDOM = "random"
"""In place of a variant's name: words are taken in random order, not ranked by any."""
CONTROLS = ("other-seed", "noise-1", "noise-2", "noise-3")
PAPER_VARIANTS, PAPER_ATTACKS = ("fp32", "int8-dynamic", "adversarial"), ("textfooler", "pwws", "pso")

PROTOCOLS = {
    "direct": "attack a variant, measure that variant",
    "transfer": "measure a target on the adversarial set of a source (the paper's, as we read it)",
    "joint": "attack until several variants are fooled at once (parameter `joint`)",
    "spare": "attack until a variant is fooled while others still give the label (parameter `spare`)",
}

RESOURCES = {
    "embedded": "a small thesaurus written for this package; needs nothing",
    "local": "files under QRSUPPORT_DATA: neighbour lists, WordNet, a HowNet approximation; a fetched sentence encoder",
    "published": "what each recipe names, as TextAttack ships it (needs network)",
}
