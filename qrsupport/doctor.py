"""What is at hand on this machine: versions, CPU, 8-bit kernels, data, weights, resources; for what is not, how to get it."""

import os
import platform
import socket
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import click

from . import __version__, catalog, config
from .data import origins
from .lexicons import resources
from .quantization import batching
from .training import pretrained

TOOLS = ("torch", "transformers", "datasets", "onnx", "onnxruntime", "textattack", "nltk", "numpy", "jupyter-book",
         "papermill", "snakemake")  # fmt: skip
FLAGS = {
    "avx2": "8-bit kernels",
    "avx512f": "wider 8-bit kernels",
    "avx512_vnni": "8-bit products without overflow (AVX-512)",
    "avx_vnni": "8-bit products without overflow (AVX)",
    "amx_int8": "8-bit matrix tiles",
    "asimddp": "8-bit dot products (ARM)",
    "i8mm": "8-bit matrix products (ARM)",
}


def lines(check: bool = False) -> Iterator[str]:
    """The report of `qrsupport doctor`, line by line; `check`: files are compared with those published, too."""
    yield f"qrsupport {__version__}, Python {platform.python_version()}, {platform.platform()}"
    yield f"run directory {config.run_dir(config.Parameters())}"
    yield from (f"  {tool:24} {version(tool)}" for tool in TOOLS)
    yield from _cpu()
    yield from _kernels()
    yield from _at_hand(check)


def version(tool: str) -> str:
    """The installed version of a distribution, or what to do about its absence."""
    try:
        return metadata.version(tool)
    except metadata.PackageNotFoundError:
        return "missing; run `make`"


def cpu_flags(cpuinfo: str) -> set[str]:
    """The flags in the text of /proc/cpuinfo (x86 `flags`, ARM `Features`)."""
    lines = [line.partition(":") for line in cpuinfo.splitlines()]
    return {flag for key, _, content in lines if key.strip() in ("flags", "Features") for flag in content.split()}


def _cpu() -> Iterator[str]:
    yield f"CPU: {os.cpu_count()} cores, {platform.machine()}"
    try:
        flags = cpu_flags(Path("/proc/cpuinfo").read_text("utf-8"))
    except OSError:
        yield "  flags unknown: this system has no /proc/cpuinfo"
    else:
        yield from (f"  {flag:24} {'yes' if flag in flags else 'no':4} {use}" for flag, use in FLAGS.items())


def _kernels() -> Iterator[str]:
    """Whether 8-bit products come out right on the fastest kernel and on the exact one: asked, not guessed from flags."""
    for name, option in (("fastest", False), ("exact", True)):
        said = "right" if batching.kernel_is_exact(option) else "wrong where pairs of products exceed 16 bits"
        yield f"  8-bit products, {name + ' kernel':16} {said}"
    yield f"  8-bit kernel in use: {'exact' if batching.saturates() else 'fastest'}"


def _at_hand(check: bool) -> Iterator[str]:
    """Data sets, weights, then `resources.status()`: what is there and where, or how to get it."""
    yield "Data sets"
    for name in catalog.GENERATED:
        yield from _line(name, True, "in the package")
    published = [name for name, source in origins.SOURCES.items() if source.is_dataset]
    for name in published:
        there, said = origins.status(name, check)
        yield from _line(name, there, said if there else f"{said}, or set network to true")
    yield "Pretrained weights"
    for name in pretrained.SOURCES:
        there = pretrained.at_hand(name)
        yield from _line(name, there, pretrained.place(name) if there else f"run `qrsupport fetch {name}`")
    yield "Resources of the attacks"
    for item in resources.status():
        said = item["where"] if item["at_hand"] else item["how"]
        yield from _line(f"{item['set']}: {item['part']}", item["at_hand"], said)
    if check:
        yield "Files of the local resources as published, below QRSUPPORT_DATA"
        for name in [name for name in origins.SOURCES if name not in published]:
            yield from _line(name, *origins.status(name, check))


def _line(what: str, there: bool, said) -> Iterator[str]:
    """One thing: its name, yes or no, and below it where it is or how to get it, within 80 columns."""
    yield f"  {what:44} {'yes' if there else 'no'}"
    if said:
        yield click.wrap_text(str(said), 80, "      ", "      ")


def reach(host: str) -> str:
    """Whether another machine can be reached, in one line."""
    try:
        socket.create_connection((host, 443), timeout=5).close()
        return f"network: {host} can be reached"
    except OSError as e:
        return f"network: {host} cannot be reached ({e}); use QRSUPPORT_DATA or the embedded data"
