"""The lines of an input: read one after the other, however many there are and however long one is.
"""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from llmrr.errors import DamagedFile

LONGEST: Final = 64 << 20  # bytes of a line that is read; a longer one is an error of its own
_BLOCK: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line that is not blank: how many of those stand before it, which line of the file it is,
    counted from 1, and its bytes; None where they are too many."""

    at: int
    number: int
    data: bytes | None

    @property
    def digest(self) -> str:
        """What tells it from other lines."""
        return hashlib.sha256(self.data or b"").hexdigest()[:16]


class Extent(NamedTuple):
    """What a file holds: its bytes, their SHA-256, and how many of its lines are not blank."""

    size: int
    digest: str
    lines: int


def measure(path: Path) -> Extent:
    """Read a file once through. Raises ``DamagedFile`` for one that is no lines of JSON at all."""
    digest, size, count = hashlib.sha256(), 0, 0
    with path.open("rb") as file:
        require_text(file.read(_BLOCK), str(path))
        file.seek(0)
        blank = True
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
            first, *rest = block.split(b"\n")
            blank = blank and not first.strip()
            for part in rest:
                count += not blank
                blank = not part.strip()
        return Extent(size, digest.hexdigest(), count + (not blank))


def read(file: BinaryIO, size: int | None = None) -> Iterator[Line]:
    """The lines that are not blank, of the first ``size`` bytes; they may end in CRLF."""
    left, number, at = size, 0, 0
    while left is None or left > 0:
        data = file.readline(_least(LONGEST + 2, left))
        if not data:
            return
        number += 1
        left = None if left is None else left - len(data)
        found: bytes | None = data.removeprefix(_BOM) if number == 1 else data
        if len(data) > LONGEST and not data.endswith(b"\n"):
            passed = _pass(file, left)
            left = None if left is None else left - passed
            found = None
        if found is None or found.strip():
            yield Line(at, number, None if found is None else found.strip())
            at += 1


def require_text(start: bytes, name: str) -> None:
    """Raise ``DamagedFile`` for what does not begin as lines of JSON do, with what makes them of
    it."""
    if start.startswith(b"\x1f\x8b"):
        raise DamagedFile(f"{name} is compressed", f"gzip -dc {name} | llmrr batch - OUT")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start[1:2] == b"\0":
        raise DamagedFile(f"{name} is UTF-16", f"iconv -f UTF-16 -t UTF-8 {name} > lines.jsonl")
    plain = start.removeprefix(_BOM).lstrip()
    if plain.startswith(b"[") and not plain.partition(b"\n")[0].rstrip().endswith(b"]"):
        raise DamagedFile(
            f"{name} is one JSON array, and not an object in each line",
            f"jq -c '.[]' {name} > lines.jsonl",
        )


def opened(start: BinaryIO, name: str) -> BinaryIO:
    """A stream that can be read once, after its beginning was looked at."""
    buffered = start if isinstance(start, io.BufferedReader) else io.BufferedReader(start)  # type: ignore[type-var]
    require_text(buffered.peek(64)[:64], name)
    return buffered


def _least(one: int, other: int | None) -> int:
    return one if other is None else min(one, other)


def _pass(file: BinaryIO, left: int | None) -> int:
    """Go on to the next line; how many bytes that took."""
    passed = 0
    while left is None or passed < left:
        data = file.readline(_least(_BLOCK, None if left is None else left - passed))
        passed += len(data)
        if not data or data.endswith(b"\n"):
            break
    return passed
