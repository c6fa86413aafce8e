"""Texts with words replaced by cutting and pasting are those that TextAttack rebuilds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qrsupport.attacks.attacked_text import AttackedText, Text

words = st.one_of(
    st.sampled_from(
        ["", "good", "Not", "it's", "well-made", "[UNK]", "two words", "-odd-", "*", "O", "I", "naïve", "'tis"]
    ),
    st.text(max_size=6),
)
texts = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from("the film is n't good , and it 's -- well-made ( so ) . 电影 <SPLIT> a_b @ ...".split())
    ).map(" ".join),
)


def state(text):
    attributes = {k: v for k, v in text.attack_attrs.items() if k != "previous_attacked_text"}
    attributes["original_index_map"] = attributes["original_index_map"].tolist()
    return text.text, text.words, attributes, len(text.attack_attrs)


def outcome(function, *args):
    try:
        return state(function(*args))
    except Exception as e:
        return type(e)


@settings(max_examples=150, deadline=None)
@given(texts, st.lists(st.tuples(st.integers(0, 9), words), min_size=1, max_size=4))
def test_replacing_and_deleting_words(text, edits):
    ours, theirs = Text(text), AttackedText(text)
    assert state(ours) == state(theirs)
    for index, word in edits:
        index %= max(1, theirs.num_words)
        assert outcome(ours.replace_word_at_index, index, word) == outcome(theirs.replace_word_at_index, index, word)
        assert outcome(ours.delete_word_at_index, index) == outcome(theirs.delete_word_at_index, index)
        try:
            theirs = theirs.replace_word_at_index(index, word)
        except Exception:
            return
        ours = ours.replace_word_at_index(index, word)


@settings(max_examples=100, deadline=None)
@given(texts, st.dictionaries(st.integers(0, 9), words, max_size=5))
def test_replacing_several_words(text, edits):
    ours, theirs = Text(text), AttackedText(text)
    edits = {i: w for i, w in edits.items() if i < theirs.num_words}
    args = list(edits), list(edits.values())
    assert outcome(ours.replace_words_at_indices, *args) == outcome(theirs.replace_words_at_indices, *args)


def test_ratio_of_changed_words_is_a_count_over_a_length():
    a, b = Text("one two three four"), Text("one 2 three 4")
    assert a.words_diff_ratio(b) == AttackedText("one two three four").words_diff_ratio(AttackedText("one 2 three 4"))


def test_texts_are_equal_as_theirs_are():
    a, b = Text("one two"), AttackedText("one two")
    assert a == b and hash(a) == hash(b) and a.delete_word_at_index(0) != a and np.size(a.words) == 2
