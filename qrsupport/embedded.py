"""The embedded corpora: short reviews of two classes and first-person sentences of six, written by a small grammar.

A text is grown from a template such as "the {ASPECT} is {DEGREE} {ADJ}".  A name in braces is a rule (upper case: one
of several templates, each as likely) or a concept of `lexicon.tsv` (lower case: one of its words, Zipf-distributed, so
that the last words of a group are seldom or never seen in training).  The label follows what a reader understands, not
which words occur: negation flips ("anything but dull"), and of two clauses that disagree the main one counts, which is
the one after "but", or the one that does not begin with "although" or "even though".
"""

import random
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from .catalog import DATASETS, EMOTIONS
from .errors import BadData, UnknownName

SIZES = {"train": 4000, "validation": 500, "test": 1000}
LABEL_NOISE = 0.03  # share of training labels replaced by another class; validation and test labels are all right
ZIPF = 1.6  # the k-th word of a group has a weight of k to the power -1.6
NEGATION = 0.2  # share of the clauses of a review that negate
CONTRAST = 0.3  # share of the reviews whose clauses disagree
MIXED = 0.4  # share of the emotion sentences that name another emotion too
POS = ("noun", "verb", "adj", "adv")
CLASSES = (*DATASETS["embedded"].labels, *EMOTIONS, "neutral")


@dataclass(frozen=True)
class Concept:
    """A group of synonyms, most common first; `cls` is the class they speak for, or "neutral"."""

    name: str
    pos: str
    cls: str
    words: tuple[str, ...]


def parse_lexicon(text: str, where: str = "lexicon.tsv") -> tuple[Concept, ...]:
    """The groups in the text of a lexicon file, whose first comment describes the format.

    Raises BadData with `where` and the line's number if a line is not of that format.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 4 or fields[1] not in POS or fields[2] not in CLASSES or not fields[3].split():
            raise BadData(f"{where}, line {number}: {line!r} is not concept, part of speech, class and words")
        found.append(Concept(*fields[:3], tuple(fields[3].split())))
    return tuple(found)


@cache
def lexicon() -> tuple[Concept, ...]:
    """The groups of `lexicon.tsv`, in the order of the file."""
    return parse_lexicon(files(__package__).joinpath("lexicon.tsv").read_text("utf-8"))


@cache
def concepts() -> dict[str, Concept]:
    """The groups of the lexicon by name."""
    return {c.name: c for c in lexicon()}


# Grammar of the reviews -----------------------------------------------------------------------------------------------

# What is reviewed: its names, how one comes by it, and what only it does to one (past tense, base form).
SUBJECTS = {
    "film": ("film comedy drama thriller", "watched", "bored", "bore"),
    "gadget": ("phone laptop camera", "bought", "", ""),
    "appliance": ("device", "bought", "", ""),
    "place": ("restaurant cafe bar hotel", "visited", "disgusted", "disgust"),
}

# What is said of it: subjects | aspects | fitting adjectives, positive | negative.
ASPECTS = [
    row.split("|")
    for row in """\
