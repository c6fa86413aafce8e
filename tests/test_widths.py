"""The chapter on bit widths: its table has all measures of each variant, its figure says what it draws."""

import re

import pytest

from qrsupport import catalog, records
from qrsupport.analysis import metrics
from qrsupport.errors import NoRecords
from qrsupport.report import widths

NAMES = ("fp32", "int8-dynamic", "w4", "a4", "w4a4")


def attack(variant, position, status):
    return records.Record(
        example=str(position), position=position, dataset="mr", backbone="b", seed=0, variant=variant, attack="pwws",
        resources="embedded", attack_seed=0, status=status, label=1, execution=catalog.execution(variant), words=3,
    )  # fmt: skip


@pytest.fixture
def found():
    """(grid, clean table) of five variants; under direct attack w4 keeps both examples, the others one of two."""
    made = [
        attack(v, i, records.Status.failed if i or v == "w4" else records.Status.succeeded)
        for v in NAMES
        for i in (0, 1)
    ]
    clean = [
        {"dataset": "mr", "backbone": "b", "seed": 0, "variant": v, "split": "test", "class_names": ["n", "p"],
         "ids": ["0", "1", "2", "3"], "labels": [1, 1, 0, 0], "predicted": [1, 1, 0, int(v == "w4a4")],
         "bytes": 2_000_000}
        for v in NAMES
    ]  # fmt: skip
    return metrics.headline(made, [], clean), metrics.clean(clean)


def test_the_table_has_every_measure(found):
    latency = {"median": 1.25, "low": 1.0, "high": 2.0}
    shown = re.sub("</?span[^>]*>", "", widths.variant_table(*found, dict.fromkeys(NAMES, latency)).html)
    lines = {name: next(line for line in shown.splitlines() if f"<td>{name}</td>" in line) for name in NAMES}
    for name, line in lines.items():
        assert f"<td>{catalog.execution(name)}</td><td>2</td>" in line
        assert ("<td>1.25</td>" in line) == (catalog.execution(name) == "kernel"), "no time of a simulation"
        assert ("75.0 % [30.1, 95.4], n 4" in line) == (name == "w4a4")
    assert "100.0 % [34.2, 100.0], n 2" in lines["w4"] and "50.0 % [9.5, 90.5], n 2" in lines["a4"]


def test_the_figure_says_what_it_draws(found):
    alt = widths.accuracy_by_width(found[0]).alt
    assert "mr, clean, both: 4 bits 75.0 %" in alt
    assert "mr, direct, weights: 4 bits 100.0 %" in alt and "mr, direct, fp32: 50.0 %" in alt
    assert "transfer, weights" not in alt, "nothing was replayed"


def test_nothing_to_draw_is_said(found):
    with pytest.raises(NoRecords, match="simulated widths"):
        widths.accuracy_by_width(found[0][found[0]["variant"] == "fp32"])


def test_every_width_of_the_sweep_is_on_a_line():
    drawn = {pattern.format(b, b) for pattern in widths.SERIES.values() for b in catalog.BITS}
    assert drawn == set(catalog.SWEEP)
