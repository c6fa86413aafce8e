"""Parameters: checks, identity, reading a chapter's."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrsupport import catalog, config, profiles
from qrsupport.errors import BadParameter, UnknownName


def test_defaults_pass_their_own_checks():
    for name, field in config.FIELDS.items():
        assert config.check(name, field.default) == field.default


def test_every_parameter_belongs_to_a_chapter_and_has_one_line_of_help():
    used = {name for names in config.CHAPTERS.values() for name in names}
    assert used == set(config.FIELDS)
    for field in config.FIELDS.values():
        assert field.metadata["help"] and "\n" not in field.metadata["help"]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("dataset", "sst3", UnknownName),
        ("attack", "", UnknownName),
        ("targets", "fp32,int7-dynamic", UnknownName),
        ("n", 0, BadParameter),
        ("n", True, BadParameter),
        ("n", 2.0, BadParameter),
        ("seed", "0", BadParameter),
        ("learning_rate", float("nan"), BadParameter),
        ("learning_rate", float("inf"), BadParameter),
        ("per_channel", 1, BadParameter),
        ("max_length", 513, BadParameter),
        ("nonsense", 1, UnknownName),
        ("run_dir", "a\0b", BadParameter),
        ("backbone", "caf\udce9", BadParameter),
    ],
)
def test_bad_values_are_named(name, value, error):
    with pytest.raises(error) as caught:
        config.check(name, value)
    assert str(value) in str(caught.value) or name in str(caught.value)


def test_an_integer_is_a_float():
    assert type(config.check("learning_rate", 1)) is float


def test_suggestions():
    with pytest.raises(UnknownName, match="did you mean 'textfooler'"):
        config.make(attack="texfooler")
    with pytest.raises(UnknownName, match="choose one of: agnews"):
        config.make(dataset="zzzz")


def test_read_takes_what_the_cell_defined_and_ignores_the_notebook_itself():
    import pathlib

    namespace = {"n": 7, "attack": "pso", "In": [], "Out": {}, "_": 3, "config": config, "pathlib": pathlib, "f": print}
    p = config.read("attack", namespace)
    assert (p.n, p.attack, p.seed) == (7, "pso", 0)


@pytest.mark.parametrize("name", ["atack", "epoch", "x"])
def test_read_refuses_a_misspelt_parameter(name):
    with pytest.raises(UnknownName, match=f"'{name}'"):
        config.read("attack", {name: 1})


def test_read_refuses_a_parameter_of_another_chapter():
    with pytest.raises(UnknownName):
        config.read("finetune", {"attack": "pso"})


def test_identity_ignores_how_much_and_where():
    p = config.make()
    for name, value in {"n": 7, "workers": 3, "run_dir": "/x", "network": True, "latency_repeats": 11}.items():
        q = dataclasses.replace(p, **{name: value})
        assert config.identity(p, "int8-dynamic", True) == config.identity(q, "int8-dynamic", True)


def test_identity_has_what_an_artefact_depends_on():
    p = config.make()
    changes = {"seed": 1, "epochs": 7, "attack": "pso", "resources": "local", "attack_seed": 1, "query_budget": 9}
    for name, value in changes.items():
        q = dataclasses.replace(p, **{name: value})
        assert config.identity(p, "fp32", True) != config.identity(q, "fp32", True), name
    q = dataclasses.replace(p, per_channel=True)
    assert config.identity(p, "fp32") == config.identity(q, "fp32")
    assert config.identity(p, "int8-dynamic") != config.identity(q, "int8-dynamic")
    assert config.identity(p, "adversarial") != config.identity(
        dataclasses.replace(p, adversarial_attack="pso"), "adversarial"
    )


def test_every_option_of_a_variant_is_a_parameter():
    for entry in catalog.VARIANTS.values():
        assert set(entry.options) <= set(config.FIELDS)


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.booleans(), st.none()), max_size=4))
def test_key_depends_on_content_and_not_on_order(content):
    key = config.key(content)
    assert key == config.key(dict(reversed(content.items()))) and len(key) == 12
    assert key != config.key(content | {"one more": 1})


def test_run_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("QRSUPPORT_RUNS", str(tmp_path / "a"))
    assert config.run_dir(config.make()) == tmp_path / "a"
    assert config.run_dir(config.make(run_dir=str(tmp_path / "b"))) == tmp_path / "b"
    monkeypatch.delenv("QRSUPPORT_RUNS")
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "nbs").mkdir()
    monkeypatch.chdir(tmp_path / "nbs")
    assert config.run_dir(config.make()) == tmp_path / "_build" / "runs"


def test_profiles_are_parameters():
    for entry in profiles.PROFILES.values():
        assert set(entry.grid) <= set(config.FIELDS)
        config.make(**entry.parameters)
        for name, changes in entry.per.items():
            assert name in config.CHAPTERS or any(name in choices for choices in entry.grid.values())
            config.make(**changes)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("network", "true", True), ("network", "No", False), ("n", "7", 7), ("margin", "1e-1", 0.1), ("attack", "pso", "pso")],
)
def test_a_text_is_read_alike_on_every_command_line(name, text, value):
    """`papermill -p` makes a text, or what it takes for its value, of what `qrsupport run -p` hands on as it is."""
    from papermill.cli import _resolve_type

    assert config.parse(name, text) == value
    assert getattr(config.read("attack", {name: text}), name) == value
    if type(value) is not str:
        assert getattr(config.read("attack", {name: _resolve_type(text)}), name) == value


@pytest.mark.parametrize(("name", "value"), [("network", "perhaps"), ("n", "1.0"), ("n", 1.0), ("n", True), ("margin", "x"), ("run_dir", 7)])  # fmt: skip
def test_what_is_no_value_is_refused_alike(name, value):
    with pytest.raises(BadParameter, match=name):
        config.parse(name, value)
    with pytest.raises(BadParameter, match=name):
        config.read("attack", {name: value})
