"""The lock, environment.yml and pyproject.toml name the same environment."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import qrsupport

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK_LINES = (ROOT / "requirements.lock").read_text("utf-8").splitlines()


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
