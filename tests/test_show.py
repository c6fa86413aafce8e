"""What is shown: escaped, readable without colour, with alt text, once."""

import html
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrsupport.analysis import metrics
from qrsupport.errors import NoRecords
from qrsupport.recorded import Folder
from qrsupport.records import Record, Replay, Status
from qrsupport.report import show, tables

NASTY = {
    "script": ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    "attribute": ('"><img src=x onerror=y>', "&quot;&gt;&lt;img src=x onerror=y&gt;"),
    "ansi": ("\x1b[31mred", "␛[31mred"),
    "nul": ("a\0b", "a␀b"),
    "bidi": ("a\u202eb", "a⟨U+202E⟩b"),
    "zero width": ("a\u200bb", "a⟨U+200B⟩b"),
    "surrogate": ("a\ud800b", "a⟨U+D800⟩b"),
    "newline": ("a\nb", "a␊b"),
}


def record(text="a good film", perturbed="a fine film", status=Status.succeeded, position=0, **kwargs):
    content = {
        "example": f"mr/test/{position:05d}", "position": position, "dataset": "mr", "backbone": "bert-small", "seed": 0,
        "variant": "fp32", "attack": "pwws", "resources": "local", "attack_seed": 0, "status": status, "label": 1,
        "before": 1, "after": 0, "text": text, "perturbed": perturbed, "words": 3, "words_changed": 1, "queries": 12,
    }  # fmt: skip
    return Record(**(content | kwargs))


def records():
    one = [record(position=i, status=s) for i, s in enumerate([Status.failed, Status.succeeded, Status.skipped])]
    two = [record(position=i, status=Status.failed, variant="int8-dynamic") for i in range(3)]
    return one + two


def replays():
    names = set(Record.__dataclass_fields__) & set(Replay.__dataclass_fields__)
    return [
        Replay(**{n: getattr(r, n) for n in names}, source="fp32", target="int8-dynamic", clean=1, replayed=1,
               probabilities_clean=[], probabilities_replayed=[])
        for r in records()[:3]
    ]  # fmt: skip


def clean():
    return [
        {"dataset": "mr", "backbone": "bert-small", "seed": 0, "variant": v, "split": "test", "class_names": ["n", "p"],
         "ids": ["a", "b", "c", "d"], "labels": [1, 1, 0, 0], "predicted": p, "bytes": 4_000_000}
        for v, p in (("fp32", [1, 1, 0, 0]), ("int8-dynamic", [1, 1, 0, 1]))
    ]  # fmt: skip


LATENCY = {
    "fp32": {"median": 3.0, "low": 2.9, "high": 3.4},
    "int8-dynamic": {"median": 1.5, "low": 1.4, "high": 1.6},
}
HISTORY = pd.DataFrame(
    {"step": [1, 2, 3], "train_loss": [0.7, 0.5, 0.3], "validation_loss": [np.nan, 0.6, 0.4],
     "validation_accuracy": [np.nan, 0.5, 0.75]}
)  # fmt: skip


def frame_of(raw):
    """The text as a column's name and its only cell (objects: Arrow's strings hold no lone surrogate)."""
    return pd.DataFrame([[raw]], columns=pd.Index([raw], dtype=object), dtype=object)


@pytest.mark.parametrize(("raw", "safe"), NASTY.values(), ids=NASTY)
def test_text_is_escaped_wherever_it_is_shown(raw, safe):
    nasty = record(raw, f"{raw} changed", example=raw)
    shown = [
        show.word_diff(nasty),
        show.diff_table([nasty], names=["x", raw]),
        show.table(frame_of(raw), caption=raw),
    ]
    for thing in shown:
        page = thing._repr_html_()
        assert safe in page and raw not in page
        page.encode("utf-8")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e\u200b]", page + repr(thing))
    assert show.table(frame_of(raw), caption=raw).html.count(safe) == 3


@pytest.mark.parametrize("raw", ["$x$ costs", r"\(y\)", "{role}`target`", "$$z$$"])
def test_neither_mathjax_nor_myst_reads_the_text(raw):
    for thing in (show.word_diff(record(raw)), show.diff_table([record(raw)]), show.table(pd.DataFrame([[raw]]))):
        assert re.match(r'<(p|div) class="tex2jax_ignore mathjax_ignore"', thing._repr_html_())
        assert html.escape(raw) in thing._repr_html_()


