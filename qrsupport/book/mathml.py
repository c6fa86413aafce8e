"""A Sphinx extension: formulas as MathML, which browsers and screen readers know, so that no script or font is fetched.

The conversion from TeX is latex2mathml's; what it does not know is a warning, which fails a strict build.
"""

import re
from html import escape

from docutils import nodes
from latex2mathml.commands import MATRICES
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

READ_AS = {r"\\(begin|end)\{aligned\}": r"\\\1{align*}", r"\\operatorname\*": r"\\operatorname", r"\\arg(?![a-z])": r"\\operatorname{arg}"}
"""Pattern → what latex2mathml knows of the same shape."""
ENVIRONMENT = re.compile(r"\\begin\{([^}]*)\}")
UNKNOWN = re.compile(r"<m[io]>(?:\\[A-Za-z]+|&)</m[io]>|<mo\s*/>")
log = logging.getLogger(__name__)


def mathml(tex: str, display: str = "inline") -> str:
    r"""A formula in TeX as a `<math>` element; `display` is `inline` or `block`.

    Raises ValueError, naming it, for TeX that is not understood.
    """
    source = tex.strip()
    for pattern, known in READ_AS.items():
        source = re.sub(pattern, known, source)
    try:
        found = convert(source, display=display)
    except Exception as e:  # latex2mathml raises many kinds
        raise ValueError(f"the formula {tex!r} cannot be read ({type(e).__name__})") from e
    for name in ENVIRONMENT.findall(source):
        if f"\\{name}" not in MATRICES:
            raise ValueError(f"the formula {tex!r} holds what latex2mathml does not know: the environment {name!r}")
    if unknown := UNKNOWN.search(found):
        raise ValueError(f"the formula {tex!r} holds what latex2mathml does not know: {unknown[0]}")
    return found


def _shown(node: nodes.Element, display: str) -> str:
    try:
        return mathml(node.astext(), display)
    except ValueError as e:
        log.warning("%s", e, location=node)
        return f"<code>{escape(node.astext())}</code>"


def inline(self, node: nodes.math) -> None:
    """Writes a formula within a sentence."""
    self.body.append(f'<span class="math notranslate">{_shown(node, "inline")}</span>')
    raise nodes.SkipNode


def block(self, node: nodes.math_block) -> None:
    """Writes a formula of its own, with its number at the right where it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate"))
    self.body.append(f'<div class="formula">{_shown(node, "block")}</div>')
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Registers the renderer `mathml`."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
