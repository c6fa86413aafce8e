"""The study's tables, figures and words, from made-up rows and from none; the book's pages run on what is published."""

import contextlib
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_study_analysis import clean, frame, whole

from qrsupport import store
from qrsupport.analysis import boundary, gains, sweep
from qrsupport.errors import NoRecords
from qrsupport.study import beside, figures, findings, limits, parts, plan_file, read, status, tables, trained, words

ROOT = Path(__file__).parents[1]
TABLES = ["direct_gains", "worst_cases", "cells", "controls", "recoveries", "recovery_tests", "whole_sets", "by_class",
          "shifts", "clean", "effort", "claims", "loyal"]  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """Three seeds of one model on which int8 is robust, with clean answers, probabilities and leads."""
    made = [whole(20, 0)]
    for seed in range(3):
        for i, name in enumerate(findings.CORE):
            part = frame(clean(name, "1" * 40, [1 + 0.1 * i * (-1) ** j for j in range(40)]))
            made.append(part.assign(seed=seed, backbone=findings.BACKBONE))
    found = pd.concat(made, ignore_index=True)
    lead = found["lead"].astype(float).fillna(0.5)
    chance = 1 / (1 + np.exp(-lead))
    found["probabilities"] = [[p, 1 - p] if y == 0 else [1 - p, p] for p, y in zip(chance, found["label"], strict=True)]
    return found.assign(words=10, words_changed=2, similarity=0.9, queries=30, since=9)


def lines(table):
    return repr(table).splitlines()


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_rows(rows, name):
    assert "(no rows)" not in repr(getattr(tables, name)(rows)) and len(lines(getattr(tables, name)(rows))) > 3


@pytest.mark.slow
def test_tables_say_what_the_rows_say(rows):
    said = {name: repr(getattr(tables, name)(rows)) for name in TABLES}
    assert re.search(r"int8-dynamic +3 +40 +\+50\.0 points", said["direct_gains"])
    assert re.search(r"int8-dynamic +3 +40 +25\.0 % +\+25\.0 points", said["worst_cases"])
    assert re.search(r"int8-dynamic +75\.0 %.*n 40", said["recoveries"])
    assert re.search(r"int8-dynamic +40 +75\.0 % +\+75\.0 +\+0\.0", said["whole_sets"])
    assert re.search(r"\+50\.0 +\+0\.0 to \+0\.0 +1 of 4 +not run +\+0\.0 +not run", said["controls"])
    assert re.search(r"30 +20\.0 % +0\.9", said["effort"])
    assert "+18.68 %" in said["claims"] and re.search(r"direct +\+50\.0 points", said["claims"])
    assert re.search(r"transfer, whole set +\+75\.0 points", said["claims"])


def test_the_saturating_product_is_set_beside_the_exact_one(rows):
    other = rows[(rows["variant"] == "int8-dynamic") & rows["target"].isna() & (rows["seed"] == 1)].assign(variant="int8-saturating")
    first = other[(other["kind"] == "direct") & (other["status"] == "failed")].index[0]
    other.loc[first, "status"] = "succeeded"
    said = lines(tables.saturation(pd.concat([rows, other], ignore_index=True)))
    assert len(said) == 4 and "(no rows)" in repr(tables.saturation(rows))
    assert re.search(r"1 +pwws +40 +100\.0 %.*n 40 +50\.0 % +47\.5 % +1 +0 +1", said[-1])


def test_pairs_that_can_saturate_come_from_the_manifests():
    about = {"parameters": {"dataset": "mr", "backbone": "b"}, "saturating": {"pairs": 12, "of": 34_567}}
    assert words.saturating([{}, about, about | {"saturating": {}}]).endswith(": 12 of 34,567 in `b` on mr.")
    assert words.saturating([{}]) == ""


