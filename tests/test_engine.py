"""Attacks are run as TextAttack runs them, resume, and give the same records whoever runs them."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import psutil
import pytest

from qrsupport import config, pipeline, recorded, records
from qrsupport.attacks import faster, one_example, tasks, workers
from qrsupport.data import datasets
from qrsupport.errors import AttackFailures, BadCheckpoint, CannotRun, NoNetwork, UnknownName
from qrsupport.lexicons import universal
from qrsupport.recorded import Folder
from qrsupport.records import Status
from qrsupport.training import pretrained

from textattack import Attack  # isort: skip
from textattack.attack_recipes import AttackRecipe  # isort: skip
from textattack.constraints.overlap import MaxWordsPerturbed  # isort: skip
from textattack.constraints.pre_transformation import StopwordModification  # isort: skip
from textattack.goal_functions import UntargetedClassification  # isort: skip
from textattack.search_methods import ParticleSwarmOptimization  # isort: skip
from textattack.transformations import WordSwapHowNet  # isort: skip

ATTACKS = ("textfooler", "pwws", "pso")


def attacked(p):
    """The folder of records of an attack that was run."""
    pipeline.attack(p, progress=False)
    return pipeline.attack_folder(p).path


@pytest.fixture(scope="module")
def p(tiny):
    return dataclasses.replace(tiny, n=8)


def content(path):
    """The records of a folder without their timing."""
    return [dataclasses.replace(r, timing={}) for r in Folder(path).load()]


def examples(p, n):
    split = datasets.load(p).eval_split()
    return [
        tasks.Example(k, split.ids[i], split.texts[i], split.labels[i]) for k, i in enumerate(datasets.sample(split, n, 0))
    ]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("variant", ["fp32", "int8-dynamic"])
def test_outcomes_are_those_of_textattack(p, attack, variant):
    task = tasks.Task(dataclasses.replace(p, attack=attack), variant, pipeline.variant(p, variant), "")
    stock, ours = one_example.Searcher(task, stock=True), one_example.Searcher(task)
    seen = set()
    for example in examples(p, 12):
        a, b = stock(example), ours(example)
        seen.add(a.status)
        assert a.status is not Status.error, a.note
        assert (a.status, a.perturbed, a.queries, a.words_changed) == (
            b.status,
            b.perturbed,
            b.queries,
            b.words_changed,
        )
        assert a.probabilities_after == b.probabilities_after and b.evaluations <= b.queries
    assert Status.succeeded in seen


@pytest.mark.skipif(
    not (os.environ.get("QRSUPPORT_DATA") and pretrained.at_hand(universal.NAME)),
    reason=f"needs QRSUPPORT_DATA and `qrsupport fetch {universal.NAME}`",
)
@pytest.mark.parametrize("variant", ["fp32", "int8-dynamic"])
@pytest.mark.slow
def test_outcomes_are_those_of_textattack_where_sentences_are_compared(p, variant, monkeypatch):
    task = tasks.Task(dataclasses.replace(p, attack="textfooler", resources="local"), variant,
                       pipeline.variant(p, variant), "")  # fmt: skip
    stock, ours = one_example.Searcher(task, stock=True), one_example.Searcher(task)
    (constraint,) = [c for c in ours.attack.constraints if type(c) is faster.SentenceConstraint]
    split, refused, seen = datasets.load(dataclasses.replace(p, dataset="mr")).eval_split(), 0, set()
    score = constraint._score_list

    def counted(*args):
        nonlocal refused
        scores = score(*args)
        refused += int((scores < constraint.threshold).sum())
        return scores

    monkeypatch.setattr(constraint, "_score_list", counted)
    long = [i for i in datasets.sample(split, 60, 0) if len(split.texts[i].split()) > 15][:16]
    for k, i in enumerate(long):
        example = tasks.Example(k, split.ids[i], split.texts[i], split.labels[i])
        a, b = stock(example), ours(example)
        seen.add(a.status)
        assert (a.status, a.perturbed, a.queries, a.similarity) == (b.status, b.perturbed, b.queries, b.similarity)
    assert Status.succeeded in seen and refused > 0


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_query_budget_is_kept_as_textattack_keeps_it(p, attack):
    task = tasks.Task(dataclasses.replace(p, attack=attack, query_budget=25), "fp32", pipeline.variant(p, "fp32"), "")
    stock, ours = one_example.Searcher(task, stock=True), one_example.Searcher(task)
    for example in examples(p, 6):
        a, b = stock(example), ours(example)
        assert (a.status, a.perturbed, a.queries) == (b.status, b.perturbed, b.queries) and b.queries <= 25


@pytest.mark.slow
@pytest.mark.parametrize(("cores", "starting", "crews"), [(2, -1e9, [2]), (2, 1e9, []), (1, 10.0, [])])
def test_further_processes_begin_where_they_pay_and_change_nothing(p, cores, starting, crews, monkeypatch, tmp_path):
    whole = content(attacked(dataclasses.replace(p, attack="pso", workers=1)))
    for kind in ("checkpoints", "variants"):
        os.symlink(config.run_dir(p) / kind, tmp_path / kind)
    sizes, crew = [], workers.Crew
    monkeypatch.setattr(workers.joblib, "cpu_count", lambda: cores)
    monkeypatch.setattr(workers, "STARTING", starting)
    monkeypatch.setattr(workers, "Crew", lambda task, size: sizes.append(size) or crew(task, size))
    assert content(attacked(dataclasses.replace(p, attack="pso", workers=0, run_dir=str(tmp_path)))) == whole
    assert sizes == crews


@pytest.mark.slow
def test_workers_order_and_interruption_change_nothing(p, tmp_path):
    whole = content(attacked(dataclasses.replace(p, attack="pso")))
    moved = dataclasses.replace(p, attack="pso", workers=2, run_dir=str(tmp_path))
    for kind in ("checkpoints", "variants"):  # the same artefacts; only the records are made anew
        os.symlink(config.run_dir(p) / kind, tmp_path / kind)
    few = attacked(dataclasses.replace(moved, n=3))
    journal = Folder(few)
    kept = journal.load()
    (few / recorded.RECORDS).unlink()
    for record in (kept[2], kept[0]):  # as after a kill: two of three in the journal, out of order
        journal.append(record)
    path = attacked(moved)
    assert content(path) == whole and not (path / recorded.JOURNAL).exists()
    assert len({r.position for r in Folder(path).load()}) == p.n


def test_more_examples_keep_the_first(p):
    few = dataclasses.replace(p, attack="pwws", attack_seed=11, n=3)  # a seed of its own: nobody has run it
    first = attacked(few)
    before = Folder(first).load()
    again = attacked(dataclasses.replace(few, n=6))
    assert again == first and Folder(again).load()[:3] == before and len(Folder(again).load()) == 6


def test_records_of_other_versions_are_set_aside_and_made_again(p, tmp_path, capsys):
    q = dataclasses.replace(p, attack="pwws", n=2, run_dir=str(tmp_path))
    for kind in ("checkpoints", "variants"):
        os.symlink(config.run_dir(p) / kind, tmp_path / kind)
    path = attacked(q)
    old, meta = content(path), json.loads((path / "meta.json").read_text())
    meta["depends"]["versions"]["textattack"] = "0.0.1"
    (path / "meta.json").write_text(json.dumps(meta))
    pipeline.replay(q, "fp32", "fp32")
    said = capsys.readouterr().err
    assert "versions.textattack: '0.0.1' → " in said and said.count("made again: ") == 1
    assert content(path) == old == content(path / "superseded-1")


def test_replays_of_records_that_were_made_again_are_made_again(p, tmp_path, capsys, monkeypatch):
    q = dataclasses.replace(p, attack="pwws", n=2, run_dir=str(tmp_path))
    for kind in ("checkpoints", "variants"):
        os.symlink(config.run_dir(p) / kind, tmp_path / kind)
    pipeline.replay(q, "fp32", "fp32")
    real = pipeline.provenance.code
    edited = {"attack": {"search": "edited"}}
    monkeypatch.setattr(pipeline.provenance, "code", lambda stage: real(stage) | edited.get(stage, {}))
    pipeline.replay(q, "fp32", "fp32")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("made again: ")]
    assert [line.split("/")[0] for line in lines] == ["made again: attacks", "made again: replays"]


def test_replaying_a_source_on_its_own_set_gives_its_direct_result(p):
    for attack in ATTACKS:
        q = dataclasses.replace(p, attack=attack)
        direct = pipeline.attack(q, "fp32", progress=False)
        replays = pipeline.replay(q, "fp32", "fp32")
        assert [r.position for r in replays] == [r.position for r in direct]
        for record, answer in zip(direct, replays):
            assert (answer.replayed == answer.label) == (record.status is Status.failed)
            assert answer.replayed == (record.after if record.status is Status.succeeded else record.before)


@pytest.mark.parametrize(
    "text", ["", " ", "!!", "good", "👍👍", "naïve\x00text", "word " * 2_500, "电影 很 好", "\ud800 bad"]
)
@pytest.mark.parametrize("attack", ATTACKS)
def test_any_text_has_a_defined_status(p, attack, text):
    task = tasks.Task(dataclasses.replace(p, attack=attack, query_budget=30), "int8-dynamic",
                       pipeline.variant(p, "int8-dynamic"), "")  # fmt: skip
    for label in (0, 1):
        record = one_example.Searcher(task)(tasks.Example(0, "x", text, label))
        assert record.status in (Status.succeeded, Status.failed, Status.skipped), record.note
        assert record.truncated == (len(text) > 10_000)
        assert records.from_line(records.to_line(record), records.Record) == record


def test_an_error_becomes_a_record_and_the_run_goes_on(p, monkeypatch):
    inner = one_example.Searcher.outcome

    def outcome(self, example):
        if example.position == 1:
            raise ZeroDivisionError("by hand")
        return inner(self, example)

    monkeypatch.setattr(one_example.Searcher, "outcome", outcome)
    q = dataclasses.replace(p, attack="pwws", attack_seed=5, n=3)
    with pytest.raises(AttackFailures, match="1 of 3 .*ZeroDivisionError: by hand"):
        pipeline.attack(q, progress=False)
    monkeypatch.undo()
    assert all(r.status is not Status.error for r in pipeline.attack(q, progress=False))


def die(example):
    """In place of a worker's search: example 1 kills its worker, always; example 2 the first time."""
    marks = example.id
    if example.position == 1 or (example.position == 2 and not os.path.exists(f"{marks}/2")):
        open(f"{marks}/{example.position}", "w").close()
        os._exit(9)
    return workers._searcher(example)


