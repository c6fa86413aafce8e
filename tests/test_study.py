"""The study's plan: read whole or refused, costed, and the book's own stands."""

import tomllib
from pathlib import Path

import pytest

from qrsupport import catalog, config
from qrsupport.errors import BadParameter, UnknownName
from qrsupport.study import jobs, page, plan_file

ROOT = Path(__file__).parents[1]
SMALL = """
changes = ["a test"]
resources = "embedded"
attack_seed = 0
units = [
  { name = "a-s0", model = "a", seed = 0, program = "p" },
  { name = "a-s1", model = "a", seed = 1, program = "p" },
]
[rates]
from = "nowhere"
[rates.bert-small]
tune = 0.01
ask = 0.001
pwws = 0.5
[models.a]
dataset = "embedded"
backbone = "bert-small"
epochs = 4
learning_rate = 1e-3
train_limit = 1500
floor = 0.6
because = "a test"
[groups]
both = ["fp32", "int8-dynamic"]
[programs]
p = [
  { does = "tune", checkpoints = ["base", "other-seed"] },
  { does = "clean", variants = ["both"] },
  { does = "direct", attack = "pwws", n = 8, variants = ["both", "noise-1"] },
  { does = "direct", attack = "pwws", n = 6, joint = "int8-dynamic", variants = ["fp32"] },
  { does = "transfer", attack = "pwws", n = 8, sources = ["both"], targets = ["both", "noise-1"] },
  { does = "direct", attack = "pwws", n = 4, ranking = "fp32", variants = ["int8-dynamic", "logit-noise-1"] },
  { does = "direct", attack = "pwws", n = 4, ranking = "random", restart = 1, variants = ["both"] },
  { does = "direct", attack = "pwws", n = 4, spare = "fp32", variants = ["int8-dynamic"] },
  { does = "transfer", attack = "pwws", n = 4, spare = "fp32", sources = ["int8-dynamic"], targets = ["both"] },
]
"""


def plan(tmp_path, old="", new=""):
    """The small plan with one thing changed."""
    assert old in SMALL
    file = tmp_path / "plan.toml"
    file.write_text(SMALL.replace(old, new) if old else SMALL, "utf-8")
    return plan_file.read(file)


def test_the_books_plan_stands_and_begins_with_what_matters_most():
    found = plan_file.read(ROOT / plan_file.FILE)
    assert [unit.name for unit in found.units[:3]] == ["mr-minilm-l6-s0", "emotion-minilm-l6-s0", "sst2-minilm-l6-s0"]
    assert {unit.parameters["resources"] for unit in found.units} == {"local"}
    blind = {unit.parameters["dataset"] for unit in found.units if unit.blind} | {
        unit.parameters["backbone"] for unit in found.units if unit.blind
    }
    assert {"mpnet-base", "agnews", "trec"} <= blind
    for unit in found.units:
        named = {unit.parameters["dataset"], unit.parameters["backbone"]}
        assert unit.blind == bool(named & {"mpnet-base", "agnews", "trec"}), unit.name
        assert unit.make().epochs > 0


def test_groups_are_spelled_out_once(tmp_path):
    unit = plan(tmp_path, 'variants = ["both", "noise-1"]', 'variants = ["both", "noise-1", "fp32"]').unit("a-s0")
    assert unit.steps[2].variants == ("fp32", "int8-dynamic", "noise-1")


@pytest.mark.parametrize(
    "old, new, near",
    [
        ('"noise-1"] },\n  { does = "direct", attack = "pwws", n = 6', '"noise1"] },\n  { does = "direct", attack = "pwws", n = 6', "noise-1"),
        ('does = "clean"', 'does = "cleam"', "clean"),
        ('attack = "pwws", n = 6', 'attack = "pwsw", n = 6', "pwws"),
        ("joint =", "jiont =", "joint"),
        ('model = "a", seed = 1', 'model = "b", seed = 1', "a"),
        ('program = "p" },\n]', 'program = "q" },\n]', "p"),
        ('dataset = "embedded"', 'dataset = "embeded"', "embedded"),
        ('"other-seed"]', '"otherseed"]', "other-seed"),
        ("learning_rate", "learnig_rate", "learning_rate"),
        ("resources =", "resource =", "resources"),
    ],
)  # fmt: skip
def test_a_name_that_does_not_exist_is_refused_with_the_nearest(tmp_path, old, new, near):
    with pytest.raises(UnknownName, match=f"'{near}'|: {near}"):
        plan(tmp_path, old, new)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("floor = 0.6", "floor = 60", "floor=60"),
        ("n = 8, variants", "n = 0, variants", "n=0"),
        ("n = 8, variants", 'n = "8", variants', "n must be"),
        ("seed = 1,", "seed = -1,", "seed=-1"),
        ('name = "a-s1"', 'name = "a-s0"', "twice"),
        ('name = "a-s1"', 'name = "../a"', "letters"),
        ('sources = ["both"], ', "", "sources is missing"),
        ('sources = ["both"]', "sources = []", "not empty"),
        ("pwws = 0.5", "", "pwws is missing"),
        ("tune = 0.01", "tune = 0", "more than 0"),
        ('joint = "int8-dynamic"', 'joint = "fp32"', "without"),
        ("[groups]", "[groups", "TOML"),
    ],
)
def test_a_value_that_cannot_be_is_refused(tmp_path, old, new, said):
    with pytest.raises(BadParameter, match=said):
        plan(tmp_path, old, new)


def test_jobs_cost_what_is_left_of_them(tmp_path):
    found = jobs.jobs(plan(tmp_path))
    first, second = ([(job.label, job.seconds) for job in found[name]] for name in ("a-s0", "a-s1"))
    assert first[0] == ("tune: base", pytest.approx(1500 * 4 * 0.01))
    assert ("direct pwws: fp32", 8 * 0.5) in first
    assert ("direct pwws, joint int8-dynamic: fp32", 6 * 0.5 * 2) in first
    assert ("transfer pwws: fp32 to noise-1", pytest.approx(0.8 * 8 * 0.001)) in first
    assert second[0] == ("tune: base", 0)  # the other seed of the first unit
    assert dict(second)["tune: other-seed"] > 0
    assert len(first) == 2 + 2 + 3 + 1 + 6 + 2 + 2 + 1 + 2


def test_a_larger_sample_later_costs_the_difference(tmp_path):
    found = jobs.jobs(plan(tmp_path, 'n = 6, joint = "int8-dynamic"', "n = 10"))
    costs = [job.seconds for job in found["a-s0"] if job.label == "direct pwws: fp32"]
    assert costs == [8 * 0.5, 2 * 0.5]


def test_the_pages_tables_come_from_the_file():
    found = plan_file.read(ROOT / plan_file.FILE)
    content = tomllib.loads((ROOT / plan_file.FILE).read_text("utf-8"))
    said = repr(page.units(found))
    assert all(unit["name"] in said for unit in content["units"])
    assert all(name in repr(page.models(found)) for name in content["models"])
    for name in page.programs(found):
        assert repr(page.program(found, name)).count("\n") == len(content["programs"][name]) + 2
    assert str(len(content["units"])) in page.summary(found)


def test_what_a_step_may_set_is_what_an_attack_depends_on():
    assert set(config.AIM) == set(config.ATTACK) - {"attack", "resources", "attack_seed"}
    assert set(plan_file.TUNING) <= set(config.FIELDS)
    assert all(entry.checkpoint for entry in catalog.VARIANTS.values())
