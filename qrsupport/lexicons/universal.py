"""The Universal Sentence Encoder, multilingual version 3 (Yang et al. 2020), as a graph for ONNX Runtime.

TextFooler, BAE and others compare windows of 15 words by an encoder of this family.  Its weights
and its vocabulary come from a NumPy port on the package index (`pretrained`), of which only the two
files are read; here the port's arithmetic is written as ONNX operations: a vector a token, beside
it what three stacks of two convolutions make of 2, 3 and 5 tokens, all normalized, summed over the
text, projected and divided by the root of its length; then four layers with shortcuts; length one.

It is not the recipe's encoder to the letter: TextAttack fetches version 4 of the English model from
TensorFlow Hub.  And the port rounds the table of token vectors to 6 bits.
"""

from pathlib import Path

import numpy as np

from ..errors import BadCheckpoint
from ..training.pretrained import UNREADABLE
from .word_encoder import Encoder

NAME = "use-multilingual-v3"
WEIGHTS, PIECES, GRAPH = "weights.npz", "sp.model", "encoder.onnx"
WINDOWS = {2: 0, 3: 1, 5: 2}
"""The convolutions: tokens in a window → how many of them lie before the token that it belongs to."""
CHUNKS, WIDTH, DIMENSIONS, OPSET, IR = 17, 256, 512, 17, 8
BATCH = 32


