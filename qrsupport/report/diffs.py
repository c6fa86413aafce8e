"""What an attack changed, word by word, as escaped HTML that says it without colour."""

from difflib import SequenceMatcher

from ..records import Record, Status
from .tables import CLASSES, Html, captioned, escape, scrolled, visible

WORDS, LETTERS = 200, 60  # most words of a text and letters of a word that are shown
DEL = '<del title="original" style="text-decoration:line-through">'
INS = '<ins title="replacement" style="text-decoration:underline;font-weight:bold">'
LEGEND = "struck and marked −: the original's words; underlined, bold and marked +: the replacement's"


def _words(text: str) -> tuple[list[str], int]:
    """The first `WORDS` words, each of at most `LETTERS` letters, and how many more there are."""
    words = text.split(" ")
    return [w if len(w) <= LETTERS else w[:LETTERS] + "…" for w in words[:WORDS]], max(0, len(words) - WORDS)


def parts(text: str, perturbed: str) -> list[tuple[str, str, str]]:
    """(operation, words of the original, words of the perturbed text), in order.

    Operations are difflib's: equal, replace, delete, insert.
    """
    a, b = _words(text)[0], _words(perturbed)[0]
    found = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    return [(kind, " ".join(a[i:j]), " ".join(b[k:m])) for kind, i, j, k, m in found]


def _part(kind: str, old: str, new: str) -> str:
    if kind == "equal":
        return escape(old)
    gone = f"{DEL}−{escape(old) or '␠'}</del>" if kind != "insert" else ""
    come = f"{INS}+{escape(new) or '␠'}</ins>" if kind != "delete" else ""
    return f"{gone} {come}".strip()


def _plain(kind: str, old: str, new: str) -> str:
    if kind == "equal":
        return visible(old)
    return " ".join(
        f"[{sign}{visible(t)}]" for sign, t, skip in (("−", old, "insert"), ("+", new, "delete")) if kind != skip
    )


def _diff(record: Record) -> tuple[str, str]:
    """The difference as HTML and as plain text."""
    perturbed = record.perturbed if record.status in (Status.succeeded, Status.failed) else record.text
    found = parts(record.text, perturbed or record.text)
    more = max(_words(record.text)[1], _words(perturbed)[1])
    rest = f" … ({more:,} more words)" if more else ""
    return " ".join(_part(*p) for p in found) + rest, " ".join(_plain(*p) for p in found) + rest


def word_diff(record: Record) -> Html:
    """The record's text with the attack's changes marked by sign, strike and underline."""
    page, text = _diff(record)
    return Html(f'<p class="{CLASSES}">{page}</p>', text)


def _label(number: int | None, names) -> str:
    if number is None:
        return "—"
    return names[number] if names and 0 <= number < len(names) else str(number)


def diff_table(records, k: int = 5, names=()) -> Html:
    """The first `k` successful attacks as a table of word differences; `names` are the classes'.

    Says so if there is none.
    """
    chosen = [r for r in records if r.status is Status.succeeded][:k]
    if not chosen:
        note = "no attack succeeded: nothing to show"
        return Html(f"<p>{note}</p>", note)
    heads = ("example", "label", "before → after", "queries", "text")
    rows, lines = [], []
    for r in chosen:
        page, text = _diff(r)
        change = f"{_label(r.before, names)} → {_label(r.after, names)}"
        cells = [r.example, _label(r.label, names), change, f"{r.queries:,}"]
        rows.append("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in cells) + f"<td>{page}</td></tr>\n")
        lines.append(" | ".join([*map(visible, cells), text]))
    head = "".join(f'<th scope="col">{h}</th>' for h in heads)
    return Html(captioned(scrolled(head, "".join(rows)), LEGEND), "\n".join([LEGEND, *lines]))
