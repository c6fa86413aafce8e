"""What is made of the book beside its site: a PDF, the check of links, workflows, launch buttons, the first cell."""

import http.server
import json
import os
import re
import shutil
import site
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pandas
import pytest
import yaml

from qrsupport.book import launch, publish
from qrsupport.errors import BadParameter, ChapterFailed, MissingResource
from qrsupport.report import tables

ROOT = Path(__file__).parents[1]
WORKFLOWS = {
    file.stem: yaml.safe_load(file.read_text("utf-8")) for file in (ROOT / ".github" / "workflows").glob("*.yml")
}
FRONT = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n"


@pytest.fixture
def staged(tmp_path, monkeypatch):
    """The staged sources of a small book: two pages, one solution that is folded; its project is the working directory."""
    folder = tmp_path / "_build" / "site-src"
    (folder / "book").mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "book" / "_static", folder / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    contents = {"format": "jb-book", "root": "book/intro", "chapters": [{"file": "book/second"}]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(contents))
    (folder / "book" / "intro.md").write_text("# First\n\nText.\n")
    (folder / "book" / "second.md").write_text(
        f"{FRONT}# Second\n\n```{{code-cell}} python3\n:tags: [solution, hide-cell]\nprint(6 * 7)\n```\n"
    )
    shutil.copy(folder / "_toc.yml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return folder


def program(folder, name, script):
    """A program of that name, alone on PATH but for the system's own."""
    folder.mkdir()
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(stat.S_IRWXU)
    return f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"


@pytest.mark.slow
def test_pdf_is_the_whole_book(staged, tmp_path):
    if not any(map(shutil.which, publish.BROWSERS)):
        pytest.skip("no chromium on this machine")
    said = []
    file = publish.pdf(said.append)
    content = file.read_bytes()
    assert file == tmp_path / "_build" / "book.pdf" and content.startswith(b"%PDF") and b"%%EOF" in content[-64:]
    assert len(re.findall(rb"/Type\s*/Page\b", content)) > 1  # each chapter begins a sheet
    page = (tmp_path / "_build" / "singlehtml" / "_build" / "singlehtml" / "book.html").read_text("utf-8")
    assert "42" in page and re.findall("<details[^>]*>", page) and not re.findall(r"<details(?![^>]* open)[^>]*>", page)
    for address in re.findall(r'(?:href|src)="(_static/[^"?]+)', page):
        assert (tmp_path / "_build" / "singlehtml" / "_build" / "singlehtml" / address).exists(), address
    assert len(said) == 2


def test_without_a_browser_the_error_names_those_looked_for(staged, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(MissingResource, match="looked for chromium, .*google-chrome"):
        publish.pdf()


def test_before_the_book_the_error_says_what_to_run(tmp_path, monkeypatch):
    (tmp_path / "_toc.yml").touch()
    monkeypatch.chdir(tmp_path)
    for make in (publish.links, publish.pdf):
        with pytest.raises(MissingResource, match=r"run `make book` first|no browser"):
            make()


@pytest.mark.parametrize(
    "script",
    [
        "echo cannot open display >&2; exit 1",
        "exit 0",
        'for a; do case $a in --print-to-pdf=*) echo half > "${a#*=}";; esac; done',
    ],
)
def test_a_browser_that_fails_leaves_the_last_pdf(script, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", program(tmp_path / "bin", "chromium", script))
    (tmp_path / "book.html").touch()
    with pytest.raises(ChapterFailed, match="did not print"):
        publish._printed(publish.browser(), tmp_path / "book.html")


def test_what_is_folded_is_printed():
    page = publish.printable("<head></head><details class='a'><details open><details class=\"admonition-open\">")
    assert page.count("<details open") == 3


def test_long_tables_stay_folded_on_paper():
    few, many = (tables.table(pandas.DataFrame({"x": range(12 + n)}))._repr_html_() for n in (publish.ROWS, publish.ROWS + 1))
    assert "<details open" in publish.printable(few) and publish.printable(many) == many


class Answers(http.server.BaseHTTPRequestHandler):
    """Says 200 to /here, 404 to the rest."""

    def do_GET(self):
        self.send_response(200 if self.path == "/here" else 404)
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *said):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.slow
def test_links_are_asked_and_the_missing_ones_named(staged, server, capsys):
    """Of addresses on this machine; nothing is executed for it."""
    (staged / "book" / "intro.md").write_text(f"# First\n\n[here]({server}/here), [page](second.md).\n")
    with (staged / "book" / "second.md").open("a") as f:
        f.write("\n```{code-cell} python3\nopen('was-run', 'w')\n```\n")
    assert publish.links() == "1 addresses answer"
    assert "needs a network" in capsys.readouterr().out
    with (staged / "book" / "second.md").open("a") as f:
        f.write(f"\n[gone]({server}/gone)\n")
    with pytest.raises(ChapterFailed, match=r"1 of 2 addresses do not answer:\nbook/second.md:\d+: \S+/gone: 404"):
        publish.links()
    assert not list(staged.rglob("was-run")) and not (staged.parent / "html").exists()


def test_no_answer_at_all_is_taken_for_no_network():
    line = {
        "filename": "a.md",
        "lineno": 3,
        "uri": "https://a.example",
        "status": "broken",
        "info": "Name or service\nnot known",
    }
    with pytest.raises(
        ChapterFailed, match="is there a network. First: a.md:3: https://a.example: Name or service not known"
    ):
        publish.counted([line, line])
    assert (
        publish.counted([line | {"status": "working"}, line | {"status": "redirected"}])
        == "2 addresses answer, 1 of them from another place"
    )


def test_there_are_three_workflows_and_each_does_what_make_does():
    assert set(WORKFLOWS) == {"test", "book", "links"}
    targets = re.findall(r"^([\w ]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)
    commands = {
        name: [s["run"] for job in flow["jobs"].values() for s in job["steps"] if "run" in s]
        for name, flow in WORKFLOWS.items()
    }
    for said in sum(commands.values(), []):
        for target in re.findall(r"^make (\w+)", said):
            assert target in " ".join(targets).split(), target
    assert {"make check", "make test"} <= set(commands["test"])
    assert {"make book", "make links"} <= set(commands["links"]) and "make book" in commands["book"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_may_little_and_their_actions_are_pinned(name):
    flow = WORKFLOWS[name]
    assert flow["permissions"] == {"contents": "read"}
    more = {job: set(said["permissions"].items()) for job, said in flow["jobs"].items() if "permissions" in said}
    allowed = {"publish": {("pages", "write"), ("id-token", "write")}, "notebooks": {("contents", "write")}}
    assert more == (allowed if name == "book" else {})
    for said in flow["jobs"].values():
        assert said["timeout-minutes"] <= 120
        for step in said["steps"]:
            assert "uses" not in step or re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
            if step.get("uses", "").startswith("actions/setup-python"):
                assert step["with"]["cache"] == "pip" and (ROOT / step["with"]["cache-dependency-path"]).exists()


@pytest.mark.parametrize("settings", [{}, {"repository": None}, {"repository": {"url": ""}}])
def test_without_a_repository_there_is_no_button_and_no_cell(settings):
    assert "launch_buttons" not in launch.buttons(settings) and "repository" not in launch.buttons(settings)
    content = {"cells": [1], "nbformat": 4, "nbformat_minor": 4}
    assert launch.install(content, settings) == content


def test_an_address_of_another_form_is_refused():
    for url in ("github.com/a/b", "https://github.com/a", 'https://github.com/a/b"; import os', "git@github.com:a/b"):
        with pytest.raises(BadParameter, match="repository.url"):
            launch.buttons({"repository": {"url": url}})


@pytest.mark.slow
def test_one_address_brings_the_buttons_to_the_pages_that_run(staged):
    settings = yaml.safe_load((staged / "_config.yml").read_text("utf-8"))
    settings = launch.buttons(settings | {"repository": {"url": "https://github.com/some/book/"}})
    (staged / "_config.yml").write_text(yaml.safe_dump(settings))
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(staged), "-W", "-n", "--keep-going"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (staged / "_build" / "html" / "book" / "second.html").read_text("utf-8")
    assert "https://mybinder.org/v2/gh/some/book/notebooks?urlpath=lab/tree/book/second" in page
    assert "https://colab.research.google.com/github/some/book/blob/notebooks/book/second" in page
    assert "mybinder" not in (staged / "_build" / "html" / "book" / "intro.html").read_text("utf-8")


def test_the_first_cell_comes_after_the_title_and_is_valid():
    import nbformat

    for minor in (4, 5):
        cell = {"cell_type": "markdown", "metadata": {}, "source": "# T"} | ({"id": "a"} if minor == 5 else {})
        content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": minor}
        made = launch.install(content, {"repository": {"url": "https://github.com/some/book"}})
        nbformat.validate(nbformat.from_dict(made))
        assert made["cells"][0] == cell and "qrsupport @ git+https://github.com/some/book" in made["cells"][1]["source"]
        assert made["cells"][1]["metadata"]["tags"] == ["remove-cell"] and len(content["cells"]) == 1


@pytest.mark.slow
def test_the_first_cell_installs_the_package_where_there_is_none_and_once(tmp_path):
    """From a folder on this machine, into an environment that lacks it."""
    source = tmp_path / "book"
    (source / "qrsupport").mkdir(parents=True)
    (source / "qrsupport" / "__init__.py").write_text('__version__ = "9"\n')
    (source / "pyproject.toml").write_text('[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "qrsupport"\nversion = "9"\n')  # fmt: skip
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    own = subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    Path(own, "others.pth").write_text(
        "\n".join(site.getsitepackages())
    )  # pip and setuptools; editable installs do not follow
    code = launch.INSTALL.format(requirement=f"qrsupport @ {source.as_uri()}")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
    }
    code += "\nimport qrsupport\nprint(qrsupport.__version__)"
    for version in ("9", "9"):
        done = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True, env=env, cwd=tmp_path)
        assert done.stdout.strip().endswith(version), done.stderr
        shutil.rmtree(source, ignore_errors=True)  # the second time there is nothing to fetch


def test_the_settings_of_this_book_give_valid_buttons():
    settings = launch.buttons(yaml.safe_load((ROOT / "_config.yml").read_text("utf-8")))
    assert bool(settings.get("launch_buttons")) == bool(settings.get("repository"))
    json.dumps(settings)
