"""Bytes to a text."""

import codecs
from typing import Final

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_HEAD: Final = 4096
_CONTROL: Final = bytes({*range(32), 127} - {8, 9, 10, 12, 13, 27})


def decoded(data: bytes) -> str | None:
    """A text of bytes without its byte order mark; None for what is binary.

    It is UTF-8, else UTF-16 or UTF-32 with a mark, else Latin-1: half a character at the end,
    where writing broke off, is left out.

    >>> decoded("é".encode("utf-16")), decoded(b"caf\\xe9 au lait"), decoded(b"\\0\\1\\2")
    ('é', 'café au lait', None)
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace").removeprefix("\ufeff")
    head = data[:_HEAD]
    if b"\0" in head:
        return _wide(data, head)
    if len(head) - len(head.translate(None, _CONTROL)) > len(head) // 30:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3:
            return data[: error.start].decode()
        return data.decode("latin-1")


def _wide(data: bytes, head: bytes) -> str | None:
    """UTF-16 without a mark, as far as it is Latin text: every other byte is zero."""
    for encoding, zeros, others in (
        ("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2]),
    ):  # fmt: skip
        if zeros.count(0) > 0.9 * len(zeros) and not others.count(0):
            return data.decode(encoding, errors="replace")
    return None
