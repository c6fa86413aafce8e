"""The HowNet approximation: senses, filters, order, inflection, malformed files."""

import pytest

from qrsupport.errors import BadData, MissingResource
from qrsupport.lexicons import sememes

GLOSSARY = """美好 ADJ good|好
优良 ADJ good|好
优秀 ADJ good|好
好 ADJ good|好
好 V like|爱惜
美国 N place|地方,ProperName|专
行走 V walk|走
步行 V walk|走
走 V leave|离开
"""
DICTIONARY = """good\t好/美好/优良
fine\t优秀/美好
nice\t优秀
walk\t行走/走
stroll\t步行
America\t美国
two words\t步行
like\t好
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / sememes.FILES[0]).write_text(GLOSSARY, encoding="gb18030")
    (tmp_path / sememes.FILES[1]).write_text(DICTIONARY, encoding="utf-8")
    return tmp_path


def table(folder, known=lambda word, pos: True):
    return sememes.table(folder, known)


def test_words_that_share_a_sense(folder):
    found = table(folder)
    assert set(found["good"]["adj"]) == {"fine", "nice", "like"}
    assert found["walk"] == {"verb": ["stroll"]}
    assert "America" not in found and "two words" not in found
    assert "verb" not in found["good"], "a one-character translation counts only if there is no longer one"


def test_unknown_parts_of_speech_are_dropped(folder):
    found = table(folder, lambda word, pos: (word, pos) != ("like", "adj"))
    assert set(found["good"]["adj"]) == {"fine", "nice"} and "like" not in found


def test_supported_senses_win():
    of = {"一一": {("adj", "a")}, "二二": {("adj", "a"), ("adj", "b")}, "三三": {("noun", "c")}}
    assert sememes.senses(["一一", "二二", "三三"], of) == {("adj", "a"), ("noun", "c")}
    assert sememes.senses(["二二"], of) == {("adj", "a"), ("adj", "b")}


def test_nearest_first_and_capped(folder, monkeypatch):
    of = "甲甲 N a|a\n乙乙 N b|b\n"
    (folder / sememes.FILES[0]).write_text(of, encoding="gb18030")
    (folder / sememes.FILES[1]).write_text("aa\t甲甲/乙乙\nzz\t甲甲/乙乙\nbb\t甲甲\n", encoding="utf-8")
    assert table(folder)["aa"]["noun"] == ["zz", "bb"]
    monkeypatch.setitem(sememes.MADE, "most", 1)
    assert table(folder)["aa"]["noun"] == ["zz"]


def test_inflected_words_get_inflected_candidates():
    find = sememes.Sememes({"walk": {"verb": ["stroll", "go"], "noun": ["stroll"]}, "good": {"adj": ["fine"]}})
    assert find("walk", "VERB") == ["stroll", "go"] and find("Walk", "NOUN") == ["stroll"]
    assert find("walked", "VERB") == ["strolled", "went"]
    assert find("walking", "VERB") == ["strolling", "going"]
    assert find("walks", "NOUN") == ["strolls"]
    assert find("better", "ADJ") == ["finer"]
    assert find("walk", "ADJ") == find("walk", "DET") == find("xyzzy", "NOUN") == find("", "NOUN") == []
    assert sememes.Sememes(find.table, inflect=False)("walked", "VERB") == []


def test_a_caller_cannot_change_the_table():
    find = sememes.Sememes({"walk": {"verb": ["stroll"]}})
    find("walk", "VERB").append("other")
    assert find("walk", "VERB") == ["stroll"]


def test_malformed_and_missing_files(folder):
    (folder / sememes.FILES[0]).write_text("好 ADJ good|好\n好 ADJ\n", encoding="gb18030")
    with pytest.raises(BadData, match=r"glossary.*:2"):
        table(folder)
    (folder / sememes.FILES[1]).write_text("good\t好\nbad 坏\n", encoding="utf-8")
    with pytest.raises(BadData, match=r"en2zh_dict\.txt:2"):
        sememes.dictionary(folder / sememes.FILES[1])
    (folder / sememes.FILES[1]).unlink()
    with pytest.raises(MissingResource, match="en2zh"):
        table(folder)
