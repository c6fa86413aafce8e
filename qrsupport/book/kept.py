"""What pages of results showed, kept between builds of the site: a page runs again only when what it is made from has changed.

jupyter-cache holds the outputs and knows a page again by its code.  All else that they come from names the folder:
the package, the installed libraries, the CPU, the book's records, the weights at hand.  A page that reads the run's records says
`execution_mode: force` at its head.
"""

import hashlib
import json
import re
import shutil
from importlib import metadata
from pathlib import Path

from jupyter_cache import get_cache

from .. import project, store
from ..training import fine_tuning, pretrained
from . import chapters, foot

WHOLE = "whole"
"""The file that says that the last build with this folder came to its end."""
FORCED = "execution_mode: force"
CELL = re.compile(r"^```\{code-cell\}.*?^```$", re.DOTALL | re.MULTILINE)


def folder() -> Path:
    """The folder of outputs made from what is there now."""
    others = [f for f in sorted((project.sources() / "book").rglob("*")) if f.is_file() and f.suffix != ".md"]
    files = [[str(f), store.sha256(f)] for f in (*chapters.sources(), *others)]
    libraries = sorted(f"{found.name} {found.version}" for found in metadata.distributions())
    weights = [name for name in sorted(pretrained.SOURCES) if pretrained.at_hand(name)]
    made_from = json.dumps([files, libraries, weights, fine_tuning.hardware()])
    return project.folder() / "_build" / "pages" / hashlib.sha256(made_from.encode()).hexdigest()[:12]


def begin() -> Path:
    """The folder for a build, `folder()`, without what was made from something else, and without what a build that was stopped
    may have left in parts."""
    own = folder()
    for other in own.parent.glob("*"):
        if other != own or not (other / WHOLE).exists():
            shutil.rmtree(other)
    own.mkdir(parents=True, exist_ok=True)
    (own / WHOLE).unlink(missing_ok=True)
    get_cache(own).db.dispose()  # the tables are made once, before several processes read pages
    return own


def end(own: Path) -> None:
    """Says that the build with a folder of `begin` came to its end, so that the next one may take what it left."""
    store.write_text(own / WHOLE, "")


def about(page: Path, own: Path) -> dict:
    """`foot.about()` of the build that runs, or ran, the code of a page, whose outputs lie in a folder of `begin`."""
    text = page.read_text("utf-8")
    code = hashlib.sha256("\n".join(CELL.findall(text)).encode()).hexdigest()[:12]
    file = own / f"{code}.json"
    if FORCED in text:
        return foot.about()
    if not file.exists():
        store.write_json(file, foot.about())
    return store.read_json(file)
