"""The lexicon, the grammar and the embedded corpora."""

import json
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrsupport import catalog
from qrsupport.data import embedded, grammar
from qrsupport.errors import QRError, UnknownName

NAMES = tuple(embedded.WRITERS)


@pytest.fixture(scope="module", params=NAMES)
def corpus(request):
    return request.param, embedded.generate(request.param)


def words(text):
    return re.findall(r"\w+", text)


def everything(splits):
    return [row for rows in splits.values() for row in rows]


def test_lexicon_groups_are_synonyms_an_attack_can_exchange():
    groups = embedded.lexicon()
    assert 250 <= len(groups) <= 400
    assert len({c.name for c in groups}) == len(groups)
    assert all(2 <= len(c.words) <= 8 and c.words == tuple(dict.fromkeys(c.words)) for c in groups)
    assert all(re.fullmatch("[a-z]+", w) for c in groups for w in c.words)
    assert {c.cls for c in groups} == set(embedded.CLASSES) and {c.pos for c in groups} == set(embedded.POS)
    homes = Counter((w, c.pos) for c in groups for w in c.words)
    assert [w for w, n in homes.items() if n > 1] == []


@given(st.text(max_size=200))
def test_a_malformed_lexicon_is_named_or_read(text):
    try:
        assert all(c.words for c in embedded.parse_lexicon(text))
    except QRError as e:
        assert "line" in str(e)


def test_every_group_and_only_groups_of_the_lexicon_are_used(monkeypatch):
    used, word = set(), embedded.Writer.word
    monkeypatch.setattr(embedded.Writer, "word", lambda self, concept: used.add(concept) or word(self, concept))
    for name in NAMES:
        embedded.sentences(name, 1, 12_000)
    assert used == {c.name for c in embedded.lexicon()}


def test_sizes_classes_and_disjoint_splits(corpus):
    name, splits = corpus
    assert {s: len(rows) for s, rows in splits.items()} == embedded.SIZES
    assert len(splits["train"]) >= 4000
    texts = [text for text, _ in everything(splits)]
    assert len(set(texts)) == len(texts)
    classes = len(catalog.DATASETS[name].labels)
    for rows in splits.values():
        counts = Counter(label for _, label in rows)
        assert sorted(counts) == list(range(classes))
        assert min(counts.values()) > 0.7 * len(rows) / classes


def test_same_seed_same_bytes_other_seed_other_texts(corpus):
    name, splits = corpus
    assert json.dumps(embedded.generate(name)) == json.dumps(splits)
    other = {text for text, _ in everything(embedded.generate(name, seed=1))}
    assert len(other & {text for text, _ in everything(splits)}) < len(other) / 2


def test_sentences_look_like_sentences(corpus):
    for text, _ in everything(corpus[1]):
        assert 5 <= len(words(text)) <= 25
        assert re.fullmatch(r"[a-z]+( [a-z]+| ,| \.)* \.", text), text
        assert not re.search(r"\ba [aeio]|\ban [^aeiouh]|, [,.]|\. ,", text), text


def test_label_noise_is_in_training_only(corpus):
    name, splits = corpus
    true = dict(embedded.sentences(name, 0, sum(embedded.SIZES.values())))
    wrong = {s: sum(true[text] != label for text, label in rows) / len(rows) for s, rows in splits.items()}
    assert wrong["validation"] == wrong["test"] == 0
    assert 0.02 < wrong["train"] < 0.04


def test_rare_words_exist(corpus):
    seen = Counter(w for text, _ in corpus[1]["train"] for w in text.split())
    used = [c for c in embedded.lexicon() if any(w in seen for w in c.words)]
    assert sum(w not in seen for c in used for w in c.words) > 20  # an attack can find words never seen
    assert sum(n <= 3 for n in seen.values()) > 40  # and words hardly seen
    large = [c for c in used if len(c.words) >= 5]
    assert sum(seen[c.words[0]] for c in large) > 5 * sum(seen[c.words[-1]] for c in large)


def test_negation_takes_the_word_of_the_other_side():
    classes = {w: c.cls for c in embedded.lexicon() if c.cls != "neutral" for w in c.words}
    found = Counter()
    for text, label in embedded.sentences("embedded", 2, 9000):
        m = re.fullmatch(r"the \w+ is (not|never|hardly|far from|anything but|surprisingly) (\w+) \.", text)
        if m:
            agrees = classes[m[2]] == catalog.POLARITY[label]
            found[m[1], agrees] += 1
    assert found["surprisingly", True] > 5 and found["surprisingly", False] == 0
    for negation in ("not", "never", "hardly", "far from", "anything but"):
        assert found[negation, False] > 2 and found[negation, True] == 0


def test_of_two_clauses_the_main_one_counts():
    aspect = grammar.ASPECTS[0]
    good, bad = (embedded.clause_rules("film", "film", aspect, side) for side in (1, 0))
    assert set(good["LOVED"]) == set(bad["UN_LOVED"]) and not set(good["FIT"]) & set(bad["FIT"])
    classes = {w: c.cls for c in embedded.lexicon() for w in c.words}
    sides, checked = {"positive": 1, "negative": 0}, 0
    for text, label in embedded.sentences("embedded", 3, 4000):
        m = re.fullmatch(r"(.*) , (but|although|even though) (.*) \.", text)
        if not m or re.search(r" (not?|never|hardly|far|nothing)\b|anything but", text):
            continue
        heard = [{sides[classes[w]] for w in part.split() if classes.get(w) in sides} for part in (m[1], m[3])]
        main, other = heard if m[2] != "but" else heard[::-1]
        if len(main) == len(other) == 1:
            assert main == {label} and other == {1 - label}, text
            checked += 1
    assert checked > 100


def test_mixed_feelings_are_labelled_with_the_writers_own():
    classes = {w: c.cls for c in embedded.lexicon() if c.cls in catalog.EMOTIONS and c.pos == "adj" for w in c.words}
    checked = 0
    for text, label in embedded.sentences("embedded-emotion", 2, 3000):
        m = re.match(r"i used to feel (\w+) but now i feel (\w+)", text)
        if m:
            assert classes[m[2]] == catalog.EMOTIONS[label] != classes[m[1]]
            checked += 1
    assert checked > 20


def test_a_bag_of_words_stays_below_the_ceiling(corpus):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    name, splits = corpus
    texts, labels = zip(*splits["train"], strict=True)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000)).fit(texts, labels)
    texts, labels = zip(*splits["test"], strict=True)
    chance = 1 / len(catalog.DATASETS[name].labels)
    assert chance + 0.15 < model.score(texts, labels) < 0.87


def test_a_label_follows_the_side_asked_for():
    writer = embedded.Writer("sides")
    texts = {side: {embedded.review(writer, side) for _ in range(300)} for side in (0, 1)}
    assert not texts[0] & texts[1]


def test_unknown_corpus():
    with pytest.raises(UnknownName, match="embedded-emotion"):
        embedded.generate("embedded-emotions")


@pytest.mark.parametrize(
    ("rough", "smooth"),
    [
        ("a  honest , .", "an honest ."),
        ("a useful a easy a unpleasant a unusual a unique", "a useful an easy an unpleasant an unusual a unique"),
        ("a hour , , it is", "an hour , it is"),
    ],
)
def test_tidy(rough, smooth):
    assert embedded.tidy(rough) == smooth