def test_the_strict_constraint_is_an_outcome_beside_the_hypotheses(rows):
    wins = rows[(rows["kind"] == "direct") & (rows["attack"] == "pwws")].assign(attack="textfooler")
    strict = wins.assign(attack=limits.STRICT)
    both = pd.concat([rows, wins, strict.assign(status=strict["status"].where(strict["variant"] != "fp32", "failed"))], ignore_index=True)
    said = limits.strictly(both, n=50)
    assert "TextFooler turns 100.0 % (20.0 % of their words changed, 30 queries a text), `textfooler-strict` 0.0 %. H6" in said
    assert re.search(r"-50\.0 points [^*]*\*\*Confirmed\*\*\. On the same models under TextFooler itself: \+50\.0 points", said)
    assert "no record" in limits.strictly(rows, n=50)
    assert set(findings.usual(both)["attack"].dropna()) <= set(findings.ATTACKS) and len(findings.usual(both)) == len(both) - len(strict)


def test_pso_stands_beside_textfooler_on_the_same_examples(rows):
    wins = rows[rows["attack"] == "pwws"]
    few = wins[wins["example"].isin(sorted(set(wins["example"]))[:20])].assign(attack="pso")
    loose = wins.assign(attack="textfooler", words_changed=4)
    said = words.swarm(pd.concat([rows, loose, few], ignore_index=True), 50)
    assert "PSO turns 100.0 % (20.0 % of their words changed, 30 queries a text); TextFooler, on the same texts, 100.0 % (40.0 % of" in said
    assert "harder to fool: each attacked itself, its difference from `fp32` is +65.0 points [" in said and "; beside it stand `other-seed` " in said
    assert "differs from what is recovered by `other-seed` by " in said and words.swarm(rows) == "No record of PSO yet."


def test_adversarial_training_stands_beside_int8_with_what_it_learned_from(rows):
    mine = rows[(rows["variant"] == "int8-dynamic") & rows["target"].isna()]
    made = pd.concat([rows, mine.assign(variant="anew-3"), mine[mine["attack"] != "pwws"].assign(variant="anew-1")], ignore_index=True)
    said = lines(trained.beside(made, n=50))
    assert any(re.search(r"pwws +anew-3 +100\.0 % +0\.0 % +50\.0 % +50\.0 % +\+50\.0 points.*\+0\.0 points", line) for line in said)
    assert not any("pwws" in line and "anew-1" in line for line in said) and "(no rows)" in repr(trained.beside(rows, n=50))
    assert "under pwws `anew-3` gains +50.0 points" in trained.said(made, n=50) and "No record" in trained.said(rows, n=50)
    assert "`int8-dynamic` differs from `anew-3` by +0.0 points" in trained.said(made, n=50) and "-int8` by not run" in trained.said(made, n=50)
    answer = words.answer(findings.main(made), (1, 26), 200)
    assert len(answer) == 5 and "further epochs it gains +50.0 points" in answer[4] and "differs from it by +0.0 points" in answer[4]
    assert "+18.80 %" in answer[4] and trained.short(rows) == []
    assert "control `longer-3`: not run" in trained.said(made, n=50) and "unattacked" not in answer[4]
    longer = pd.concat([made, mine.assign(variant="longer-3", status="succeeded")], ignore_index=True)
    assert "control `longer-3`: +50.0 points" in trained.said(longer, n=50) and any("longer-3" in line for line in lines(trained.beside(longer, n=50)))
    assert "and +50.0 points [+37.5, +62.5] over as many epochs on the same texts unattacked; `int8-dynamic` differs" in trained.short(longer, 50)[0]


def test_how_many_texts_were_added_comes_from_the_manifests():
    plan = plan_file.read()
    units = [plan.unit(f"mr-minilm-l6-s0{program}") for program in ("-more", "-anew", "", "-longer")]
    ended = {"anew-1": {"succeeded": 1_234, "failed": 5, "skipped": 761}}
    about = [{"checkpoints": {"base": "a", "adversarial": "b"}}, {"checkpoints": {"anew-1": "c"}, "adversarial_examples": ended}, {}]
    about.append(about[1])
    said = lines(trained.counts(zip(units, about, strict=True)))
    assert len(said) == 5 and re.search(r"adversarial +fp32 +80 +not noted", said[3])
    assert re.search(r"anew-1 +fp32 +2,000 +1,234 +5 +761", said[4])


