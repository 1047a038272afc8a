"""What every parsed tree keeps to."""

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final

from llmrr.errors import DamagedFile

LARGEST: Final = 2**63 - 1  # of the whole numbers
_ODD: Final = re.compile(r"(?i)[\da-f_]{16}|e\+?\d{3}|\b(?:inf|nan|infinity)\b")
DEEPEST: Final = 64  # levels; readers walk trees by recursion


def checked(tree: Any) -> Any:
    """The tree itself. Raises ``DamagedFile`` for one that is deeper than ``DEEPEST``."""
    level = [tree]
    for _ in range(DEEPEST):
        level = [
            one
            for node in level if type(node) in (dict, list)
            for one in (node.values() if type(node) is dict else node)
            if type(one) in (dict, list)
        ]  # fmt: skip
        if not level:
            return tree
    raise DamagedFile(f"nested deeper than {DEEPEST} levels", "")


def has_odd_numbers(text: str) -> bool:
    """Whether a text may hold numbers that are not finite, or have more than 64 bits."""
    return _ODD.search(text) is not None


def write_out(tree: Any) -> None:
    """Make texts of the numbers that are not finite or have more than 64 bits: nothing is set to
    them, and what counts with numbers need not take care.

    >>> write_out(tree := [1, {"a": 10**20, "b": 1e400}])
    >>> tree
    [1, {'a': '100000000000000000000', 'b': 'inf'}]
    """
    for key, one in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        if isinstance(one, dict | list):
            write_out(one)
        elif type(one) is float and not math.isfinite(one):
            tree[key] = str(one)
        elif type(one) is int and abs(one) > LARGEST:
            tree[key] = str(one) if abs(one) < 10**300 else "inf"


def without_dates(tree: Any) -> Any:
    """A tree with its dates as texts, as JSON would have them: api_version = 2024-02-01."""
    if isinstance(tree, dict):
        return {key: without_dates(one) for key, one in tree.items()}
    if isinstance(tree, list):
        return [without_dates(one) for one in tree]
    return tree.isoformat() if isinstance(tree, date | datetime | time) else tree


def table(value: Any) -> dict[str, Any]:
    """A table with texts for keys; an empty one for what is none."""
    return {str(key): one for key, one in value.items()} if isinstance(value, dict) else {}


def tables(value: Any) -> list[Mapping[str, Any]]:
    """The tables of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
