"""The figures of ``llmrr bench`` as a picture: SVG 1.1 that needs nothing beside it. Pure."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final
from xml.sax.saxutils import escape

from llmrr.cli.bench_views import Bar, figures, machine

WIDTH: Final = 860
LEFT, RIGHT = 300, 150  # of the bars: what they are, and how much that is
ROW, BAR, GAP = 20, 14, 16
COLOURS: Final = ("#3b6fb5", "#d9822b", "#4b9b5f", "#a34f8e", "#8a7a52", "#5b9fb0")
LONGEST: Final = 40  # characters of a name; the middle of a longer one is left out


def picture(facts: Mapping[str, Any]) -> str:
    """Bars for every figure, with a line of one standard deviation to each side."""
    title = f"llmrr bench: {machine(facts)}"
    drawn: list[str] = []
    top = 44
    for _, group in groupby(figures(facts), key=lambda one: one.scale):
        same = list(group)
        most = max((bar.mean or 0) + (bar.deviation or 0) for one in same for bar in one.bars)
        for one in same:
            said = f"{one.label}, {one.unit}"
            drawn.append(f'<text x="16" y="{top + ROW}" font-weight="bold">{_text(said)}</text>')
            top += ROW + GAP // 2
            for number, bar in enumerate(one.bars):
                drawn += _row(bar, COLOURS[number % len(COLOURS)], most, top + ROW // 2)
                top += ROW
        top += GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}"'
        f' viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" font-size="12">',
        f"<title>{_text(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="15">{_text(_short(title, 100))}</text>',
    ]
    return "\n".join([*lines, *drawn, "</svg>", ""])


def _row(bar: Bar, colour: str, most: float, middle: int) -> Iterator[str]:
    """The name of a model, its bar, and how much that is; ``most`` fills the width."""
    name = _text(_short(bar.model, LONGEST))
    yield f'<text x="{LEFT - 10}" y="{middle + 4}" text-anchor="end">{name}</text>'
    if bar.mean is None:
        yield f'<text x="{LEFT}" y="{middle + 4}" fill="#777777">not measured</text>'
        return
    scale = (WIDTH - LEFT - RIGHT) / most if most else 0
    wide, spread = bar.mean * scale, (bar.deviation or 0) * scale
    yield (
        f'<rect x="{LEFT}" y="{middle - BAR // 2}" width="{wide:.1f}" height="{BAR}"'
        f' fill="{colour}"/>'
    )
    said = f"{bar.mean:,.2f}"
    if bar.deviation is not None:
        low, high = LEFT + max(0.0, wide - spread), LEFT + wide + spread
        ends = "".join(f"M{at:.1f} {middle - 3}v6" for at in (low, high))
        yield f'<path d="M{low:.1f} {middle}H{high:.1f}{ends}" stroke="#222222" fill="none"/>'
        said += f" ± {bar.deviation:,.2f}"
    yield f'<text x="{LEFT + wide + spread + 8:.1f}" y="{middle + 4}">{said}</text>'


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[1 - most // 2 :]}"


def _text(text: str) -> str:
    """As XML takes it, which has no control characters."""
    return escape("".join(letter for letter in text if letter.isprintable()))
