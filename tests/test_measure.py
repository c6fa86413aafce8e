"""Many variants measured at once: the file holds every measure, no text, and reads back as it was."""

import dataclasses
import json
import math
from pathlib import Path

import pandas as pd
import pytest

from qrsupport import catalog, config, store
from qrsupport.data import datasets
from qrsupport.errors import StaleArtefact, UnknownName
from qrsupport.experiments import measure
from qrsupport.report import candidates, published_variants, seeds

NAMES = ("int8-dynamic", "w2a2", "noise-1")


@pytest.fixture(scope="module")
def p(tiny):
    return dataclasses.replace(tiny, n=8, latency_repeats=10)


@pytest.fixture(scope="module")
def file(p, tmp_path_factory):
    path = tmp_path_factory.mktemp("measured") / "some.json"
    store.write_json(path, measure.measure(p, NAMES, progress=False))
    return path


@pytest.mark.slow
def test_every_measure_of_every_variant(p, file):
    found = published_variants.read(file)
    assert list(found.grid["variant"]) == ["fp32", *sorted(NAMES, key=list(catalog.VARIANTS).index)]
    for kind in ("clean", "direct", "transfer"):
        assert (found.grid[f"{kind}_lower"] <= found.grid[kind]).all()
        assert (found.grid[kind] <= found.grid[f"{kind}_upper"]).all()
    assert set(found.grid["direct_n"]) == set(found.grid["transfer_n"]) == {p.n}
    assert (found.clean["bytes"] > 0).all() and set(found.about["latency"]) == {"fp32", *NAMES}
    shown = published_variants.table(found).html
    assert all(f"<td>{name}</td>" in shown for name in ("fp32", *NAMES)) and "None" not in shown


@pytest.mark.slow
def test_replaying_fp32_on_itself_is_its_direct_accuracy(file):
    row = published_variants.read(file).grid.set_index("variant").loc["fp32"]
    assert row["direct"] == row["transfer"]


@pytest.mark.slow
def test_no_text_and_no_place_is_in_the_file(p, file):
    content = file.read_text("utf-8")
    assert str(config.run_dir(p)) not in content
    for text in datasets.load(p).eval_split().texts:
        assert text not in content


@pytest.mark.slow
def test_json_holds_no_nan(file):
    def refuse(name):
        raise AssertionError(name)

    json.loads(file.read_text("utf-8"), parse_constant=refuse)
    assert measure.plain(pd.DataFrame({"a": [math.nan, 1.0]})) == [{"a": None}, {"a": 1.0}]


@pytest.mark.slow
def test_the_verdict_counts_what_differs(file):
    found = published_variants.read(file)
    said = published_variants.verdict(found, "direct")
    assert f"of {len(NAMES)} variants" in said and "`int8-dynamic` differs by" in said
    everything = dataclasses.replace(found, pairs=found.pairs.assign(p_holm=0.001))
    said = published_variants.verdict(everything, "direct")
    assert f"{len(NAMES)} of {len(NAMES)} variants differ from `fp32`: " in said and "`w2a2` with clean accuracy" in said
    none = dataclasses.replace(found, pairs=found.pairs.assign(p_holm=1.0))
    assert f" 0 of {len(NAMES)} variants differ from `fp32`. " in published_variants.verdict(none, "direct")


@pytest.mark.slow
def test_the_figure_says_what_it_draws(file):
    found = published_variants.read(file)
    alt = published_variants.accuracy_by_difference(found).alt
    row = found.grid.set_index("variant").loc["w2a2"]
    share = 1 - found.clean.set_index("variant")["agreement"]["w2a2"]
    shown = [published_variants.percent(x) for x in (share, row["direct"], row["transfer"])]
    assert f"w2a2 {shown[0]}: {shown[1]}, {shown[2]}" in alt and "fp32 0.0 %: " in alt


@pytest.mark.slow
def test_how_closely_accuracy_follows_the_difference(file):
    found = published_variants.read(file)
    shares = published_variants._differences(found)["differs"]
    follows = dataclasses.replace(found, grid=found.grid.assign(transfer=shares, direct=-shares))
    assert "1.00 under *transfer*, -1.00 under *direct*" in published_variants.dependence(follows)


