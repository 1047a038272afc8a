"""What every parsed tree keeps to."""

from datetime import date, datetime, time
from typing import Any, Final

from llmrr.errors import DamagedFile

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


def without_dates(tree: Any) -> Any:
    """A tree with its dates as texts, as JSON would have them: api_version = 2024-02-01."""
    if isinstance(tree, dict):
        return {key: without_dates(one) for key, one in tree.items()}
    if isinstance(tree, list):
        return [without_dates(one) for one in tree]
    return tree.isoformat() if isinstance(tree, date | datetime | time) else tree