@pytest.mark.slow
def test_a_worker_that_dies_loses_and_doubles_nothing(p, tmp_path):
    task = tasks.Task(dataclasses.replace(p, attack="pwws", workers=2), "fp32", pipeline.variant(p, "fp32"), "")
    todo = [dataclasses.replace(e, id=str(tmp_path)) for e in examples(p, 6)]
    with workers.Crew(task, 2, die) as crew:
        found = sorted(crew.outcomes(todo), key=lambda r: r.position)
    assert [r.position for r in found] == list(range(6))
    assert [r.status is Status.error for r in found] == [False, True, False, False, False, False]
    assert "WorkerDied" in found[1].note


def about_itself(example):
    """In place of a worker's search: its process and its parent's, and how often its classifier was at hand already."""
    from qrsupport.quantization import classifiers

    note = f"{os.getpid()} {os.getppid()} {classifiers._opened.cache_info().hits}"
    return dataclasses.replace(workers.search_one(example), note=note)


@pytest.mark.slow
def test_workers_share_what_their_leader_opened_and_end_with_it(p):
    task = tasks.Task(dataclasses.replace(p, attack="pwws"), "fp32", pipeline.variant(p, "fp32"), "")
    with workers.Crew(task, 2, about_itself) as crew:
        processes, leaders, hits = zip(*(map(int, r.note.split()) for r in crew.outcomes(examples(p, 8))))
        assert {*leaders} == {crew.leader.pid} and len({*processes}) == 2 and min(hits) == 1
        crew.leader.kill()
        with pytest.raises(CannotRun, match="fewer workers"):
            list(crew.outcomes(examples(p, 8)))
    _, alive = psutil.wait_procs([psutil.Process(i) for i in {*processes} if psutil.pid_exists(i)], timeout=20)
    assert not alive


