"""Resource sets: what each part offers, digests, errors before work; the published set's checks and its pickle reader."""

import collections
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from qrsupport import config, offline
from qrsupport.data import embedded
from qrsupport.errors import BadData, MissingResource, NoNetwork, StaleArtefact, UnknownName
from qrsupport.lexicons import published, resources, sources, tagging, thesaurus, universal, word_encoder
from qrsupport.training import pretrained

REAL = os.environ.get("QRSUPPORT_DATA", "")
real = pytest.mark.skipif(not REAL, reason="QRSUPPORT_DATA is not set")


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No data directory and an empty cache."""
    monkeypatch.delenv("QRSUPPORT_DATA", raising=False)
    monkeypatch.setenv("QRSUPPORT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_embedded_supplies_every_part(alone):
    r = resources.load("embedded")
    assert set(r.parts) == set(resources.ALL) and r is resources.load("embedded")
    for concept in embedded.lexicon():
        for word in concept.words:
            others = set(concept.words) - {word}
            assert others <= set(r.neighbours(word)) and others <= set(r.substitutes(word))
            assert others <= set(r.sememes(word, tagging.UNIVERSAL[concept.pos]))
            assert word in r.neighbours and word not in r.neighbours(word)
            assert all(r.neighbours.cosine(word, other) >= 0.5 for other in others)
    assert r.neighbours("xyzzy") == r.substitutes("xyzzy") == r.sememes("xyzzy", "NOUN") == []


def test_synonyms_get_one_tag_in_one_place(alone):
    tag = resources.load("embedded").tagger
    for concept in embedded.lexicon():
        tags = {tag(["the", word, "is"])[1] for word in concept.words if len(embedded_parts(word)) == 1}
        assert tags <= {tagging.UNIVERSAL[concept.pos]}


def embedded_parts(word):
    return {c.pos for c in embedded.lexicon() if word in c.words}


def test_dictionary_tagger():
    tag = tagging.Dictionary(lambda word: {"love": ["noun", "verb"], "film": ["noun"]}.get(word, []))
    assert tag(["I", "love", "the", "love", "film"]) == ["PRON", "VERB", "DET", "NOUN", "NOUN"]
    assert tag(["gladly", "merciless", "3rd", "..."]) == ["ADV", "ADJ", "NUM", "."] and tag([]) == []


def test_digest_follows_content():
    a = resources.Resources("local", {"x": "1"})
    assert a.digest == resources.Resources("local", {"x": "1"}).digest
    assert (
        len({a.digest, resources.Resources("local", {"x": "2"}).digest, resources.Resources("other", a.parts).digest})
        == 3
    )


def test_unknown_names_are_corrected():
    with pytest.raises(UnknownName, match="did you mean 'embedded'"):
        resources.load("embeded")
    with pytest.raises(UnknownName, match="did you mean 'textfooler'"):
        resources.load("embedded", attack="textfoler")


def test_missing_local_data_is_named(alone, monkeypatch):
    with pytest.raises(MissingResource, match=r"QRSUPPORT_DATA is not set.*embedded"):
        resources.load("local", attack="textfooler")
    monkeypatch.setenv("QRSUPPORT_DATA", str(alone))
    with pytest.raises(MissingResource, match="unsup.jsonl.gz"):
        resources.load("local", attack="textfooler")
    (alone / "neighbours").mkdir()
    (alone / thesaurus.LISTS).write_text('{"good": "fine"}')
    with pytest.raises(BadData, match="euc-top8"):
        thesaurus.read_lists(alone)


def test_neighbour_lists_bound_the_cosine():
    n = thesaurus.Neighbours({"good": ["good", "fine", "nice"], "fine": []}, thesaurus.BOUND)
    assert n("good") == ["fine", "nice"] and "nice" in n and "bad" not in n
    assert n.cosine("nice", "good") == n.cosine("good", "nice") == pytest.approx(0.755)
    assert n.cosine("fine", "nice") == 0 and n.cosine("good", "good") == 1


def test_one_word_is_what_textattack_calls_one():
    offline.textattack()
    from textattack.shared.utils import is_one_word

    for word in ["good", "well-known", "o'clock", "a b", "c/o", "x.y", "8", "naïve", "co-op", ".22", "b-", "a_b"]:
        assert bool(thesaurus.ONE_WORD.fullmatch(word)) <= is_one_word(word), word
    assert all(thesaurus.ONE_WORD.fullmatch(w) for w in ["good", "well-known", "o'clock", "8", "naïve"])


def test_published_needs_the_network_said(alone):
    with pytest.raises(NoNetwork, match="network=True"):
        resources.load("published")
    assert not (alone / "cache").exists()


def test_published_encoder_is_checked_before_anything_is_fetched(alone, monkeypatch):
    monkeypatch.setattr(published, "has_sentence_encoder", lambda: False)
    monkeypatch.setattr(published, "_get", lambda url, path: pytest.fail("fetched"))
    with pytest.raises(MissingResource, match="pip install tensorflow"):
        resources.load("published", network=True, attack="textfooler")


def test_published_encoder_is_the_multilingual_one_where_tensorflow_hub_is_missing(monkeypatch):
    if not pretrained.at_hand(universal.NAME):
        pytest.skip(f"{universal.NAME} was not fetched")
    monkeypatch.setattr(published, "has_sentence_encoder", lambda: False)
    found, covers = sources.LOADERS["published"]["encoder"]()
    assert isinstance(found, universal.Universal) and covers[0] == "in place of TensorFlow Hub's"
    assert config.key(covers) not in (config.key(published.UNIVERSAL), config.key(sources.universal_folder()[1]))


def test_status_says_what_is_missing(alone):
    found = resources.status()
    assert {row["set"] for row in found} == {"embedded", "local", "published"}
    assert all(set(row) == {"set", "part", "at_hand", "where", "how"} for row in found)
    assert all(row["at_hand"] or row["how"] for row in found)
    assert not next(row for row in found if row["part"] == "TextFooler's neighbours")["at_hand"]


# what is fetched -----------------------------------------------------------------------------------------------------


def zipped(**files) -> bytes:
    with zipfile.ZipFile(room := io.BytesIO(), "w") as archive:
        for name, content in files.items():
            archive.writestr(f"paragramcf/{name.replace('_', '.')}", content)
    return room.getvalue()


def saved(array) -> bytes:
    np.save(room := io.BytesIO(), array)
    return room.getvalue()


def test_first_fetch_is_trusted_and_later_changes_are_refused(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(published, "_get", lambda url, path: asked.append(url) or path.write_bytes(b"content"))
    first = published.fetch("hownet", tmp_path)
    assert published.fetch("hownet", tmp_path) == first and len(asked) == 1
    (tmp_path / published.HOWNET).write_bytes(b"altered")
    with pytest.raises(StaleArtefact, match=first[published.HOWNET]):
        published.fetch("hownet", tmp_path)
    (tmp_path / published.HOWNET).unlink()
    monkeypatch.setattr(published, "_get", lambda url, path: path.write_bytes(b"another"))
    with pytest.raises(StaleArtefact):
        published.fetch("hownet", tmp_path)


def test_zipped_nltk_data_are_read_like_unpacked_ones(alone):
    folder = offline.cache_dir() / "published" / "nltk_data" / "corpora"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "sample.zip", "w") as archive:
        archive.writestr("sample/one", b"content")
    (folder / "other").mkdir()
    (folder / "other" / "one").write_bytes(b"content")
    assert sources.nltk_files("corpora/sample", "one") == sources.nltk_files("corpora/other", "one")
    with pytest.raises(MissingResource, match="corpora/sample/two"):
        sources.nltk_files("corpora/sample", "two")


def test_unreachable_host_is_no_network(tmp_path):
    with pytest.raises(NoNetwork, match="cannot fetch"):
        published._get("http://127.0.0.1:9/none", tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


class Canary:
    """Runs when unpickled the usual way."""

    ran = False

    def __reduce__(self):
        return (sing, ())


def sing():
    Canary.ran = True


@pytest.mark.parametrize("content", [Canary(), {"a": [Canary()]}, collections.OrderedDict(a=1), np.int64(3), len])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_that_name_anything_are_refused(content, protocol):
    with pytest.raises(BadData, match="names"):
        published.tables(pickle.dumps(content, protocol), "here")
    assert not Canary.ran


def test_the_canary_sings():
    pickle.loads(pickle.dumps(Canary()))
    assert Canary.ran
    Canary.ran = False


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_tables_are_read(protocol):
    table = {"good": {"adj": ["fine", "naïve"], "noun": []}, "n": [1, 2.5, None, True, (3,)]}
    assert published.tables(pickle.dumps(table, protocol), "here") == table


@pytest.mark.parametrize("content", [b"", b"rubbish", pickle.dumps([1])[:-3], b"cos\nsystem\n(S'true'\ntR."])
def test_broken_pickles_are_bad_data(content):
    with pytest.raises(BadData, match="here"):
        published.tables(content, "here")


def test_published_vectors(tmp_path, monkeypatch):
    words = {"good": 0, "fine": 1, "bad": 2}
    content = zipped(
        paragram_npy=saved(np.array([[1.0, 0], [0.8, 0.6], [-1, 0]])),
        nn_npy=saved(np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0]])),
        wordlist_pickle=pickle.dumps(words),
    )
    path = tmp_path / "v.zip"
    path.write_bytes(content)
    v = published.Vectors(path)
    assert v("good") == ["fine", "bad"] and v("none") == [] and "bad" in v
    assert v.cosine("good", "fine") == pytest.approx(0.8) and v.cosine("good", "bad") == pytest.approx(-1)
    path.write_bytes(zipped(paragram_npy=saved(np.eye(2))))
    with pytest.raises(BadData, match="v.zip"):
        published.Vectors(path)
    path.write_bytes(zipped(paragram_npy=saved(np.eye(2)), nn_npy=saved(np.eye(2)), wordlist_pickle=pickle.dumps(len)))
    with pytest.raises(BadData, match="names"):
        published.Vectors(path)


def test_published_sememes(tmp_path):
    path = tmp_path / "table.pkl"
    path.write_bytes(pickle.dumps({"good": {"adj": ["fine"]}}))
    assert published.sememe_table(path) == {"good": {"adj": ["fine"]}}
    path.write_bytes(pickle.dumps(["good"]))
    with pytest.raises(BadData, match="table.pkl"):
        published.sememe_table(path)


# real data -----------------------------------------------------------------------------------------------------------


@real
@pytest.mark.slow
def test_local_pwws_needs_nothing_but_nltk_data(monkeypatch, tmp_path):
    monkeypatch.setenv("QRSUPPORT_CACHE", str(tmp_path))
    monkeypatch.setenv("QRSUPPORT_DATA", str(tmp_path))
    monkeypatch.setattr("nltk.data.path", [f"{REAL}/nltk_data"])
    r = resources.load("local", attack="pwws")
    assert "excellent" not in r.stop_words and r.encoder is None and r.similarity("a", "b") is None
    assert {"flick", "picture"} <= set(r.substitutes("movie")) and r.substitutes("movie") == sorted(
        r.substitutes("movie")
    )


@real
@pytest.mark.slow
def test_substitutes_are_those_of_textattack():
    sources._local_substitutes()
    offline.textattack()
    from textattack.transformations import WordSwapWordNet

    theirs = WordSwapWordNet.__new__(WordSwapWordNet)
    theirs.language = "eng"
    for word in [
        "movie",
        "good",
        "Good",
        "run",
        "can't",
        "well-known",
        "U.S.",
        "xyzzy",
        "set",
        "naive",
        "o'clock",
        "1990s",
    ]:
        assert thesaurus.wordnet_substitutes(word) == sorted(theirs._get_replacement_words(word)), word


@real
def test_local_neighbours_and_tagger():
    lists, digest = sources._local_neighbours()
    assert len(lists.lists) > 60_000 and "splendid" in lists("wonderful") and list(digest) == [thesaurus.LISTS]
    assert all(len(near) <= 8 for near in lists.lists.values())
    tag, _ = sources._nltk_tagger()
    assert tag(["the", "movie", "is", "good"]) == ["DET", "NOUN", "VERB", "ADJ"]


def test_json_of_parts_is_stable(alone):
    assert json.loads(json.dumps(resources.load("embedded").parts)) == resources.load("embedded").parts
    assert isinstance(resources.load("embedded").encoder, word_encoder.Encoder)