def test_limits_on_words_are_read_off_the_rows(rows):
    said = repr(limits.by_place(rows, n=50))  # all attacks change two of ten words
    assert re.search(r"10\.0 % +100\.0 % +100\.0 % +\+0\.0 points", said) and re.search(r"20\.0 % +0\.0 % +50\.0 % +\+50\.0 points", said)
    alt = limits.figure(rows, n=50).alt
    assert "int8-dynamic: +0.0 at 0 %, +0.0 at 5 %, +0.0 at 10 %, +50.0 at 15 %" in alt and "noise as large: +0.0 at 0 %" in alt
    assert "20 % of a text's words at most, `int8-dynamic` differs from `fp32` by +50.0 points" in limits.said(rows, n=50)
    said = limits.sides(rows, {"int8-dynamic": "int8"}, 50)
    assert "`minilm-l6` on mr, seed 2, gains if 20 %" in said and "int8 +50.0 points" in said
    assert set(limits.having(rows, ["fp32", "int8-dynamic"])["seed"]) == {0, 1, 2} and not len(limits.having(rows, ["adversarial"]))
    assert limits.said(rows.iloc[:0]) == "No record yet." and "(no rows)" in repr(limits.by_place(rows.iloc[:0]))


def test_the_fifth_hypothesis_is_tested_on_models_that_had_no_record(rows):
    swapped = rows.assign(variant=rows["variant"].replace({"fp32": "int8-dynamic", "int8-dynamic": "fp32"}))
    for part, verdict in ((rows, "Not confirmed"), (swapped, "Confirmed")):
        said = limits.tested(part.assign(since=np.where(part["seed"] == 2, 11, 10)), n=50)
        assert "minilm-l6` on mr, seed 2)" in said and f"**{verdict}**" in said
    assert "no record yet" in limits.tested(rows) and "had been noticed" not in words.few(rows, 50)
    later = rows.assign(since=np.where(rows["seed"] == 2, 11, 10))
    assert "on what was attacked after this had been noticed it is +50.0 points" in words.few(later, 50)
    assert ", all of it attacked after this had been noticed." in words.few(rows.assign(since=11), 50)


def test_figures_say_in_words_what_they_show(rows):
    alt = figures.summary(rows, n=50).alt
    assert "gain when attacked itself, int8-dynamic: 50.0 [" in alt and "recovery of fp32's texts, int8-dynamic: 75.0 [" in alt
    assert "fp32 to int8-dynamic 75.0 %" in figures.matrix(rows, "pwws").alt
    assert "int8-dynamic from 100.0 % to 50.0 %" in figures.budgets(rows, "pwws").alt  # 30 queries each
    predicted = boundary.predictions(rows)
    assert "int8-dynamic: predicted" in figures.explained(predicted).alt
    assert "another seed: " in tables.explained_said(predicted) and len(lines(tables.explained(predicted))) > 3
    with pytest.raises(NoRecords):
        figures.matrix(rows.iloc[:0], "pwws")
    with pytest.raises(NoRecords):
        figures.explained(predicted.iloc[:0])


def test_sizes_come_from_the_manifests():
    about = {"parameters": {"dataset": "mr", "backbone": "b"}, "bytes": {"fp32": 4_000_000, "w4": 500_000}}
    said = repr(tables.sizes([about, {}]))
    assert re.search(r"fp32 +kernel +4\.0", said) and re.search(r"w4 +simulated +0\.5", said)


def test_the_verdict_in_words(rows):
    found = findings.all_of(findings.main(rows), 500)
    said = words.verdict(found)
    assert said.startswith(words.ANSWERS["robust"]) and "+50.0 points" in said and "recovers more" in said
    none = findings.all_of(rows.iloc[:0])
    assert words.verdict(none) == words.ANSWERS["missing"]
    assert words.lines(none).count("no record yet") == 4


