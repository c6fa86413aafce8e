"""What the paper says, quoted: Neshaei, Boreshban, Ghassem-Sani and Mirroshandel 2024, arXiv 2403.05365.

No number here is ours.  -0.98 stands in the paper's summary only, with no table at hand to check it
against; each claim's `source` says where it stands.  The paper gives per cent; ours beside them are percentage points.
"""

from dataclasses import dataclass

SOURCE = "arXiv 2403.05365"


@dataclass(frozen=True)
class Claim:
    """A headline number of the paper: `measure` of `variant` minus that of `baseline`, in per cent."""

    name: str
    measure: str
    variant: str
    baseline: str
    percent: float
    source: str = SOURCE


CLAIMS = (
    Claim("accuracy on adversarial text, int8 against fp32", "adversarial", "int8-dynamic", "fp32", 18.68),
    Claim("clean accuracy, int8 against fp32", "clean", "int8-dynamic", "fp32", -0.98, f"{SOURCE}, summary only"),
    Claim(
        "accuracy on adversarial text, int8 against adversarial training",
        "adversarial", "int8-dynamic", "adversarial", 18.80,
    ),
)  # fmt: skip