@pytest.mark.slow
def test_what_stops_a_leader_is_said_by_the_crew(p, tmp_path):
    task = tasks.Task(dataclasses.replace(p, attack="pwws"), "fp32", tmp_path / "nowhere", "")
    with pytest.raises(BadCheckpoint, match="nowhere"), workers.Crew(task, 2) as crew:
        list(crew.outcomes(examples(p, 2)))


@pytest.mark.slow
def test_an_interrupt_does_not_reach_the_server_of_workers_while_it_imports():
    code = """
import os, signal, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver
from qrsupport.attacks import workers

context = workers.server()
server = forkserver._forkserver._forkserver_pid
for _ in range(20):
    os.kill(server, signal.SIGINT)
    time.sleep(0.1)
assert os.waitpid(server, os.WNOHANG) == (0, 0), "the server died"
print(ProcessPoolExecutor(1, context).submit(abs, -7).result())
assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "7\n") and "Interrupt" not in done.stderr, done.stderr


def test_unknown_variant_is_refused(p):
    with pytest.raises(UnknownName, match="int8-dynamic"):
        pipeline.attack(p, "int8-dynamik")


def test_each_example_has_its_own_seed():
    seeds = {tasks.example_seed(s, f"mr/test/{i}") for s in range(3) for i in range(50)}
    assert len(seeds) == 150 and tasks.example_seed(1, "a") == tasks.example_seed(1, "a")


def test_any_recipe_of_textattack_runs(p):
    from textattack.attack_recipes import DeepWordBugGao2018

    found = pipeline.attack(dataclasses.replace(p, n=4), progress=False, recipe=DeepWordBugGao2018)
    task = tasks.Task(p, "fp32", pipeline.variant(p, "fp32"), "", DeepWordBugGao2018)
    stock = [one_example.Searcher(task, stock=True)(e) for e in examples(p, 4)]
    assert [(r.status, r.perturbed, r.queries) for r in found] == [(r.status, r.perturbed, r.queries) for r in stock]
    assert {r.attack for r in found} == {"deepwordbug"} and {r.engine for r in found} == {"qrsupport"}


def test_where_the_faster_parts_fail_textattacks_own_run_and_the_record_says_so(p, monkeypatch):
    task = tasks.Task(dataclasses.replace(p, attack="textfooler"), "fp32", pipeline.variant(p, "fp32"), "")
    ours, stock = one_example.Searcher(task), one_example.Searcher(task, stock=True)

    def refuse(*_):
        raise NotImplementedError("this part cannot")

    monkeypatch.setattr(one_example.attacked_text.Text, "replace_word_at_index", refuse)
    for example in examples(p, 4):
        a, b = ours(example), stock(example)
        assert (a.status, a.perturbed, a.queries) == (b.status, b.perturbed, b.queries)
        assert a.status is Status.skipped or (a.engine == "textattack" and "this part cannot" in a.note)


def test_missing_resources_are_said_before_any_work(tmp_path):
    p = config.make(backbone="bert-small", resources="published", run_dir=str(tmp_path))
    with pytest.raises(NoNetwork, match="network=True"):
        pipeline.attack(p, progress=False)
    assert not list(tmp_path.iterdir())


class ConstrainedSwarm(AttackRecipe):
    """PSO that may change two words, so that particles' moves can be refused and tried again."""

    @staticmethod
    def build(model_wrapper):
        constraints = [StopwordModification(), MaxWordsPerturbed(max_num_words=2)]
        search_method = ParticleSwarmOptimization(pop_size=10, max_iters=4)
        return Attack(UntargetedClassification(model_wrapper), constraints, WordSwapHowNet(), search_method)


