"""What another tool kept of one request, and what is left out of it."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

LONGEST: Final = 1_000_000  # characters of a text
_MILLISECONDS: Final = 1e11  # seconds of the year 5138: a larger number counts milliseconds
_LATEST: Final = 4e9


class Answer(NamedTuple):
    """One answer. ``at`` is in epoch seconds; what the store does not say is None. ``params`` are
    those that it names, in its words."""

    prompt: str
    response: str
    model: str | None = None
    at: float | None = None
    system: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_s: float | None = None
    params: dict[str, Any] | None = None


class Left(NamedTuple):
    """A row that is no answer, and why."""

    why: str


Row = Answer | Left
Rows = Iterator[Row]


def text_of(value: object) -> str | None:
    """A text that may be kept, without halves of characters; None for what is none, or empty."""
    if not isinstance(value, str) or not value.strip():
        return None
    return value.encode(errors="replace").decode()


def count_of(value: object) -> int | None:
    """A number of tokens.

    >>> count_of(3), count_of("x"), count_of(-1), count_of(True)
    (3, None, None, None)
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 <= value < 1 << 40 else None  # type: ignore[operator, return-value]


def moment_of(value: object) -> float | None:
    """Epoch seconds of an ISO text, of seconds or of milliseconds; a text without a zone is UTC.

    >>> moment_of("2024-01-05T10:00:00Z"), moment_of(1704448800000), moment_of("soon")
    (1704448800.0, 1704448800.0, None)
    """
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value.strip())
            value = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            try:
                value = float(value)
            except ValueError:
                return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    seconds = value / 1000 if value > _MILLISECONDS else float(value)
    return seconds if 0 < seconds < _LATEST else None


def checked(found: Answer) -> Row:
    """The answer, or why it is left: a text is too long for the history."""
    if max(map(len, (found.prompt, found.response, found.system or ""))) > LONGEST:
        return Left(f"a text of more than {LONGEST:,} characters")
    return found
