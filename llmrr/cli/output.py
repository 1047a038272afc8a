"""The only printer. Data goes to stdout, everything else to stderr; nothing is coloured and nothing
moves where the stream is no terminal, or under ``NO_COLOR``.
"""

import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, TypeVar, cast

from llmrr.errors import LlmrrError, masked

if TYPE_CHECKING:
    from llmrr.cli.layout import Page

T = TypeVar("T")

# What a model may not write to a terminal: escape sequences could move the cursor, set the
# window's title or fill the clipboard, and overridden directions show another text than there is.
_UNSAFE = {
    code: None for code in (*range(32), 127, *range(128, 160), *range(0x202A, 0x202F))
    if code not in (9, 10)
}  # fmt: skip

# Those that JSON text may hold as they are: here they never do, whatever shows it.
_ESCAPED = {code: f"\\u{code:04x}" for code in range(127, 160)}

# Whether an error is to be JSON on stdout: asked for, and no other document printed before it.
_json_errors = False


def prepare(*, json_errors: bool) -> None:
    """Set up for one command line: whether an error is JSON, and that no character is an error."""
    global _json_errors
    _json_errors = json_errors
    if sys.stdout is None:  # it was closed: there is no one to print for
        sys.stdout = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")


def write(text: str, *, flush: bool = False) -> None:
    """Write text to stdout as it is. Raises ``DoesNotFit`` when the disk behind it is full."""
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except OSError as error:
        raise _translated(error) from error


def flush() -> None:
    """Hand over what is buffered, while an error can still be reported."""
    write("", flush=True)


def data(text: str) -> None:
    """Print a line of data."""
    write(text + "\n")


def lines(rows: Iterable[str]) -> None:
    """Print lines for people: what a model's file says in them writes no control characters."""
    for row in rows:
        data(row.translate(_UNSAFE))


def show(value: T, view: "Callable[[Page, T], Iterable[str]]", *, as_json: bool) -> None:
    """Print facts: as JSON, or as the lines that ``view`` makes of them."""
    if as_json:
        document(value)
    else:
        lines(view(page(), value))


def notes_of(value: T, view: "Callable[[Page, T], Iterable[str]]") -> None:
    """Tell facts on stderr, as the lines that ``view`` makes of them."""
    for row in view(page(), value):
        stderr(f"{row}\n".translate(_UNSAFE))


def document(value: object, *, indent: int | None = 2) -> None:
    """Print a value as JSON. An error that follows is told on stderr: one document is enough."""
    global _json_errors
    _json_errors = False
    data(dumps(value, indent=indent))


def dumps(value: object, *, indent: int | None = 2) -> str:
    """A value (dataclasses, paths and enumerations too) as JSON text."""
    import json

    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=indent)
    return text.translate(_ESCAPED)


def note(text: str) -> None:
    """Tell something on stderr that is not data."""
    stderr(masked(f"llmrr: {text}\n").translate(_UNSAFE))


def notes(texts: Iterable[str]) -> None:
    """Tell several things on stderr."""
    for text in texts:
        note(text)


def problem(error: LlmrrError) -> None:
    """Tell an error that ends nothing."""
    hint = "".join(f"  hint: {line}\n" for line in error.hint.splitlines())
    stderr(f"llmrr: {error.message}\n{hint}".translate(_UNSAFE))


def binary() -> BinaryIO:
    """Stdout for data that is bytes already."""
    return cast(BinaryIO, getattr(sys.stdout, "buffer", None) or io.BytesIO())


def stderr(text: str) -> None:
    """Write to stderr as it is; nobody may be there to read it, and the data matters more."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def can_ask() -> bool:
    """Whether a person can be asked: stdin and stderr are a terminal."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def confirm(question: str, *, default: bool) -> bool:
    """Ask on the terminal. Raises ``LlmrrError`` where nobody can be asked."""
    if not can_ask():
        raise LlmrrError("nothing was done: nobody can be asked here", "-y says yes")
    while True:
        stderr(safe(f"{question} [{'Y/n' if default else 'y/N'}] ", sys.stderr))
        answer = sys.stdin.readline()
        word = answer.strip().lower()
        if not answer or word in ("", "y", "yes", "n", "no"):
            return default if answer and not word else word in ("y", "yes")
        stderr("y or n\n")


def ask_hidden(question: str) -> str:
    """Ask for what must not be shown; empty where nothing was typed. Raises ``LlmrrError`` for a
    terminal that would show it."""
    import getpass
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(question)
        except EOFError:
            stderr("\n")
            return ""
        except getpass.GetPassWarning:
            said = "this terminal would show what is typed"
            raise LlmrrError(said, "printenv NAME | llmrr keys set NAME") from None


def page() -> "Page":
    """What stdout is: the width of a terminal, and whether it takes more than ASCII."""
    import shutil

    from llmrr.cli.layout import Page

    width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else 0
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return Page(width if width >= 20 else None, encoding == "utf8")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person is at the other end."""
    return stream is not None and not stream.closed and stream.isatty()


def moves(stream: TextIO) -> bool:
    """Whether colours and lines that change may be written to ``stream``."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return is_terminal(stream) and not plain


def safe(text: str, stream: TextIO | None = None) -> str:
    """The text without control characters when ``stream`` (stdout) is a terminal."""
    return text.translate(_UNSAFE) if is_terminal(stream or sys.stdout) else text


def version() -> None:
    """Print the version."""
    from llmrr import __version__

    data(f"llmrr {__version__}")


def completions(items: Iterable[tuple[str, str]]) -> None:
    """Print what a word may become, one per line: the word, a tab, its help."""
    for value, help in items:
        data(f"{value}\t{' '.join(help.split())}")


def failure(error: LlmrrError) -> int:
    """Print an error, and its traceback with ``LLMRR_DEBUG``; return its exit code."""
    if os.environ.get("LLMRR_DEBUG", "0") not in ("", "0"):
        _traceback(error)
    _report(error, error.type, error.exit_code)
    return error.exit_code


def bug(error: Exception, code: int) -> int:
    """Print what should not have happened, with its traceback; return ``code``."""
    _traceback(error)
    said = f"this is a bug in llmrr: {type(error).__name__}: {error}"
    _report(LlmrrError(said, "please report it with the lines above"), "Bug", code)
    return code


def interrupted(code: int) -> int:
    """End after Ctrl-C."""
    if is_terminal(sys.stderr):
        stderr("\n")
    _drop_if_closed()
    return code


def hush() -> int:
    """End quietly: whoever read stdout has had enough."""
    _drop_stdout()
    return 0


def _report(error: LlmrrError, kind: str, code: int) -> None:
    _drop_if_closed()
    if not _json_errors:
        problem(error)
        return
    facts = {"type": kind, "message": error.message, "hint": error.hint, "exit_code": code}
    try:
        data(dumps({"error": facts}))
        flush()
    except (OSError, LlmrrError):  # stdout takes nothing: what went wrong must not be lost
        problem(error)


def _traceback(error: BaseException) -> None:
    import traceback

    stderr(safe("".join(traceback.format_exception(error)), sys.stderr))


def _drop_if_closed() -> None:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _drop_stdout()


def _drop_stdout() -> None:
    global _json_errors
    _json_errors = False
    # Python flushes stdout once more as it ends, and would complain about the closed pipe.
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _translated(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return error
    from llmrr.cli.saving import unwritable

    _drop_stdout()
    return unwritable("stdout", error)


def _plain(value: object) -> Any:
    from dataclasses import asdict, is_dataclass

    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, set | frozenset) else str(value)