@pytest.mark.parametrize("budget", [0, 400])
def test_a_swarm_with_constraints_moves_as_textattacks(p, budget):
    q = dataclasses.replace(p, query_budget=budget, margin=0.98)  # far, so that the swarm goes on
    task = tasks.Task(q, "fp32", pipeline.variant(p, "fp32"), "", ConstrainedSwarm)
    stock, ours = one_example.Searcher(task, stock=True), one_example.Searcher(task)
    refused = []
    plain = ours.attack.search_method._check_constraints

    def watched(*args, **kwargs):
        refused.append(not plain(*args, **kwargs))
        return not refused[-1]

    ours.attack.search_method._check_constraints = watched
    for example in examples(p, 8):
        a, b = stock(example), ours(example)
        assert (a.status, a.perturbed, a.queries, a.note) == (b.status, b.perturbed, b.queries, b.note)
    assert any(refused) or budget, "no move was refused: the test shows too little"


def test_drawing_many_numbers_at_once_draws_the_same():
    for seed in range(20):
        chances = np.random.default_rng(seed).dirichlet(np.ones(seed + 1))
        np.random.seed(seed)
        one = [int(np.random.choice(len(chances), 1, p=chances)[0]) for _ in range(5)] + [np.random.uniform() for _ in "abc"]
        np.random.seed(seed)
        assert one == one_example.faster.choose(chances, 5) + np.random.random(3).tolist()
