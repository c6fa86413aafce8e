"""Parts of speech: the faster perceptron says what NLTK's says; the dictionary says what a reader says."""

import os

import pytest

from qrsupport import config
from qrsupport.data import datasets, embedded
from qrsupport.errors import MissingResource
from qrsupport.lexicons import resources, sources, tagging

SENTENCES = 150


@pytest.fixture(scope="module")
def perceptron():
    try:
        sources.nltk_files("taggers/averaged_perceptron_tagger_eng", *sources.PERCEPTRON)
        sources.nltk_files("taggers/universal_tagset", "en-ptb.map")
    except MissingResource as e:
        pytest.skip(str(e))
    return tagging.perceptron()


def sentences(dataset):
    """Words of `SENTENCES` texts, spread over the training split."""
    texts = datasets.load(config.make(dataset=dataset)).train.texts
    return [words for text in texts[:: len(texts) // SENTENCES] if (words := text.split())][:SENTENCES]


@pytest.fixture(params=("mr", "sst2", "emotion"))
def real(request):
    if not os.environ.get("QRSUPPORT_DATA"):
        pytest.skip("QRSUPPORT_DATA is not set: no real sentences")
    try:
        return sentences(request.param)
    except MissingResource as e:
        pytest.skip(str(e))


def test_the_perceptron_says_what_nltk_says(perceptron, real):
    import nltk

    for words in real:
        assert perceptron(words) == [tag for _, tag in nltk.pos_tag(words, tagset="universal")], " ".join(words)


def test_it_says_what_nltk_says_of_odd_words(perceptron):
    import nltk

    for text in ("1984 was , well - made in ' 84", "Émile 's naïve café", "x", "- -- ...", "a-b 3rd 10:30 2,000 U.S."):
        words = text.split()
        assert perceptron(words) == [tag for _, tag in nltk.pos_tag(words, tagset="universal")]
    assert perceptron([]) == []


def test_tags_depend_on_no_word_beyond_the_next_two(perceptron, real):
    """What lets an attack tag the beginning of a text once."""
    for words in real[:40]:
        for n in range(len(words)):
            assert perceptron.upto(words, n) == perceptron(words)[:n] == perceptron(words[: n + 2])[:n]


HAND = {
    "i would recommend this drama .": "PRON VERB VERB DET NOUN .",
    "the beginning of this whodunit is slow .": "DET NOUN ADP DET NOUN VERB ADJ .",
    "i hated the music of this film and you will hate the battery .": "PRON VERB DET NOUN ADP DET NOUN CONJ PRON VERB VERB DET NOUN .",
    "i found that the plot was quite funny , and the acting is convincing .": "PRON VERB DET DET NOUN VERB ADV ADJ . CONJ DET NOUN VERB ADJ .",
    "i regret the regret of his colleague , and to delight my mother is a delight":
        "PRON VERB DET NOUN ADP PRON NOUN . CONJ PRT VERB PRON NOUN VERB DET NOUN",
    "my 3 friends never doubted its usefulness": "PRON NUM NOUN ADV VERB PRON NOUN",
}  # fmt: skip
"""Sentences of the embedded data's kind, tagged by hand; the lists know `that` as a determiner only, and a word before a
noun as a noun where it can be one (`his caring colleague`)."""


@pytest.mark.parametrize("text", HAND)
def test_the_dictionary_says_what_a_reader_says(text):
    assert resources.load("embedded").tagger(text.split()) == HAND[text].split()


def test_the_dictionary_agrees_with_the_perceptron_on_the_lexicons_words(perceptron):
    """Of the words with a meaning in generated sentences; where the two differ, NLTK has mostly not seen the word."""
    known = {word for concept in embedded.lexicon() for word in concept.words}
    tag, same = resources.load("embedded").tagger, []
    for words in sentences("embedded"):
        pairs = zip(words, tag(words), perceptron(words), strict=True)
        same += [ours == theirs for word, ours, theirs in pairs if word in known]
    assert len(same) > 300 and sum(same) / len(same) > 0.9
