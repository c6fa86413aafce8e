"""Formulas: what latex2mathml does not know is named, never shown wrong."""

import xml.etree.ElementTree as ET

import pytest

from qrsupport.book.mathml import mathml


@pytest.mark.parametrize(
    "tex",
    [r"q = \left\lfloor \frac{x}{s} \right\rceil + z", r"\begin{aligned} a &= b \\ c &= d \end{aligned}", r"\operatorname*{argmax}_i z_i",
     r"\arg\max_i z_i", r"\arcsin x", r"\begin{cases} 0 & x < 0 \\ 1 & x \ge 0 \end{cases}", "a < b"],
)  # fmt: skip
def test_a_formula_is_well_formed_mathml_of_its_own_letters(tex):
    root = ET.fromstring(mathml(tex, "block"))
    assert root.tag.endswith("math") and root.get("display") == "block"
    shown = "".join(root.itertext())
    assert "\\" not in shown and "&" not in shown and len(shown) >= 3


@pytest.mark.parametrize("tex", [r"\foo x", r"\begin{nothing} x \end{nothing}", r"\left( x", r"a & b"])
def test_what_is_not_known_is_named(tex):
    with pytest.raises(ValueError, match="the formula"):
        mathml(tex)
