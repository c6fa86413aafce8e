"""Text that comes from outside, made fit to be shown: in a terminal, in HTML, in Markdown."""

import html
import re
import unicodedata

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: object) -> str:
    """`text` with every control, format (bidi, zero width), surrogate and unassigned character spelled out.

    C0 controls and DEL become their pictures (␀ … ␡), the rest ⟨U+202E⟩; the result is valid UTF-8
    and cannot steer a terminal.
    """
    return "".join(_picture(c) if unicodedata.category(c) in HIDDEN else c for c in str(text))


def _picture(c: str) -> str:
    code = ord(c)
    return chr(0x2400 + code) if code < 32 else "␡" if code == 127 else f"⟨U+{code:04X}⟩"


def escape(text: object) -> str:
    """`visible(text)`, escaped for HTML text and attributes."""
    return html.escape(visible(text), quote=True)


def markdown(text: object) -> str:
    """`visible(text)`, escaped for the middle of a line of Markdown: no markup, no HTML, no formula, no cell's end."""
    return re.sub(r"""([\\`*_{}\[\]<>#+!|$~^&"'=:@%;?])""", r"\\\1", visible(text))