film|plot script dialogue ending scene premise opening|\
original clever funny moving exciting fascinating convincing thoughtful natural|\
boring stupid predictable slow shallow sentimental unconvincing pretentious confusing messy depressing
film|acting cast star director|talented convincing lively moving natural delightful clever|\
wooden clumsy pretentious unconvincing boring shallow
film|photography scenery|beautiful elegant original bright|ugly dim boring depressing clumsy
film|soundtrack|harmonious beautiful moving lively original elegant|loud harsh boring sentimental predictable
gadget|screen|bright beautiful clever powerful|dim ugly flawed fragile
gadget appliance|case design headset|durable beautiful elegant comfortable original|\
fragile ugly uncomfortable clumsy flawed
gadget appliance|software menu manual|simple useful reliable clever accurate fast|\
complicated confusing unreliable slow messy useless flawed
gadget|battery|durable reliable powerful|unreliable flawed useless
gadget|speaker|powerful harmonious accurate|loud harsh flawed
appliance|motor|powerful reliable fast durable|loud unreliable flawed slow
gadget appliance|support delivery|fast reliable attentive useful friendly|slow careless unreliable rude useless
gadget appliance place|price|affordable|expensive
place|food meal soup dessert sauce steak|delicious original inviting|bland greasy disgusting predictable
place|portion|generous delicious|meager greasy disgusting
place|service staff waiter owner|friendly attentive fast talented lively|rude careless slow clumsy
place|room decor atmosphere|comfortable clean elegant inviting beautiful|\
dirty shabby ugly uncomfortable depressing loud""".splitlines()
]

# What fits anything, and may be said of the whole.
ANYTHING = (
    "good great wonderful amazing perfect pleasant impressive memorable brilliant satisfying delightful",
    "bad terrible pathetic disappointing mediocre annoying ridiculous weak unpleasant",
)

# Words that take a side, by role: positive | negative.
SIDES = {
    "LOVED": ("loved enjoyed admired", "hated disliked"),
    "LOVE": ("enjoy", "hate regret"),
    "IMPRESSED": ("impressed delighted entertained", "disappointed annoyed"),
    "IMPRESS": ("impress delight satisfy", "disappoint annoy"),
    "WORKS": ("works", "fails"),
    "WORK": ("work", "fail"),
    "WELL": ("beautifully skillfully carefully", "badly carelessly clumsily"),
    "TREAT": ("treat masterpiece triumph", "disaster mess failure letdown"),
    "CHARM": ("charm wit energy imagination quality warmth care", "boredom nonsense flaws stupidity clumsiness"),
}

# Clauses that say what they seem to say, of either side and then of one only; and clauses that say the opposite of the
# words they use.  UN_ADJ is an adjective of the other side, and so on.
PLAIN = (
    "the {ASPECT} is {DEGREE} {ADJ}",
    "the {ASPECT} is {DEGREE} {ADJ}",
    "the {ASPECT} of this {WHOLE} is {ADJ}",
    "i {discovered} that the {ASPECT} was {DEGREE} {ADJ}",
    "i {LOVED} the {ADJ} {ASPECT}",
    "i {LOVED} the {ASPECT} of this {WHOLE}",
    "the {ASPECT} {IMPRESSED} me",
    "it is a {DEGREE} {ANY} {WHOLE}",
    "this {WHOLE} is {DEGREE} {ANY}",
    "this {WHOLE} is full of {CHARM}",
    "the {ASPECT} is {WELL} {made}",
    "the {ASPECT} {WORKS}",
    "the {ASPECT} is a {ANY} {TREAT}",
    "this {WHOLE} is a {TREAT}",
)
PLAIN_ONLY = (("i would {recommend} this {WHOLE}",), ("i {always} {hate} such a {WHOLE}",))
NEGATED = (
    "the {ASPECT} is not {UN_ADJ}",
    "the {ASPECT} is not at all {UN_ADJ}",
    "the {ASPECT} is never {UN_ADJ}",
    "the {ASPECT} is anything but {UN_ADJ}",
    "the {ASPECT} is far from {UN_ADJ}",
    "the {ASPECT} is hardly {UN_ADJ}",
    "there is nothing {UN_ADJ} about the {ASPECT}",
    "this is not a {UN_ANY} {WHOLE}",
    "i did not {UN_LOVE} the {ASPECT}",
    "the {ASPECT} did not {UN_IMPRESS} me",
    "the {ASPECT} does not {UN_WORK}",
    "there is no {UN_CHARM} in this {WHOLE}",
    "the {ASPECT} is not {UN_WELL} {made}",
)
NEGATED_ONLY = (("you will not {regret} this {WHOLE}",), ("i would not {recommend} this {WHOLE}",))

# How clauses make a text.  OTHER is a clause of the other side, {CONTRARY} one of its phrases.
AGREEING = ("{MAIN} and {SAME}", "{MAIN} , and {SAME}", "{MAIN} . {overall} , {SAME}")
DISAGREEING = (
    "{OTHER} , but {MAIN}",
    "{OTHER} , but {MAIN}",
    "{OTHER} , yet {MAIN}",
    "{OTHER} . {still} , {MAIN}",
    "although {OTHER} , {MAIN}",
    "even though {OTHER} , {MAIN}",
    "{MAIN} , although {OTHER}",
    "{MAIN} , even though {OTHER}",
    "despite the {UN_ADJ} {ASPECT} , {SAME}",
    "{SAME} , despite the {UN_ADJ} {ASPECT}",
)
OPENINGS = (
    "{honestly} ,",
    "{clearly}",
    "i must {say} that",
    "my {friend} and i {GOT} this {WHOLE} {recently} .",
    "we {GOT} this {WHOLE} on a {rainy} {evening} .",
    "my {wife} {GOT} this {famous} {WHOLE} last {weekend} .",
    "as i {expected} ,",
)
CLOSINGS = ("this time", "in my opinion", "for a {small} {WHOLE}", "and my {colleague} agrees")
DEGREES = ("", "", "{very}", "{totally}", "{quite}", "{surprisingly}")

# Grammar of the emotions ----------------------------------------------------------------------------------------------

# Of each emotion: nouns | what one does.  The adjectives are all of its adjectives in the lexicon.
EMOTION_WORDS = {
    "sadness": ("sadness_noun despair guilt", ("{cried}", "{mourned}")),
    "joy": ("joy_noun excitement pride", ("{smiled}", "{celebrated}")),
    "love": ("love_noun desire sympathy", ("{hugged} my {mother}", "{longed} for my {wife}", "{hugged} my {child}")),
    "anger": ("anger_noun hatred jealousy", ("{yelled}", "{cursed}")),
    "fear": ("fear_noun worry panic", ("{trembled}", "{hid}")),
    "surprise": ("surprise_noun shock curiosity", ("{gasped}", "{wondered}")),
}
EMOTION_RULES = {
    "DEGREE": DEGREES,
    "PERSON": ("{brother}", "{boss}", "{neighbor}", "{mother}", "{friend}", "{colleague}", "{wife}"),
    "TOPIC": (
        "my {job}",
        "the {exam}",
        "the {local} {news}",
        "the {old} {house}",
        "my {future}",
        "my {past}",
        "the {big} {party}",
        "the {long} {journey}",
    ),
    "EVENT": (
        "when i read the {short} {letter}",
        "after the {meeting} with my {boss}",
        "after the {argument} with my {PERSON}",
        "because of {TOPIC}",
        "whenever i think about {TOPIC}",
        "when my {PERSON} {suddenly} came to the {garden}",
        "on this {ordinary} {day}",
        "during the {exam}",
        "since the {visit_noun} to the {new} {house}",
        "for some {reason}",
        "",
    ),
}
FEELINGS = (
    "i feel {DEGREE} {ADJ} {EVENT}",
    "i am {DEGREE} {ADJ} {EVENT}",
    "i {often} feel {ADJ} {EVENT}",
    "{TOPIC} makes me feel {DEGREE} {ADJ}",
    "i am full of {NOUN} {EVENT}",
    "there is a {feeling} of {NOUN} in me {EVENT}",
    "i {ACT} {EVENT}",
    "i feel so {ADJ} that i {ACT}",
)
MIXED_FEELINGS = (
    "i am not {OTHER} {EVENT} , i am {ADJ}",
    "i am {ADJ} , not {OTHER} , {EVENT}",
    "i feel {ADJ} rather than {OTHER} {EVENT}",
    "instead of feeling {OTHER} i feel {DEGREE} {ADJ} {EVENT}",
    "i used to feel {OTHER} but now i feel {ADJ} {EVENT}",
    "{initially} i was {OTHER} but in the end i was {DEGREE} {ADJ}",
    "i am {DEGREE} {ADJ} now although i was {OTHER} before",
    "i no longer feel {OTHER_NOUN} , only {NOUN} {EVENT}",
    "my {PERSON} is {DEGREE} {OTHER} but i feel {ADJ} {EVENT}",
    "i feel {DEGREE} {ADJ} {EVENT} while my {PERSON} seems {OTHER}",
    "my {PERSON} {probably} thinks that i am {OTHER} , yet i feel {ADJ}",
)

# The writer -----------------------------------------------------------------------------------------------------------


class Writer:
    """Grows texts from templates; two writers with the same `seed` write the same."""

    def __init__(self, seed: str):
        self.random = random.Random(seed).random  # of Python's generator, only this is the same in every version

    def chance(self, share: float) -> bool:
        """True in this share of calls."""
        return self.random() < share

    def pick(self, items):
        """One of a sequence, each as likely."""
        return items[int(self.random() * len(items))]

    def word(self, concept: str) -> str:
        """A word of a concept of the lexicon, the first the most likely."""
        words = concepts()[concept].words
        weights = [(k + 1) ** -ZIPF for k in range(len(words))]
        left = self.random() * sum(weights)
        for word, weight in zip(words, weights, strict=True):
            left -= weight
            if left < 0:
                return word
        return words[0]

    def fill(self, template: str, rules: dict[str, tuple[str, ...]]) -> str:
        """The template with each name in braces grown into words."""

        def grow(match):
            name = match[1]
            return self.fill(self.pick(rules[name]), rules) if name in rules else self.word(name)

        return re.sub(r"\{(\w+)\}", grow, template)


def names(concepts: str) -> tuple[str, ...]:
    """The templates of concepts separated by spaces."""
    return tuple("{%s}" % concept for concept in concepts.split())


def tidy(text: str) -> str:
    """The text with single spaces, no comma before a full stop or the end, and "an" where it is spoken so."""
    text = re.sub(r" ,(?= [.,]|$)", "", " ".join(text.split()))
    return re.sub(r"\ba(?= (?!us|un[ai][^nm]|eu)[aeiou]| hon| hour)", "an", text)


def clause_rules(subject: str, whole: str, aspect: list[str], side: int) -> dict[str, tuple[str, ...]]:
    """The rules of a clause of `side` (1 positive, 0 negative) on one aspect of what is reviewed."""
    rules = {"WHOLE": names(whole), "ASPECT": names(aspect[1]), "DEGREE": DEGREES, "GOT": names(SUBJECTS[subject][1])}
    for prefix, take in (("", 1 - side), ("UN_", side)):
        rules[prefix + "ANY"] = names(ANYTHING[take])
        rules[prefix + "ADJ"] = names(ANYTHING[take]) + 2 * names(aspect[2 + take])
        rules |= {prefix + role: names(words[take]) for role, words in SIDES.items()}
    effect, base = SUBJECTS[subject][2:]
    rules["IMPRESSED"] += names(effect) if side == 0 else ()
    rules["UN_IMPRESS"] += names(base) if side == 1 else ()
    return rules


def clause(writer: Writer, rules: dict, side: int) -> str:
    """One clause of `side`, about every fifth of them by negation."""
    kind, only = (NEGATED, NEGATED_ONLY) if writer.chance(NEGATION) else (PLAIN, PLAIN_ONLY)
    return writer.fill(writer.pick(kind + only[1 - side]), rules)


def review(writer: Writer, side: int) -> str:
    """A review of one or two clauses; `side` is its label (1 positive, 0 negative)."""
    subject = writer.pick(tuple(SUBJECTS))
    whole = writer.pick(SUBJECTS[subject][0].split())
    fitting = [row for row in ASPECTS if subject in row[0].split()]
    first = writer.pick(fitting)
    second = writer.pick([row for row in fitting if row is not first])
    rules = clause_rules(subject, whole, first, side)
    beside = clause_rules(subject, whole, second, side)
    contrary = clause_rules(subject, whole, second, 1 - side)
    parts = {
        "MAIN": (clause(writer, rules, side),),
        "SAME": (clause(writer, beside, side),),
        "OTHER": (clause(writer, contrary, 1 - side),),
    }
    if writer.chance(CONTRAST):
        text = writer.pick(DISAGREEING)
    else:
        text = writer.pick(AGREEING) if writer.chance(0.4) else "{MAIN}"
    text = writer.pick(OPENINGS) + " " + text if writer.chance(0.3) else text
    text = text + " " + writer.pick(CLOSINGS) if writer.chance(0.15) else text
    return tidy(writer.fill(text, rules | parts) + " .")


@cache
def emotion_rules(emotion: str) -> dict[str, tuple[str, ...]]:
    """The words of an emotion, and under OTHER those of all the others."""
    adjectives = {e: tuple("{%s}" % c.name for c in lexicon() if c.cls == e and c.pos == "adj") for e in EMOTIONS}
    nouns = {e: names(EMOTION_WORDS[e][0]) for e in EMOTIONS}
    return EMOTION_RULES | {
        "ADJ": adjectives[emotion],
        "NOUN": nouns[emotion],
        "ACT": EMOTION_WORDS[emotion][1],
        "OTHER": tuple(a for e in EMOTIONS if e != emotion for a in adjectives[e]),
        "OTHER_NOUN": tuple(n for e in EMOTIONS if e != emotion for n in nouns[e]),
    }


def feeling(writer: Writer, label: int) -> str:
    """A first-person sentence whose writer feels emotion number `label`."""
    template = writer.pick(MIXED_FEELINGS if writer.chance(MIXED) else FEELINGS)
    return tidy(writer.fill(template, emotion_rules(EMOTIONS[label])) + " .")


WRITERS = {"embedded": review, "embedded-emotion": feeling}


def sentences(name: str, seed: int, count: int) -> list[tuple[str, int]]:
    """`count` distinct texts of 5 to 25 words with their true labels, classes about equally frequent."""
    writer, found = Writer(f"{name} {seed}"), {}
    while len(found) < count:
        label = int(writer.random() * len(DATASETS[name].labels))
        text = WRITERS[name](writer, label)
        if 5 <= len(re.findall(r"\w+", text)) <= 25:
            found.setdefault(text, label)
    return list(found.items())


def generate(name: str, seed: int = 0) -> dict[str, list[tuple[str, int]]]:
    """The splits of an embedded dataset: lists of (text, label), sizes as in `SIZES`, no text twice.

    `LABEL_NOISE` of the training labels are another class, drawn at random; validation and test labels are true.
    Raises UnknownName if `name` is not an embedded dataset.
    """
    if name not in WRITERS:
        raise UnknownName("embedded dataset", name, WRITERS)
    found, splits, start = sentences(name, seed, sum(SIZES.values())), {}, 0
    for split, size in SIZES.items():
        splits[split] = found[start : start + size]
        start += size
    noise, classes = Writer(f"{name} {seed} noise"), len(DATASETS[name].labels)
    for i, (text, label) in enumerate(splits["train"]):
        if noise.chance(LABEL_NOISE):
            splits["train"][i] = (text, (label + 1 + int(noise.random() * (classes - 1))) % classes)
    return splits
