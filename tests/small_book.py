"""A small book of its own: a copy of the sources, an empty home, one attack, sockets refused; made once for all tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from qrsupport.book import publish

ROOT = Path(__file__).parents[1]
BROWSER = next(filter(None, map(shutil.which, publish.BROWSERS)), None)
SOURCES = ("_config.yml", "_toc.yml", "book", "nbs", "requirements.lock", "qrsupport")
SMALL = {"backbone": "bert-small", "backbones": "bert-small,t5-mini", "epochs": 1, "train_limit": 400, "n": 2, "adversarial_examples": 3, "latency_repeats": 10, "variants": "fp32,w4,a4,w4a4"}
REFUSE = '''
"""Lets Python reach this machine only; whoever tries more is noted and refused."""
import os, socket

def refuse(address):
    with open(os.environ["REFUSED"], "a") as f:
        print(address, file=f)
    raise OSError(101, f"refused by the test: {address}")

class Socket(socket.socket):
    def connect(self, address):
        return self._local(address) and super().connect(address)
    def connect_ex(self, address):
        return self._local(address) and super().connect_ex(address)
    def _local(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            refuse(address)
        return True

def getaddrinfo(host, *rest, _real=socket.getaddrinfo, **more):
    return _real(host, *rest, **more) if host in (None, "", "127.0.0.1", "::1", "localhost") else refuse(host)

socket.socket, socket.getaddrinfo = Socket, getaddrinfo
'''


def begin(room):
    """A folder with the sources, in `room`; beside it the module that refuses sockets."""
    folder = room / "project"
    folder.mkdir()
    for name in SOURCES:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (room / "site").mkdir()
    (room / "site" / "sitecustomize.py").write_text(REFUSE)
    return folder


def make(folder, *arguments):
    room = folder.parent
    (room / "home").mkdir(exist_ok=True)
    keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV")}
    paths = os.pathsep.join((str(room / "site"), str(folder)))
    env = keep | {"HOME": str(room / "home"), "PYTHONPATH": paths, "REFUSED": str(room / "refused")}
    small = [word for name, value in SMALL.items() for word in ("-p", name, str(value))]
    command = [sys.executable, "-m", "qrsupport", "book", *small, *arguments]
    done = subprocess.run(command, check=False, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
