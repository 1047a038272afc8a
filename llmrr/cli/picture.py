"""The figures of ``llmrr bench`` as a picture: SVG 1.1 that needs nothing beside it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from llmrr.cli.bench_views import Figure, figures, largest, machine

WIDTH: Final = 860
LEFT, RIGHT = 300, 130  # of the bars: what they are, and how much that is
ROW, BAR, GAP = 20, 14, 16
COLOURS: Final = ("#3b6fb5", "#d9822b", "#4b9b5f", "#a34f8e", "#8a7a52", "#5b9fb0")
SHORTEST: Final = 40  # characters of a label; the middle of a longer one is left out


def picture(facts: Mapping[str, Any]) -> str:
    """Bars for every figure, with a line of one standard deviation to each side."""
    found = figures(facts)
    rows = list(_rows(found, [one["name"] for one in facts["models"]]))
    height = 64 + sum(step for step, _ in rows)
    title = f"llmrr bench: {machine(facts)}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{_text(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="15">{_text(_short(title, 110))}</text>',
    ]
    top = 44
    for step, draw in rows:
        lines += draw(top)
        top += step
    return "\n".join([*lines, "</svg>", ""])


def _rows(found: Sequence[Figure], models: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """What stands below each other: how high it is, and what draws it at a place."""
    for scale, group in groupby(found, key=lambda test: test.scale):
        most = largest(found, scale)
        for test in group:
            yield ROW + GAP // 2, lambda top, it=test: [
                f'<text x="16" y="{top + ROW}" font-weight="bold">'
                f"{_text(f'{it.label}, {it.unit}')}</text>"
            ]
            for number in range(len(test.bars)):
                yield ROW, lambda top, it=test, at=number, of=most: _bar(it, at, of, top)
        yield GAP, lambda top: []


def _bar(test: Figure, number: int, most: float, top: int) -> list[str]:
    one = test.bars[number]
    middle = top + ROW // 2 + 4
    label = _text(_short(one.model, SHORTEST))
    lines = [f'<text x="{LEFT - 10}" y="{middle + 4}" text-anchor="end">{label}</text>']
    if one.mean is None:
        lines.append(f'<text x="{LEFT}" y="{middle + 4}" fill="#777777">not measured</text>')
        return lines
    room = WIDTH - LEFT - RIGHT
    long = room * one.mean / most if most else 0
    colour = quoteattr(COLOURS[number % len(COLOURS)])
    lines.append(
        f'<rect x="{LEFT}" y="{middle - BAR // 2}" width="{long:.1f}" height="{BAR}"'
        f" fill={colour}/>"
    )
    said = f"{one.mean:,.2f}"
    end = long
    if one.deviation is not None:
        spread = room * one.deviation / most if most else 0
        low, high = LEFT + max(0.0, long - spread), LEFT + long + spread
        lines.append(
            f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 3}v6M{high:.1f}'
            f' {middle - 3}v6" stroke="#222222" fill="none"/>'
        )
        said += f" ± {one.deviation:,.2f}"
        end = long + spread
    place = min(LEFT + end + 8, WIDTH - RIGHT + 8)
    lines.append(f'<text x="{place:.1f}" y="{middle + 4}">{_text(said)}</text>')
    return lines


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[1 - most // 2 :]}"


def _text(text: str) -> str:
    """As XML takes it, which has no control characters."""
    return escape("".join(letter for letter in text if letter.isprintable()))