@given(st.text())
def test_visible_text_is_utf_8_without_controls(text):
    shown = tables.visible(text)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert shown.isprintable() or all(c.isprintable() or c.isspace() for c in shown)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)


def test_changed_words_are_marked_by_more_than_colour():
    page = show.word_diff(record("a good old film", "a fine old movie"))._repr_html_()
    text = re.sub(r"<[^>]*>", "", page)
    assert text == "a −good +fine old −film +movie"
    assert page.count("<del ") == page.count("</del>") == 2 and page.count("<ins ") == page.count("</ins>") == 2
    assert "line-through" in page and "underline" in page and "color" not in page
    assert repr(show.word_diff(record())) == "a [−good] [+fine] film"


def test_inserted_and_deleted_words():
    page = show.word_diff(record("a b c", "b c d"))._repr_html_()
    assert re.sub(r"<[^>]*>", "", page) == "−a b c +d"


@given(st.text(alphabet="ab <&\0", max_size=20), st.text(alphabet="ab <&\0", max_size=20))
def test_the_diff_holds_both_texts(a, b):
    from qrsupport.report.diffs import parts

    found = parts(a, b)
    assert " ".join(old for kind, old, _ in found if kind != "insert") == a
    assert " ".join(new for kind, _, new in found if kind != "delete") == b


@pytest.mark.parametrize("text", ["", " ", "one", "🎬 film"])
def test_diff_of_odd_texts(text):
    show.word_diff(record(text, text + " more"))._repr_html_()
    assert "<del" not in show.word_diff(record(text, "", status=Status.skipped)).html


def test_long_texts_are_shortened_and_say_so():
    long = " ".join(["word"] * 10_000)
    page = show.word_diff(record(long, long)).html
    assert len(page) < 2000 and "9,800 more words" in page
    assert len(show.word_diff(record("x" * 10_000, "y")).html) < 400


def test_diff_table_shows_k_successes_or_says_there_is_none():
    made = [record(position=i) for i in range(9)] + [record(status=Status.failed, position=9)]
    assert show.diff_table(made, 3, ["bad", "good"]).html.count("good → bad") == 3
    assert show.diff_table(made, 99).html.count("<tr>") == 1 + 9
    assert "no attack succeeded" in repr(show.diff_table([record(status=Status.failed)]))


def figures():
    grid = metrics.headline(records(), replays(), clean())
    df = metrics.frames(records())
    return {
        "learning_curve": show.learning_curve(HISTORY),
        "weight_error_histogram": show.weight_error_histogram(np.array([[-0.5, 0.1], [0.0, 0.25]])),
        "latency": show.latency(LATENCY),
        "lead_shifts": show.lead_shifts(np.array([1.0, -0.5, 0.2]), np.array([1.5, -0.75, -0.8])),
        "queries": show.queries(df),
        "words_changed": show.words_changed(df),
        "accuracy_grid": show.accuracy_grid(grid),
        "outcomes": show.outcomes(metrics.direct(df)),
        "transfer_bars": show.transfer_bars(metrics.transfer(metrics.replay_frames(replays()))),
        "transfer_matrix": show.transfer_matrix(metrics.transfer(metrics.replay_frames(replays()))),
        "margin_curves": show.margin_curves(margins()),
        "budget_curves": show.budget_curves(metrics.budget_curve(df, [6, 12])),
        "paper_figure": show.paper_figure(metrics.paper_comparison(records(), replays(), clean())),
    }


def margins():
    """One source with two margins: its one success is won back at the first and not at the second."""
    far = [replace(r, margin=0.5, replayed=0) for r in replays()]
    return metrics.transfer(metrics.replay_frames(replays() + far))


