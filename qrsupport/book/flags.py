"""The book's page of flags: every error, every status of a record, every remark beside a number.

`python -m qrsupport.book.flags` prints the page; a test compares it with book/flags.md.
"""

import inspect
import re

from .. import errors, records

PARTS = ("Raised if", "What it means", "What to do")
REMARKS = {
    "truncated": (
        "the text of a record has more tokens than `max_length`",
        "the classifier, and so the attack, saw its beginning only",
        "raise `max_length` and fine-tune again, or read the record as one about that beginning",
    ),
    "engine": (
        "a record's `engine` is `textattack` in place of `qrsupport`, and its `note` names an error",
        "the faster search raised that error; TextAttack's own parts then ran the same search, so the outcome stands",
        "nothing; a report of the note and the text helps to mend the faster search",
    ),
    "similarity": (
        "a record's `similarity` is missing",
        "its resource set has no sentence encoder of this package at hand",
        "nothing, or get what `qrsupport doctor` lists for the encoder and attack again in another `run_dir`",
    ),
    "simulated": (
        "a variant's `variant.json` says `simulated`",
        "its numbers are rounded to that width but computed in 32 bits: right for accuracy, no measure of speed",
        "do not quote its latency; `bytes` is what a file with its weights at that width would take",
    ),
    "not run": (
        "a cell of a table says `not run`",
        "the run directory holds no record for it; it is neither zero nor equal to anything",
        "run the attack chapter for that variant, or `make book`",
    ),
}
HEAD = """# Flags: errors, statuses, remarks

% Made by `python -m qrsupport.book.flags`; a test compares the two.

What the package says when something is not as it should be.
On the command line an error is one line that begins with `error:` and an exit code: 1 if a chapter failed, 2 if the input or what is at hand is wrong, 130 after an interrupt.
In a notebook it is an exception of the class named here, from `qrsupport.errors`.
"""


def errors_of_the_package() -> dict[str, type]:
    """The classes of `errors` by name, in the order of the file."""
    return {n: c for n, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, errors.QRError)}


def parts(error: type) -> dict[str, str]:
    """What an error's docstring says under each of `PARTS`."""
    text = " ".join((inspect.getdoc(error) or "").split())
    found = re.split(rf"({'|'.join(PARTS)}): ", text)[1:]
    return dict(zip(found[::2], (said.strip() for said in found[1::2]), strict=True))


def entry(name: str, said: dict[str, str]) -> str:
    """One flag as a section."""
    return "\n\n".join([f"### {name}", *(f"{part}\n: {text.rstrip('.')}." for part, text in said.items())])


def page() -> str:
    """The page, Markdown."""
    sections = ["## Errors"]
    sections += [entry(f"`{name}`", parts(error)) for name, error in errors_of_the_package().items()]
    sections += ["## Statuses of a record"]
    sections += [entry(f"`{s.value}`", {"What it means and what to do": s.remedy}) for s in records.Status]
    sections += ["## Remarks beside a record or in a table"]
    sections += [entry(f"`{name}`", dict(zip(PARTS, said, strict=True))) for name, said in REMARKS.items()]
    return HEAD + "\n" + "\n\n".join(sections) + "\n"


if __name__ == "__main__":
    print(page(), end="")
