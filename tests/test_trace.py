"""A traced attack is the attack that is recorded: query by query, and in its end; its file is refused if it was altered."""

import dataclasses
import json
import subprocess
import sys

import pytest

from qrsupport import config, pipeline, project, store
from qrsupport.attacks import tasks
from qrsupport.data import datasets
from qrsupport.errors import BadParameter, NoRecords, StaleArtefact
from qrsupport.experiments import trace
from qrsupport.quantization import classifiers
from qrsupport.report import trace as page

FILE = project.sources() / "book" / "results" / "trace.json"


def traced(p, example, **changes):
    q = dataclasses.replace(p, **changes)
    tasks.supply(q)
    return trace.traced(pipeline.task(q, "fp32"), example)


def sentence(p, text, right=True):
    """An example of that text, its label the classifier's (or not)."""
    said = int(pipeline.classifier(p, "fp32")([text])[0].argmax())
    return tasks.Example(0, "own/0", text, said if right else 1 - said)


@pytest.mark.parametrize("attack", [*trace.ATTACKS, "deepwordbug"])
def test_traced_queries_and_end_are_those_of_the_record(tiny, attack):
    p = dataclasses.replace(tiny, attack=attack, n=4)
    for record, example in zip(pipeline.attack(p, "fp32", progress=False), tasks.examples(pipeline.dataset(p).eval_split(), 4, 0)):
        found = traced(tiny, example, attack=attack)
        asked = [i for step in found["steps"] for i in step["asked"]]
        assert (len(asked), len(found["texts"])) == (record.queries, record.evaluations)
        assert sorted(set(asked)) == list(range(record.evaluations)) and found["texts"][0]["text"] == record.text
        assert {name: found["record"][name] for name in trace.KEPT} == {name: getattr(record, name) for name in trace.KEPT}
        kept = [found["texts"][s["kept"]]["text"] for s in found["steps"] if s.get("kept") is not None and s["stage"] == "swap"]
        if kept:
            assert kept[-1] == record.perturbed


def test_what_was_asked_got_the_classifiers_answers(tiny):
    found = traced(tiny, tasks.examples(pipeline.dataset(tiny).eval_split(), 1, 0)[0], attack="pwws")
    ask = classifiers.load(pipeline.variant(tiny, "fp32"))
    for text in found["texts"]:
        assert max(range(2), key=text["probabilities"].__getitem__) == ask([text["text"]])[0].argmax()
    rank = next(step for step in found["steps"] if step["stage"] == "rank")
    assert sorted(rank["order"]) == sorted(rank["words"])
    for word, i in zip(rank["words"], rank["asked"]):
        assert found["words"][word] not in found["texts"][i]["text"].split() and "[UNK]" in found["texts"][i]["text"]


def test_dropped_candidates_are_named_with_the_constraint(tiny):
    found = traced(tiny, sentence(tiny, "i loved the accurate manual ."), attack="textfooler")
    dropped = [r for step in found["steps"] for r in step["refused"]]
    assert {"word": 1, "to": "beloved", "by": "PartOfSpeech"} in dropped
    assert not any("beloved" in text["text"] for text in found["texts"])
    assert {"word": 0, "by": "StopwordModification"} in found["held"]


def test_a_text_that_is_wrong_unattacked_costs_one_query(tiny):
    found = traced(tiny, sentence(tiny, "i loved the accurate manual .", right=False), attack="pso")
    assert found["record"]["status"] == "skipped" and [step["stage"] for step in found["steps"]] == ["start"]


def test_a_budget_cuts_the_trace_off(tiny):
    example = sentence(tiny, "the food was awful and the staff were rude and slow .")
    whole, cut = (traced(tiny, example, attack="pwws", query_budget=b) for b in (0, 7))
    assert whole["record"]["queries"] > 7 == cut["record"]["queries"]
    assert [t["text"] for t in cut["texts"]] == [t["text"] for t in whole["texts"]][:7]


def test_the_file_holds_what_pages_read_and_an_altered_one_is_refused(tiny, tmp_path):
    name = pipeline.dataset(tiny).eval_split().ids[5]
    content = trace.trace(tiny, name, ("textfooler",))
    assert content["row"]["of"] >= len(content["row"]["weights"]) == trace.ROW
    store.write_json(tmp_path / "t.json", content)
    found = page.read(tmp_path / "t.json")
    assert len(page.queries(found, "textfooler")) == found["attacks"]["textfooler"]["record"]["queries"]
    found["attacks"]["textfooler"]["steps"][-1]["asked"].pop()
    store.write_json(tmp_path / "t.json", found)
    with pytest.raises(StaleArtefact, match="trace"):
        page.read(tmp_path / "t.json")


@pytest.mark.parametrize("content", ["{}", "[]", '{"attacks": {"pwws": {}}}', "nonsense"])
def test_another_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(StaleArtefact, match=r"other\.json"):
        page.read(tmp_path / "other.json")


def test_wrong_questions_are_refused_before_any_work(tmp_path):
    p = config.make(run_dir=str(tmp_path))
    with pytest.raises(BadParameter, match="no/such"):
        trace.trace(p, "no/such")
    with pytest.raises(BadParameter, match="ranking"):
        trace.trace(dataclasses.replace(p, ranking="random"), "embedded/test/00000")
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_is_wrong_in_one_line(tmp_path):
    command = [sys.executable, "-m", "qrsupport", "trace", "no/such", "--out", str(tmp_path / "t.json")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: 'no/such'") and not (tmp_path / "t.json").exists()


# The committed file and what is shown of it ---------------------------------------------------------------------------


def test_the_published_trace_is_of_a_sentence_that_the_package_generates():
    found = page.read(FILE)
    rows = datasets.generated("embedded")["test"]
    assert (found["text"], found["label"]) in rows and set(found["attacks"]) == set(trace.ATTACKS)
    assert found["parameters"]["dataset"] == "embedded" and str(project.folder()) not in json.dumps(found)


def test_changes_are_said_word_by_word():
    assert page.change("a good film", "a fine movie") == "good → fine, film → movie"
    assert page.change("a good film", "a film") == "without good" and page.change("a", "a") == "unchanged"


def test_swarms_count_every_particle_after_every_phase():
    phases = page.swarms(page.read(FILE))
    assert [name for name, _ in phases][:3] == ["first swarm", "move 1", "mutation 1"]
    assert len({sum(particles.values()) for _, particles in phases}) == 1


def test_figures_say_what_they_show():
    found = page.read(FILE)
    assert "the probability of positive over 15 queries" in page.path(found, "textfooler").alt
    assert "60 particles" in page.swarm(found).alt
    with pytest.raises(NoRecords):
        page.swarm(found, "pwws")
    table = page.query_table(found, "pso", most=5)
    assert "the first 5 of 723" in table.html and table.html.count("<tr>") == 6
