"""What ``-a`` attaches to a prompt: images by their content, and texts."""

import re
from collections.abc import Sequence
from shlex import quote
from typing import Final, NamedTuple

from llmrr.cli import output
from llmrr.cli.inputs import read_bytes
from llmrr.errors import DamagedFile, DoesNotFit, Unsupported, UsageError
from llmrr.types import Image

LARGEST: Final = 20_000_000  # bytes; no provider takes a larger image

# How files begin (as a pattern) that models see as images; names of files mean nothing.
_IMAGES: Final = (
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
)
_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")
# The same of others, with the program that makes something of them that can be attached.
_OTHERS: Final = (
    (rb"%PDF-", "a PDF", "pdftotext {} - | llmrr run -a - …"),
    (rb"BM....\0\0\0\0", "a BMP image", "magick {} image.png"),
    (rb"II\*\0|MM\0\*", "a TIFF image", "magick {} image.png"),
    (rb"....ftyp(hei[cx]|hevc|mif1|msf1)", "a HEIC image", "magick {} image.png"),
    (rb"....ftypavi[fs]", "an AVIF image", "magick {} image.png"),
)


class Attached(NamedTuple):
    """Images, and texts each with its name."""

    images: tuple[Image, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


def read(names: Sequence[str], stdin: bytes | None) -> Attached:
    """Read what is named: files, addresses of images, and ``-``, which is stdin.

    Raises ``NotFound`` for what is not there, ``Unsupported`` for what is neither image nor text,
    ``DoesNotFit`` for what is too large, and ``UsageError``.
    """
    images: list[Image] = []
    texts: list[tuple[str, str]] = []
    for name in names:
        is_address = re.match(r"(?i)https?:|[a-z][a-z0-9+.-]*://", name)
        found = Image(url=_address(name)) if is_address else _file(name, stdin)
        if isinstance(found, Image):
            images.append(found)
        else:
            if name.lower().endswith(_ENDINGS):
                output.note(f'"{name}" holds text, and no image: it is sent as text')
            texts.append((_label(name), found))
    return Attached(tuple(images), tuple(texts))


def media_type(content: bytes) -> str | None:
    """What image a file is, by how it begins; None for any other.

    >>> media_type(b"GIF89a..."), media_type(b"hello")
    ('image/gif', None)
    """
    kinds = (kind for begin, kind in _IMAGES if re.match(begin, content, re.DOTALL))
    return next(kinds, None)


def _address(name: str) -> str:
    if not re.fullmatch(r"(?i)https?://[^\s/?#]+[^\s]*", name):
        raise UsageError(f'"{name}" is no address of an image', "-a https://HOST/IMAGE.png")
    return name


def _file(name: str, stdin: bytes | None) -> Image | str:
    if name == "-" and stdin is None:
        raise UsageError("-a - reads stdin, and nothing is piped in", 'llmrr run -a - "…" < FILE')
    content = stdin if name == "-" and stdin is not None else read_bytes(name, LARGEST, "-a")
    if len(content) > LARGEST:
        raise DoesNotFit(
            f'"{_label(name)}" is larger than {LARGEST // 10**6} MB, the most that is attached',
            f"magick {quote(name)} -resize 2048x2048 smaller.png, of an image",
        )
    if kind := media_type(content):
        return Image(data=content, media_type=kind)
    return _text(name, content)


def _text(name: str, content: bytes) -> str:
    label = _label(name)
    for begin, kind, command in _OTHERS:
        if re.match(begin, content, re.DOTALL):
            said = f'"{label}" is {kind}, and neither an image of {_kinds()} nor a text'
            raise Unsupported(said, command.format(quote(name)))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        said = f'"{label}" is neither an image of {_kinds()} nor a text in UTF-8'
        raise Unsupported(said, f"file {quote(name)}")
    if not text.strip():
        raise DamagedFile(f'"{label}" is empty', f"ls -l {quote(name)}")
    return text


def _label(name: str) -> str:
    return "stdin" if name == "-" else name


def _kinds() -> str:
    return ", ".join(kind.removeprefix("image/") for _, kind in _IMAGES)
