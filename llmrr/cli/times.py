"""Times as people write and read them."""

import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmrr.errors import UsageError

if TYPE_CHECKING:
    from llmrr.stats import ConversationHead

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def parse(text: str | None, now: float | None = None) -> float | None:
    """The moment (epoch seconds) that ``text`` means: a time ago, or a date and time.

    >>> parse("90m", now=10000.0)
    4600.0
    """
    if text is None:
        return None
    if ago := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip().lower()):
        return (time.time() if now is None else now) - float(ago[1]) * SECONDS[ago[2]]
    from datetime import datetime

    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        said = f'--since "{text}" is neither a time ago nor a date'
        raise UsageError(said, "--since 24h, --since 7d or --since 2026-01-31") from None


def since(
    heads: "Iterable[ConversationHead]", moment: float | None
) -> "list[ConversationHead]":
    """The conversations that were continued at or after ``moment``."""
    return [head for head in heads if moment is None or head.last >= moment]
