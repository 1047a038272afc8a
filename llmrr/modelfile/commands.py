"""The commands of a Modelfile, read one by one, and their values, written.

The grammar is that of Ollama's parser, ``parser/parser.go`` of https://github.com/ollama/ollama.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from llmrr.errors import BadConfig, Unsupported, nearest

COMMANDS = (
    "FROM", "PARAMETER", "TEMPLATE", "SYSTEM", "ADAPTER", "MESSAGE", "LICENSE", "DRAFT",
    "RENDERER", "PARSER", "REQUIRES",
)  # fmt: skip
ROLES = ("system", "user", "assistant")


class Command(NamedTuple):
    """``name`` is in capitals, ``word`` the name of a parameter or the role of a message; ``cut``:
    what cannot be printed was left out of the value. ``line`` is from 1."""

    line: int
    place: str
    name: str
    word: str
    value: str
    cut: bool


def decoded(text: bytes | str) -> str:
    """The text without a byte order mark, each line ended by a line feed."""
    if isinstance(text, bytes):
        wide = text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = text.decode("utf-16" if wide else "utf-8", errors="replace")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def commands_of(text: str, where: str) -> Iterator[Command]:
    """The commands of a decoded Modelfile, one by one. Raises ``BadConfig`` where Ollama would."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line, place = lines[at].lstrip(" \t"), f"{where}, line {at + 1}"
        at += 1
        number = at
        if not line or line.startswith("#"):
            continue
        name, word, start = _head(line, place)
        value, at = _value(lines, at, start)
        if value is None:
            raise BadConfig(f"the quote of {name} is never closed ({place})", f"edit {place}")
        # Ollama leaves out what cannot be printed, so that is what people have seen at work.
        shown = "".join(c for c in value if c.isprintable() or c in "\n\t")
        yield Command(number, place, name, word, shown, shown != value)


def _head(line: str, place: str) -> tuple[str, str, str]:
    """The command in capitals, its word if it has one, and what follows on the line."""
    written, *rest = re.split(r"[ \t]", line, maxsplit=1)
    name = written.upper()
    if name not in COMMANDS:
        # No more than a word of it: the file may be anything.
        said = "".join(re.findall(r"^\w{1,30}", written)) or "that"
        near = nearest(said, COMMANDS)
        hint = f"did you mean {near}?" if near else f"the commands are {', '.join(COMMANDS)}"
        raise BadConfig(f"{said} is not a command of a Modelfile ({place})", hint)
    if rest and name not in ("PARAMETER", "MESSAGE"):
        return name, "", rest[0]
    word, *after = re.split(r"[ \t]", rest[0].lstrip(" \t") if rest else "", maxsplit=1)
    if name == "MESSAGE" and word not in ROLES:
        said = f'the role "{word[:30]}" of MESSAGE is not one of {", ".join(ROLES)}'
        raise BadConfig(f"{said} ({place})", f"edit {place}")
    if not after or not re.fullmatch(r"[A-Za-z0-9_]+", word):
        lacks = "a name and a value" if name == "PARAMETER" else "a value"
        raise BadConfig(f"{name} needs {lacks} ({place})", f"edit {place}")
    return name, word, after[0]


def _value(lines: Sequence[str], at: int, start: str) -> tuple[str | None, int]:
    """The value that begins with ``start``, and the number of the line after it.

    Quotes may hold several lines, and nothing is escaped: a value ends with the first line that
    ends with its quote, so text after a quote makes it go on. None: it is never closed.
    """
    first = start.strip()
    quote = '"""' if first.startswith('"""') else '"' if first.startswith('"') else ""
    pieces = [start]
    closed = len(first) >= 2 * len(quote) and first.endswith(quote)
    while not closed and at < len(lines):
        pieces.append(lines[at])
        closed = lines[at].rstrip().endswith(quote)
        at += 1
    value = "\n".join(pieces).strip()
    return (value[len(quote) : len(value) - len(quote)] if closed else None), at


def quoted(text: str) -> str:
    """A value with the quotes that hold it. Raises ``Unsupported`` where none can."""
    for candidate in (text or '""', f'"""{text}"""', f'"{text}"'):
        lines = candidate.split("\n")
        if _value(lines, 1, lines[0]) == (text, len(lines)):
            return candidate
    said = text if len(text) < 40 else f"{text[:40]}…"
    raise Unsupported(
        f"a Modelfile cannot hold {said!r}: a line of it ends with quotation marks",
        "write a full stop or another sign after them",
    )
