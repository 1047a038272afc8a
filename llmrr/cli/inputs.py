"""What commands read: files that are named, and what is piped in."""

import re
from collections.abc import Sequence
from typing import TextIO

from llmrr import paths
from llmrr.cli import output, prompt
from llmrr.errors import DamagedFile, LlmrrError, NotFound, UsageError


def read_stdin(stdin: TextIO | None) -> str | None:
    """All the text on stdin when something is piped in; bytes that are no UTF-8 become U+FFFD."""
    content = piped(stdin)
    return None if content is None else content.decode("utf-8-sig", "replace")


def piped(stdin: TextIO | None) -> bytes | None:
    """The bytes on stdin when something is piped in."""
    if stdin is None or stdin.closed or stdin.isatty():
        return None
    buffer = getattr(stdin, "buffer", None)
    return stdin.read().encode(errors="surrogateescape") if buffer is None else bytes(buffer.read())


def read_bytes(path: str, most: int | None = None, flag: str = "-f") -> bytes:
    """A file, at most one byte more than ``most``. Raises ``NotFound`` and ``LlmrrError``."""
    from pathlib import Path
    from shlex import quote

    file = paths.user_path(path)
    try:
        with file.open("rb") as opened:
            return opened.read(-1 if most is None else most + 1)
    except FileNotFoundError:
        is_address = re.match(r"(?i)[a-z][a-z0-9+.-]*://", path)
        look = f"curl {quote(path)} | llmrr run {flag} - …"
        hint = look if is_address else f"ls {quote(str(file.parent))}"
        raise NotFound(f'the file "{path}" does not exist', hint) from None
    except IsADirectoryError:
        said = f'"{path}" is a folder, and no file'
        each = quote(str(Path(path) / "FILE"))
        raise LlmrrError(said, f"{flag} {each}, for each file") from None
    except OSError as error:
        said = f'the file "{path}" cannot be read: {error.strerror}'
        raise LlmrrError(said, f"ls -l {quote(path)}") from error


def read_text(path: str) -> str:
    """A text file. Raises ``NotFound``, and ``DamagedFile`` for what is no UTF-8 text."""
    from shlex import quote

    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        hint = f"iconv -f latin1 -t utf-8 {quote(path)} > utf-8.txt"
        if b"\0" in content:
            hint = f"file {quote(path)}"
        raise DamagedFile(f'the file "{path}" is no UTF-8 text', hint) from None
    if "\0" in text:
        said = f'the file "{path}" holds no text but binary data'
        raise DamagedFile(said, f"file {quote(path)}")
    return text


def needed(stdin: str | None) -> str:
    """The text that ``-f -`` reads. Raises ``UsageError``."""
    if stdin is None:
        raise UsageError("-f - reads stdin, and nothing is piped in", 'llmrr run -f - "…" < FILE')
    return stdin


def texts(words: Sequence[str], files: Sequence[str], stdin: TextIO | None) -> list[str]:
    """The texts to embed: arguments, lines of files, and lines of stdin when there is nothing else.

    Blank lines are left out. Raises ``UsageError`` for an argument that is empty, and when there is
    nothing.
    """
    found = [prompt.clean(word) for word in words]
    for at, word in enumerate(found, 1):
        if not word.strip():
            raise UsageError(f"text {at} is empty, and has no vector", "leave it out")
    for name in files:
        text = needed(read_stdin(stdin)) if name == "-" else read_text(name)
        found += text.splitlines()
    if not (words or files):
        found = (read_stdin(stdin) or "").splitlines()
    texts = [text for text in found if text.strip()]
    if not texts:
        raise UsageError("no text was given, and nothing came on stdin", 'llmrr embed "…"')
    if blank := len(found) - len(texts):
        output.note(f"blank lines that were left out: {blank}")
    return texts
