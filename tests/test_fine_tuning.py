"""Fine-tuning: repeatable to the byte, refuses what cannot work, says what it did."""

import dataclasses
import json
import subprocess
import sys

import pytest
import torch
import transformers as hf

from qrsupport import catalog, config, pipeline, provenance, store
from qrsupport.data import datasets
from qrsupport.errors import BadCheckpoint, BadParameter, NoNetwork, UnknownName
from qrsupport.training import backbones, fine_tuning


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Parameters of a training of a few seconds."""
    run_dir = str(tmp_path_factory.mktemp("short"))
    return config.make(backbone="distilbert-small", train_limit=64, epochs=2, word_dropout=0.2, run_dir=run_dir)


def files(path):
    return {f.name: f.read_bytes() for f in path.iterdir() if f.name != store.META}


def test_two_runs_give_the_same_bytes_whatever_the_threads_and_the_random_state(short, tmp_path):
    first = pipeline.checkpoint(short)
    torch.manual_seed(123)
    torch.set_num_threads(2)
    again = pipeline.checkpoint(dataclasses.replace(short, run_dir=str(tmp_path)))
    assert torch.get_num_threads() == 2
    assert files(first) == files(again)
    assert {"model.safetensors", "config.json", "tokenizer.json", "history.json", "card.md"} <= set(files(first))


def test_another_seed_gives_other_weights_and_the_same_vocabulary(short):
    one, two = files(pipeline.checkpoint(short)), files(pipeline.checkpoint(dataclasses.replace(short, seed=1)))
    assert one["model.safetensors"] != two["model.safetensors"]
    assert one["tokenizer.json"] == two["tokenizer.json"]


def test_every_parameter_of_the_loop_reaches_it(short):
    weights = files(pipeline.checkpoint(short))["model.safetensors"]
    for change in (
        {"learning_rate": 5e-4},
        {"batch_size": 16},
        {"word_dropout": 0.0},
        {"epochs": 1},
        {"max_length": 8},
    ):
        assert files(pipeline.checkpoint(dataclasses.replace(short, **change)))["model.safetensors"] != weights, change


def test_checkpoint_is_used_again_and_made_again_once_altered(short, tmp_path, capsys):
    p = dataclasses.replace(short, train_limit=60, epochs=1, run_dir=str(tmp_path))
    path = pipeline.checkpoint(p)
    stamp = (path / "model.safetensors").stat().st_mtime_ns
    assert pipeline.checkpoint(p) == path and (path / "model.safetensors").stat().st_mtime_ns == stamp
    weights, content = (path / "model.safetensors").read_bytes(), (path / "config.json").read_text()
    (path / "config.json").write_text("{}")
    assert "made again" not in capsys.readouterr().err
    pipeline.checkpoint(p)
    assert "config.json" in capsys.readouterr().err and (path / "config.json").read_text() == content
    assert (path / "model.safetensors").read_bytes() == weights


def test_other_code_makes_it_again_and_a_line_names_the_module(short, tmp_path, capsys, monkeypatch):
    p = dataclasses.replace(short, train_limit=60, epochs=1, run_dir=str(tmp_path))
    stamp = (pipeline.checkpoint(p) / "model.safetensors").stat().st_mtime_ns
    real = provenance.code
    monkeypatch.setattr(provenance, "code", lambda stage: real(stage) | {"rounding": "edited"})
    again = pipeline.checkpoint(p)
    assert "code.rounding" in capsys.readouterr().err
    assert (again / "model.safetensors").stat().st_mtime_ns != stamp


def test_checkpoint_loads_with_the_data_sets_labels_and_no_pickle(short):
    path = pipeline.checkpoint(short)
    model = hf.AutoModelForSequenceClassification.from_pretrained(path)
    assert tuple(model.config.id2label[i] for i in range(2)) == catalog.DATASETS["embedded"].labels
    tokenizer = hf.AutoTokenizer.from_pretrained(path)
    assert tokenizer("Good film")["input_ids"] == tokenizer("good FILM")["input_ids"]
    assert not list(path.glob("*.bin"))


def test_history_and_card_say_what_happened(tiny):
    path = pipeline.checkpoint(tiny)
    table = fine_tuning.history(path)
    ends = table.dropna(subset="validation accuracy")
    assert list(ends.epoch) == [1, 2, 3]
    assert table.step.is_monotonic_increasing and table.seconds.is_monotonic_increasing
    assert table["train loss"].iloc[-1] < table["train loss"].iloc[0]
    card = (path / "card.md").read_text()
    for word in (
        datasets.load(tiny).fingerprint,
        "| seed | 0 |",
        torch.__version__,
        f"{ends['validation accuracy'].iloc[-1]:.4f}",
    ):
        assert word in card
    notes = store.meta(path)
    assert notes["seconds"] > 0 and notes["parameters"] > 100_000


def test_a_short_training_beats_the_larger_class(tiny):
    labels = datasets.load(tiny).validation.labels
    larger = max(labels.count(c) for c in set(labels)) / len(labels)
    best = fine_tuning.history(pipeline.checkpoint(tiny))["validation accuracy"].max()
    assert best > larger + 0.05


def test_extra_examples_are_learned_from(short, tmp_path):
    dataset = datasets.load(short)
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    fine_tuning.fine_tune(short, dataset, tmp_path / "a")
    fine_tuning.fine_tune(short, dataset, tmp_path / "b", (["a strange text"] * 30, [1] * 30))
    one, two = (json.loads((tmp_path / f / "history.json").read_text()) for f in "ab")
    assert two[-1]["step"] > one[-1]["step"]
    assert "added to the training split: 30" in (tmp_path / "b" / "card.md").read_text()


@pytest.mark.parametrize("name", ["bert-smal", "distilbert-smal"])
def test_misspelt_backbone_is_named_with_the_nearest(name, tmp_path):
    with pytest.raises(UnknownName, match=f"did you mean '{name}l'"):
        pipeline.checkpoint(config.make(backbone=name, run_dir=str(tmp_path)))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["bert-base-uncased", "nobody/nothing"])
def test_hub_backbone_without_network(name, tmp_path, monkeypatch):
    monkeypatch.setattr(backbones, "_cached", lambda _: False)
    with pytest.raises(NoNetwork, match="network=True"):
        pipeline.checkpoint(config.make(backbone=name, run_dir=str(tmp_path / "runs")))


@pytest.fixture
def local(short, tmp_path):
    """A local Hugging Face directory: a classifier of two classes."""
    path = pipeline.checkpoint(short)
    target = tmp_path / "local"
    target.mkdir()
    for name, content in files(path).items():
        (target / name).write_bytes(content)
    return target


def test_local_directory_is_fine_tuned(short, local):
    p = dataclasses.replace(short, backbone=str(local), epochs=1)
    path = pipeline.checkpoint(p)
    assert path.name.startswith("embedded-local-s0-")
    assert (path / "tokenizer.json").read_bytes() == (local / "tokenizer.json").read_bytes()
    assert (path / "model.safetensors").read_bytes() != (local / "model.safetensors").read_bytes()


def test_other_weights_in_the_same_directory_are_noticed(short, local, capsys):
    p = dataclasses.replace(short, backbone=str(local), epochs=1)
    pipeline.checkpoint(p)
    hf.AutoModelForSequenceClassification.from_config(hf.AutoConfig.from_pretrained(local)).save_pretrained(local)
    capsys.readouterr()
    pipeline.checkpoint(p)
    assert "made again" in (said := capsys.readouterr().err) and "backbone: " in said


def test_bare_encoder_gets_a_head(short, local):
    hf.AutoModel.from_pretrained(local).save_pretrained(local)
    path = pipeline.checkpoint(dataclasses.replace(short, backbone=str(local), dataset="embedded-emotion", epochs=1))
    assert len(json.loads((path / "config.json").read_text())["id2label"]) == 6


@pytest.mark.parametrize(
    "spoil, error, words",
    [
        (
            lambda d: (d / "model.safetensors").rename(d / "pytorch_model.bin"),
            BadCheckpoint,
            "convert it to model.safet",
        ),
        (lambda d: (d / "model.safetensors").unlink(), BadCheckpoint, "holds no model.safetensors"),
        (
            lambda d: (d / "tokenizer.json").unlink() or (d / "vocab.txt").unlink(missing_ok=True),
            BadCheckpoint,
            "token",
        ),
        (lambda d: (d / "config.json").write_text("{"), BadCheckpoint, "config.json"),
        (lambda d: (d / "model.safetensors").write_bytes(b"no"), BadCheckpoint, "does not load"),
    ],
)
def test_unusable_directory_is_refused(short, local, tmp_path, spoil, error, words):
    spoil(local)
    runs = tmp_path / "runs"
    with pytest.raises(error, match=words):
        pipeline.checkpoint(dataclasses.replace(short, backbone=str(local), run_dir=str(runs)))
    assert not list(runs.glob("checkpoints/[!.]*"))


def test_classifier_of_other_classes_is_refused(short, local):
    with pytest.raises(BadCheckpoint, match="2 classes, embedded-emotion has 6"):
        pipeline.checkpoint(dataclasses.replace(short, backbone=str(local), dataset="embedded-emotion"))


def test_length_beyond_the_positions_is_refused(short, local):
    content = json.loads((local / "config.json").read_text()) | {"max_position_embeddings": 64}
    (local / "config.json").write_text(json.dumps(content))
    with pytest.raises(BadParameter, match="max_length=128 is more than the 64 positions"):
        pipeline.checkpoint(dataclasses.replace(short, backbone=str(local)))


def test_vocabulary_does_not_depend_on_the_process():
    code = "from qrsupport.training import backbones as b; print(sorted(b.vocabulary(['a good film, café', 'bad ones'] * 3).items()))"
    seen = {
        subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True).stdout
        for _ in range(3)
    }
    assert len(seen) == 1 and "##" in seen.pop()