def test_the_answer_has_four_parts_or_says_what_it_lacks(rows):
    said = words.answer(findings.main(rows), (1, 26), 200)
    assert len(said) == 4 and said[0].startswith(words.ANSWERS["robust"]) and "1 of the plan's 26 units that bear on it, on `minilm-l6` (6 layers of 384) and the data mr of mr" in said[0]
    assert "reports +18.68 %" in said[1] and "+50.0 points" in said[2] and "(H1: for)" in said[2]
    assert "few words" in said[3] and "20 % of a text's words at most, `int8-dynamic` is harder to fool: the difference is +50.0 points" in said[3]
    assert words.answer(rows.iloc[:0], (0, 26)) == [words.ANSWERS["missing"]]


def test_a_part_of_eight_bits_that_is_only_hard_to_find_gains_nothing_on_others_texts(rows):
    one = rows[(rows["seed"] == 0) & (rows["attack"] == "pwws")]
    mine = one[(one["variant"] == "int8-dynamic") & one["target"].isna()]
    moved = one[(one["variant"] == "fp32") & (one["target"] == "int8-dynamic")]
    more = [name for name in parts.NAMES if name != "int8-dynamic"]
    replays = [moved.assign(target=name, answer=1 - moved["label"] if name == "a8" else moved["label"]) for name in more]
    made = pd.concat([one, *(mine.assign(variant=name) for name in more), *replays], ignore_index=True)
    own, others = lines(parts.compared(made, 50))[-2:]  # int8-dynamic, w8, a8, activation-noise-1
    gained = [re.findall(r"([+-]\d+\.\d) \[", line) for line in (own, others)]
    assert "its own attack" in own and gained[0] == ["+50.0"] * 4 and "others' texts as well" in others
    assert gained[1][1:] == ["+50.0", "+0.0", "+50.0"]
    assert re.search(r"On `minilm-l6`: with .* the activations alone \+50\.0 points .* the latter is \+0\.0 points", parts.said(made, 50))
    assert parts.said(rows) == "No record yet." and "(no rows)" in repr(parts.compared(rows, 50))
    large = made.assign(backbone="mpnet-base")
    said = parts.tested(large, 50)
    assert re.search(r"on mr, seed 0\): attacked itself, `a8` gains \+50\.0 .* undo \+50\.0 points \S+ \S+ of it\. \*\*Confirmed", said)
    reached = large.assign(answer=large["answer"].where(large["target"] != "a8", large["label"]))
    assert "undo +0.0 points [+0.0, +0.0] of it. **Not confirmed" in parts.tested(reached, 50)
    assert parts.halved(large, 50).endswith("the latter is +0.0 points [+0.0, +0.0]: most of it was due to texts that are hard to find, not hard to reach.")
    assert "hard to find" not in parts.halved(reached, 50) and "as well, the latter is +50.0 points" in parts.halved(reached, 50)
    three = pd.concat([large, large.assign(seed=1), reached.assign(seed=2)], ignore_index=True)
    assert re.search(r"hard to reach\. Even so a gain is left on 1 of 3 models: \+50\.0 points \S+ \S+ \(mr, seed 2\)\.$", parts.halved(three, 50))
    assert all("no record yet" in parts.tested(other, 50) for other in (made, large.assign(dataset="sst2")))


def test_models_that_stand_apart_are_said_apart_with_or_without_noise(rows):
    other = rows.assign(backbone="mpnet-base")
    (said,) = words.apart(other[other["seed"] == 0], 200)
    assert said.startswith("**`mpnet-base` (12 layers of 768) on mr**, not part of that verdict (1 seed, ") and "gains +50.0 points" in said
    assert " beyond the mean of such noise (1 seed). Its clean accuracy differs by " in said and "\n  - Over all attacks so far `int8-dynamic` gains +25.0 points" in said
    assert words.apart(other, 200)[0].startswith("**`mpnet-base` (12 layers of 768) on mr**, not part of that verdict (3 seeds, ")
    both = pd.concat([other, other[other["seed"] == 0].assign(dataset="sst2")], ignore_index=True)
    assert words.apart(both, 200)[0].startswith("**`mpnet-base` (12 layers of 768) on mr, sst2**, not part of that verdict (at least 1 seed, ")
    pair = other[other["variant"].isin(["fp32", "int8-dynamic"]) & (other["kind"] != "transfer")]
    assert "not yet set beside such noise" in words.apart(pair, 200)[0] and words.apart(pair.iloc[:0]) == []
    assert "; beside noise: no record yet" in words.lines(findings.all_of(pair, 200))
    strict = other[(other["kind"] == "direct") & (other["attack"] == "pwws")].assign(attack=limits.STRICT)
    (more,) = words.apart(pd.concat([other[other["seed"] == 0], strict[strict["seed"] == 0]], ignore_index=True), 200)
    alone = [other[other["variant"] == "int8-dynamic"].assign(variant=name) for name in parts.HALVES]
    assert "\n  - With the weights alone in 8 bits the gain is +50.0 points [" in words.apart(pd.concat([other, *alone], ignore_index=True), 50)[0]
    held = "\n  - Under a strict sentence constraint it differs by +50.0 points"
    assert held in more and more.replace(more[more.index(held) : more.index("\n  - Where an attack")], "") == said and "] (mr)." in more