def test_other_files_are_refused_by_name(tmp_path):
    for content in ("{}", "[]", '{"grid": [], "clean": [], "pairs": []}', "nonsense"):
        (tmp_path / "other.json").write_text(content)
        with pytest.raises(StaleArtefact, match=r"other\.json"):
            published_variants.read(tmp_path / "other.json")


def test_an_unknown_variant_stops_before_any_work(tmp_path):
    fresh = config.make(backbone="bert-small", run_dir=str(tmp_path / "runs"))
    with pytest.raises(UnknownName, match="int8-dynamic"):
        measure.measure(fresh, ["int8-dynamik"], progress=False)
    assert not (tmp_path / "runs").exists()


def test_every_variant_is_measured_unless_the_machine_cannot(monkeypatch):
    p = config.make()
    assert measure.runnable(p) == list(catalog.VARIANTS)
    monkeypatch.setattr(measure.precisions, "lacks", lambda name: "no kernel" if name == "fp16" else "")
    assert measure.runnable(p) == [name for name in catalog.VARIANTS if name != "fp16"]


RESULTS = sorted((Path(__file__).parents[1] / "book" / "results").glob("*.json"))


def strings(content):
    """Every string in a JSON value."""
    if isinstance(content, dict):
        content = content.values()
    if isinstance(content, str):
        yield content
    elif not isinstance(content, (int, float, bool, type(None))):
        for part in content:
            yield from strings(part)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_what_is_published_has_numbers_and_names_only(path):
    content = json.loads(path.read_text("utf-8"))
    assert max(map(len, strings(content))) < (90 if path.name != "evidence.json" else 120)  # where a log lies, in words
    if path.name.startswith("variants-"):
        found = published_variants.read(path)
        missing = set(catalog.VARIANTS) - set(found.grid["variant"])
        later = {catalog.SATURATING, *catalog.ANEW, *catalog.LONGER, "anew-3-int8"}  # which the study measures
        assert missing <= later, "made before a variant was added"
        assert all(f"`{name}`" in published_variants.about(found) for name in missing)
        assert (found.grid["direct_n"] == found.grid["transfer_n"]).all() and found.grid["direct_n"].min() >= 100
        assert found.about["parameters"]["epochs"] >= 0, "epochs that were left open"
    elif path.name == "queries.json":
        assert all(row["queries"] >= 1 and row["n"] >= 20 and row["source"] for row in content)
    elif path.name == "quick-seeds.json":
        assert set(seeds.read(path)["seed"]) >= {0, 1, 2} and seeds.read(path)["direct_n"].min() >= 20
    elif path.name == "evidence.json":
        assert all(len(row["sha256"]) == 64 and row["n"] >= 200 for row in content["logs"])
    elif path.name == "candidates.json":
        found = candidates.read(path)
        assert found.encoders["candidates"].min() >= 1000 and found.coverage["n"].min() >= 500
    elif path.name == "trace.json":
        assert set(content["attacks"]) == {"textfooler", "pwws", "pso"}
        assert all(attack["record"]["queries"] >= attack["record"]["evaluations"] for attack in content["attacks"].values())
    elif path.name.startswith("device-"):
        assert min(row["n"] for row in content["agreement"]) >= 1000 and len(content["speed"]) >= 3
        assert all(row["examples"] >= 4 and row["queries"] > 0 for row in content.get("searches", []))
    elif path.name == "waits.json":
        assert len(content["rows"]) >= 7 and all(row["now"][0] > 0 for row in content["rows"])
    elif path.name == "memory.json":
        assert len(content["rows"]) == 4 and all(row["now"] == sorted(row["now"]) for row in content["rows"])
    elif path.name == "scale.json":
        assert {row["jobs"] for row in content["planning"]} == {10, 1000, 100000} and content["attack"]["shards"] > 1
    else:
        assert {row["identical"] for row in content["rows"]} == {True}


def test_results_are_published():
    assert {path.name for path in RESULTS} >= {"bench.json", "candidates.json", "variants-mr.json", "variants-embedded.json"}
