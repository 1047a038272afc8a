"""Times and sizes with their units."""

import math
import re
from pathlib import Path

from llmrr.kinds.base import Kind

_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
          "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(value: object, _folder: Path | None = None) -> float:
    """Seconds from a number or a text with a unit of s, m, h, d or w; ``ValueError`` otherwise.

    >>> parse_duration("30d"), parse_duration("1.5 h"), parse_duration(20)
    (2592000.0, 5400.0, 20.0)
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", value)
        if match is None:
            raise ValueError
        return float(match[1]) * _SECONDS[match[2]]
    if type(value) not in (int, float) or not 0 <= value < math.inf:  # type: ignore[operator]
        raise ValueError
    return float(value)  # type: ignore[arg-type]


def parse_size(value: object, _folder: Path | None = None) -> int:
    """Bytes from a number, or a text with a unit: MB is 1,000,000 bytes, MiB 1,048,576;
    ``ValueError`` otherwise.

    >>> parse_size("256 MB"), parse_size("1.5GiB"), parse_size(1000), parse_size("20 kb")
    (256000000, 1610612736, 1000, 20000)
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", value, re.IGNORECASE)
        if match is None:
            raise ValueError
        return int(float(match[1]) * _BYTES[(match[2] or "").lower()])
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def parse_keepalive(value: object, _folder: Path | None = None) -> float | None:
    """How long something stays loaded: seconds, or a time as Go and Ollama write it; what is below
    0 is None, for ever. ``ValueError`` otherwise.

    >>> [parse_keepalive(one) for one in ("5m", "1h30m", 20, "20", 0, "-1", "500ms")]
    [300.0, 5400.0, 20.0, 20.0, 0.0, None, 0.5]
    """
    if isinstance(value, str):
        text = value.strip().lower()
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            return parse_keepalive(float(text))
        if not re.fullmatch(r"-?(\d+(\.\d+)?(ms|[smhdw]))+", text):
            raise ValueError
        if text.startswith("-"):
            return None
        parts = re.findall(r"([\d.]+)(ms|[smhdw])", text)
        return sum(float(count) * _SECONDS.get(unit, 0.001) for count, unit in parts)
    if type(value) not in (int, float) or not -math.inf < value < math.inf:  # type: ignore[operator]
        raise ValueError
    return None if value < 0 else float(value)  # type: ignore[operator,arg-type]


def _duration(value: object, folder: Path) -> object:
    if not (seconds := parse_duration(value, folder)):
        raise ValueError
    return seconds


def _retention(value: object, folder: Path) -> object:
    return None if value == "forever" else parse_duration(value, folder)


RETENTION = Kind('a time such as "30d", "12h" or a number of seconds, or "forever"', _retention)
KEEPALIVE = Kind('a time such as "5m", a number of seconds, 0 for none or -1 for ever',
                 parse_keepalive)
SIZE = Kind('a size such as "256 MB" or "1 GiB", or a number of bytes', parse_size)
DURATION = Kind('a number of seconds above 0, or a time such as "5m"', _duration)
