"""The INI that llama-server reads (``common/preset.cpp``), which is less than Python's: a key is a
word of letters, digits and ``_.-``; its value runs to the end of the line, or to the first ``;`` or
``#`` wherever that stands; no quotes, no continued lines, nothing is filled in.
"""

import re
from dataclasses import dataclass, field
from typing import Final

HEAD: Final = ""  # the name of what stands before the first section

_KEY: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)")
_SECTION: Final = re.compile(r"\s*\[([^\]\n]+)\]\s*(?:[;#].*)?")


@dataclass(slots=True)
class Section:
    """A section: its keys in order, each with its value; ``lines`` is where each stands, ``cut``
    are keys of which a comment was taken away, ``twice`` those that stand more than once, of which
    the last counts."""

    name: str
    line: int
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)


def ini(text: str) -> list[Section] | None:
    """The sections of an INI file, the head first; None for a text that is none.

    >>> [(one.name, one.values) for one in ini("version = 1\\n[a b]\\nc=1 # x\\n")]
    [('', {'version': '1'}), ('a b', {'c': '1'})]
    >>> ini("[a]\\nthis is prose") is None
    True
    """
    sections = [Section(HEAD, 1)]
    for number, line in enumerate(text.splitlines(), 1):
        plain = line.strip()
        if not plain or plain[0] in "#;":
            continue
        if match := _SECTION.fullmatch(line):
            sections.append(Section(match[1].strip(), number))
        elif match := _KEY.fullmatch(line):
            _add(sections[-1], match[1], match[2], number)
        else:
            return None
    return sections


def _add(section: Section, key: str, said: str, number: int) -> None:
    value = re.split(r"[;#]", said, maxsplit=1)[0].strip()
    if value != said.strip():
        section.cut.append(key)
    if key in section.values:
        section.twice.append(key)
    section.values[key], section.lines[key] = value, number
