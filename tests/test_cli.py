"""The command line: lists, exit codes, one line for an error, nothing half-written."""

import json
import os
import re
import signal
import subprocess
import sys

import pandas
import pytest

from qrsupport import attack_catalog, catalog, config, doctor, profiles, project
from qrsupport.book import chapters
from qrsupport.errors import ChapterFailed, MissingResource, NoNetwork, NoRecords, QRError, UnknownName
from qrsupport.quantization import batching
from qrsupport.report import show


def run(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "qrsupport", *arguments], check=False, capture_output=True, text=True, **kwargs
    )


def test_list_json_covers_the_catalogue():
    found = json.loads(run("list", "--json").stdout)
    for kind in ("datasets", "backbones", "variants", "protocols", "resources", "devices"):
        assert list(found[kind]) == list(getattr(catalog, kind.upper()))
    assert list(found["attacks"]) == list(attack_catalog.ATTACKS)
    assert list(found["profiles"]) == list(profiles.files())
    for kind in found.keys() - {"parameters"}:
        assert all(line and "\n" not in line for line in found[kind].values())
    assert set(found["chapters"]) == set(project.chapters())
    assert set(found["parameters"]["properties"]) == set(config.FIELDS)
    assert all(one["description"] and one["group"] for one in found["parameters"]["properties"].values())


def test_list_shows_every_name():
    words = run("list").stdout.split()
    assert {*catalog.DATASETS, *catalog.VARIANTS, *attack_catalog.ATTACKS, *profiles.files()} <= set(words)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "atack"], "did you mean 'attack'?"),
        (["run", "attack", "-p", "atack", "pso"], "did you mean 'attack'?"),
        (["run", "finetune", "-p", "attack", "pso"], "unknown parameter of the chapter 'finetune'"),
        (["run", "attack", "-p", "attack", "pvvs"], "unknown attack 'pvvs'"),
        (["run", "attack", "-p", "dataset", "sst"], "did you mean 'sst2'?"),
        (["run", "attack", "-p", "targets", "fp32,int8"], "unknown targets 'int8'"),
        (["run", "attack", "-p", "n", "many"], "'many'"),
        (["run", "attack", "-p", "n", "-3"], "n=-3 is out of range"),
        (["run", "finetune", "-p", "learning_rate", "nan"], "learning_rate=nan is out of range"),
        (["run", "finetune", "-p", "network", "perhaps"], "'perhaps'"),
        (["book", "--profile", "qiuck"], "did you mean 'quick'?"),
        (["book", "-p", "epoch", "1"], "did you mean 'epochs'?"),
        (["device", "--search", "textfoler", "5"], "did you mean 'textfooler'?"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, said, tmp_path):
    done = run(*arguments, env=os.environ | {"QRSUPPORT_RUNS": str(tmp_path / "runs")})
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not (tmp_path / "runs").exists()


def test_run_outside_a_checkout_says_so(tmp_path):
    done = run("run", "attack", cwd=tmp_path)
    assert done.returncode == 2 and "inside a checkout" in done.stderr


