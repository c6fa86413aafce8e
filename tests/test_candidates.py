"""What attacks may write, measured: logs are read whole or refused, shares are counted right, the page says them."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qrsupport import config, store
from qrsupport.errors import BadData, MissingResource, StaleArtefact
from qrsupport.experiments import coverage, encoders
from qrsupport.lexicons import universal, word_encoder
from qrsupport.report import candidates
from qrsupport.training import pretrained

REAL = os.environ.get("QRSUPPORT_DATA", "")
real = pytest.mark.skipif(not REAL, reason="QRSUPPORT_DATA is not set")
fetched = pytest.mark.skipif(
    not all(map(pretrained.at_hand, (universal.NAME, encoders.MINILM))),
    reason=f"not fetched; `qrsupport fetch {universal.NAME} {encoders.MINILM}`",
)
HEAD = '"original_text","perturbed_text","result_type"\n'
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen [[{}]]"


def log(folder, name, *rows):
    path = folder / f"{name}.csv"
    path.write_text(HEAD + "".join('"{}","{}","{}"\n'.format(*row) for row in rows), "utf-8")
    return path


def test_a_log_gives_texts_and_swaps_of_what_was_attacked(tmp_path):
    path = log(tmp_path, "embedding-x", ("a [[good]] [[film]]", "a [[fine]] [[movie]]", "Successful"),
               ("as it was", "as it was", "Skipped"), ("a [[dull]] one", "a [[flat]] one", "Failed"))  # fmt: skip
    first, second = coverage.read_log(path)
    assert (first.before, first.after) == ("a good film", "a fine movie") and first.succeeded and not second.succeeded
    assert first.swaps == (("good", "fine"), ("film", "movie")) and second.swaps == (("dull", "flat"),)


@pytest.mark.parametrize("row", ['"[[a]] b","a b","Failed"\n', '"only one"\n'])
def test_a_malformed_log_is_named_with_its_line(tmp_path, row):
    path = log(tmp_path, "embedding-x", ("a [[b]]", "a [[c]]", "Failed"))
    path.write_text(path.read_text() + row)
    with pytest.raises(BadData, match=r"embedding-x\.csv:3"):
        coverage.read_log(path)


def test_a_folder_without_logs_is_named(tmp_path):
    log(tmp_path, "other", ("a", "a", "Failed"))
    with pytest.raises(MissingResource, match="embedding or wordnet or hownet"):
        coverage.measure(tmp_path)


def test_what_a_list_holds_is_counted_by_swap_and_by_distinct_swap():
    swaps = [("Good", "Fine"), ("good", "fine"), ("good", "nice"), ("bad", "poor")]
    offers = {"good": {"fine"}, "bad": set()}
    found = coverage.held(swaps, lambda word: offers[word])
    assert found == {"n": 4, "held": 2, "listed": 3, "n_distinct": 3, "held_distinct": 1}


@real
@pytest.mark.slow
def test_our_lists_hold_what_they_offer_and_nothing_else(tmp_path):
    near, _ = coverage.neighbour_lists()
    log(tmp_path, "embedding-x", ("a [[good]] [[zyx]]", f"a [[{near['good'][0]}]] [[film]]", "Failed"))
    log(tmp_path, "wordnet-x", ("a [[movie]]", "a [[Flick]]", "Successful"), ("a [[movie]]", "a [[stone]]", "Failed"))
    counts = {(r["log"], r["list"]): (r["n"], r["held"], r["listed"]) for r in coverage.measure(tmp_path)}
    assert counts["embedding-x", "8 neighbours, Zhou et al. 2021 (used)"] == (2, 1, 1)
    assert counts["wordnet-x", "WordNet 3.0 (used)"] == (2, 1, 2)
    assert counts["embedding-x", "both together"][1] == 1 and len(counts) == 4
    added = coverage.beyond()
    assert 0 < added["beyond"] < added["words"] and added["lists"] <= added["words"]


def test_published_swaps_are_single_ones_in_texts_long_enough(tmp_path):
    log(tmp_path, "any", (LONG.format("good"), LONG.format("fine"), "Successful"), ("a [[good]] one", "a [[fine]] one", "Failed"),
        (LONG.format("a") + " [[b]]", LONG.format("c") + " [[d]]", "Failed"))  # fmt: skip
    ((before, after),) = encoders.published(tmp_path)
    assert before.split()[:-1] == after.split()[:-1] and (before.split()[-1], after.split()[-1]) == ("good", "fine")


def test_similarities_are_those_of_the_encoder_window_by_window():
    one = word_encoder.Concepts({"good": ["good"], "fine": ["good"]}, frozenset())
    windows = [("a good film", "a fine film"), ("a good film", "a bad film")]
    found, spent = encoders.similarities(one, windows)
    assert found == pytest.approx([one.similarity(*pair) for pair in windows]) and spent > 0


@real
@fetched
def test_candidates_differ_in_one_word_and_come_from_texts_long_enough():
    threshold, texts, windows = encoders.candidates(config.make(dataset="mr", resources="local", n=12))
    assert threshold == 0.840845057 and 0 < texts < 12 and len(windows) > 50
    for before, after in windows:
        assert sum(a != b for a, b in zip(before.split(), after.split(), strict=True)) == 1


@fetched
def test_the_pooled_encoder_is_the_published_one():
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = pretrained.folder(encoders.MINILM)
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    texts = ["a good film", "a much longer sentence about a film that nobody saw"]
    given = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        last, mask = model(**given).last_hidden_state, given["attention_mask"][:, :, None]
    mean = ((last * mask).sum(1) / mask.sum(1)).numpy()
    ours = encoders.Pooled(folder).encode(texts)
    assert np.abs(ours - mean / np.linalg.norm(mean, axis=1, keepdims=True)).max() < 1e-5


@pytest.mark.slow
@real
@fetched
def test_the_recipes_encoder_keeps_the_recipes_threshold_and_refuses_some(tmp_path, monkeypatch):
    one = encoders.all_encoders()[candidates.USED]
    monkeypatch.setattr(encoders, "all_encoders", lambda: {candidates.USED: one})
    log(tmp_path, "any", (LONG.format("good"), LONG.format("fine"), "Successful"))
    (row,) = encoders.compare(config.make(dataset="mr", resources="local", n=30), tmp_path)
    assert (row["threshold"], row["from"], row["published"]) == (0.840845057, "recipe", 1)
    assert 0 < row["refused"] < row["candidates"] / 2 and row["pearson_test"] > 0.75


@pytest.fixture
def found(tmp_path):
    def row(name, refused, passed, **more):
        return {"encoder": name, "pearson_dev": 0.8, "pearson_test": 0.7, "threshold": 0.84, "from": "recipe", "calibrated": 0.7,
                "texts": 9, "candidates": 200, "refused": refused, "refused_calibrated": 1, "milliseconds": 2.0,
                "published": 50, "published_passed": passed} | more  # fmt: skip

    lists = ["8 neighbours (used)", "both together"]
    content = {
        "encoders": [row("word vectors", 0, 50), row(candidates.USED, 30, 49), row("<other>", 10, 48, pearson_test=0.9, milliseconds=5)],
        "coverage": [{"log": "l", "resource": "vectors", "list": name, "n": 40, "held": held, "listed": 39, "n_distinct": 30,
                      "held_distinct": 12} for name, held in zip(lists, (20, 22))],
        "added": {"words": 1234, "lists": 56, "beyond": 7},
    }  # fmt: skip
    store.write_json(tmp_path / "found.json", content)
    return candidates.read(tmp_path / "found.json")


def test_tables_and_sentences_say_the_records(found):
    said = candidates.refusals(found)
    assert f"{candidates.USED} 15.0 %, <other> 5.0 %, word vectors 0.0 %" in said and "200 candidates in 9 texts" in said
    assert "lets 98.0 % pass" in said and "grades is <other> (0.90" in said and "2.5 times as long" in said
    assert f"0.700, the {candidates.USED} would refuse 0.5 %" in said
    shown = candidates.encoder_table(found).html
    assert "&lt;other&gt;" in shown and "<other>" not in shown and '15.0 %</span> <span class="whole">[' in shown
    assert "of vectors 50.0 %." in candidates.coverage_said(found)
    assert "55.0 % [" in candidates.coverage_table(found).text
    assert "8 neighbours (used): 50.0 %, both together: 55.0 %" in candidates.merging(found)
    assert "1,234 words to 56 lists; at least 7" in candidates.merging(found)


@pytest.mark.parametrize("content", ["{}", "[]", '{"encoders": [], "coverage": [], "added": {}}', "nonsense"])
def test_another_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(StaleArtefact, match=r"other\.json"):
        candidates.read(tmp_path / "other.json")


def test_the_published_file_has_a_row_an_encoder_and_every_space():
    found = candidates.read(Path(__file__).parents[1] / "book" / "results" / "candidates.json")
    assert set(found.encoders["encoder"]) == {"word vectors", "all-MiniLM-L6-v2", candidates.USED}
    assert set(found.coverage["resource"]) == set(coverage.LOGS.values()) and isinstance(found.encoders, pd.DataFrame)
