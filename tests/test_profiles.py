"""A profile is one file: what it crosses becomes jobs, what is wrong in it stops before any of them."""

import pytest

from qrsupport import config, profiles, project
from qrsupport.book import build, chapters
from qrsupport.errors import BadParameter, UnknownName

WHOLE = """
help = "small"
[grid]
dataset = ["embedded"]
backbone = ["bert-small"]
seed = [0, 3]
attack = ["textfooler", "pso"]
variant = ["fp32", "int8-dynamic"]
[parameters]
n = 8
[per]
pso = { n = 4 }
[shards]
pso = 2
[resources]
minutes = 30
[resources.shard]
minutes = 90
gpus = 1
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE)
    return path


def test_the_projects_profiles_are_whole():
    assert {"quick", "study", "paper"} <= set(profiles.files())
    for name in profiles.files():
        entry = profiles.read(name)
        assert entry.help and config.make(**entry.parameters)
        for changes in entry.per.values():
            config.make(**changes)


def test_a_file_of_ones_own_is_crossed(file):
    jobs = {job.name: job for job in chapters.plan(str(file))}
    attacks = [name for name in jobs if name.startswith("03-attack")]
    assert len(attacks) == 2 * 2 * 2
    job = jobs["03-attack-embedded-bert-small-s3-pso-int8-dynamic"]
    assert (job.parameters["seed"], job.parameters["n"], job.shards) == (3, 4, 2)
    assert jobs["03-attack-embedded-bert-small-s0-textfooler-fp32"].shards == 1
    assert [name for name in attacks if jobs[name].page] == [f"03-attack-embedded-bert-small-s{seed}-textfooler-fp32" for seed in (0, 3)]
    assert {"01-finetune-embedded-bert-small-s0", "01-finetune-embedded-bert-small-s3", "05-compare"} <= set(jobs)
    assert build.runs(str(file), {}).name == "runs-mine"


def test_a_longer_list_adds_jobs_and_leaves_the_others(file):
    before = {job.name: job for job in chapters.plan(str(file))}
    file.write_text(WHOLE.replace("[0, 3]", "[0, 3, 7]"))
    after = {job.name: job for job in chapters.plan(str(file))}
    readers = {name for name, job in before.items() if job.reads}
    assert set(before) < set(after) and all(after[name] == before[name] for name in set(before) - readers)


def test_a_file_means_the_same_from_any_folder(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    assert profiles.settled("mine.toml") == str(file) and profiles.settled("quick") == "quick"
    assert profiles.settled("nowhere.toml") == "nowhere.toml"


def test_what_a_job_asks_of_a_queue(file):
    entry = profiles.read(str(file))
    assert entry.asks("attack", {}) == {"runtime": 30}
    assert entry.asks("shard", {"partition": "long", "minutes": 5}) == {"runtime": 5, "gpu": 1, "slurm_partition": "long"}


@pytest.mark.parametrize(
    ("before", "after", "error", "said"),
    [
        ("[grid]", "[gird]", UnknownName, "did you mean 'grid'"),
        ("dataset =", "datasets =", UnknownName, "did you mean 'dataset'"),
        ('"textfooler"', '"textfoler"', UnknownName, "did you mean 'textfooler'"),
        ('["embedded"]', '"embedded"', BadParameter, "a list that is not empty is expected"),
        ("[0, 3]", "[0, 0]", BadParameter, "stands twice"),
        ("[0, 3]", "[-1]", BadParameter, "out of range"),
        ('dataset = ["embedded"]', "dataset = []", BadParameter, "dataset in the grid of .*a list that is not empty"),
        ('backbone = ["bert-small"]', "", BadParameter, "backbone is missing"),
        ("[per]", "[per.n]", UnknownName, "under .per."),
        ("n = 8", "m = 8", UnknownName, "parameter in .*mine.toml 'm'"),
        ("n = 8", "n = 0", BadParameter, "out of range"),
        ("pso = { n", "psso = { n", UnknownName, "did you mean 'pso'"),
        ("pso = 2", "pwws = 2", UnknownName, "under .shards."),
        ("pso = 2", "pso = 0", BadParameter, "whole number from 1"),
        ("pso = 2", "pso = 5", BadParameter, "n=4 examples; give it 4 shards at most"),
        ("minutes = 30", "minute = 30", UnknownName, "did you mean 'minutes'"),
        ("minutes = 30", "minutes = -5", BadParameter, "minutes=-5 must be a whole number from 1"),
        ("minutes = 30", 'minutes = "30"', BadParameter, "whole number from 1"),
        ("[resources.shard]", "[resources.shards]", UnknownName, "did you mean 'shard'"),
        ('"textfooler"', '"bae"', BadParameter, "the nearest that can: "),
        ("help =", "help", BadParameter, "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_said_before_any_job(file, before, after, error, said):
    assert before in WHOLE
    file.write_text(WHOLE.replace(before, after, 1))
    with pytest.raises(error, match=said):
        chapters.plan(str(file))


def test_a_profile_that_is_not_there():
    with pytest.raises(UnknownName, match="did you mean 'quick'"):
        profiles.read("quik")
    with pytest.raises(UnknownName, match="unknown profile"):
        profiles.read("nowhere.toml")
    assert project.chapters()