def test_error_inside_a_chapter_is_one_line_too(tmp_path):
    done = run("run", "compare", "-p", "run_dir", str(tmp_path / "empty"), "--out", str(tmp_path / "out.ipynb"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: no records under") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_the_command_line_loads_is_one_line():
    code = """
import os, signal, sys
from qrsupport.__main__ import main

class Interrupt:
    def find_spec(name, *_):
        if name == "qrsupport.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt)
main()
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (130, 1) and done.stderr.startswith("interrupted")


@pytest.mark.slow
def test_interrupt_exits_130_and_writes_nothing(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "qrsupport", "run", "finetune", "--out", str(tmp_path / "out.ipynb")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"QRSUPPORT_RUNS": str(tmp_path / "runs")},
    )  # fmt: skip
    assert any("fine-tune" in line for line in process.stderr)  # at work, and far from done
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said and "Traceback" not in said
    assert not (tmp_path / "out.ipynb").exists()


@pytest.mark.slow
def test_doctor_names_versions_flags_and_what_is_at_hand(tmp_path):
    done = run("doctor", env={k: v for k, v in os.environ.items() if k != "QRSUPPORT_DATA"} | {"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    kernel = f"8-bit kernel in use: {'exact' if batching.saturates() else 'fastest'}"
    for word in (*doctor.TOOLS, *doctor.FLAGS, "embedded", kernel):
        assert word in done.stdout
    assert "QRSUPPORT_DATA" in done.stdout  # how to get the rest


def test_cpu_flags():
    text = "processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\nbugs\t\t: none\n\nFeatures\t: fp asimddp\n"
    assert doctor.cpu_flags(text) == {"fpu", "avx2", "avx512_vnni", "fp", "asimddp"}


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False), ("1", True), ("0", False)])
def test_booleans(text, value):
    assert config.parse("per_channel", text) is value


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "backbone", "../x"], "/x'; choose one of"),
        (["-p", "backbone", ""], "unknown backbone ''"),
        (["-p", "backbone", "some/model"], "has to be fetched"),
        (["-p", "dataset", "mr"], "QRSUPPORT_DATA"),
        (["-p", "dataset", "mr", "-p", "network", "false"], "QRSUPPORT_DATA"),
    ],
)
def test_what_cannot_be_had_is_refused_before_a_kernel_starts(arguments, said, tmp_path, monkeypatch):
    monkeypatch.delenv("QRSUPPORT_DATA", raising=False)
    monkeypatch.setattr(chapters, "_executed", lambda *_: pytest.fail("a kernel was started"))
    pairs = [(arguments[i + 1], arguments[i + 2]) for i in range(0, len(arguments), 3)]
    with pytest.raises(QRError, match=re.escape(said)):
        chapters.execute("finetune", chapters.parse("finetune", pairs), tmp_path / "out.ipynb")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("resources", ["local", "published"])
def test_words_that_cannot_be_had_are_refused_before_a_kernel_starts(resources, tmp_path, monkeypatch):
    monkeypatch.delenv("QRSUPPORT_DATA", raising=False)
    monkeypatch.setattr(chapters, "_executed", lambda *_: pytest.fail("a kernel was started"))
    for chapter in ("attack", "adversarial", "architectures"):
        with pytest.raises((MissingResource, NoNetwork)):
            chapters.execute(chapter, {"resources": resources}, tmp_path / "out.ipynb")


def test_every_backbone_of_a_list_is_checked_before_a_kernel_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(chapters, "_executed", lambda *_: pytest.fail("a kernel was started"))
    with pytest.raises(UnknownName, match="t5-mimi"):
        chapters.execute("architectures", {"backbones": "bert-small,t5-mimi"}, tmp_path / "out.ipynb")


@pytest.mark.parametrize("place", ["/proc/x", "/dev/null/x"])
@pytest.mark.slow
def test_a_run_directory_that_cannot_be_is_one_line(place, tmp_path):
    done = run("run", "finetune", "-p", "epochs", "1", "-p", "train_limit", "50", env=os.environ | {"QRSUPPORT_RUNS": place})
    assert (done.returncode, done.stderr.splitlines()[-1][:18]) == (2, "error: cannot writ"), done.stderr
    assert place in done.stderr and "Traceback" not in done.stderr


def test_a_kernel_that_does_not_start_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import os\nos._exit(1)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ChapterFailed, match="the kernel of the chapter 'finetune' did not start: Kernel died before .*; close other"):
        chapters.execute("finetune", {"epochs": 1, "train_limit": 50}, tmp_path / "out.ipynb")
    assert not list(tmp_path.glob("out*"))


def test_compare_names_the_run_directories_that_hold_records(tmp_path):
    other = tmp_path / "runs-study"
    (other / "attacks" / "a").mkdir(parents=True)
    (other / "attacks" / "a" / "meta.json").write_text("{}")
    with pytest.raises(NoRecords, match=re.escape(f"qrsupport run compare -p run_dir {other}")):
        chapters.execute("compare", {"run_dir": str(tmp_path / "runs")}, tmp_path / "out.ipynb")


def test_a_run_prints_its_tables_and_not_its_texts(tmp_path):
    shown = show.table(pandas.DataFrame({"variant": ["fp32"], "accuracy": [0.5]}), "Accuracy")
    texts = show.table(pandas.DataFrame({"text": ["a text"], "label": ["good"]}))
    outputs = [{"data": {"text/html": part._repr_html_(), "text/plain": repr(part)}} for part in (shown, texts)]
    file = tmp_path / "out.ipynb"
    file.write_text(json.dumps({"cells": [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": outputs}]}))
    assert chapters.findings(file) == repr(shown)


@pytest.mark.slow
def test_a_name_that_is_not_ascii_in_a_locale_that_is(tmp_path):
    """A run directory, and what is printed."""
    env = os.environ | {"PYTHONUTF8": "0", "LC_ALL": "POSIX", "PYTHONIOENCODING": ""}
    small = ["-p", "backbone", "bert-small", "-p", "epochs", "1", "-p", "train_limit", "50"]
    done = run("run", "finetune", *small, "-p", "run_dir", str(tmp_path / "é"), env=env, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "é" / "chapters").glob("*.ipynb")) and "Traceback" not in done.stderr
