"""INI as llama.cpp reads its presets (``common/preset.cpp``): only ``=``, a value ends at the first
``;`` or ``#``, no quotes, no continuation, no interpolation; keys may stand before any section."""

import re
from typing import Final

_SECTION: Final = re.compile(r"\s*\[([^\n]*)\]\s*(?:[;#].*)?$")
_KEY: Final = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*=([^;#]*)([;#]?)", re.ASCII)


class Ini(dict[str, dict[str, str]]):
    """Sections with their keys in order, the last of two that are alike. ``head`` are those before
    any section; ``lines`` where a (section, key) stands, and (section, "") the section itself, with
    the section "" for the head; ``cut`` are lines whose value ended at a ``;`` or ``#``, ``wrong``
    those that are none of all this; ``duplicates`` are (key, line) of what is said twice."""

    def __init__(self) -> None:
        super().__init__()
        self.head: dict[str, str] = {}
        self.lines: dict[tuple[str, str], int] = {}
        self.cut: list[int] = []
        self.wrong: list[int] = []
        self.duplicates: list[tuple[str, int]] = []


def load(text: str) -> Ini:
    """The sections of a text; it never fails.

    >>> found = load("version = 1\\n[*]\\nc = 4096 ; tokens\\n[a/b:Q4]\\nngl = 99\\n")
    >>> found.head, dict(found), found.cut
    ({'version': '1'}, {'*': {'c': '4096'}, 'a/b:Q4': {'ngl': '99'}}, [3])
    """
    found, section, keys = Ini(), "", None
    for at, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip()[0] in ";#":
            continue
        if header := _SECTION.match(line):
            section = header[1].strip()
            keys = found.setdefault(section, {})
            found.lines.setdefault((section, ""), at)
            continue
        entry = _KEY.match(line)
        if entry is None:
            found.wrong.append(at)
            continue
        table = found.head if keys is None else keys
        if entry[1] in table:
            found.duplicates.append((entry[1], at))
        table[entry[1]] = entry[2].strip()
        found.lines[section, entry[1]] = at
        if entry[3]:
            found.cut.append(at)
    return found
