"""A kind of value, and those of numbers, of a few words and of switches."""

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of value. ``parse`` takes what TOML gave and the folder that relative paths start
    from, and returns the value in use; a ``ValueError`` means it is not ``expected``, and its
    text, if any, says more."""

    expected: str
    parse: Callable[[object, Path], object]


def whole(low: int, high: int | None = None, *, word: str | None = None) -> Kind:
    """A whole number from ``low`` to ``high``, or ``word``, which is None in use."""

    def parse(value: object, _folder: Path) -> object:
        if word is not None and value == word:
            return None
        if type(value) is not int or value < low or (high is not None and value > high):
            raise ValueError
        return value

    span = f"from {low} to {high}" if high is not None else f"of at least {low}"
    return Kind(f"a whole number {span}" + (f', or "{word}"' if word else ""), parse)


def finite(value: object) -> float:
    """A finite number. Raises ``ValueError``; a whole number may be too large to be one."""
    if type(value) is not int and type(value) is not float:
        raise ValueError
    if not -sys.float_info.max <= value <= sys.float_info.max:
        raise ValueError
    return float(value)


def number(low: float, high: float = math.inf, *, above: bool = False) -> Kind:
    """A finite number from ``low`` (or ``above`` it) to ``high``."""

    def parse(value: object, _folder: Path) -> object:
        exact = finite(value)
        if exact > high or exact < low or (above and exact == low):
            raise ValueError
        return exact

    if high < math.inf:
        return Kind(f"a number from {low:g} to {high:g}", parse)
    return Kind(f"a number {'above' if above else 'of at least'} {low:g}", parse)


def one_of(*words: str, stray: Mapping[str, str | None] = MappingProxyType({})) -> Kind:
    """One of a few words, or one that stands for another; None is: not stated."""

    def parse(value: object, _folder: Path) -> object:
        if isinstance(value, str) and value in stray:
            return stray[value]
        if value not in words:
            raise ValueError
        return value

    return Kind("one of " + ", ".join(f'"{word}"' for word in words), parse)


def _flag(value: object, _folder: Path) -> object:
    if type(value) is not bool:
        raise ValueError
    return value


def _on_off_auto(value: object, _folder: Path) -> object:
    if type(value) is bool:
        return "on" if value else "off"
    if value != "auto":
        raise ValueError
    return value


def _layers(value: object, _folder: Path) -> object:
    if value != "auto" and (type(value) is not int or value < -1):
        raise ValueError
    return value


FLAG = Kind("true or false", _flag)
ON_OFF_AUTO = Kind('true, false or "auto"', _on_off_auto)
LAYERS = Kind('a whole number of layers, -1 for all, or "auto"', _layers)
SHARE = number(0, 1)
SECONDS = number(0, above=True)
