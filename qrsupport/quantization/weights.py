"""ONNX files that borrow their weights: a 32-bit variant reads them from its checkpoint's safetensors file.

ONNX calls it external data: a tensor names a file beside the model, an offset and a length.  The file beside the model
is a hard link to the checkpoint's (a copy where the file system has none), so that weights lie on the disk once.  A
weight that the exporter turned is read as it lies and turned by the graph, which ONNX Runtime does once, at load.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

from .. import store

FILE = "weights.safetensors"
SMALLEST = 1024
"""Bytes below which a tensor stays in the ONNX file."""
TURNED = "/as-stored"


def load(file: Path):
    """The ONNX model in `file` with every tensor in it and those that were borrowed turned as the exporter left them."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(file, load_external_data=False)  # onnx itself refuses a file that has a second link
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _take(tensor, Path(file).with_name(FILE))
    tensors = {t.name: t for t in model.graph.initializer}
    for node in [n for n in model.graph.node if n.op_type == "Transpose" and n.input[0].endswith(TURNED)]:
        tensor = tensors[node.input[0]]
        turned = numpy_helper.from_array(numpy_helper.to_array(tensor).T.copy(), node.output[0])
        tensor.CopyFrom(turned)
        model.graph.node.remove(node)
    return model


def share(file: Path, lender: Path) -> None:
    """Rewrites the ONNX file `file` so that the weights that the safetensors file `lender` holds, turned or not, are
    read from it; it is linked beside `file`."""
    import onnx
    from onnx import helper

    model, known, lent = onnx.load(file), _known(lender), False
    for tensor in model.graph.initializer:
        found = known.get(hashlib.sha256(tensor.raw_data).digest()) if len(tensor.raw_data) >= SMALLEST else None
        if not found or tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        start, length, turned = found
        lent = True
        if turned:
            name, stored = tensor.name, f"{tensor.name}{TURNED}"
            model.graph.node.insert(0, helper.make_node("Transpose", [stored], [name], name=stored, perm=[1, 0]))
            tensor.name, shape = stored, tensor.dims[::-1]
            del tensor.dims[:]
            tensor.dims.extend(shape)
        _borrow(tensor, start, length)
    if lent:
        _link(lender, file.with_name(FILE))
        file.write_bytes(model.SerializeToString(deterministic=True))


def size(file: Path) -> int:
    """The bytes of an ONNX file and of the weights that it borrows."""
    import onnx

    model = onnx.load(file, load_external_data=False)
    lent = [e.value for t in model.graph.initializer for e in t.external_data if e.key == "length"]
    return file.stat().st_size + sum(map(int, lent))


def digest(folder: Path) -> str:
    """The SHA-256 of a variant's model.onnx and of what it borrows from, hexadecimal."""
    own = store.sha256(folder / "model.onnx")
    lent = folder / FILE
    return store.sha256_of(f"{own}{store.sha256(lent)}".encode()) if lent.exists() else own


def _known(lender: Path) -> dict[bytes, tuple[int, int, bool]]:
    """Digest of each 32-bit tensor of a safetensors file, and of each matrix turned → (offset, bytes, turned)."""
    import numpy as np

    with open(lender, "rb") as f:
        begin = 8 + (head := int.from_bytes(f.read(8), "little"))
        about = json.loads(f.read(head))
    content, found = np.memmap(lender, np.uint8, "r"), {}
    for name, entry in about.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        start, end = (begin + place for place in entry["data_offsets"])
        values = np.ndarray(entry["shape"], np.float32, content[start:end].tobytes())
        if values.ndim == 2:
            found[hashlib.sha256(values.T.tobytes()).digest()] = start, end - start, True
        found[hashlib.sha256(values.tobytes()).digest()] = start, end - start, False
    return found


def _borrow(tensor, start: int, length: int) -> None:
    """Makes an initializer one that reads `length` bytes of the file beside the model, from `start` on."""
    import onnx

    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", FILE), ("offset", start), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _take(tensor, lender: Path) -> None:
    """Puts what an initializer borrows into it."""
    import onnx

    place = {entry.key: entry.value for entry in tensor.external_data}
    with open(lender, "rb") as f:
        f.seek(int(place["offset"]))
        tensor.raw_data = f.read(int(place["length"]))
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
