"""Columns, bars and sizes as text. Pure: the width and the character set are passed in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

EIGHTHS: tuple[str, ...] = ("", *"▏▎▍▌▋▊▉")
NARROWEST = 12  # characters of a text that is cut
EN_DASH = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Page:
    """What lines are written on: ``width`` in characters, None where it does not matter."""

    width: int | None = None
    unicode: bool = True

    def cell(self, value: object) -> str:
        """A value as text; unknown is a dash, a number has separators."""
        if value is None or value == "":
            return EN_DASH if self.unicode else "-"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:,.2f}"
        return f"{value:,}" if isinstance(value, int) else str(value)

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
        """Lines of columns, numbers to the right. Where they are wider than the page, the longest
        texts lose their middle."""
        values = [list(row) for row in rows]
        cells = [list(header), *([self.cell(value) for value in row] for row in values)]
        right = [all(_is_number(row[at]) for row in values) for at in range(len(header))]
        widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
        widths = self._narrowed(widths, right)
        for row in cells:
            padded = (
                text.rjust(width) if to_right else self._short(text, width).ljust(width)
                for text, width, to_right in zip(row, widths, right, strict=True)
            )
            yield self.fitted("  ".join(padded).rstrip())

    def _narrowed(self, widths: list[int], right: Sequence[bool]) -> list[int]:
        """The widths of columns so that a line fits, as far as texts can be shortened."""
        over = 0 if self.width is None else sum(widths) + 2 * (len(widths) - 1) - self.width
        texts = [at for at in range(len(widths)) if not right[at] and widths[at] > NARROWEST]
        widths = list(widths)
        while over > 0 and texts:
            widest = max(texts, key=lambda at: widths[at])
            if widths[widest] <= NARROWEST:
                break
            widths[widest] -= 1
            over -= 1
        return widths

    def _short(self, text: str, width: int) -> str:
        """A text without its middle."""
        if len(text) <= width:
            return text
        begin = width // 2
        return text[:begin] + ("…" if self.unicode else ">") + text[begin + 1 - width :]

    def facts(self, values: Mapping[str, object]) -> Iterator[str]:
        """Lines of a name and a value."""
        width = max(map(len, values), default=0)
        for name, value in values.items():
            yield f"{name:<{width}}  {self.cell(value)}"

    def fitted(self, line: str) -> str:
        """The line, cut to the page where there is one."""
        if self.width is None or len(line) <= self.width:
            return line
        return line[: self.width - 1] + ("…" if self.unicode else ">")

    def bar(self, share: float, cells: int = 24) -> str:
        """A bar that is full at a share of 1, in eighths of a cell where possible.

        >>> Page().bar(0.5, 4), Page(unicode=False).bar(1.0, 4)
        ('██', '####')
        """
        eighths = round(max(0.0, min(1.0, share)) * cells * 8)
        if not self.unicode:
            return "#" * round(eighths / 8)
        return "█" * (eighths // 8) + EIGHTHS[eighths % 8]


def size(count: int | None) -> str | None:
    """Bytes for people, in powers of 1,000; unknown stays unknown.

    >>> size(4_661_211_808), size(900), size(None)
    ('4.7 GB', '900 B', None)
    """
    if count is None:
        return None
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.95:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def count(number: int | None) -> str | None:
    """A number of parameters for people.

    >>> count(8_030_000_000), count(135_000_000), count(None)
    ('8.0B', '135.0M', None)
    """
    if number is None:
        return None
    for unit, power in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if number >= power:
            return f"{number / power:.1f}{unit}"
    return str(number)


def percent(share: float | None) -> str | None:
    """A share in percent.

    >>> percent(0.125), percent(-1.0), percent(None)
    ('12.5 %', '-100.0 %', None)
    """
    return None if share is None else f"{100 * share:.1f} %"


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "file"), counted(1200, "file")
    ('1 file', '1,200 files')
    """
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
