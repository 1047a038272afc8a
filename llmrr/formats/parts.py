"""Models in several files that are numbered: NAME-00001-of-00005.gguf and its kin."""

import re
from collections.abc import Callable, Iterable, Sequence

from llmrr.errors import DamagedFile
from llmrr.formats.messages import shown
from llmrr.formats.source import Files

MAX_PARTS = 1024
PART = re.compile(r"(?P<prefix>.*?)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<rest>\..*)")


def first_part(name: str, exists: Callable[[str], bool]) -> str:
    """NAME-00003-of-00005.gguf belongs to the model that NAME-00001-of-00005.gguf begins."""
    stem, dash, rest = name.rpartition("-of-")
    prefix, _, number = stem.rpartition("-")
    if dash and len(number) == 5 and number.isdecimal() and rest[:5].isdecimal():
        first = f"{prefix}-00001-of-{rest}"
        return first if exists(first) else name
    return name


def part_names(prefix: str, count: str, rest: str) -> tuple[str, ...]:
    """All parts of a model, in order, and no more of them than one can have.

    >>> part_names("m", "00002", ".gguf")
    ('m-00001-of-00002.gguf', 'm-00002-of-00002.gguf')
    """
    most = min(int(count), MAX_PARTS)
    return tuple(f"{prefix}-{part:05d}-of-{count}{rest}" for part in range(1, most + 1))


def series(files: Files, name: str) -> tuple[str, ...]:
    """All parts that are there of the model that ``name`` is a part of; or it alone."""
    part = PART.fullmatch(name)
    if not part:
        return (name,)
    own = (part["prefix"], part["count"], part["rest"])
    others = ((one, PART.fullmatch(one)) for one in files.sizes)
    return tuple(one for one, p in others if p and (p["prefix"], p["count"], p["rest"]) == own)


def numbered(files: Files, some: Iterable[str]) -> tuple[str, ...]:
    """``some`` names in order; raises ``DamagedFile`` where one says that there are more parts."""
    found = sorted(some)
    models = {(p["prefix"], p["count"], p["rest"]): n for n in found if (p := PART.fullmatch(n))}
    for model, name in models.items():
        absent = [part for part in part_names(*model) if part not in files.sizes]
        if absent:
            raise missing(str(files.source(name)), absent)
    return tuple(found)


def missing(where: str, absent: Sequence[str]) -> DamagedFile:
    """The error for a file that needs others."""
    others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
    return DamagedFile(
        f"{where} needs {shown(absent[0])}{others}, which is not there",
        "put all files into one folder, or pull the model again",
    )
