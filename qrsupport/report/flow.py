"""A chain of steps as a small diagram: boxes one below the other, and perhaps an arrow back."""

from .tables import Html, escape

WIDTH, BOX, HIGH, GAP = 340, 260, 46, 22
ARROW = '<path d="M0 0 L8 4 L0 8 z" fill="currentColor"/>'


def flow(steps: list[tuple[str, str]], title: str, back: tuple[int, int, str] | None = None) -> Html:
    """An SVG of `steps`, each a name and a note, from top to bottom; it takes the page's colours and fits a phone.

    `back`: places (from 0) of the step that an arrow leaves, of the one it leads back to, and what stands on it.
    `title` says in words what the diagram shows.  As text: the steps, one a line.
    """
    height = len(steps) * (HIGH + GAP) - GAP + 4
    parts = [_box(i, name, note) for i, (name, note) in enumerate(steps)]
    parts += [_line(f"M{BOX / 2} {_top(i) + HIGH} V{_top(i + 1) - 3}") for i in range(len(steps) - 1)]
    if back:
        parts.append(_back(*back))
    marker = f'<marker id="tip" markerWidth="9" markerHeight="9" refX="7" refY="4" orient="auto">{ARROW}</marker>'
    page = (
        f'<svg role="img" viewBox="-2 -2 {WIDTH + 4} {height}" style="width:100%;max-width:{WIDTH + 20}px;height:auto" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title><defs>{marker}</defs>{"".join(parts)}</svg>'
    )
    return Html(page, "\n".join([title, *(f"{i}. {name}: {note}" for i, (name, note) in enumerate(steps, 1))]))


def _top(i: int) -> int:
    return i * (HIGH + GAP)


def _box(i: int, name: str, note: str) -> str:
    middle, y = BOX / 2, _top(i)
    text = f'text-anchor="middle" fill="currentColor" x="{middle}"'
    return (
        f'<rect x="0" y="{y}" width="{BOX}" height="{HIGH}" rx="6" fill="none" stroke="currentColor"/>'
        f'<text {text} y="{y + 20}" font-size="15" font-weight="bold">{escape(name)}</text>'
        f'<text {text} y="{y + 37}" font-size="12.5">{escape(note)}</text>'
    )


def _line(path: str, dash: str = "") -> str:
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-width="1.5" {dash} marker-end="url(#tip)"/>'


def _back(start: int, end: int, label: str) -> str:
    """An arrow up the right side, its label beside it, turned."""
    one, two, x = _top(start) + HIGH / 2, _top(end) + HIGH / 2, BOX + 34
    at = f'x="{x + 18}" y="{(one + two) / 2}"'
    turn = f'transform="rotate(-90 {x + 18} {(one + two) / 2})"'
    line = _line(f"M{BOX} {one} H{x} V{two} H{BOX + 4}", 'stroke-dasharray="5 4"')
    return f'{line}<text {at} {turn} text-anchor="middle" fill="currentColor" font-size="12.5">{escape(label)}</text>'
