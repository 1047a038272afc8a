"""What every parsed tree keeps to."""

import math
import re
from datetime import date, datetime, time
from typing import Any, Final

from llmrr.errors import DamagedFile

LARGEST: Final = 2**63 - 1  # of the whole numbers
_DIGITS: Final = re.compile(r"[\da-fA-F_]{16}")
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


def may_be_huge(text: str) -> bool:
    """Whether there are digits of a whole number in a text that has more than 64 bits."""
    return _DIGITS.search(text) is not None


def limit(tree: Any) -> None:
    """Make real ones of the whole numbers of more than 64 bits, which nothing is set to: what
    counts with them need not take care.

    >>> limit(tree := [1, {"a": 10**400}])
    >>> tree
    [1, {'a': inf}]
    """
    for key, one in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        if isinstance(one, dict | list):
            limit(one)
        elif type(one) is int and abs(one) > LARGEST:
            tree[key] = float(one) if abs(one) < 10**300 else math.inf if one > 0 else -math.inf


def without_dates(tree: Any) -> Any:
    """A tree with its dates as texts, as JSON would have them: api_version = 2024-02-01."""
    if isinstance(tree, dict):
        return {key: without_dates(one) for key, one in tree.items()}
    if isinstance(tree, list):
        return [without_dates(one) for one in tree]
    return tree.isoformat() if isinstance(tree, date | datetime | time) else tree
