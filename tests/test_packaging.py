"""The lock, environment.yml and pyproject.toml name the same environment."""

import ast
import dataclasses
import os
import re
import shutil
import site
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from test_imports import MODULES

import qrsupport
from qrsupport import pipeline

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK_LINES = (ROOT / "requirements.lock").read_text("utf-8").splitlines()


RUN = {
    "snakemake": ("book.grid", '"-m", "snakemake"'),
    "snakemake-executor-plugin-slurm": ("book.grid", '"--executor"'),
    "ipykernel": ("book.chapters", 'kernel_name="python3"'),
    "onnx-ir": ("quantization.precisions", "from onnxruntime.quantization.matmul_nbits_quantizer"),
}
"""What is declared though no module imports it, and where the need for it stands."""


def lock():
    pins = [Requirement(line) for line in LOCK_LINES if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}


def test_lock_is_nothing_but_exact_public_pins():
    for line in LOCK_LINES:
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line
    assert len(lock()) == sum(not line.startswith("#") for line in LOCK_LINES)


def test_every_direct_dependency_is_locked_at_the_same_version():
    extras = [r for group in PROJECT["optional-dependencies"].values() for r in group]
    for text in [*PROJECT["dependencies"], *extras]:
        requirement = Requirement(text)
        assert lock().get(canonicalize_name(requirement.name)) == str(requirement.specifier), text


def test_every_pin_admits_the_lowest_python_promised():
    lowest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    asked = {name: metadata.metadata(name).get("Requires-Python") or "" for name in lock()}
    assert {name: wanted for name, wanted in asked.items() if lowest not in SpecifierSet(wanted)} == {}


def third_party(text: str) -> set[str]:
    """The packages that a module imports, at its top or inside functions, beside the standard library and this one."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"qrsupport"}


def test_what_is_imported_is_declared_and_what_is_declared_is_used():
    declared = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    homes, used = metadata.packages_distributions(), set()
    for package in set().union(*map(third_party, MODULES.values())):
        homes_here = {canonicalize_name(name) for name in homes[package]}
        assert homes_here & declared, f"{package} is imported, and none of {homes_here} is declared in pyproject.toml"
        used |= homes_here
    assert declared - used == set(RUN), "declared, but neither imported nor in RUN"


@pytest.mark.parametrize("name", RUN)
def test_what_is_declared_without_being_imported_is_needed(name):
    module, text = RUN[name]
    assert text in MODULES[module]


def test_exports_do_without_onnxscript_and_not_without_onnx_ir():
    """PyTorch's other exporter needs the first, which is not declared; ONNX Runtime's quantizer imports the second."""
    code = "import sys; sys.modules['{}'] = None; from onnxruntime.quantization import matmul_nbits_quantizer"
    for name, status in {"onnxscript": 0, "onnx_ir": 1}.items():
        done = subprocess.run([sys.executable, "-c", code.format(name)], check=False, capture_output=True)
        assert done.returncode == status


def test_lock_is_complete():
    """Everything that a locked package requires here is locked too, and satisfied."""
    pins = lock()
    for name in pins:
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            needed = canonicalize_name(requirement.name)
            assert needed in pins or needed == "pip", f"{name} requires {needed}"
            if needed in pins:
                version = pins[needed].removeprefix("==")
                assert requirement.specifier.contains(version, prereleases=True), f"{name} requires {text}"


def test_this_environment_is_the_locked_one():
    for name, pin in lock().items():
        assert metadata.version(name).partition("+")[0] == pin.removeprefix("=="), name


def test_conda_installs_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert pip == ["-r requirements.lock", "-e ."]
    (python,) = [d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python")]
    minimum = PROJECT["requires-python"].removeprefix(">=")
    assert tuple(map(int, python.partition("=")[2].split("."))) >= tuple(map(int, minimum.split(".")))


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == qrsupport.__version__ == metadata.version("qrsupport")


def test_jupyter_book_is_version_1():
    assert lock()["jupyter-book"].startswith("==1.")


def test_no_path_of_a_machine_is_tracked():
    for name in ("requirements.lock", "environment.yml", "Makefile", "pyproject.toml", "README.md", ".ci/run"):
        text = (ROOT / name).read_text("utf-8")
        assert not re.search(r"/(?:root|work)/|/home/\w|--index-url|--find-links|file://", text), name


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Python of an environment with this package installed from a wheel, and of all others those of the tests."""
    room = tmp_path_factory.mktemp("wheel")
    keep = ("pyproject.toml", "README.md", "LICENSE", "requirements.lock", "_config.yml", "_toc.yml", "book", "nbs", "qrsupport")
    (room / "source").mkdir()
    for name in keep:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, room / "source" / name)
    pip = [sys.executable, "-m", "pip"]
    options = ["--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, "wheel", *options, "--no-build-isolation", "-w", str(room), str(room / "source")], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(room / "env")], check=True)
    python = room / "env" / "bin" / "python"
    (wheel,) = room.glob("*.whl")
    subprocess.run([*pip, "--python", str(python), "install", *options, str(wheel)], check=True)
    own = subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    Path(own, "others.pth").write_text("\n".join(site.getsitepackages()))
    return python


@pytest.mark.slow
def test_an_installed_package_runs_its_chapters_anywhere(installed, tiny, tmp_path):
    """From a wheel, in an empty folder, outside any checkout."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "QRSUPPORT_RUNS")}

    def run(*words):
        done = subprocess.run([installed, "-m", "qrsupport", *words], check=False, cwd=tmp_path, env=env, capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.check_output([installed, "-c", "import qrsupport; print(qrsupport.__file__)"], cwd=tmp_path, env=env, text=True)
    assert where.startswith(str(installed.parents[1]))
    assert "nbs/05-compare.ipynb" in run("list")
    for variant in ("fp32", "int8-dynamic"):
        pipeline.attack(dataclasses.replace(tiny, n=10, attack="pwws"), variant, progress=False)
        pipeline.clean(tiny, variant)
    pipeline.replay(dataclasses.replace(tiny, n=10, attack="pwws"), "fp32", "int8-dynamic")
    said = run("run", "compare", "-p", "run_dir", tiny.run_dir, "--out", "out.ipynb")
    assert "Accuracy with 95 % Wilson intervals" in said and "int8-dynamic" in said
    assert said.splitlines()[-1] == "out.ipynb" and (tmp_path / "out.ipynb").exists()


@pytest.mark.slow
def test_a_wheel_holds_every_source_of_the_book(installed):
    share = installed.parents[1] / "share" / "qrsupport"
    tracked = [ROOT / "_toc.yml", ROOT / "_config.yml", *(ROOT / "nbs").glob("*.ipynb"), ROOT / "nbs" / "Snakefile",
               *(f for f in (ROOT / "book").rglob("*") if f.is_file())]  # fmt: skip
    assert [f for f in tracked if not (share / f.relative_to(ROOT)).is_file()] == []


def test_make_clean_removes_what_the_readme_says_and_no_more(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    places = [tmp_path / name for name in ("_build", ".snakemake", "elsewhere", "cache")]
    for place in places:
        place.mkdir()
    env = os.environ | {"QRSUPPORT_RUNS": str(places[2]), "QRSUPPORT_CACHE": str(places[3])}
    subprocess.run(["make", "clean"], cwd=tmp_path, env=env, check=True, capture_output=True)
    assert [place.exists() for place in places] == [False, False, True, True]
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "`make clean` removes `_build` and the workflow's notes in `.snakemake`" in readme
