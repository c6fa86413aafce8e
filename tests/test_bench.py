"""The benchmark compares like with like, and says nothing where the sides differ."""

import dataclasses

import pytest

from qrsupport import bench


@pytest.fixture(scope="module")
def small(tiny):
    return dataclasses.replace(tiny, run_dir=tiny.run_dir)


@pytest.mark.parametrize("against", ["stock TextAttack", "unpadded", "floor", "one worker"])
def test_a_row_has_its_ratio_and_range(small, against):
    found = bench.measure(small, bench.Case("small BERT", "fp32", "pwws", against, 1, 1))
    assert found["identical"] and found["low"] <= found["ratio"] <= found["high"]
    assert found["better"] == ("lower" if against == "floor" else "higher") and found["ours_s"] > 0


def test_there_is_no_ratio_where_an_example_differs():
    case = bench.CASES[0]
    found = bench.row(case, [(2.0, 1.0), (6.0, 2.0)], identical=False)
    assert found["ratio"] is found["low"] is found["high"] is None
    assert bench.table({"rows": [found]})["same"].tolist() == ["no"]


def test_ratios_are_of_all_turns_together_and_their_range():
    found = bench.row(bench.Case("m", "v", "a", "unpadded", 3, 2), [(2.0, 1.0), (6.0, 2.0)], True)
    assert (found["ratio"], found["low"], found["high"]) == (8 / 3, 2.0, 3.0)
    found = bench.row(bench.Case("m", "v", "a", "floor", 3, 2), [(1.0, 2.0), (1.0, 1.0)], True)
    assert (found["ratio"], found["low"], found["high"]) == (1.5, 1.0, 2.0)


def test_the_floor_asks_each_distinct_text_once(small):
    task, _ = bench.setting(small, bench.Case("small BERT", "fp32", "pso", "floor", 1, 2))
    example = bench.sample(task, 1)[0]
    asked = bench.texts_asked(task, example)
    assert len(asked) == len(set(asked)) and example.text in asked
