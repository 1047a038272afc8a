"""The only printer. Data goes to stdout, everything else to stderr; nothing is coloured and nothing
moves where the stream is no terminal, or under ``NO_COLOR``.
"""

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from llmrr.errors import DoesNotFit, LlmrrError

if TYPE_CHECKING:
    from llmrr.router import Answer
    from llmrr.types import Usage

DIM, RESET = "\x1b[2m", "\x1b[0m"
CLEAR_LINE = "\r\x1b[K"
# What a model may write to a terminal: no escape sequences, which could move the cursor, set the
# window's title or fill the clipboard.
_UNSAFE = {code: None for code in (*range(32), 127, *range(128, 160)) if code not in (9, 10)}

_json_errors = False


def prepare(*, json_errors: bool) -> None:
    """Set up for one command line: whether an error is JSON, and that no character is an error."""
    global _json_errors
    _json_errors = json_errors
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def data(text: str) -> None:
    """Print a line of data."""
    write(text + "\n")


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
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _translated(error) from error


def json(value: object) -> None:
    """Print a value (dataclasses, paths and enumerations too) as JSON."""
    data(dumps(value))


def dumps(value: object) -> str:
    """A value as indented JSON text."""
    import json as codec

    return codec.dumps(value, default=_plain, ensure_ascii=False, indent=2)


def note(text: str) -> None:
    """Tell something on stderr that is not data."""
    _stderr(f"llmrr: {text}\n")


def lines(rows: Iterable[str]) -> None:
    """Print lines of data."""
    for row in rows:
        data(row)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns, numbers to the right; unknown is a dash."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [_numeric(column) for column in zip(*cells, strict=True)] or [False] * len(header)
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for row in [list(header), *cells]:
        padded = [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        ]
        data(_fitted("  ".join(padded).rstrip()))


def bar(share: float, width: int = 20) -> str:
    """A bar of ``width`` cells of which ``share`` (0 to 1) are full, in eighths where possible."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    if not _unicode(sys.stdout):
        return "#" * (eighths // 8)
    return "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]


def size(count: int | None) -> str | None:
    """Bytes for people, in powers of 1,000.

    >>> size(4_661_211_808), size(900), size(None)
    ('4.7 GB', '900 B', None)
    """
    if count is None:
        return None
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return None


@dataclass(frozen=True, slots=True)
class Shown:
    """How an answer is to be printed."""

    json: bool = False
    buffered: bool = False
    extract: bool = False
    file: str | None = None
    hide_thinking: bool = False
    verbose: bool = False
    limited: bool = False  # the user set --max-tokens: being cut there is no news
    markdown: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that is complete."""

    text: str
    reasoning: str
    finish_reason: str | None
    usage: "Usage | None"


def announce(answer: "Answer", verbose: bool) -> None:
    """Name the model that answers, when it was not stated; with ``verbose`` all there is to say."""
    from llmrr.cli.neighbours import REAL_MODEL

    model = answer.model
    if model.source.startswith("builtin:"):
        note(f"{model.name} is the small built-in model; for a real one: {REAL_MODEL}")
    elif not model.stated:
        note(f"model {model.name} ({model.why})")
    if verbose:
        for text in answer.notes:
            note(text)


def answer(answer: "Answer", how: Shown, progress: "Progress | None" = None) -> Said:
    """Print an answer as it comes, or when it is complete if what is asked for needs all of it."""
    announce(answer, how.verbose)
    live = not (how.json or how.buffered or how.extract or how.file)
    said = _listen(answer, how, live, progress or Progress())
    if not live:
        _deliver(_document(answer, said, how), how.file)
    _afterwards(said, how)
    return said


class Progress:
    """How much of a long prompt is processed, from one second on, on a terminal only."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.shown = False
        self.wanted = moves(sys.stderr)

    def __call__(self, done: int, total: int) -> None:
        if self.wanted and total and time.monotonic() - self.started > 1:
            self.shown = True
            _stderr(f"{CLEAR_LINE}reading the prompt: {100 * done // total} % of {total} tokens")

    def clear(self) -> None:
        """Take the line away."""
        if self.shown:
            self.shown = False
            _stderr(CLEAR_LINE)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person is at the other end."""
    return stream is not None and stream.isatty()


