"""Many variants measured at once: the file holds every measure, no text, and reads back as it was."""

import dataclasses
import json
import math

import pytest

from qrsupport import catalog, config, data, measure, measured, store
from qrsupport.errors import StaleArtefact, UnknownName

NAMES = ("int8-dynamic", "w2a2", "noise-1")


@pytest.fixture(scope="module")
def p(tiny):
    return dataclasses.replace(tiny, n=8, latency_repeats=10)


@pytest.fixture(scope="module")
def file(p, tmp_path_factory):
    path = tmp_path_factory.mktemp("measured") / "some.json"
    store.write_json(path, measure.measure(p, NAMES, progress=False))
    return path


def test_every_measure_of_every_variant(p, file):
    found = measured.read(file)
    assert list(found.grid["variant"]) == ["fp32", *sorted(NAMES, key=list(catalog.VARIANTS).index)]
    for kind in ("clean", "direct", "transfer"):
        assert (found.grid[f"{kind}_lower"] <= found.grid[kind]).all()
        assert (found.grid[kind] <= found.grid[f"{kind}_upper"]).all()
    assert set(found.grid["direct_n"]) == set(found.grid["transfer_n"]) == {p.n}
    assert (found.clean["bytes"] > 0).all() and set(found.about["latency"]) == {"fp32", *NAMES}
    shown = measured.table(found).html
    assert all(f"<td>{name}</td>" in shown for name in ("fp32", *NAMES)) and "None" not in shown


def test_replaying_fp32_on_itself_is_its_direct_accuracy(file):
    row = measured.read(file).grid.set_index("variant").loc["fp32"]
    assert row["direct"] == row["transfer"]


def test_no_text_and_no_place_is_in_the_file(p, file):
    content = file.read_text("utf-8")
    assert str(config.run_dir(p)) not in content
    for text in data.load(p).eval_split().texts:
        assert text not in content


def test_json_holds_no_nan(file):
    def refuse(name):
        raise AssertionError(name)

    json.loads(file.read_text("utf-8"), parse_constant=refuse)
    assert measure.plain(measured.pd.DataFrame({"a": [math.nan, 1.0]})) == [{"a": None}, {"a": 1.0}]


def test_the_verdict_counts_what_differs(file):
    found = measured.read(file)
    said = measured.verdict(found, "direct")
    assert f"of {len(NAMES)} variants" in said and "`int8-dynamic` differs by" in said
    everything = dataclasses.replace(found, pairs=found.pairs.assign(p_holm=0.001))
    assert f"{len(NAMES)} of {len(NAMES)} variants differ from `fp32` (1 of them simulated)" in measured.verdict(
        everything, "transfer"
    )


def test_other_files_are_refused_by_name(tmp_path):
    for content in ("{}", "[]", '{"grid": [], "clean": [], "pairs": []}', "nonsense"):
        (tmp_path / "other.json").write_text(content)
        with pytest.raises(StaleArtefact, match=r"other\.json"):
            measured.read(tmp_path / "other.json")


def test_an_unknown_variant_stops_before_any_work(tmp_path):
    fresh = config.make(run_dir=str(tmp_path / "runs"))
    with pytest.raises(UnknownName, match="int8-dynamic"):
        measure.measure(fresh, ["int8-dynamik"], progress=False)
    assert not (tmp_path / "runs").exists()


def test_every_variant_is_measured_unless_the_machine_cannot(monkeypatch):
    assert measure.runnable() == list(catalog.VARIANTS)
    monkeypatch.setattr(measure.ladder, "lacks", lambda name: "no kernel" if name == "fp16" else "")
    assert measure.runnable() == [name for name in catalog.VARIANTS if name != "fp16"]
