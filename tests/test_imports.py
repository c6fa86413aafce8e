"""Imports: nothing points backwards, and what is light stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import qrsupport
from qrsupport import chapters

FOLDER = Path(qrsupport.__file__).parent
MODULES = {f.stem: f.read_text("utf-8") for f in FOLDER.glob("*.py")}
FOUNDATION = {"errors", "catalog", "config", "store", "provenance", "disk", "shown"}
WORDS = {"resources", "sources", "published", "thesaurus", "sememes", "encoder", "universal", "tagging",
         "perceptron"}  # fmt: skip
# A room of the engine: its modules, and the rooms that it may import; each may import its own and the foundation.
ROOMS = {
    "foundation": (FOUNDATION | {"__init__"}, set()),
    "records": ({"records", "runs"}, set()),
    "data": ({"data", "embedded", "files", "grammar", "hub"}, set()),
    "origins": ({"origins"}, {"pretrained"}),
    "pretrained": ({"pretrained", "offline"}, set()),
    "train": ({"train", "backbones", "architectures", "given", "rounding"}, {"data", "records", "pretrained", "victim"}),
    "victim": ({"victim", "company", "ensembles", "weights"}, set()),
    "variants": ({"variants", "export", "controls", "ladder", "simulate"}, {"data", "train", "victim"}),
    "resources": (WORDS, {"data", "pretrained"}),
    "attacks": ({"attacks", "fast", "goals", "parts", "ranking", "recipes", "texts"}, {"resources", "pretrained", "victim"}),
    "candidates": ({"encoders", "coverage"}, {"data", "resources", "pretrained", "attacks", "variants"}),
    "engine": (
        {"engine", "search", "workers", "replay"},
        {"data", "records", "variants", "victim", "resources", "attacks", "pretrained"},
    ),
    "metrics": ({"metrics", "tidy", "paper", "recovered"}, {"records"}),
    "measure": ({"measure"}, {"data", "train", "variants", "records", "engine", "metrics"}),
    "report": ({"report", "tables", "figures", "diffs", "widths", "measured", "candidates", "seeds"}, {"records", "metrics"}),
    "audit": ({"audit"}, {"data", "train", "variants", "records", "resources", "engine", "metrics", "measure", "report"}),
    "bench": (
        {"bench", "sides"},
        {"data", "train", "variants", "victim", "resources", "attacks", "engine"},
    ),
    "pace": ({"pace"}, {"train", "bench", "victim"}),
    "plan": ({"study", "study_jobs"}, {"data", "origins"}),
    "analysis": ({"outcomes", "gains", "null", "transfers", "boundary", "classes", "loyalty"}, {"plan", "records", "metrics"}),
    "evidence": ({"evidence"}, {"analysis", "candidates", "metrics", "report"}),
    "findings": ({"findings", "study_tables", "study_figures", "study_words"}, {"plan", "analysis", "metrics", "report"}),
    "study": (
        {"study_run", "study_export", "study_read", "study_status", "study_page", "study_check"},
        {"plan", "train", "records", "engine", "measure", "metrics", "report"},
    ),
    "command": (
        {"cli", "__main__", "book", "chapters", "flags", "holdings", "tabular", "planning", "study_cli"},
        {
            "plan", "study", "evidence",
            "records", "report", "resources", "bench", "measure", "audit", "pretrained", "origins", "pace", "data", "train", "engine",
            "victim", "candidates",
        },
    ),
}
# Adversarial training attacks what it fine-tunes: the one import that points back, inside a function.
BACK = {("train", "engine")}
HEAVY = ("torch", "transformers", "textattack", "onnxruntime", "datasets")


def room_of(module):
    (room,) = [name for name, (modules, _) in ROOMS.items() if module in modules]
    return room


def test_every_module_has_a_room():
    known = set().union(*(modules for modules, _ in ROOMS.values()))
    assert set(MODULES) <= known, f"give a room to {set(MODULES) - known}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_stay_in_their_direction(module):
    room = room_of(module)
    allowed = {room, "foundation", *ROOMS[room][1]}
    for other in chapters.imports(MODULES[module]) & set(MODULES):
        assert room_of(other) in allowed or (module, other) in BACK, f"{module} may not import {other}"


def test_rooms_have_no_cycle():
    done = set()
    while len(done) < len(ROOMS):
        free = {name for name, (_, needs) in ROOMS.items() if name not in done and needs <= done}
        assert free, f"a cycle among {set(ROOMS) - done}"
        done |= free


def test_modules_have_no_cycle_when_they_load():
    needs = {name: top_level(text) & set(MODULES) for name, text in MODULES.items()}
    done = set()
    while len(done) < len(needs):
        free = {name for name, other in needs.items() if name not in done and other - {name} <= done}
        assert free, f"a cycle among {set(needs) - done}"
        done |= free


def top_level(text):
    """What a module imports while it loads, so not inside functions."""
    tree = ast.parse(text)
    tree.body = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    return chapters.imports(ast.unparse(tree))


@pytest.mark.parametrize("module", ["metrics", "report", "records", "book", "cli", "chapters"])
def test_what_makes_tables_and_commands_loads_nothing_heavy(module):
    code = f"import sys, qrsupport.{module}; print(sorted(set(sys.modules) & set({HEAVY})))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_victim_asks_without_torch():
    code = f"import sys, qrsupport.victim; print(sorted(set(sys.modules) & set({HEAVY[:3]})))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_compare_chapter_loads_nothing_heavy():
    """Its imports, all of them, in one process."""
    lines = [n for cell in chapters.code(chapters.template("compare")) for n in ast.parse(cell).body]
    code = "\n".join(ast.unparse(n) for n in lines if isinstance(n, (ast.Import, ast.ImportFrom)))
    code += f"\nimport sys; print(sorted(set(sys.modules) & set({HEAVY})))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip().splitlines()[-1] == "[]"


def test_import_is_fast_and_light():
    code = (
        "import sys, time; start = time.perf_counter(); import qrsupport; "
        f"print(time.perf_counter() - start, sorted(set(sys.modules) & set({(*HEAVY, 'numpy', 'pandas')})))"
    )
    runs = [subprocess.check_output([sys.executable, "-c", code], text=True).split(maxsplit=1) for _ in range(3)]
    assert min(float(seconds) for seconds, _ in runs) < 0.3
    assert runs[0][1].strip() == "[]"


def test_no_star_imports_eval_or_pickle():
    for name, text in MODULES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {a.name for a in node.names} | {getattr(node, "module", None)}
                assert "*" not in names
                # published reads TextAttack's file with an unpickler that refuses every class
                assert "pickle" not in names or name == "published"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), name
