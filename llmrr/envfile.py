"""Files of variables, as ``.env`` is one: read as data, nothing in them is run or filled in.

A line is ``NAME=value``, with ``export`` before it or not. A value stands as it is, in single
quotes or backquotes, in double quotes with escapes, or bare up to a space and ``#``. A quoted value
may go on over several lines; a name alone states nothing. What such files have in common:
https://github.com/theskumar/python-dotenv#file-format
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote

from llmrr.errors import BadConfig
from llmrr.paths import real

LARGEST = 1_000_000  # bytes

_Signature = tuple[int, int, int]

_BLANK = re.compile(r"[^\S\n]*+(?:#[^\n]*+)?(?:\n|\Z)")
_VARIABLE = re.compile(
    r"[^\S\n]*+(?:export[^\S\n]++)?"
    r"(?P<name>[A-Za-z_](?:\w*+(?=[^\S\n]*+(?:\n|\Z))|[\w.-]*+(?=[^\S\n]*+=)))[^\S\n]*+"
    r"(?:=[^\S\n]*+(?:"
    r"""(?:'(?P<single>[^']*+)'|`(?P<back>[^`]*+)`|"(?P<double>(?:[^"\\]|\\.)*+)")"""
    r"[^\S\n]*+(?:#[^\n]*+)?"
    r"""|(?P<bare>(?!['"`])[^\n]*+)"""
    r"))?(?:\n|\Z)",
    re.ASCII | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}

_seen: dict[Path, tuple[_Signature, Mapping[str, str]]] = {}


def read(path: Path) -> Mapping[str, str]:
    """The variables of a file; none where there is no file. Raises ``BadConfig``, which repeats
    nothing of what it holds."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
                raise BadConfig(f"{path} is no file of variables", f"ls -ld {quote(str(path))}")
            signature = found.st_ino, found.st_mtime_ns, found.st_size
            known = _seen.get(path)
            if known is None or known[0] != signature:
                known = _seen[path] = signature, parsed(path, file.read(LARGEST))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadConfig(
            f"cannot read {path}: {error.strerror}", f"ls -ld {quote(str(path))}"
        ) from None
    return known[1]


def parsed(path: Path, content: bytes) -> Mapping[str, str]:
    """The variables of what a file holds. Raises ``BadConfig``, which repeats nothing of it."""
    return dict(_variables(path, content))


def is_outside(path: Path, folder: Path) -> bool:
    """Whether a file lies, all links followed, elsewhere than below a folder."""
    return not real(path).is_relative_to(real(folder))


def _variables(path: Path, content: bytes) -> Iterator[tuple[str, str]]:
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BadConfig(f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        found = _VARIABLE.match(text, at)
        if found is None:
            line = text.count("\n", 0, at) + 1
            raise BadConfig(
                f"{path}, line {line} is not NAME=value", f"edit {path}, line {line}"
            )
        at = found.end()
        if (value := _value(found)) is not None:
            yield found["name"], value


def _value(found: re.Match[str]) -> str | None:
    if (double := found["double"]) is not None:
        return re.sub(
            r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1] if m[1] in '"\\$`' else m[0]), double,
            flags=re.DOTALL,
        )  # fmt: skip
    if (bare := found["bare"]) is not None:
        return re.split(r"(?:^|\s)#", bare, maxsplit=1)[0].strip()
    return found["single"] if found["single"] is not None else found["back"]
