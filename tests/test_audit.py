"""The audit of a given checkpoint: one page that needs nothing beside it, and a verdict that follows from the records."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from qrsupport import cli, config, pipeline
from qrsupport.data import datasets
from qrsupport.experiments import audit
from qrsupport.records import Status

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """(what the command printed, the folder of its page, its run directory) for a file with a hostile text."""
    folder = tmp_path_factory.mktemp("audit")
    split, names = datasets.load(tiny).test, datasets.load(tiny).labels
    texts = [f"{t} <script>alert(1)</script>" for t in split.texts[:60]]
    lines = [json.dumps({"text": t, "label": names[y]}) for t, y in zip(texts, split.labels)]
    (folder / "own.jsonl").write_text("\n".join(lines), "utf-8")
    given = {"n": 6, "workers": 1, "latency_repeats": 10, "run_dir": folder / "runs", "resources": "embedded"}
    pairs = [part for name, value in given.items() for part in ("-p", name, str(value))]
    command = ["audit", str(pipeline.checkpoint(tiny)), "--data", str(folder / "own.jsonl"), "--out", str(folder / "page"), *pairs]
    done = CliRunner().invoke(cli.cli, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "embedded resources: words from the small thesaurus" in done.stderr
    return done.stdout, folder / "page", folder / "runs", command


def test_the_command_ends_with_the_verdict_and_the_path(run):
    output, folder, *_ = run
    *_, said, empty, path = output.rstrip().split("\n")
    assert path == str(folder / "index.html") and not empty
    assert said.startswith("8 bits change clean accuracy by")
    for word in ("Attacked directly by textfooler", "Attacked directly by pwws", "McNemar p", "n 48", "n 6", "MB in place"):
        assert word in said


def test_the_page_needs_nothing_and_runs_nothing(run):
    page = (run[1] / "index.html").read_text("utf-8")
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, dict(attrs)))

    Reader().feed(page)
    tags = [tag for tag, _ in found]
    assert "script" not in tags and "link" not in tags and "iframe" not in tags
    images = [attrs for tag, attrs in found if tag == "img"]
    assert len(images) == 2 and all(len(i["alt"]) > 40 and i["src"].startswith("data:image/png") for i in images)
    assert not [a for _, attrs in found for a in attrs if a.startswith("on")]
    assert "&lt;script&gt;" in page and "other-seed" in page and 'class="verdict"' in page
    assert [f.name for f in run[1].iterdir()] == ["index.html"]


def test_again_attacks_nothing_anew(run):
    output, _, runs, command = run
    before = {f: f.read_bytes() for stage in ("attacks", "replays") for f in (runs / stage).glob("*/records.jsonl")}
    assert len(before) == 20
    again = CliRunner().invoke(cli.cli, command, catch_exceptions=False)
    assert again.exit_code == 0 and before == {f: f.read_bytes() for f in before}
    without_times = [re.sub(r"and answer in .*?thread\)", "", text.splitlines()[-3]) for text in (output, again.stdout)]
    assert without_times[0] == without_times[1]


@pytest.fixture(scope="module")
def found(run):
    _, _, runs, command = run
    given = {"backbone": command[1], "dataset": command[3], "run_dir": str(runs), "n": 6, "latency_repeats": 10}
    return audit.audit(config.make(**audit.DEFAULTS | given), progress=False)


def test_verdict_follows_the_records(found):
    """Records in which 8 bits alone win every text back are called more than the controls; those in which nobody does are not."""
    lost = [dataclasses.replace(r, status=Status.succeeded, perturbed=r.text) for r in found.attacked]
    many = [dataclasses.replace(r, example=f"{r.example}-{i}", position=r.position + 6 * i) for r in lost for i in range(9)]
    rows = [dataclasses.replace(r, example=f"{r.example}-{i}", position=r.position + 6 * i, status=Status.succeeded,
                                replayed=1 - r.label) for r in found.replays for i in range(9)]  # fmt: skip
    nobody = audit.verdict(dataclasses.replace(found, attacked=many, replays=rows))
    assert nobody.count("no more than the controls") == 2
    back = [dataclasses.replace(r, replayed=r.label) if r.target == "int8-dynamic" else r for r in rows]
    assert audit.verdict(dataclasses.replace(found, attacked=many, replays=back)).count("more than each of the controls") == 2
    kept = [dataclasses.replace(r, status=Status.failed) if r.variant == "int8-dynamic" else r for r in many]
    assert audit.verdict(dataclasses.replace(found, attacked=kept, replays=rows)).count("more robust") == 2
    worse = [dataclasses.replace(r, status=Status.failed) if r.variant == "fp32" else r for r in many]
    assert audit.verdict(dataclasses.replace(found, attacked=worse, replays=rows)).count("less robust") == 2


def test_a_turned_map_is_on_the_page(found):
    assert 'class="warning"' not in audit.page(found)
    assert "may be turned &lt;" in audit.page(dataclasses.replace(found, warning="may be turned <"))


def test_words_at_hand(monkeypatch, tmp_path):
    monkeypatch.setenv("QRSUPPORT_DATA", str(tmp_path))
    assert audit.words_at_hand(audit.ATTACKS) == "embedded"
    monkeypatch.delenv("QRSUPPORT_DATA")
    assert audit.words_at_hand(audit.ATTACKS) == "embedded"


def test_own_data_are_fine_tuned_too(tiny, run, tmp_path):
    p = dataclasses.replace(tiny, dataset=run[3][3], epochs=1, run_dir=str(tmp_path))
    assert config.dataset_name(p.dataset) in pipeline.variant(p, "int8-dynamic").name
