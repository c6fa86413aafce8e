"""The foot of a page: what made it, shown as text whatever it holds, and a command that takes its own parameters."""

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrsupport import config, project
from qrsupport.book import chapters, foot


def test_the_command_gives_the_parameters_again():
    made = foot.of_chapter("attack", {"n": 3, "variant": "int8-dynamic", "run_dir": "/somewhere"}, 61.0)
    words = shlex.split(made["command"])
    assert words[:3] == ["qrsupport", "run", "attack"] and "/somewhere" not in made["command"]
    pairs = [(words[i + 1], words[i + 2]) for i in range(3, len(words), 3)]
    assert chapters.parse("attack", pairs) == {"n": 3, "variant": "int8-dynamic"}
    assert set(made["parameters"]) == set(project.parameters("attack")) - set(config.PLACE)
    assert made["parameters"]["n"] == 3 and made["parameters"]["attack"] == config.FIELDS["attack"].default


@given(st.text(max_size=40))
def test_no_value_ends_its_box(value):
    made = foot.of_chapter("attack", {"targets": f"{value}\n```\n::::\n<b>"}, 1.0)
    lines = foot.text(made | {"machine": f"{value}<b>"}).splitlines()
    assert [line for line in lines if line.startswith("```")] == ["```bash", "```", "```text", "```"]
    assert [i for i, line in enumerate(lines) if line.startswith("::::")] == [1, len(lines) - 1]
    assert "<b>" not in next(line for line in lines if line.startswith("The code of this page ran"))


def test_without_notes_there_is_no_foot():
    assert foot.text({}) == ""


def test_times_of_chapters_that_did_not_run_are_not_made_up(tmp_path):
    name, template = next(iter(project.chapters().items()))
    content = {"cells": [], "metadata": {foot.KEY: foot.of_chapter(name, {}, 75.4)}}
    (tmp_path / template.name).write_text(json.dumps(content), "utf-8")
    rows = repr(foot.times(tmp_path)).splitlines()[3:]
    assert "1:15 minutes" in rows[0] and all("not run" in row for row in rows[1:])


@pytest.mark.parametrize(("seconds", "said"), [(0.04, "0.0 seconds"), (59.9, "59.9 seconds"), (60, "1:00 minutes"), (3599, "59:59 minutes")])
def test_times_are_said_for_people(seconds, said):
    assert said in foot.text(foot.of_chapter("compare", {}, seconds))
