"""The benchmark compares like with like, and says nothing where the sides differ."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import bench, kept, memory, search, sides, waits

from qrsupport import pipeline, project, store
from qrsupport.attacks import answers
from qrsupport.report import engine


@pytest.mark.slow
@pytest.mark.parametrize(("against", "better"), [("floor", "lower"), ("two threads", "higher")])
def test_a_row_has_times_and_equal_outcomes(tiny, against, better):
    found = bench.measure(tiny, bench.Case("bert-small", "fp32", "pwws", against, 1, 1))
    assert found["identical"]
    assert found["better"] == better and found["ours_s"] > 0 and found["tokens"] > 2


def test_there_is_no_ratio_where_an_example_differs():
    case = bench.CASES[0]
    found = bench.row(case, [(2.0, 1.0), (6.0, 2.0)], identical=False)
    assert found["ratio"] is found["low"] is found["high"] is None
    shown = engine.bench_rows({"rows": [found]})
    assert shown["met"].tolist() == ["no"] and "differ" in shown["ratio"][0]


def test_what_is_missed_is_said_with_its_floor():
    cases = [bench.Case("m", "fp32", "pwws", against, 1, target) for against, target in (("unpadded", 4), ("floor", 2))]
    rows = [bench.row(case, [times], True) for case, times in zip(cases, [(3.0, 1.0), (1.0, 1.1)], strict=True)]
    said = engine.bench_missed({"rows": rows})
    assert said == "Missed: m fp32, pwws: unpadded (3.00, target ≥ 4; 1.10 times the floor)."
    assert engine.bench_missed({"rows": rows[1:]}) == "No target is missed."
    stock = bench.row(bench.Case("m", "fp32", "pwws", "stock TextAttack", 1, 20), [(3.0, 1.0)], True) | {"tokens": 25.6}
    assert "(3.00, target ≥ 20; 512 tokens are 20 times the texts' length)" in engine.bench_missed({"rows": [stock]})


def test_ratios_are_of_all_turns_together_and_their_range():
    found = bench.row(bench.Case("m", "v", "a", "unpadded", 3, 2), [(2.0, 1.0), (6.0, 2.0)], True)
    assert (found["ratio"], found["low"], found["high"]) == (8 / 3, 2.0, 3.0)
    found = bench.row(bench.Case("m", "v", "a", "floor", 3, 2), [(1.0, 2.0), (1.0, 1.0)], True)
    assert (found["ratio"], found["low"], found["high"]) == (1.5, 1.0, 2.0)


def test_the_floor_asks_each_distinct_text_once(tiny):
    task, _ = bench.setting(tiny, bench.Case("bert-small", "fp32", "pso", "floor", 1, 2))
    example = bench.sample(task, 1)[0]
    asked = sides.texts_asked(task, example)
    assert len(asked) == len(set(asked)) and example.text in asked


@pytest.mark.slow
def test_all_steps_give_the_same_outcomes(tiny):
    found = bench.steps(tiny, "bert-small", "pwws", 1)
    assert found["identical"] and len(found["steps"]) == 6
    assert engine.bench_steps({"steps": [found]})["in all"][0] == "1.0"


def test_the_plans_sequence_has_each_attack_once_and_its_outcomes_are_the_same(tiny):
    jobs = kept.sequence(tiny)
    labels = [(label, name) for label, name, _ in jobs]
    assert len(labels) == len(set(labels)) > 8 and labels[0] == ("textfooler", "fp32")
    assert ("textfooler, margin 0.3", "fp32") in labels
    rows = [
        {
            "attack": "a",
            "variant": "fp32",
            "asked": 3.0,
            "model": 2.7,
            "kept": 1.5,
            "texts": 8,
            "texts_kept": 2,
            "identical": same,
        }
        for same in (True, False)
    ]
    shown = engine.bench_kept({"rows": rows})
    assert shown["times as fast"].tolist() == ["2.00", "none: outcomes differ"]
    assert (shown["in the model"][0], shown["found kept"][0]) == ("90 %", "75 %")


@pytest.mark.slow
def test_kept_answers_are_measured_on_equal_outcomes(tiny, monkeypatch):
    few = [job for job in kept.sequence(tiny) if job[0] in ("textfooler", "textfooler, margin 0.3")]
    monkeypatch.setattr(kept, "sequence", lambda p: few)
    monkeypatch.setattr(answers, "EVERY", 0.0)  # these attacks are over before a second is
    rows = kept.measured(dataclasses.replace(tiny, n=2), turns=1)
    assert [row["identical"] for row in rows] == [True] * len(few)
    assert all(row["asked"] > row["model"] > 0 and row["kept"] > 0 for row in rows)
    again = [row for row in rows if "margin" in row["attack"]]
    assert sum(row["texts_kept"] for row in again) < sum(row["texts"] for row in again), rows


@pytest.mark.slow
def test_an_older_side_ends_attacks_alike_and_functions_name_what_asks_the_model(tiny, tmp_path):
    task, _ = bench.setting(tiny, bench.Case("bert-small", "fp32", "pwws", "", 0, 0))
    examples, here = bench.sample(task, search.WARM_UP + 1), project.folder()
    row = search.beside(task, examples, {"before": here, "now": here}, {"before": tmp_path, "now": tmp_path})
    assert row["identical"] and row["before"][0] > 0 and row["now"][1] <= row["now"][0] <= row["now"][2]
    spent = search.functions(task, examples)
    assert "qrsupport/quantization/victim.py: _ask" in [name for name, _ in spent.most_common(5)]


def test_time_in_onnx_runtime_and_in_compiled_functions_is_their_callers():
    ours, run, inner = ("/x/site-packages/a/b.py", 1, "ask"), (f"/x{search.RUNTIME}i.py", 2, "run"), ("~", 0, "<compiled>")
    called = {ours: (1, 1, 0.5, 3.0)}
    stats = {ours: (1, 1, 0.25, 4.0, {}), run: (1, 1, 0.5, 3.0, called), inner: (2, 2, 3.0, 3.0, {run: (1, 1, 2.5, 2.5), ours: (1, 1, 0.5, 0.5)})}
    assert search.inside(stats) == {"a/b.py: ask": 0.25 + 3.0 + 0.5}


def test_a_functions_file_is_named_from_its_package_on_whatever_the_checkout_is_called(monkeypatch):
    monkeypatch.setattr(search, "HOME", Path("/x/qrsupport"))
    assert search.place("/x/qrsupport/qrsupport/quantization/victim.py") == "qrsupport/quantization/victim.py"
    assert search.place("/x/qrsupport/.venv/lib/site-packages/a/b/c/d.py") == "a/…/d.py"
    assert search.place("/usr/lib/python3.11/random.py") == "python3.11/random.py"


def test_searches_have_no_ratio_where_an_outcome_differs_and_functions_a_share_of_each_attack():
    one = {"variant": "fp32", "examples": 3, "before": [2.0, 2.0, 2.0], "now": [1.0, 1.0, 1.0]}
    rows = [
        one | {"name": "x on fp32", "attack": "x", "identical": True, "functions": [["f", 0.75], ["g", 0.125]]},
        one | {"name": "y on fp32", "attack": "y", "identical": False, "functions": [["g", 0.5]]},
    ]
    found = {"commits": {"before": "abc", "now": "def"}, "rows": rows}
    assert list(engine.searches(found)["times as fast"]) == ["2.00", "none: outcomes differ"]
    assert engine.searches_said(found).startswith("3 of 6 attacks") and "2.00 to 2.00 times" in engine.searches_said(found)
    shown = engine.functions(found, "fp32", most=1).set_index("function")
    assert shown.loc["f"].tolist() == ["75.0 %", "0.0 %"] and shown.loc["all others"].tolist() == ["25.0 %", "100.0 %"]


def test_waits_are_timed_in_turns_in_a_run_directory_that_their_chain_shares(tmp_path):
    some = (
        waits.Wait("one", "touch $QRSUPPORT_RUNS/made; echo $PWD >> ../said", "sleep 0.2; echo older >> ../said"),
        waits.Wait("two", "test -e $QRSUPPORT_RUNS/made", "true"),
    )
    trees = {side: tmp_path / side for side in ("before", "now")}
    for tree in trees.values():
        tree.mkdir()
    rows = waits.measure(some, trees, turns=2)
    assert (tmp_path / "said").read_text("utf-8").splitlines() == ["older", str(trees["now"])] * 3
    assert rows[0]["before"][0] >= 0.2 > rows[0]["now"][0] and all(r["now"][1] <= r["now"][0] <= r["now"][2] for r in rows)
    shown = engine.waits({"commits": {"before": "abc", "now": "def"}, "rows": rows})
    assert list(shown) == ["what", "before (abc), s", "now, s", "times as fast"] and float(shown["times as fast"][0]) > 1
    assert list(engine.waits({"commits": {"now": "def"}, "rows": [{"name": "x", "now": [1, 1, 1]}]})["now, s"]) == ["1.0"]
    with pytest.raises(subprocess.CalledProcessError):
        waits.chain((waits.Wait("fails", "false"),), "now", tmp_path)


def test_a_wait_is_faster_or_slower_only_beyond_the_range_of_its_turns():
    times = {"a": ([2, 1, 3], [5, 4, 6]), "b": ([5, 4, 6], [2, 1, 3]), "c": ([2, 1, 4], [3, 3, 5])}
    rows = [{"name": name, "now": now, "before": before} for name, (now, before) in times.items()] + [{"name": "d", "now": [1, 1, 1]}]
    said = engine.waits_said({"rows": rows})
    assert said == "Beyond the range of the turns, faster than before: *a*; slower than before: *b*."
    assert "faster than before: none" in engine.waits_said({"rows": rows[1:2]})


def test_memory_counts_a_shared_page_once_and_says_what_a_further_worker_takes(tiny):
    here = memory.together()
    process = subprocess.Popen([sys.executable, "-c", "import time; held = b'x' * 10**8; print(flush=True); time.sleep(60)"], stdout=subprocess.PIPE)
    process.stdout.readline()
    assert 90 < memory.together() - here < 150
    process.kill()
    process.wait()
    before, after = memory.held(pipeline.variant(tiny, "fp32"), 1)
    assert after - before > 50  # at least the imports of a worker
    rows = [{"model": "a", "variant": "b", "now": [100, 130, 190], "before": [100, 200, 400]}, {"model": "c", "variant": "d", "now": [1, 2, 4]}]
    found = {"sizes": [1, 2, 4], "commits": {"before": "abc"}, "rows": rows}
    shown = engine.memory(found)
    assert list(shown)[2:] == ["each further one, MB", "the same before (abc), MB", "1 worker, MB", "2 workers, MB", "4 workers, MB"]
    assert list(shown["each further one, MB"]) == ["30", "1"]
    assert engine.memory_said(found) == "On `a`, `b`, each further worker takes 30 MB. At abc it took 100 MB."


def test_a_stopped_benchmark_goes_on_and_a_whole_one_begins_anew(tmp_path):
    file, about = tmp_path / "bench.json", {"machine": "m", "code": {"a": "1"}}
    assert bench.stopped(file, about) == {}
    store.write_json(file, about | {"rows": [{"name": "x"}]})
    assert bench.stopped(file, about)["rows"] == [{"name": "x"}]
    assert bench.stopped(file, about | {"code": {"a": "2"}}) == {}
    store.write_json(file, about | {"rows": [], "date": "2026-01-01"})
    assert bench.stopped(file, about) == {}
