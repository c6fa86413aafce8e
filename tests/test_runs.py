"""Runs in one directory are told apart by what differs; what it holds can be listed, removed and exported."""

import csv
import dataclasses
import io

import pandas as pd
import pytest
from click.testing import CliRunner
from stored import all_records

from qrsupport import catalog, cli, config, holdings, recorded, store
from qrsupport.analysis import export_tables, metrics, runs
from qrsupport.errors import BadParameter, NoRecords, QRError, UnknownName
from qrsupport.recorded import Folder
from qrsupport.records import Record, Replay, Status
from qrsupport.report import show

TEXTS = ["=cmd|' /C calc'!A0", 'a "quoted", text\nof two lines', "naïve 电影 \U0001f44d", "'tis", "lone \ud800", "\ttab"]


def stored(run_dir, n=6, **given):
    """Records, replays and clean predictions of fp32, int8-dynamic and adversarial as chapters 3 and 4 store them."""
    p = config.make(**{"backbone": "bert-small", "epochs": 6} | given)
    common = {"dataset": p.dataset, "backbone": p.backbone, "seed": p.seed}
    attack = {"attack": p.attack, "resources": p.resources, "attack_seed": 0}
    ids = [f"{p.dataset}/test/{i:05}" for i in range(n)]

    def folder(stage, depends, kind):
        found = Folder(run_dir / stage / f"x-{config.key(depends)}", kind)
        found.open({"parameters": depends})
        return found

    for variant in catalog.PAPER_VARIANTS:
        made = config.asked(p, variant, True)
        with_records = folder("attacks", made, Record)
        with_replays = folder("replays", {"source": config.asked(p, "fp32", True), "target": config.asked(p, variant)}, Replay)
        for i, example in enumerate(ids):
            shared = {"example": example, "position": i, **common, **attack, "status": Status.succeeded, "label": 1}
            with_records.append(Record(**shared, variant=variant, text=TEXTS[i % len(TEXTS)], perturbed="x", words=3,
                                       probabilities_before=[0.25, 0.75], made_by=config.key(made)))  # fmt: skip
            with_replays.append(Replay(**shared, source="fp32", target=variant, clean=1, replayed=int(variant != "fp32"),
                                       probabilities_clean=[0.5, 0.5], probabilities_replayed=[0.5, 0.5]))  # fmt: skip
        with_records.close(), with_replays.close()
        content = common | {"variant": variant, "split": "test", "class_names": ["n", "p"], "ids": ids, "bytes": 1,
                            "labels": [1] * n, "predicted": [1] * n, "execution": "kernel"}  # fmt: skip
        depends = {"parameters": config.asked(p, variant)}
        store.made(run_dir / "clean" / f"x-{config.key(depends)}", depends,
                   lambda room, content=content: store.write_json(room / "predictions.json", content))  # fmt: skip


CHANGES = [{"per_channel": True, "weight_type": "QUInt8"}, {"adversarial_examples": 500}, {"epochs": 1}, {"train_limit": 60},
           {"reduce_range": True}, {"word_dropout": 0.3}, {"device": "cuda"}]  # fmt: skip


@pytest.mark.parametrize("changes", [*zip(CHANGES), CHANGES, CHANGES[::-1]])
@pytest.mark.slow
def test_runs_with_other_parameters_are_other_rows_and_break_no_table(tmp_path, changes):
    for given in ({}, *changes):
        stored(tmp_path, **given)
    found = runs.load(tmp_path)
    grid = metrics.headline(*found, catalog.PAPER_VARIANTS)
    runs_of = {config.key(config.asked(config.make(**{"backbone": "bert-small", "epochs": 6} | c), v, True))
               for c in ({}, *changes) for v in catalog.PAPER_VARIANTS}  # fmt: skip
    assert len(grid) == len(runs_of) and not grid.duplicated(["setting", "variant"]).any()
    assert (grid[["clean_n", "direct_n", "transfer_n"]] == 6).all().all()
    assert metrics.replay_law(*found[:2])["holds"].all()
    assert metrics.missing(*found).empty
    pairs = metrics.pairs(*found, among=catalog.PAPER_VARIANTS)
    assert (pairs["n"] == 6).all()
    for shown in (show.paper_table(metrics.paper_comparison(*found)), show.accuracy_grid(grid),
                  show.transfer_table(metrics.transfer(metrics.replay_frames(found[1])))):  # fmt: skip
        assert shown._repr_html_()
    assert show.headline_text(tmp_path)


