"""The command jupyter-book, reading several pages at a time: `python -m qrsupport.book.parallel PAGES build ...`.

It has no option for sphinx-build's -j.  The extension that numbers chapters does not declare whether it is safe then; it is: it
works on the tables of contents when all pages were read.
"""

import functools
import sys

import jupyter_book.sphinx
import sphinx_multitoc_numbering
from jupyter_book.cli.main import main

if __name__ == "__main__":
    setup = sphinx_multitoc_numbering.setup
    sphinx_multitoc_numbering.setup = lambda app: (setup(app) or {}) | {"parallel_read_safe": True}
    jupyter_book.sphinx.build_sphinx = functools.partial(jupyter_book.sphinx.build_sphinx, jobs=int(sys.argv.pop(1)))
    main(prog_name="jupyter-book")