def test_the_readme_gives_the_answer_of_the_published_records():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert beside.answer() in readme and beside.answer().count("\n- ") >= 4


def test_a_sentence_beside_a_chapter_names_the_data_that_it_rests_on(rows, monkeypatch):
    other = rows[rows["variant"] != "other-seed"].assign(dataset="sst2")
    monkeypatch.setattr(beside, "rows", lambda: pd.concat([rows, other], ignore_index=True))
    assert " on mr, sst2; " in beside.direct("int8-dynamic") and " on mr; " in beside.direct("other-seed")
    assert beside.widths() == "In the published study: no record yet."
    assert "each rounded alone to 8 bits. On `" in beside.halves() and "the activations alone " in beside.halves()
    assert beside.direct("w3").startswith("In the published study there is no record yet of this: `w3`")


def test_a_table_of_nothing_says_so(rows):
    for name in set(TABLES) - {"claims"}:
        assert "(no rows)" in repr(getattr(tables, name)(rows.iloc[:0])), name
    assert repr(tables.claims(rows.iloc[:0])).count("not run") == 7
    assert "(no rows)" in repr(tables.aims(rows)) and "(no rows)" in repr(tables.widths(sweep.measures(rows)))


@pytest.fixture(scope="module")
def swept(rows):
    """The same rows, in which the robust variant is a width and so is another that is not."""
    names = {"int8-dynamic": "w2", "other-seed": "w8"}
    return rows.assign(variant=rows["variant"].replace(names), target=rows["target"].replace(names))


def test_widths_are_set_against_fp32_on_the_same_examples(swept):
    found = sweep.measures(swept)
    first = found[found["seed"] == 0].set_index("variant")
    assert [*first.index] == ["fp32", "w2", "w8"] and {*first["direct_n"]} == {40}
    assert first.loc["w2", "direct"] - first.loc["fp32", "direct"] == 0.5 and first.loc["w2", "recovery"] == 0.75
    assert first.loc["fp32", "clean"] == 1 and first.loc["fp32", "recovery_n"] == 0
    late = (swept["kind"] == "direct") & (swept["variant"] == "w2") & (swept["position"] >= 30)
    fewer = sweep.measures(swept[~late])
    assert {*fewer["direct_n"]} == {30} and {*fewer["clean_n"]} == {40}


def test_widths_that_gain_are_named_with_their_clean_accuracy(swept):
    said = words.widths(swept)
    assert "same examples: 6 comparisons" in said and "3 gain: `w2` (+50.0 points; clean accuracy 100.0 %), " in said and "; 0 lose. `fp32` itself" in said
    assert said.endswith("Of the widths that gain, 3 held clean accuracy above the lower end of `fp32`'s 95 % interval.")
    lost = swept.assign(answer=swept["answer"].mask((swept["kind"] == "clean") & (swept["variant"] == "w2"), 0))
    assert "w2` (+50.0 points; clean accuracy 50.0 %)" in words.widths(lost) and "that gain, none held" in words.widths(lost)
    assert words.widths(swept.iloc[:0]) == "No record yet."
    alt = figures.widths(sweep.measures(swept)).alt
    assert "direct, weights: 2 bits " in alt and "recovery, weights: " in alt
    with pytest.raises(NoRecords, match="simulated widths"):
        figures.widths(sweep.measures(swept.iloc[:0]))