SAID = {
    "learning_curve": "validation accuracy goes from 0.5 to 0.75",
    "weight_error_histogram": "4 weights: mean -0.038, root mean square 0.28, largest absolute error 0.5",
    "latency": "int8-dynamic 1.5 ms (quartiles 1.4 to 1.6)",
    "lead_shifts": "Median size of the change 0.5, largest 1; right or wrong changes on 1.",
    "queries": "pwws, int8-dynamic: median 12",
    "words_changed": "pwws, fp32: median 33.33",
    "accuracy_grid": "mr, pwws, int8-dynamic: clean 75.0 %, direct 100.0 %, recovery 100.0 %",
    "outcomes": "pwws, fp32: 1 failed, 1 succeeded, 1 skipped",
    "transfer_bars": "recovery: int8-dynamic 100.0 %; accuracy: int8-dynamic 100.0 %",
    "transfer_matrix": "pwws, from fp32: int8-dynamic 100.0 %",
    "margin_curves": "int8-dynamic: 100.0 % at 0, 0.0 % at 0.5",
    "budget_curves": "pwws, fp32: 66.7 % at 6, 33.3 % at 12",
    "paper_figure": "int8 against fp32, direct: +66.67 (+66.67 to +66.67), the paper's +18.68",
}


def test_figures_are_images_with_alt_text_from_the_data_and_leave_nothing_open():
    import matplotlib.pyplot as plt

    backend = plt.get_backend()
    for name, figure in figures().items():
        page = figure._repr_html_()
        alt = re.fullmatch(r'<img alt="([^"]+)" width="\d+" style="[^"]*" src="data:image/png;base64,[^"]+">', page)
        assert alt and SAID[name] in html.unescape(alt[1]), name
        assert SAID[name] in repr(figure) and figure.png.startswith(b"\x89PNG")
    assert plt.get_fignums() == [] and plt.get_backend() == backend


@pytest.mark.filterwarnings("ignore:Glyph")
def test_alt_text_is_escaped():
    figure = show.latency({'a"><script>\x1b': LATENCY["fp32"]})
    assert "<script" not in figure._repr_html_() and "&quot;&gt;&lt;script&gt;␛" in figure._repr_html_()


def test_figures_are_the_same_each_time_and_can_be_saved(tmp_path):
    one, two = show.latency(LATENCY), show.latency(LATENCY)
    one.save(tmp_path / "latency.png")
    assert (tmp_path / "latency.png").read_bytes() == one.png == two.png


def test_claims_without_records_are_left_out_of_the_papers_figure():
    one = metrics.paper_comparison(records(), [], [])
    figure = show.paper_figure(one)
    assert "direct: +66.67" in figure.alt and "transfer" not in figure.alt and "clean" not in figure.alt
    with pytest.raises(NoRecords):
        show.paper_figure(metrics.paper_comparison([], [], []))


def test_resource_sets_are_told_apart_in_figures():
    both = records() + [record(position=i, resources="embedded") for i in range(3)]
    df = metrics.frames(both)
    compared = show.paper_figure(metrics.paper_comparison([*both, *(replace(r, variant="int8-dynamic") for r in both[-3:])], [], []))
    assert "direct, embedded: " in compared.alt and "direct, local: " in compared.alt
    for figure in (show.queries(df), show.outcomes(metrics.direct(df))):
        assert "resources: local" in figure.alt and "resources: embedded" in figure.alt


def test_margins_and_joint_attacks_are_told_apart():
    both = records() + [record(position=i, margin=0.5, joint="other-seed") for i in range(3)]
    df = metrics.direct(metrics.frames(both))
    assert "margin 0.5, jointly with other-seed" in show.outcomes(df).alt
    shown = repr(show.direct_table(df))
    assert "margin" in shown and "other-seed" in shown and "query budget" not in shown


@pytest.mark.parametrize("draw", ["queries", "words_changed"])
def test_nothing_to_draw_is_an_error_that_says_what_to_run(draw):
    with pytest.raises(NoRecords, match="run the chapter"):
        getattr(show, draw)(metrics.frames([]))


def test_missing_bars_do_not_stop_the_grid():
    grid = metrics.headline(records(), [], [])
    assert "recovery —" in show.accuracy_grid(grid).alt