def test_rows_are_named_by_what_differs_and_only_where_something_differs(tmp_path):
    stored(tmp_path / "one", per_channel=True, epochs=1)
    grid = metrics.headline(*runs.load(tmp_path / "one"))
    assert set(grid["variant"]) == set(catalog.PAPER_VARIANTS) and set(grid["setting"]) == {""}
    assert "setting" not in show.headline(grid)
    stored(tmp_path / "two")
    stored(tmp_path / "two", per_channel=True)
    assert set(metrics.headline(*runs.load(tmp_path / "two"))["variant"]) == {
        *catalog.PAPER_VARIANTS, "int8-dynamic (per_channel=true)",
    }  # fmt: skip
    stored(tmp_path / "two", train_limit=60)
    grid = metrics.headline(*runs.load(tmp_path / "two"))
    assert set(grid["setting"]) == {"", "train_limit=60"} and "setting" in show.headline(grid)


def test_what_a_gpu_answered_is_compared_with_what_it_answered(tmp_path):
    for device in catalog.DEVICES:
        stored(tmp_path, device=device)
    pairs = metrics.pairs(*runs.load(tmp_path), against="fp32")
    assert set(pairs["setting"]) == {"", "device=cuda"} and set(pairs["variant_b"]) == {"int8-dynamic", "adversarial"}
    for text in ("device=cuda", "device=cpu"):
        assert len(metrics.headline(*runs.load(tmp_path, text))) == 3


def test_variants_with_options_of_their_own_are_compared_with_the_same_fp32(tmp_path):
    stored(tmp_path)
    stored(tmp_path, per_channel=True)
    pairs = metrics.pairs(*runs.load(tmp_path), against="fp32")
    direct = pairs[pairs["protocol"] == "direct"]
    assert set(direct["variant_b"]) == {"int8-dynamic", "int8-dynamic (per_channel=true)", "adversarial"}


def test_tables_can_be_narrowed_to_one_setting(tmp_path):
    for given in ({}, {"per_channel": True}, {"epochs": 1}):
        stored(tmp_path, **given)
    for text, rows in (("epochs=6, per_channel=false", 3), ("epochs=1", 3), ("per_channel=true", 3 + 2), ("", 7)):
        assert len(metrics.headline(*runs.load(tmp_path, text))) == rows, text
    with pytest.raises(NoRecords, match="epochs=99"):
        runs.load(tmp_path, "epochs=99")
    for text, error in (("epochs", BadParameter), ("epoch=1", UnknownName), ("epochs=many", BadParameter)):
        with pytest.raises(error):
            config.make(setting=text)


# --- qrsupport runs ---------------------------------------------------------------------------------------


def test_runs_lists_and_removes_only_what_is_named(tmp_path):
    stored(tmp_path)
    stored(tmp_path, per_channel=True)
    found = holdings.entries(tmp_path)
    assert len([e for e in found if e.name.startswith("attacks/")]) == 4
    assert sum(e.bytes for e in found) == sum(f.stat().st_size for f in tmp_path.rglob("*") if f.is_file())
    assert {e.records for e in found} == {6, None}
    (channel,) = [e for e in found if e.name.startswith("attacks/") and "per_channel=True" in e.about]
    for bad in ("attacks", "../x", "attacks/../clean", ""):
        with pytest.raises(UnknownName):
            holdings.remove(tmp_path, [channel.name, bad])
    assert holdings.entries(tmp_path)[0].name == found[0].name and len(holdings.entries(tmp_path)) == len(found)
    done = CliRunner().invoke(cli.cli, ["runs", str(tmp_path), "--remove", channel.name])
    assert done.exit_code == 0, done.output
    assert {e.name for e in found} - {e.name for e in holdings.entries(tmp_path)} == {channel.name}


