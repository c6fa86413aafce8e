"""Parameters: checks, identity, reading a chapter's."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrsupport import catalog, config, project, schema
from qrsupport.errors import BadParameter, UnknownName


def test_defaults_pass_their_own_checks():
    for name, field in config.FIELDS.items():
        assert config.check(name, field.default) == field.default


def test_every_parameter_belongs_to_a_chapter_and_has_one_line_of_help():
    used = {name for chapter in project.chapters() for name in project.parameters(chapter)}
    assert used == set(config.FIELDS)
    for field in config.FIELDS.values():
        assert field.description and "\n" not in field.description


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


@pytest.mark.parametrize(("name", "value", "error"), [("n", 0, BadParameter), ("n", "1", BadParameter), ("ranking", "fp23", UnknownName), ("m", 1, UnknownName)])  # fmt: skip
def test_a_changed_copy_is_checked_too(name, value, error):
    with pytest.raises(error, match=name):
        dataclasses.replace(config.make(), **{name: value})
    with pytest.raises(error, match=name):
        config.Parameters(**{name: value})


def test_each_parameter_is_in_one_group():
    found = [name for group in schema.GROUPS for name in schema.names(group)]
    assert found == list(config.FIELDS) == [f.name for f in dataclasses.fields(config.Parameters)]
    assert len(schema.names(schema.FineTuning)) == 9
    assert schema.names(schema.Int8) == catalog.INT8_OPTIONS
    assert schema.names(schema.Calibration) == catalog.STATIC


def test_paths_are_seen_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    p = config.make(dataset="./a.csv", backbone="./b", backbones="bert-small, ./b,./c", run_dir="d")
    here = str(tmp_path)
    assert (p.dataset, p.backbone, p.run_dir) == (f"{here}/a.csv", f"{here}/b", f"{here}/d")
    assert p.backbones == f"bert-small,{here}/b,{here}/c"


def test_the_schema_says_what_is_checked():
    found = schema.json_schema()["properties"]
    for name, said in found.items():
        assert said["default"] == config.FIELDS[name].default and said["description"] == config.FIELDS[name].description
        for beyond in ([said["minimum"] - 1] if "minimum" in said else []) + ([said["maximum"] + 1] if "maximum" in said else []):
            with pytest.raises(BadParameter, match="out of range"):
                config.check(name, beyond)
        for value in said.get("enum", []) + said.get("examples", []):
            assert config.check(name, value) == value
        if "enum" in said:
            with pytest.raises(UnknownName):
                config.check(name, "none of these")
    assert found["n"] | {"minimum": 1, "maximum": 1_000_000, "type": "integer", "group": "Size"} == found["n"]
    assert found["resources"]["enum"] == list(catalog.RESOURCES)


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


KEYS = [
    ({}, "int8-dynamic", "c0ff1c867da5", "b7348ca80571"),
    ({"attack": "pwws", "joint": "int8-dynamic", "margin": 0.2}, "fp32", "03c8cc7671e0", "98c4e71a9d83"),
    (
        {"dataset": "mr", "backbone": "bert-small", "seed": 3, "epochs": 5, "learning_rate": 1, "resources": "local",
         "spare": "fp32", "ranking": "random", "restart": 2},
        "w4a4", "76c7dab815ff", "8cd9c806e19b",
    ),
    (
        {"dataset": "sst2", "backbone": "google/switch-base-8", "adversarial_attack": "pso", "per_channel": True,
         "weight_type": "QUInt8"},
        "adversarial-int8", "064a1a1abc97", "f5dfd1b7dca7",
    ),
    ({"calibration_examples": 7, "query_budget": 9}, "int8-static-minmax", "dcd38a160835", "7072a567cded"),
]  # fmt: skip
"""Parameters, variant, key of an attack and of the variant as records of version 0.1.0 have them."""


@pytest.mark.parametrize(("given", "variant", "attack", "made"), KEYS)
def test_what_was_recorded_keeps_its_key(given, variant, attack, made):
    p = config.make(**given)
    assert config.key(config.identity(p, variant, attack=True)) == attack
    assert config.key(config.identity(p, variant)) == made


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
