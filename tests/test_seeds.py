"""How far the headline moves between seeds: the table, its sentence, and the README, which quotes them."""

from pathlib import Path

import pandas as pd
import pytest

from qrsupport import store
from qrsupport.errors import StaleArtefact
from qrsupport.report import seeds

ROOT = Path(__file__).parents[1]
FILE = ROOT / "book" / "results" / "quick-seeds.json"


def grid(**direct):
    """Headline rows of one attack, for each variant its accuracy under direct attack by seed."""
    rows = [
        {"dataset": "embedded", "backbone": "b", "attack": "pwws", "variant": variant, "seed": seed, "direct": value,
         "direct_n": 100, "clean": 0.9, "recovery": None if variant == "fp32" else 0.1 * seed}
        for variant, values in direct.items() for seed, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_spread_is_lowest_to_highest_over_the_seeds():
    found = seeds.spread(grid(**{"fp32": [0.4, 0.5, 0.3], "int8-dynamic": [0.42, 0.5, 0.35]}))
    first, second = found.to_dict("records")
    assert first["under direct attack"] == "30.0 to 50.0" and first["seeds"] == 3 and first["n"] == 100
    assert first["recovery of fp32's"] == "—" and second["recovery of fp32's"] == "0.0 to 20.0"


def test_the_sentence_compares_the_precisions_seed_by_seed():
    said = seeds.said(grid(**{"fp32": [0.4, 0.5, 0.3], "int8-dynamic": [0.42, 0.5, 0.35]}))
    assert "3 fine-tuning seeds" in said and "up to 20.0 points" in said and "between +0.0 and +5.0 points" in said


def test_backbones_with_the_same_attack_are_told_apart():
    one = grid(**{"fp32": [0.4, 0.5], "int8-dynamic": [0.42, 0.5]})
    both = pd.concat([one, one.assign(backbone="c", direct=one["direct"] + 0.2)])
    assert list(seeds.spread(both)["backbone"]) == ["b", "b", "c", "c"] and "backbone" not in seeds.spread(one)
    assert "between +0.0 and +2.0 points" in seeds.said(both)


def test_a_file_of_something_else_is_named(tmp_path):
    store.write_json(tmp_path / "x.json", {"rows": [{"variant": "fp32"}]})
    with pytest.raises(StaleArtefact, match="x.json was not written by"):
        seeds.read(tmp_path / "x.json")


def test_the_readme_shows_what_the_records_say():
    shown = "\n".join(f"    {line}".rstrip() for line in seeds.text(seeds.read(FILE)).splitlines()[:-2])
    readme = (ROOT / "README.md").read_text("utf-8")
    assert shown in readme and seeds.said(seeds.read(FILE)) in readme