def test_runs_shows_what_was_set_aside(tmp_path):
    stored(tmp_path)
    folder = recorded.folders(tmp_path)[0]
    folder.open({"parameters": {}, "code": {"search": "x"}})
    names = [e.name for e in holdings.entries(tmp_path)]
    assert f"attacks/{folder.path.name}/superseded-1" in names
    assert len(runs.load(tmp_path)[0]) == 12  # what is set aside is in no table


def test_an_empty_run_directory_has_no_entries(tmp_path):
    done = CliRunner().invoke(cli.cli, ["runs", str(tmp_path / "none")])
    assert done.exit_code == 0 and "0 entries" in done.output and not (tmp_path / "none").exists()


# --- qrsupport export -------------------------------------------------------------------------------------


def whole(text):
    return text.replace("\ud800", "\ufffd")


def test_export_holds_every_record_and_survives_the_round_trip(tmp_path):
    stored(tmp_path / "runs", per_channel=True)
    out = tmp_path / "out"
    done = CliRunner().invoke(cli.cli, ["export", "--run-dir", str(tmp_path / "runs"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    loaded = all_records(tmp_path / "runs")
    table = pd.read_parquet(out / "records.parquet")
    assert list(table["text"]) == [whole(r.text) for r in loaded]
    assert [list(v) for v in table["probabilities_before"]] == [r.probabilities_before for r in loaded]
    assert set(table.loc[table["variant"] == "int8-dynamic", "per_channel"]) == {True}
    rows = list(csv.DictReader(io.StringIO((out / "records.csv").read_bytes().decode("utf-8"), newline="")))
    assert [row["text"].removeprefix("'") for row in rows] == [whole(r.text) for r in loaded]
    assert all(not value.startswith(("=", "+", "@", "\t", "\r")) for row in rows for value in row.values())
    assert len(pd.read_csv(out / "clean.csv")) == 18 and len(pd.read_parquet(out / "replays.parquet")) == 18


def test_the_mark_before_a_formula_can_be_taken_off():
    for text in [*TEXTS, "", "-1", "''x", "plain"]:
        shown = export_tables.marked(text)
        assert (shown[1:] if shown.startswith("'") else shown) == text
        assert shown == text or shown == f"'{text}"


def test_the_data_dictionary_names_every_column(tmp_path):
    stored(tmp_path)
    export_tables.export(tmp_path, tmp_path / "out")
    page = (tmp_path / "out" / "README.md").read_text("utf-8")
    for name in ("records", "replays", "clean"):
        for column in pd.read_parquet(tmp_path / "out" / f"{name}.parquet"):
            assert f"| `{column}` |" in page
    for field in dataclasses.fields(Record):
        assert field.name in ("setting", "timing") or f"`{field.name}`" in page


def test_export_of_nothing_is_named(tmp_path):
    with pytest.raises(NoRecords, match="nothing is recorded"):
        export_tables.export(tmp_path, tmp_path / "out")
    assert issubclass(NoRecords, QRError) and not (tmp_path / "out").exists()


def test_a_setting_of_data_of_ones_own_is_named_by_what_differs():
    own = {"dataset": "reviews-0a1b2c3d", "backbone": "bert-small", "seed": 0}
    usual, short = (own | {"epochs": epochs, "learning_rate": 1e-3, "train_limit": 0} for epochs in (6, 2))
    names = runs.Names([usual, short])
    assert (names.setting(usual), names.setting(short)) == ("", "epochs=2")