def moves(stream: TextIO) -> bool:
    """Whether colours and lines that change may be written to ``stream``."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return is_terminal(stream) and not plain


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
    _report(error.type, error.message, error.hint, error.exit_code)
    return error.exit_code


def bug(error: Exception, code: int) -> int:
    """Print what should not have happened, with its traceback; return ``code``."""
    _traceback(error)
    said = f"this is a bug in llmrr: {type(error).__name__}: {error}"
    _report("Bug", said, "please report it with the lines above", code)
    return code


def interrupted(code: int) -> int:
    """End after Ctrl-C."""
    if is_terminal(sys.stderr):
        _stderr("\n")
    _drop_stdout_if_closed()
    return code


def hush() -> int:
    """End quietly: whoever read stdout has had enough."""
    _drop_stdout()
    return 0


def save(path: str, text: str) -> None:
    """Write a whole file or nothing. What is no plain file (a device, a pipe) is written to."""
    from pathlib import Path

    target = Path(path)
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
        else:
            _replace(target.resolve(), text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(path, error) from error


def _listen(answer: "Answer", how: Shown, live: bool, progress: Progress) -> Said:
    texts: list[str] = []
    thoughts: list[str] = []
    screen = _screen(how) if live else None
    thinking = _Thinking(shown=not how.hide_thinking)
    try:
        for chunk in answer:
            progress.clear()
            thoughts.append(chunk.reasoning)
            thinking.show(chunk.reasoning)
            if chunk.text:
                thinking.end()
                texts.append(chunk.text)
                if screen:
                    screen.show(chunk.text)
    finally:
        progress.clear()
        thinking.end()
        answer.cancel()
        if screen:
            screen.end()
    return Said("".join(texts), "".join(thoughts), answer.finish_reason, answer.usage)


class _Plain:
    """Text as it comes."""

    def __init__(self) -> None:
        self.safe = is_terminal(sys.stdout)
        self.last = "\n"

    def show(self, text: str) -> None:
        shown = text.translate(_UNSAFE) if self.safe else text
        write(shown, flush=True)
        self.last = shown[-1:] or self.last

    def end(self) -> None:
        if self.last != "\n":
            # Not through write(): while BrokenPipeError is under way this must not raise another.
            self.last = "\n"
            from contextlib import suppress

            with suppress(OSError):
                sys.stdout.write("\n")
                sys.stdout.flush()


def _screen(how: Shown) -> Any:
    if how.markdown and is_terminal(sys.stdout):
        from llmrr.cli.markdown import Screen

        return Screen()
    return _Plain()


class _Thinking:
    """The reasoning, dimmed on a terminal's stderr and nowhere else."""

    def __init__(self, *, shown: bool) -> None:
        self.wanted = shown and is_terminal(sys.stderr)
        self.open = False
        self.colour = moves(sys.stderr)

    def show(self, text: str) -> None:
        if text and self.wanted:
            _stderr((DIM if self.colour and not self.open else "") + text.translate(_UNSAFE))
            self.open = True

    def end(self) -> None:
        if self.open:
            self.open = False
            _stderr((RESET if self.colour else "") + "\n\n")


def _document(answer: "Answer", said: Said, how: Shown) -> str:
    if how.json:
        return dumps(as_json(answer, said)) + "\n"
    if how.extract:
        from llmrr.cli.prompt import code_block

        return code_block(said.text)
    return said.text if said.text.endswith("\n") else said.text + "\n"


def as_json(answer: "Answer", said: Said) -> dict[str, object]:
    """The shape of ``run --json``."""
    usage = said.usage
    return {
        "text": said.text,
        "reasoning": said.reasoning,
        "model": answer.model.name,
        "engine": answer.engine,
        "finish_reason": said.finish_reason,
        "usage": _picked(usage, "prompt_tokens", "cached_tokens", "completion_tokens"),
        "timings": _picked(usage, "load_s", "first_token_s", "total_s", "tokens_per_s"),
        "decision": None,
    }


def _picked(value: object, *names: str) -> dict[str, object]:
    return {name: getattr(value, name, None) for name in names}


def _deliver(text: str, file: str | None) -> None:
    if file:
        save(file, text)
    else:
        write(text.translate(_UNSAFE) if is_terminal(sys.stdout) else text, flush=True)


def _afterwards(said: Said, how: Shown) -> None:
    usage = said.usage
    if said.finish_reason == "length" and not (how.limited or how.json):
        count = usage.completion_tokens if usage else "its"
        note(f"the answer was cut after {count} tokens; --max-tokens N allows more")
    if how.verbose and usage:
        speed = f"{usage.tokens_per_s:.1f} tokens/s" if usage.tokens_per_s else "speed unknown"
        first = f"{usage.first_token_s:.2f} s" if usage.first_token_s is not None else _cell(None)
        note(
            f"prompt {usage.prompt_tokens} tokens ({usage.cached_tokens} cached), "
            f"answer {usage.completion_tokens} tokens, {speed}"
        )
        note(f"load {usage.load_s:.2f} s, first token {first}, total {usage.total_s:.2f} s")


def _report(kind: str, message: str, hint: str, code: int) -> None:
    if _json_errors:
        facts = {"type": kind, "message": message, "hint": hint, "exit_code": code}
        from contextlib import suppress

        with suppress(OSError, LlmrrError):
            json({"error": facts})
            flush()
        return
    _drop_stdout_if_closed()
    _stderr(f"llmrr: {message}\n" + (f"  try: {hint}\n" if hint else ""))


def _traceback(error: BaseException) -> None:
    import traceback

    _stderr("".join(traceback.format_exception(error)))


def _stderr(text: str) -> None:
    from contextlib import suppress

    # Nobody may be there to read it; the answer matters more.
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _drop_stdout_if_closed() -> None:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _drop_stdout()


def _drop_stdout() -> None:
    # Python flushes stdout once more as it ends, and would complain about the closed pipe.
    from contextlib import suppress

    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _translated(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return error
    _drop_stdout()
    return _unwritable("stdout", error)


def _unwritable(place: str, error: OSError) -> LlmrrError:
    from llmrr.errors import NotFound

    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        return NotFound(f'"{place}" cannot be written: its folder does not exist', "mkdir -p FOLDER")
    if isinstance(error, PermissionError | IsADirectoryError):
        return LlmrrError(f'"{place}" cannot be written: {reason}', "write to another place")
    return DoesNotFit(f'"{place}" cannot be written: {reason}', "make room, or write elsewhere")


def _replace(target: Any, text: str) -> None:
    import tempfile
    from pathlib import Path

    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _plain(value: object) -> object:
    from dataclasses import asdict, is_dataclass

    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "–" if _unicode(sys.stdout) else "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _numeric(column: Sequence[str]) -> bool:
    return all(text[:1].isdigit() or text in "–-" for text in column)


def _fitted(line: str) -> str:
    if not is_terminal(sys.stdout):
        return line
    width = os.get_terminal_size(sys.stdout.fileno()).columns
    return line if len(line) <= width or width < 20 else line[: width - 1] + "…"


def _unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