class Universal(Encoder):
    """The encoder in a folder that `build` filled: unit vectors of float32 arithmetic.

    It brings no threshold: each recipe's own applies, because it was set for encoders of this family.

    Texts of one length in tokens are encoded together, and a text's vector does not depend on its company.
    """

    dimensions = DIMENSIONS
    threshold = None

    def __init__(self, folder: Path):
        import onnxruntime
        import sentencepiece

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / PIECES))

    def ids(self, text: str) -> list[int]:
        """The token ids of a text, between those of its beginning and its end; a text without any is unknown."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        first, *inside, last = self.pieces.encode(text, add_bos=True, add_eos=True)
        return [first, *(inside or [self.pieces.unk_id()]), last]

    def encode(self, texts) -> np.ndarray:
        ids = [self.ids(text) for text in texts]
        vectors = np.zeros((len(ids), DIMENSIONS))
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        while order:
            length = len(ids[order[0]])
            together = [i for i in order[:BATCH] if len(ids[i]) == length]
            order = order[len(together) :]
            tokens = np.array([ids[i] for i in together], np.int64)
            vectors[together] = self.session.run(None, {"tokens": tokens})[0]
        return vectors


def read_weights(file: Path) -> dict[str, np.ndarray]:
    """The arrays of the port's weight file, by name; nothing in it is run.

    Raises BadCheckpoint if it cannot be read or lacks one.
    """
    try:
        with np.load(file, allow_pickle=False) as z:
            found = {name: z[name] for name in z.files}
        return found | {"table": np.stack([found[f"q{i + 1}"] for i in range(CHUNKS)], axis=1).reshape(-1, DIMENSIONS)}
    except (*UNREADABLE, ValueError, KeyError) as e:
        raise BadCheckpoint(f"{file} does not hold the sentence encoder's weights ({type(e).__name__}: {e})") from e


class Graph:
    """ONNX nodes and constants as they are added; each call of `add` returns the name of its output."""

    def __init__(self):
        self.nodes, self.constants = [], {}

    def constant(self, name: str, value) -> str:
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def add(self, kind: str, *inputs: str, **attributes) -> str:
        from onnx import helper

        output = f"{kind}-{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def model(self, output: str):
        """The checked ModelProto from `tokens`, int64 (batch, length), to `output`, float32 (batch, DIMENSIONS)."""
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        graph = helper.make_graph(
            self.nodes,
            NAME,
            [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "length"])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", DIMENSIONS])],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        onnx.checker.check_model(model)
        return model


def graph(weights: dict[str, np.ndarray]):
    """The encoder as an ONNX model.  Its table of token vectors stays in the 8 bits in which it is published."""
    g = Graph()
    for name in ("table", "scale", "lo", "ln_g", "ln_b", "cnn_W", "cnn_b", *(f"d{i}" for i in range(4)), "p1", "p3"):
        g.constant(name, weights[name])
    g.constant("length axis", np.array([1]))
    vectors = _token_vectors(g)
    features = [vectors, *_convolutions(g, weights, vectors)]
    normal = _normalized(g, weights, g.add("Concat", *features, axis=-1), "ln_g", "ln_b")
    length = g.add("Cast", g.add("Shape", "tokens", start=1, end=2), to=1)
    twice = g.add("Concat", normal, normal, axis=0)  # one text alone would be summed and multiplied in another order
    total = g.add("ReduceSum", twice, "length axis", keepdims=0)
    projected = g.add("Add", g.add("MatMul", total, "cnn_W"), g.add("Mul", length, "cnn_b"))
    both = _layers(g, g.add("Div", projected, g.add("Sqrt", length)))
    batch = g.add("Shape", "tokens", start=0, end=1)
    zero = g.constant("zero", np.array([0]))
    return g.model(g.add("Slice", both, zero, batch, zero))


def _token_vectors(g: Graph) -> str:
    """Rows of the table, from 8 bits to float32 by the scale and offset of the chunk that a token belongs to."""
    chunk = g.add("Mod", "tokens", g.constant("chunks", np.int64(CHUNKS)))
    last = g.constant("last axis", np.array([-1]))
    scale, low = (g.add("Unsqueeze", g.add("Gather", name, chunk), last) for name in ("scale", "lo"))
    return g.add("Add", g.add("Mul", g.add("Cast", g.add("Gather", "table", "tokens"), to=1), scale), low)


def _normalized(g: Graph, weights, x: str, gain: str, shift: str) -> str:
    return g.add("LayerNormalization", x, gain, shift, axis=-1, epsilon=float(weights["eps"]))


def _convolutions(g: Graph, weights, vectors: str) -> list[str]:
    """For each window two convolutions with a shortcut around each, of a third of the projected, normalized tokens."""
    for name in ("proj", "proj_b", "ln_g", "ln_b"):
        parts = [weights[f"{name}{window}"] for window in WINDOWS]
        g.constant(f"{name} all", np.concatenate(parts, axis=-1))
    projected = g.add("Add", g.add("MatMul", vectors, "proj all"), "proj_b all")
    x = _normalized(g, weights, projected, "ln_g all", "ln_b all")
    found = []
    for place, window in enumerate(WINDOWS):
        ends = (g.constant(f"channel {i * WIDTH}", np.array([i * WIDTH])) for i in (place, place + 1))
        part = g.add("Slice", x, *ends, g.constant("channel axis", np.array([2])))
        for layer in (1, 2):
            part = _convolution(g, weights, part, window, f"{layer}_{window}")
        found.append(part)
    return found


def _convolution(g: Graph, weights, x: str, window: int, name: str) -> str:
    """relu(W · the tokens in each window, zeros beyond the text, + b) + x."""
    before = WINDOWS[window]
    around = g.constant(f"around {window}", np.array([0, before, 0, 0, window - 1 - before, 0]))
    padded, length = g.add("Pad", x, around), g.add("Shape", "tokens", start=1, end=2)
    steps = [g.constant(f"step {step}", np.array([step])) for step in range(window)]
    shifted = [g.add("Slice", padded, step, g.add("Add", length, step), "length axis") for step in steps]
    matrix, bias = (g.constant(f"{kind}{name}", weights[f"{kind}{name}"]) for kind in ("w", "b"))
    y = g.add("Add", g.add("MatMul", g.add("Concat", *shifted, axis=-1), matrix), bias)
    return g.add("Add", g.add("Relu", y), x)


def _layers(g: Graph, text: str) -> str:
    """Four layers without biases, the second and the fourth with a shortcut; tanh, then unit length."""
    first = g.add("Relu", g.add("MatMul", text, "d0"))
    second = g.add("Relu", g.add("Add", g.add("MatMul", text, "p1"), g.add("MatMul", first, "d1")))
    third = g.add("Relu", g.add("MatMul", second, "d2"))
    last = g.add("Tanh", g.add("Add", g.add("MatMul", second, "p3"), g.add("MatMul", third, "d3")))
    return g.add("LpNormalization", last, axis=-1, p=2)


def build(source: Path, room: Path) -> None:
    """Writes the graph and the vocabulary into `room`, from the folder of the published files; for `store.made`.

    Raises BadCheckpoint if the weights are not the encoder's.
    """
    weights = read_weights(source / WEIGHTS)
    try:
        model = graph(weights)
    except KeyError as e:
        raise BadCheckpoint(f"{source / WEIGHTS} lacks the array {e}; it is not the sentence encoder's") from e
    (room / GRAPH).write_bytes(model.SerializeToString())
    (room / PIECES).write_bytes((source / PIECES).read_bytes())
