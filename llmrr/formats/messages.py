"""What errors about files have in common."""

from collections.abc import Iterable

from llmrr.errors import DamagedFile

SHOWN, LONG = 5, 99


def damaged(where: object, why: str) -> DamagedFile:
    """The error for a file that says something impossible."""
    return DamagedFile(f"{where} is damaged: {why}", "copy or download the file again")


def shown(name: str) -> str:
    """A name that somebody else chose, without what a terminal would obey."""
    return name[:LONG] if name.isprintable() else repr(name[:LONG])


def listed(names: Iterable[str]) -> str:
    """The first few names.

    >>> listed("abcdefg")
    'a, b, c, d, e…'
    """
    found = list(names)
    return ", ".join(map(shown, found[:SHOWN])) + ("…" if len(found) > SHOWN else "")