def test_tables_show_the_measures():
    df = metrics.frames(records())
    shown = {
        "headline_table": show.headline_table(metrics.headline(records(), replays(), clean())),
        "clean_table": show.clean_table(metrics.clean(clean())),
        "direct_table": show.direct_table(metrics.direct(df)),
        "transfer_table": show.transfer_table(metrics.transfer(metrics.replay_frames(replays()))),
        "pairs_table": show.pairs_table(metrics.pairs(records(), replays(), clean())),
        "paper_table": show.paper_table(metrics.paper_comparison(records(), replays(), clean())),
        "missing_table": show.missing_table(metrics.missing(records(), replays(), clean(), variants=["adversarial"])),
        "per_class_report": show.per_class_report([0, 1, 1], [0, 0, 1], ["neg", "pos"]),
        "latency_table": show.latency_table(LATENCY),
        "adversarial_cost": show.adversarial_cost(
            {"seconds": 3.0}, {"seconds": 4.0, "attack_seconds": 5.5, "attack_queries": 1234}, 0.25
        ),
    }
    said = {
        "headline_table": "33.3 % [6.1, 79.2], n 3", "clean_table": "75.0 % [30.1, 95.4], n 4",
        "direct_table": "50.0 % [9.5, 90.5], n 2", "transfer_table": "100.0 % [43.9, 100.0], n 3",
        "pairs_table": "int8-dynamic − fp32", "paper_table": "+18.68", "missing_table": "clean, direct, transfer",
        "per_class_report": "0.667", "latency_table": "2.00 ×", "adversarial_cost": "1,234",
    }  # fmt: skip
    for name, thing in shown.items():
        assert said[name] in repr(thing) and html.escape(said[name]) in re.sub("</?span[^>]*>", "", thing._repr_html_()), name
    for name in ("headline_table", "direct_table", "transfer_table", "pairs_table", "paper_table"):
        assert "resources" in shown[name].html and "local" in shown[name].html, name
    assert "9.5" in repr(shown["adversarial_cost"]) and "arXiv 2403.05365" in repr(shown["paper_table"])


def test_tables_of_nothing_say_so():
    assert "not run" in repr(show.paper_table(metrics.paper_comparison([], [], [])))
    assert "no cell" in repr(show.missing_table(metrics.missing([], [], [])))
    nothing = metrics.frames([])
    for thing in (
        show.headline_table(metrics.headline([], [], [])), show.clean_table(metrics.clean([])),
        show.direct_table(metrics.direct(nothing)), show.pairs_table(metrics.pairs([])),
        show.transfer_table(metrics.transfer(metrics.replay_frames([]))), show.latency_table({}),
    ):  # fmt: skip
        assert "(no rows)" in repr(thing) and "(no rows)" in thing.html


def test_cost_that_was_not_measured_is_not_run():
    assert repr(show.adversarial_cost({"seconds": 3.0}, {})).count("not run") == 6


def test_headline_text_of_a_run_directory(tmp_path):
    with pytest.raises(NoRecords):
        show.headline_text(tmp_path)
    for stage, kind, made in (("attacks", Record, records()[:3]), ("replays", Replay, replays())):
        folder = Folder(tmp_path / stage / "one", kind)
        folder.open({})
        for r in made:
            folder.append(r)
        folder.close()
    text = show.headline_text(tmp_path)
    assert "33.3 % [6.1, 79.2], n 3" in text and "100.0 % [20.7, 100.0], n 1" in text and "not run" in text


def test_seeds_show_where_they_differ_from_0():
    grid = metrics.headline([record(), record(seed=3)], [], [])
    assert show.headline(grid)["seed"].tolist() == [0, 3]
    assert "seed" not in show.headline(metrics.headline([record()], [], []))


def test_print_table_aligns_and_cannot_steer_a_terminal(capsys):
    show.print_table(pd.DataFrame({"name": ["a", "\x1b[2Jbb"], "value": [0.123456, None]}, dtype=object))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "name    value" and lines[2] == "a       0.1235" and lines[3] == "␛[2Jbb  not run"


@pytest.mark.parametrize(
    ("value", "said"), [(float("nan"), "—"), (None, "not run"), (12345, "12,345"), (0.5, "0.5"), (True, "True")]
)
def test_cells(value, said):
    assert tables.cell(value) == said


@pytest.mark.parametrize(("p", "said"), [(0.00001, "< 0.001"), (0.0123, "0.012"), (float("nan"), "—"), (1.0, "1")])
def test_p_values(p, said):
    assert tables.p_value(p) == said


@pytest.mark.slow
def test_report_imports_no_engine():
    code = (
        "import sys, qrsupport.report.show, qrsupport.analysis.metrics;"
        "print({'torch','textattack','onnxruntime','transformers'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
