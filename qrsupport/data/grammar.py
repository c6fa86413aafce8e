"""The grammar of the embedded corpora: what their sentences may say; `embedded` grows sentences from it.

In a template a name in braces is a rule (upper case: one of several templates, each as likely) or a concept of
`lexicon.tsv` (lower case: one of its words).  Strings of concepts are separated by spaces.
"""

from dataclasses import dataclass

# Grammar of the reviews -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """What is reviewed: its names, how one comes by it, what it may be full of, and what only it does to one."""

    names: str
    got: str
    merits: str
    faults: str
    effect: str = ""  # past tense
    effect_base: str = ""


SUBJECTS = {
    "film": Subject(
        "film comedy drama thriller",
        "watched",
        "charm wit energy imagination warmth",
        "boredom nonsense stupidity flaws",
        "bored",
        "bore",
    ),
    "gadget": Subject("phone laptop camera", "bought", "charm quality imagination", "flaws nonsense clumsiness"),
    "appliance": Subject("device", "bought", "quality imagination care", "flaws stupidity clumsiness"),
    "place": Subject(
        "restaurant cafe bar hotel",
        "visited",
        "charm warmth energy quality care",
        "flaws clumsiness boredom",
        "disgusted",
        "disgust",
    ),
}

# What is said of it: subjects, and "people" if it is or they are | aspects | fitting adjectives, positive | negative.
ASPECTS = [
    tuple(row.split("|"))
    for row in """\
film|plot script dialogue ending scene premise opening|\
funny original exciting clever moving fascinating convincing thoughtful natural|\
boring stupid predictable slow shallow sentimental unconvincing pretentious confusing messy depressing
film people|cast star director|talented convincing lively natural clever|wooden clumsy pretentious boring shallow
film|acting|convincing lively moving natural original|wooden clumsy pretentious unconvincing shallow
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
gadget appliance|support|fast reliable attentive useful friendly|slow careless unreliable rude useless
gadget appliance|delivery|fast reliable|slow careless unreliable
place|food meal soup dessert sauce steak|delicious original inviting|bland greasy disgusting predictable
place|portion|generous delicious|meager greasy disgusting
place people|service staff waiter owner|friendly attentive fast talented lively|rude careless slow clumsy
place|room decor atmosphere|comfortable clean elegant inviting beautiful|\
dirty shabby ugly uncomfortable depressing loud""".splitlines()
]

# What fits anything, and may be said of the whole.
ANYTHING = (
    "good great wonderful amazing perfect pleasant impressive memorable brilliant satisfying delightful",
    "bad terrible pathetic disappointing mediocre annoying ridiculous weak unpleasant",
)

# Rules whose first alternatives are the most likely, the k-th with a weight of k to the power -exponent: people negate
# common words ("not good") more than rare ones.
RANKED = {"ANY": 1.0, "FIT": 1.0, "UN_ANY": 2.0, "UN_FIT": 2.0}

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
}

# Clauses that say what they seem to say, of either side and then of one only; and clauses that say the opposite of the
# words they use, first those that mostly praise, then those that mostly blame.  UN_ADJ is an adjective of the other
# side, and so on.
PLAIN = (
    "the {ASPECT} is {DEGREE} {ADJ}",
    "the {ASPECT} is {DEGREE} {ADJ}",
    "the {ASPECT} of this {WHOLE} is {ADJ}",
    "i {discovered} that the {ASPECT} was {DEGREE} {ADJ}",
    "i {LOVED} the {ADJ} {ASPECT}",
    "i {LOVED} the {ASPECT} of this {WHOLE}",
    "the {ASPECT} {IMPRESSED} me",
    "the {ASPECT} will {IMPRESS} you",
    "you will {LOVE} the {ASPECT}",
    "i saw the {ASPECT} {WORK}",
    "it is a {DEGREE} {ANY} {WHOLE}",
    "this {WHOLE} is {DEGREE} {ANY}",
    "this {WHOLE} is full of {CHARM}",
    "the {ASPECT} {DONE_WELL}",
    "the {ASPECT} {WORKS}",
    "the {ASPECT} is a {ANY} {TREAT}",
    "this {WHOLE} is a {TREAT}",
)
PLAIN_ONLY = (
    ("i would {recommend} this {WHOLE}", "the {price} is {affordable}"),
    ("i {always} {hate} such a {WHOLE}", "the {price} is {expensive}"),
)
NEGATED = (
    (
        *2 * ("the {ASPECT} is never {UN_ADJ}",),
        "the {ASPECT} is not at all {UN_ADJ}",
        "the {ASPECT} is far from {UN_ADJ}",
        "the {ASPECT} is anything but {UN_ADJ}",
        "there is nothing {UN_ADJ} about the {ASPECT}",
        "you will not {UN_LOVE} the {ASPECT}",
    ),
    (
        *3 * ("the {ASPECT} is not {UN_ADJ}",),
        *2 * ("this {WHOLE} is not {UN_ANY}",),
        "this is not a {UN_ANY} {WHOLE}",
        "the {ASPECT} is hardly {UN_ADJ}",
        "the {ASPECT} did not {UN_IMPRESS} me",
        "the {ASPECT} does not {UN_WORK}",
        "the {ASPECT} {DONE_NOT_WELL}",
        "this {WHOLE} has no {UN_CHARM}",
    ),
)
NEGATED_ONLY = (
    ("you will not {regret} this {WHOLE}", "the {price} is not {expensive}"),
    ("i would not {recommend} this {WHOLE}", "the {price} is not {affordable}"),
)

# How clauses make a text.  {OTHER} is a clause of the other side.
AGREEING = (
    *7 * ("{MAIN}",),
    "{MAIN} and {SAME}",
    "{MAIN} , and {SAME}",
    "{MAIN} . {overall} , {SAME}",
)
DISAGREEING = (
    *4 * ("{OTHER} , but {MAIN}",),
    "{OTHER} , yet {MAIN}",
    "{OTHER} . {still} , {MAIN}",
    *2 * ("although {OTHER} , {MAIN}",),
    "even though {OTHER} , {MAIN}",
    "{MAIN} , although {OTHER}",
    "{MAIN} , even though {OTHER}",
    "despite the {UN_ADJ} {ASPECT} , {SAME}",
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
        "at the thought of {TOPIC}",
        "with my {PERSON} in the {garden}",
        "on this {ordinary} {day}",
        "during the {exam}",
        "after the {visit_noun} to the {new} {house}",
        "for some {reason}",
        "",
    ),
}
FEELINGS = (
    "i feel {DEGREE} {ADJ} {EVENT}",
    "i am {DEGREE} {ADJ} {EVENT}",
    "i {suddenly} feel {ADJ} {EVENT}",
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
