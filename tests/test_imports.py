"""Imports: data flows one way, and what is light stays light."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import qrsupport
from qrsupport import project

FOLDER = Path(qrsupport.__file__).parent
MODULES = {
    ".".join(f.relative_to(FOLDER).with_suffix("").parts): f.read_text("utf-8")
    for f in FOLDER.rglob("*.py")
    if f.name not in ("__init__.py", "__main__.py")
}
GROUND = {
    "errors", "catalog", "attack_catalog", "declared", "profiles", "project", "values", "schema", "config", "recorded", "records", "store", "disk", "provenance", "offline", "escaping",
}  # fmt: skip
# A room → the rooms that it may import, beside itself and the ground.
MAY_IMPORT = {
    "data": set(),
    "training": {"data"},
    "quantization": {"data", "training"},
    "lexicons": {"data", "training"},
    "attacks": {"data", "quantization", "lexicons"},
    "analysis": set(),
    "report": {"analysis"},
    "pipeline": {"data", "training", "quantization", "attacks"},
    "holdings": set(),
    "doctor": {"data", "training", "quantization", "lexicons"},
    "experiments": {"data", "training", "quantization", "lexicons", "attacks", "pipeline", "analysis", "report", "book"},
    "study": {"data", "training", "lexicons", "pipeline", "analysis", "report", "experiments"},
    "book": {"data", "training", "lexicons", "analysis", "report", "pipeline"},
    "cli": {"training", "analysis", "report", "experiments", "study", "book", "holdings", "doctor", "pipeline"},
}  # fmt: skip
HEAVY = ("torch", "transformers", "textattack", "onnxruntime", "datasets")


def room(module):
    """The room of a module, `ground` or its own name."""
    first = module.split(".")[0]
    return "ground" if first in GROUND else first


def imported(module, text):
    """The modules of this package that a module imports, at its top or inside functions."""
    inside, found = module.split(".")[:-1], set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*inside[: len(inside) - node.level + 1], *([node.module] if node.module else [])])
            for name in node.names:
                full = f"{base}.{name.name}".strip(".")
                found.add(full if full in MODULES else base)
    return found & set(MODULES)


def test_every_folder_and_module_has_its_place():
    assert {room(module) for module in MODULES} == {"ground", *MAY_IMPORT}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_down(module):
    own = room(module)
    allowed = GROUND if own == "ground" else {"ground", own, *MAY_IMPORT[own]}
    for other in imported(module, MODULES[module]):
        assert (other if own == "ground" else room(other)) in allowed, f"{module} may not import {other}"


def test_no_public_name_is_a_module():
    """Whose import would take the name's place in the package."""
    assert not set(qrsupport.PUBLIC) & {module.split(".")[0] for module in MODULES}


def test_rooms_have_no_circle():
    done = set()
    while len(done) < len(MAY_IMPORT):
        free = {name for name, needs in MAY_IMPORT.items() if name not in done and needs <= done}
        assert free, f"a circle among {set(MAY_IMPORT) - done}"
        done |= free


def test_modules_have_no_circle():
    """Not even one that an import inside a function hides."""
    needs = {name: imported(name, text) - {name} for name, text in MODULES.items()}
    done = set()
    while len(done) < len(needs):
        free = {name for name, other in needs.items() if name not in done and other <= done}
        assert free, f"a circle among {set(needs) - done}"
        done |= free


@pytest.mark.parametrize("room", sorted(p.parent.name for p in FOLDER.glob("*/__init__.py")))
def test_every_room_says_what_it_may_import(room):
    said = ast.get_docstring(ast.parse((FOLDER / room / "__init__.py").read_text("utf-8")))
    assert "May import" in said


@pytest.mark.parametrize("module", ["analysis.metrics", "report.show", "records", "book.build", "cli", "book.chapters"])
@pytest.mark.slow
def test_what_makes_tables_and_commands_loads_nothing_heavy(module):
    code = f"import sys, qrsupport.{module}; print(sorted(set(sys.modules) & set({HEAVY})))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_what_is_recorded_is_found_without_textattack():
    """An attack that has nothing left to do imports none of it."""
    code = "import sys, qrsupport.pipeline; print({'textattack', 'torch', 'transformers'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_victim_asks_without_torch():
    code = f"import sys, qrsupport.quantization.victim; print(sorted(set(sys.modules) & set({HEAVY[:3]})))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.slow
def test_compare_chapter_loads_nothing_heavy():
    """Its imports, all of them, in one process."""
    cells = json.loads(project.chapter("compare").read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    lines = [n for cell in code for n in ast.parse(cell).body]
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
                assert "pickle" not in names or name == "lexicons.published"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), name
