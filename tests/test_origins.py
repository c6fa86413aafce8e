"""The page Data and `doctor`: one table, which agrees with the readers and with what lies on the disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qrsupport import catalog, errors
from qrsupport.data import datasets, origins
from qrsupport.lexicons import sememes, sources, thesaurus, word_encoder

DATA = os.environ.get("QRSUPPORT_DATA", "")
real = pytest.mark.skipif(not DATA, reason="QRSUPPORT_DATA is not set")
DATASETS = [name for name, source in origins.SOURCES.items() if source.is_dataset]


def doctor(folder, *arguments):
    env = os.environ | {"QRSUPPORT_DATA": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "qrsupport", "doctor", *arguments], check=False, capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def said_of(name, output):
    """What `doctor` says of a thing: the words of its line and of the lines below that belong to it."""
    lines = output.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:1] == [name])
    end = next(i for i in range(start + 1, len(lines) + 1) if i == len(lines) or not lines[i].startswith("      "))
    return " ".join(" ".join(lines[start:end]).split())


def test_every_data_set_that_is_read_has_a_source_and_files():
    assert set(DATASETS) == set(datasets.READERS)
    assert all(origins.files(name) for name in origins.SOURCES)


def test_local_resources_name_the_files_that_the_loaders_read():
    listed = {f.name for name in origins.SOURCES if name not in DATASETS for f in origins.files(name)}
    read = {thesaurus.LISTS, word_encoder.REVIEWS, *(word_encoder.STS.format(part) for part in ("dev", "test"))}
    read |= {f"hownet/{name}" for name in sememes.FILES}
    read |= {f"nltk_data/corpora/wordnet/{name}" for name in sources.WORDNET}
    read |= {f"nltk_data/taggers/averaged_perceptron_tagger_eng/{name}" for name in sources.PERCEPTRON}
    read |= {"nltk_data/taggers/universal_tagset/en-ptb.map", "nltk_data/corpora/stopwords/english"}
    assert listed == read


@pytest.mark.parametrize("name", DATASETS)
def test_an_empty_folder_is_not_at_hand_and_the_missing_file_is_named(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.setenv("QRSUPPORT_DATA", str(tmp_path))
    there, said = origins.status(name)
    assert not there and origins.files(name)[0].name in said and "page Data" in said


@pytest.mark.slow
def test_doctor_says_no_for_empty_folders(tmp_path):
    for name in DATASETS:
        (tmp_path / name).mkdir()
    output = doctor(tmp_path)
    for name in DATASETS:
        assert said_of(name, output).startswith(f"{name} no put {origins.files(name)[0].name}")


@pytest.mark.slow
def test_doctor_check_names_a_file_that_is_not_the_published_one(tmp_path):
    for file in origins.files("trec"):
        (tmp_path / file.name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.name).write_text("DESC:x some words\n")
    assert said_of("trec", doctor(tmp_path)).startswith("trec yes")
    assert "trec no not the published file (SHA-256): trec/raw/TREC.train, trec/raw/TREC.test" in said_of(
        "trec", doctor(tmp_path, "--check")
    )


@pytest.mark.slow
def test_doctor_fits_into_80_columns_but_for_paths(tmp_path):
    long = [line for line in doctor(tmp_path).splitlines()[2:] if len(line) > 80 and " " in line.strip()]
    assert not long


def test_unpacked_polarity_files_stand_for_the_zip(tmp_path):
    (tmp_path / "mr").mkdir()
    (tmp_path / "mr/rt-polarity.pos").write_text("fine\n")
    assert origins.missing("mr", tmp_path) == ["mr/sentence_polarity.zip"]
    (tmp_path / "mr/rt-polarity.neg").write_text("poor\n")
    assert origins.missing("mr", tmp_path) == []


def test_errors_of_missing_files_point_to_the_page_that_says(tmp_path):
    with pytest.raises(errors.MissingResource, match="page Data"):
        datasets.READERS["trec"](tmp_path)
    with pytest.raises(errors.MissingResource, match="page Data"):
        datasets.READERS["mr"](tmp_path)
    page = Path(__file__).parent.parent / "book/data.md"
    assert "origins.table" in page.read_text("utf-8") and "book/data" in (page.parent.parent / "_toc.yml").read_text()


@real
@pytest.mark.parametrize("name", list(origins.SOURCES))
def test_files_here_are_those_published(name):
    root = Path(DATA)
    if origins.missing(name, root):
        pytest.skip(f"{name} is not below QRSUPPORT_DATA")
    assert origins.altered(name, root) == []
    for file in origins.files(name):
        assert not (root / file.name).is_file() or (root / file.name).stat().st_size == file.bytes


@real
@pytest.mark.parametrize("name", DATASETS)
def test_sizes_are_those_read(name):
    if origins.missing(name, Path(DATA)):
        pytest.skip(f"{name} is not below QRSUPPORT_DATA")
    splits = datasets.READERS[name](Path(DATA) / name)
    assert tuple(len(splits[split]) for split in datasets.SPLITS) == origins.SOURCES[name].sizes
    assert name in catalog.DATASETS
