"""What code makes a thing: a digest of each module that takes part, by stage, and the git commit.

A stage names the rooms and modules whose change may change what it makes.  What is already told apart by its
content (data by their fingerprint, resources and models by their digest) brings no module of its
own.  Comments, docstrings and layout do not count.
"""

import ast
import hashlib
import subprocess
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
ASKING = tuple(f"quantization.{name}" for name in ("victim", "batching", "on_torch", "weights", "ensembles", "classifiers"))
STAGES = {
    "training": ("training", "quantization.own_onnx"),
    "variants": ("quantization", "training.formula", "data.datasets"),
    "attack": ("attacks", "lexicons", "offline", *ASKING),
    "replay": ("attacks.replaying", *ASKING),
    "sememes": ("lexicons.sememes",),
    "encoder": ("lexicons.word_encoder",),
    "universal": ("lexicons.universal",),
}
NO_PART = {  # who attacks what changes no record, and where a variant is asked not the variant
    "attack": ("attacks.workers", "attacks.replaying"),
    "variants": ("quantization.on_torch",),
}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def code(stage: str) -> dict[str, str]:
    """`{module: twelve hexadecimal digits}` of the modules of a stage."""
    return {name: digest(file.read_text("utf-8")) for name, file in modules(stage).items()}


def modules(stage: str) -> dict[str, Path]:
    """The modules of a stage by name, those of a room by its name."""
    found = {}
    for name in STAGES[stage]:
        path = FOLDER / name.replace(".", "/")
        files = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        found |= {".".join(file.relative_to(FOLDER).with_suffix("").parts): file for file in files}
    return {name: file for name, file in found.items() if name not in NO_PART.get(stage, ()) and file.stem != "__init__"}


def digest(text: str) -> str:
    """Twelve hexadecimal digits of a module's text without comments, docstrings and layout."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode("utf-8", "surrogatepass")).hexdigest()[:12]


@cache
def commit() -> str:
    """The git commit of the checkout that this package lies in, `-dirty` where files differ from it; empty without one."""
    if not (FOLDER.parent / ".git").exists():
        return ""
    command = ["git", "--no-optional-locks", "-C", str(FOLDER), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
