"""What a linter finds in the book's prose, one `file:line: rule: what` a line: proselint's checks and those of `prose.toml`.

    python tests/prose.py            # the files that prose.toml lists; exit code 1 if anything is found
    python tests/prose.py --all      # every page and chapter
    python tests/prose.py FILE ...

Read are the paragraphs, list items, headings and table cells of Markdown; not code, formulas, addresses or directives
without prose.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import proselint.checks
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from proselint.config import DEFAULT
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, types
from proselint.tools import LintFile

ROOT = Path(__file__).parents[1]
RULES = tomllib.loads((ROOT / "tests" / "prose.toml").read_text("utf-8"))
PAGES = ("book/**/*.md", "nbs/*.ipynb")
WITH_PROSE = {
    "note",
    "tip",
    "hint",
    "warning",
    "important",
    "seealso",
    "admonition",
    "dropdown",
    "figure",
    "glossary",
    "card",
    "margin",
}
HIDDEN = "□"
"""Stands for code, a formula or a role: no word, but one of a sentence's."""
SHOWN_ROLES = {"term", "abbr"}
PARSER = create_md_parser(MdParserConfig(enable_extensions={"colon_fence", "dollarmath", "deflist"}), RendererHTML)
END = re.compile(r"(?<!\bal\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<=[.!?])[)*\"”]*\s+(?=[^a-z\s])")


def own_checks() -> list[Check]:
    """The words of prose.toml as checks of proselint."""
    return [
        Check(
            types.PreferredForms({pattern if "|" not in pattern else f"(?:{pattern})": said}),
            path="words",
            message="{1!r}: {0}",
        )
        for pattern, said in RULES["words"].items()
    ]


def registered() -> dict:
    """proselint's checks and ours, registered once; the configuration that switches them on."""
    registry = CheckRegistry()
    if not registry.checks:
        registry.register_many((*proselint.checks.__register__, *own_checks()))
    switched = {"words": True, **dict.fromkeys(RULES["off"], False)}
    checks = DEFAULT["checks"] | switched
    return {"max_errors": 10_000, "checks": dict(sorted(checks.items(), key=lambda item: -item[0].count(".")))}


def paragraphs(text: str, first: int = 1) -> Iterator[tuple[int, str, bool]]:
    """(line, prose, whether it is made of sentences) of each block of Markdown whose first line is line `first`."""
    tokens = PARSER.parse(text)
    for before, token in zip([None, *tokens], tokens):
        line = first + token.map[0] if token.map else first
        if token.type == "inline":
            yield line, _prose(token.children), before.type in ("paragraph_open", "dt_open", "dd_open")
        directive = re.match(r"\{([\w-]+)\}", token.info) if token.type in ("fence", "colon_fence") else None
        if directive and directive[1] in WITH_PROSE:
            content = re.sub(r"^:[\w-]+:.*$", "", token.content, flags=re.MULTILINE)
            yield from paragraphs(content, line + 1)


def _prose(children) -> str:
    found = []
    for token in children:
        if token.type == "text":
            found.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            found.append("\n")
        elif token.type == "myst_role" and token.meta.get("name") in SHOWN_ROLES:
            found.append(token.content.partition("<")[0])
        elif token.type in ("code_inline", "math_inline", "myst_role", "image"):
            found.append(HIDDEN)
    return "".join(found)


def blocks(path: Path) -> Iterator[tuple[int, str, bool]]:
    """As `paragraphs`, of a page or of the Markdown cells of a notebook; lines are those of the file."""
    text = path.read_text("utf-8")
    if path.suffix != ".ipynb":
        yield from paragraphs(text)
        return
    lines, at = text.splitlines(), 0
    for cell in json.loads(text)["cells"]:
        where = []
        for source in cell["source"]:
            encoded = json.dumps(source, ensure_ascii=False)
            at = next((i for i in range(at, len(lines)) if lines[i].strip().rstrip(",") == encoded), at) + 1
            where.append(at)
        if cell["cell_type"] == "markdown":
            for line, prose, sentences in paragraphs("".join(cell["source"])):
                yield where[line - 1], prose, sentences


def found(path: Path) -> list[tuple[int, str, str]]:
    """(line, rule, what) of everything found in a file."""
    settings, all_of = registered(), []
    for line, prose, sentences in blocks(path):
        if not prose.strip():
            continue
        for result in LintFile("page", prose.replace("\n", " ")).lint(settings):
            rule, said = result.check_result.check_path, result.check_result.message
            inside = prose.count("\n", 0, max(result.check_result.span[0] - 1, 0))
            all_of.append((line + inside, rule, " ".join(said.split())))
        all_of += [(line, rule, said) for rule, said in (lengths(prose) if sentences else ())]
    return sorted(all_of)


def lengths(prose: str) -> list[tuple[str, str]]:
    """(rule, what) of the sentences of a paragraph that are too long, or hold too many dashes."""
    said = []
    for sentence in END.split(" ".join(prose.split())):
        words, start = len(re.findall(r"\S*\w\S*|□", sentence)), " ".join(sentence.split()[:6])
        if words > RULES["longest"]:
            said.append(("length", f"{words} words, at most {RULES['longest']}: {start!r} …"))
        if sentence.count("—") > RULES["dashes"]:
            said.append(("dashes", f"{sentence.count('—')} em dashes: {start!r} …"))
    return said


def main(words: list[str]) -> int:
    patterns = PAGES if "--all" in words else RULES["enforce"]
    named = [Path(word) for word in words if not word.startswith("--")]
    files = named or sorted({file for pattern in patterns for file in ROOT.glob(pattern)})
    count = 0
    for file in files:
        shown = file.resolve().relative_to(ROOT) if file.resolve().is_relative_to(ROOT) else file
        for line, rule, said in found(file):
            print(f"{shown}:{line}: {rule}: {said}")
            count += 1
    print(f"prose: {count} found in {len(files)} files" if count else f"prose: nothing found in {len(files)} files")
    return bool(count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