def test_what_is_missing_is_named():
    table = pd.DataFrame(
        [["a", "tune", 1, 1, True], ["b", "tune", 1, 1, True], ["b", "clean", 5, 0, False], ["c", "tune", 1, 0, False]],
        columns=status.NAMES,
    )
    said = status.said(table)
    assert said.startswith("1 of 3 units") and "- Whole: `a`.\n- In part: `b`.\n- Missing: `c`." in said and "2 of 4 steps" in said


def publish(folder, name, rows, **about):
    """One seed's rows as a published unit."""
    part = rows[rows["seed"] == 0].drop(columns=["dataset", "backbone", "seed"]).astype(object)
    part = part.where(part.notna(), None)
    read.write(folder / f"{name}.parquet", part.to_dict("records"))
    about |= {"sha256": store.sha256(folder / f"{name}.parquet")}
    about.setdefault("version", 9)
    about["parameters"] = {"dataset": "mr", "backbone": findings.BACKBONE, "seed": 0}
    store.write_json(folder / f"{name}.json", about)


def test_units_bear_on_the_verdict_if_their_attacks_enter_it():
    named = {unit.name for unit in plan_file.read().units if beside.bears(unit)}
    assert {"mr-minilm-l6-s0", "sst2-minilm-l6-s2", "emotion-minilm-l6-s0-suite", "mr-minilm-l6-s0-more"} <= named
    assert not named & {"mr-bert-small-s0", "mr-minilm-l6-s0-pso", "mr-minilm-l6-s0-strict", "mr-mpnet-base-s0", "trec-minilm-l6-s0"}


def test_units_that_share_rows_are_counted_once(tmp_path, rows):
    """A second unit of the same model, published apart, adds nothing to what the first says of the same attack."""
    for name in ("one", "two"):
        publish(tmp_path, name, rows, checkpoints={"base": "a1"})
    one, both = (read.load(tmp_path, names) for names in (["one"], ["one", "two", "three"]))
    assert len(both) == len(one) == (rows["seed"] == 0).sum()
    assert gains.pooled(findings.outcomes.direct(both), "int8-dynamic", n=10)["gain"] == 0.5


def test_one_seed_with_two_checkpoints_is_two_fine_tunings_and_one_seed(tmp_path, rows):
    """Another machine fine-tunes one seed to other weights: its rows are neither dropped nor mixed with the first's, nor
    counted as another seed's."""
    for name, base, version in (("one", "a1", 9), ("two", "b2", 12), ("three", "a1", 12)):
        publish(tmp_path, name, rows, checkpoints={"base": base}, version=version)
    found = read.load(tmp_path, ["one", "two", "three"])
    assert found["seed"].value_counts().to_dict() == dict.fromkeys(("0", "0b"), (rows["seed"] == 0).sum())
    assert gains.pooled(findings.outcomes.direct(found), "int8-dynamic", n=10)["seeds"] == 1
    assert found.groupby("seed")["since"].unique().map(list).to_dict() == {"0": [9], "0b": [9]}
    assert words.again(found).startswith("Seed 0 of `minilm-l6` on mr, fine-tuned again, gives 100.0 % of the clean texts")
    other = found["answer"].where((found["seed"] == "0") | (found["position"] % 4 != 0), 1 - found["answer"])
    assert " 75.0 % " in words.again(found.assign(answer=other)) and words.again(rows[rows["seed"] == 1]) == ""


def cells(page):
    text = (ROOT / "book" / page).read_text("utf-8")
    return re.findall(r"```\{code-cell\} python3\n(?::[^\n]*\n)*(.*?)```", text, re.S)


@pytest.mark.parametrize("page", ["plan.md", "study.md", "evidence.md"])
@pytest.mark.slow
def test_the_books_page_runs(page):
    space = {}
    with contextlib.chdir(ROOT / "book"), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        for cell in cells(page):
            exec(compile(cell, page, "exec"), space)
