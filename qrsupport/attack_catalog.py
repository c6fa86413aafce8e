"""The attacks that can be chosen by name, one entry each, and which resource sets can supply them; imports nothing of ours."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AttackEntry:
    """`recipe` names the class of TextAttack's; `parts` what it draws from a resource set.

    `goal`: what it seeks.  `cannot`: why no resource set and no classifier here can run it.
    `nearest` names attacks to take instead where it cannot run, the nearest first.
    """

    help: str
    recipe: str
    parts: tuple[str, ...]
    goal: str = "another label"
    cannot: str = ""
    nearest: tuple[str, ...] = ("textfooler", "pwws")


GRADIENTS = "needs the classifier's gradients, which an ONNX file does not give"
ATTACKS = {
    "textfooler": AttackEntry(
        "TextFooler (Jin et al. 2020): embedding neighbours, greedy by word importance",
        "TextFoolerJin2019", ("encoder", "neighbours", "tagger"),
    ),  # fmt: skip
    "textfooler-strict": AttackEntry(
        "TextFooler, each exchange held to a cosine of 0.98 between sentences (Morris et al. 2020)",
        "TextFoolerStrict", ("encoder", "neighbours", "tagger"),
    ),  # fmt: skip
    "pwws": AttackEntry(
        "PWWS (Ren et al. 2019): WordNet synonyms, greedy by probability-weighted saliency",
        "PWWSRen2019", ("substitutes", "stop_words"),
    ),  # fmt: skip
    "pso": AttackEntry(
        "PSO (Zang et al. 2020): sememe substitutes, particle swarm search",
        "PSOZang2020", ("sememes", "tagger", "stop_words"),
    ),  # fmt: skip
    "deepwordbug": AttackEntry(
        "DeepWordBug (Gao et al. 2018): letters swapped, changed, dropped or added, greedy by word importance",
        "DeepWordBugGao2018", ("stop_words",),
    ),  # fmt: skip
    "bae": AttackEntry(
        "BAE-R (Garg & Ramakrishnan 2020): a masked language model's words, greedy by word importance",
        "BAEGarg2019", ("encoder", "tagger", "stop_words", "masked_lm"),
    ),  # fmt: skip
    "textbugger": AttackEntry(
        "TextBugger (Li et al. 2018): typing errors, look-alike letters and embedding neighbours, greedy by word importance",
        "TextBuggerLi2018", ("neighbours", "encoder", "stop_words"),
    ),  # fmt: skip
    "iga": AttackEntry(
        "IGA (Wang et al. 2019): embedding neighbours, genetic search",
        "IGAWang2019", ("neighbours", "stop_words"),
    ),  # fmt: skip
    "leap": AttackEntry(
        "LEAP (Xiao et al. 2023): WordNet synonyms, particle swarm with Levy flights",
        "LEAP2023", ("substitutes", "stop_words"),
    ),  # fmt: skip
    "checklist": AttackEntry(
        "CheckList (Ribeiro et al. 2020): contractions, numbers, names of persons and places, greedy",
        "CheckList2020", ("entities",),
    ),  # fmt: skip
    "pruthi": AttackEntry(
        "Pruthi et al. 2019: one word mistyped (swap, drop, insert, neighbouring key), greedy",
        "Pruthi2019", ("stop_words",), nearest=("deepwordbug",),
    ),  # fmt: skip
    "input-reduction": AttackEntry(
        "Input reduction (Feng et al. 2018): words dropped, greedy by word importance",
        "InputReductionFeng2018", ("stop_words",),
        goal="fewest words with the same label, so that no record counts as a success",
    ),  # fmt: skip
    "bert-attack": AttackEntry(
        "BERT-Attack (Li et al. 2020): a masked language model's tokens, greedy by word importance",
        "BERTAttackLi2020", ("encoder", "stop_words", "masked_lm"),
    ),  # fmt: skip
    "clare": AttackEntry(
        "CLARE (Li et al. 2020): words replaced, inserted and merged by a masked language model, greedy",
        "CLARE2020", ("encoder", "tagger", "stop_words", "masked_lm"),
    ),  # fmt: skip
    "kuleshov": AttackEntry(
        "Kuleshov et al. 2017: embedding neighbours that GPT-2 finds fluent, greedy",
        "Kuleshov2017", ("neighbours", "vectors", "stop_words", "language_model"),
        goal="a probability of the true label below 0.7, which may leave the label as it was",
    ),  # fmt: skip
    "genetic": AttackEntry(
        "Genetic (Alzantot et al. 2018): embedding neighbours, genetic search",
        "GeneticAlgorithmAlzantot2018", ("neighbours", "stop_words"),
        cannot="its language model is a TensorFlow 1 checkpoint, which is not read here", nearest=("iga",),
    ),  # fmt: skip
    "faster-genetic": AttackEntry(
        "Faster genetic (Jia et al. 2019): embedding neighbours, genetic search",
        "FasterGeneticAlgorithmJia2019", ("neighbours", "stop_words"),
        cannot="its language model is a pickle, which is not read here", nearest=("iga",),
    ),  # fmt: skip
    "a2t": AttackEntry(
        "A2T (Yoo & Qi 2021): embedding neighbours, greedy by gradient",
        "A2TYoo2021", ("encoder", "neighbours", "tagger", "stop_words"), cannot=GRADIENTS,
    ),  # fmt: skip
    "hotflip": AttackEntry(
        "HotFlip (Ebrahimi et al. 2018): words from the gradient, beam search",
        "HotFlipEbrahimi2017", ("neighbours", "tagger", "stop_words"), cannot=GRADIENTS,
    ),  # fmt: skip
    "bad-characters": AttackEntry(
        "Bad Characters (Boucher et al. 2022): invisible and look-alike characters, differential evolution",
        "BadCharacters2021", (), goal="a label named in advance",
        cannot="it has to be told one label to reach, and reads a file that TextAttack's package leaves out", nearest=("deepwordbug",),
    ),  # fmt: skip
}
"""Recipes of TextAttack 0.3.11 for classifiers of English text, and one more (`attacks.strict`).  Left out: its Chinese, French and Spanish recipes, whose
words are not English, and Seq2Sick and Morpheus, which attack models that answer with text."""
ABSENT = {
    "embedded": {"masked_lm": "masked language model", "vectors": "word vectors", "language_model": "GPT-2"},
    "local": {"vectors": "word vectors", "language_model": "GPT-2"},
    "published": {},
}
"""What a resource set never has: {part: its name}."""


def suppliers(attack: str) -> list[str]:
    """The resource sets that have, or can have, all that an attack needs; none if it cannot run here at all."""
    entry = ATTACKS[attack]
    return [] if entry.cannot else [name for name, parts in ABSENT.items() if not set(entry.parts) & set(parts)]


def instead(attack: str, resources: str) -> str:
    """The nearest attack that a resource set can supply."""
    return next(name for name in (*ATTACKS[attack].nearest, "pwws") if resources in suppliers(name))


def described(attack: str) -> str:
    """One line on an attack: what it is, its goal if unusual, the resources it needs or why it cannot run."""
    entry = ATTACKS[attack]
    goal = "" if entry.goal == AttackEntry.goal else f"; goal: {entry.goal}"
    if entry.cannot:
        return f"{entry.help}{goal}; CANNOT RUN HERE: {entry.cannot}; nearest: {entry.nearest[0]}"
    offline = "" if "embedded" in suppliers(attack) else "; not with the embedded resources, which have no " + ", ".join(
        ABSENT["embedded"][part] for part in entry.parts if part in ABSENT["embedded"]
    )
    return f"{entry.help}{goal}; needs {', '.join(entry.parts)} (resources: {', '.join(suppliers(attack))}{offline})"
