"""A batch: the lines of an input, each answered, in their order."""

import hashlib
import json
import math
import shlex
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

from llmrr.batch import items, lines, replies
from llmrr.batch.items import Defaults, Fault, Item
from llmrr.batch.ledger import Done, Ledger, foreign
from llmrr.batch.lines import Line
from llmrr.batch.replies import Mark, Reply
from llmrr.errors import CheckFailed, NotFound, Unreachable, UsageError

HELD: Final = 16  # lines in a row from one that is refused on: then it is no matter of the lines
_COMPARED: Final = 1 << 20  # ids that are remembered, to tell of one that comes twice


@dataclass(frozen=True, slots=True)
class Repeat:
    """An id that stands on two lines of the input, and which those are."""

    custom_id: str
    first: int
    second: int


class Outcome(NamedTuple):
    """What came of a line, and from when to when it was asked."""

    custom_id: str | None
    reply: Reply
    began: float = 0.0
    ended: float = 0.0

    @property
    def shows(self) -> bool:
        """Whether it shows that others are answered."""
        return self.reply.status is not None and not self.reply.is_refused


# How lines are answered: several at once, in their order.
Answering = Callable[[Iterable[Line]], Iterator[tuple[Line, Outcome]]]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done: from where, to where (None is stdin, stdout), failures elsewhere if
    stated. ``options`` are those that change the answers. ``force`` begins anew."""

    source: Path | None
    output: Path | None
    errors: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False


@dataclass(slots=True)
class Summary:
    """How far it is: ``lines`` of the input, None where that is not known before its end; of those
    that are ``answered`` and that ``failed``, ``resumed`` were there before. The tokens are those
    of the rest; ``repeated`` ids stood on an earlier line, the first of them is ``repeat``."""

    lines: int | None
    answered: int = 0
    failed: int = 0
    resumed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    repeated: int = 0
    repeat: Repeat | None = None
    output: str = "-"
    errors: str | None = None

    @property
    def done(self) -> int:
        """Lines that are written."""
        return self.answered + self.failed

    def add(self, reply: Reply) -> None:
        """One more line."""
        if not reply.is_answered:
            self.failed += 1
            return
        self.answered += 1
        usage = (reply.body or {}).get("usage")
        usage = usage if isinstance(usage, dict) else {}
        self.prompt_tokens += _count(usage, "prompt_tokens", "input_tokens")
        self.completion_tokens += _count(usage, "completion_tokens", "output_tokens")


class _Out(Protocol):
    def write(self, line: Line, custom_id: str | None, reply: Reply) -> None: ...
    def close(self) -> None: ...


def answered(
    line: Line, ask: Callable[[Item], Reply], defaults: Defaults
) -> Outcome:
    """What comes of a line."""
    found = items.parse(line)
    if isinstance(found, Fault):
        return Outcome(found.custom_id, Reply(None, code=found.code, message=found.message))
    began = time.time()
    return Outcome(found.custom_id, ask(defaults.applied(found)), began, time.time())


def weight(line: Line) -> int:
    """How much memory a line that waits takes, about."""
    return len(line.data or b"")


def run(
    job: Job,
    answering: Answering,
    *,
    stdout: BinaryIO | None = None,
    told: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Answer what is left of a batch. ``told`` is called after each line that is written.

    Raises ``Unreachable`` where nobody can be asked, and what ``Ledger`` does; what was written
    until then is gone on with by the same call.
    """
    _require_apart(job)
    began = time.monotonic()
    source = _found(job.source) if job.source else None
    extent = lines.measure(source) if source and source.is_file() else None
    mark = Mark(extent and extent.digest[:16], _digest(job.options)[:8])
    out, done = _opened(job, mark, stdout)
    summary = Summary(extent and extent.lines, done.lines - done.failed, done.failed, done.lines)
    summary.output = str(job.output or "-")
    summary.errors = str(job.errors) if job.errors else None
    file = source.open("rb") if source else sys.stdin.buffer
    if extent is None:
        file = lines.opened(file, str(source or "stdin"))
    written = _Written(out, summary, told)
    rows, found = lines.read(file, extent and extent.size), None
    try:
        if extent is None:
            _require_same(rows, mark, done, summary.output)
        found = answering(line for line in rows if line.at >= done.lines)
        for line, outcome in found:
            written.add(line, outcome)
        written.finish()
    finally:
        if close := getattr(found, "close", None):
            close()
        summary.seconds = time.monotonic() - began
        out.close()
        if source is not None:
            file.close()
    return summary


class _Written:
    """What is written, and the last lines from one on that was refused, which are not yet: they are
    where another one is answered that was asked after that."""

    def __init__(
        self, out: _Out, summary: Summary, told: Callable[[Summary], None]
    ) -> None:
        self._out, self._summary, self._told = out, summary, told
        self._held: deque[tuple[Line, Outcome]] = deque()
        self._ids: dict[int, int] = {}  # hash, and the line it stood on first
        self._row = 0  # that many last ones were not answered
        self._shown = 0.0  # when the last of those was asked that are answered

    def add(self, line: Line, outcome: Outcome) -> None:
        """Write a line, or hold it. Raises ``Unreachable``: a line that nobody could be asked is
        not written, and so none behind it."""
        reply = outcome.reply
        if reply.is_lost:
            self._stop(reply)
        self._held.append((line, outcome))
        if outcome.shows:
            self._shown = max(self._shown, outcome.began)
        self._flush(self._shown)
        self._row = 0 if outcome.shows or not self._held else self._row + 1
        if self._row >= HELD:
            self._stop(self._held[0][1].reply)

    def finish(self) -> None:
        """There are no more. Raises ``Unreachable`` where all that could be asked was refused."""
        if self._held and not self._shown:
            self._stop(self._held[0][1].reply)
        self._flush(math.inf)

    def _stop(self, reply: Reply) -> None:
        said = (reply.body or {}).get("error") or {}
        why = reply.message or (said.get("message") if isinstance(said, dict) else "")
        is_kept = self._summary.output != "-"
        raise Unreachable(
            f"the batch stops after {self._summary.done:,} lines: {why}",
            "the same command goes on from there" if is_kept else "name OUT, to go on from there",
        )

    def _flush(self, until: float) -> None:
        """Write what is held, to one that was refused no earlier than that."""
        while self._held:
            line, (custom_id, reply, _, ended) = self._held[0]
            if reply.is_refused and ended >= until:
                return
            self._out.write(line, custom_id, reply)
            self._held.popleft()
            self._compare(custom_id, line.number)
            self._summary.add(reply)
            self._told(self._summary)

    def _compare(self, custom_id: str | None, number: int) -> None:
        if custom_id is None or len(self._ids) >= _COMPARED:
            return
        first = self._ids.setdefault(hash(custom_id), number)
        if first != number:
            self._summary.repeated += 1
            self._summary.repeat = self._summary.repeat or Repeat(custom_id, first, number)


class _Stream:
    """A place that lines are only added to: a pipe, a device; at the end it is closed if that is
    ours to do."""

    def __init__(self, file: BinaryIO, mark: Mark, *, is_ours: bool) -> None:
        self._file, self._mark, self._is_ours = file, mark, is_ours

    def write(self, line: Line, custom_id: str | None, reply: Reply) -> None:
        self._file.write(replies.line(self._mark.of(line).id(line.at), custom_id, reply))
        self._file.flush()

    def close(self) -> None:
        if self._is_ours:
            self._file.close()


def _opened(job: Job, mark: Mark, stdout: BinaryIO | None) -> tuple[_Out, Done]:
    if job.output is None:
        assert stdout is not None
        return _Stream(stdout, mark, is_ours=False), Done()
    if job.output.exists() and not (job.output.is_file() or job.output.is_dir()):
        return _Stream(job.output.open("wb"), mark, is_ours=True), Done()
    ledger = Ledger(job.output, job.errors, mark, force=job.force)
    return ledger, ledger.done


def _found(source: Path) -> Path:
    if not source.exists():
        raise NotFound(f'there is no file "{source}"', "ls *.jsonl")
    return source


def _require_same(rows: Iterator[Line], mark: Mark, done: Done, output: str) -> None:
    """Pass the lines of a stream that are answered. Raises ``LlmrrError`` where those were others.
    """
    passed = hashlib.sha256()
    for line in islice(rows, done.lines):
        passed.update((mark.of(line).input or "").encode())
    if done.lines and passed.hexdigest() != done.digest:
        raise foreign(f'"{output}" holds the answers to another input')


def _require_apart(job: Job) -> None:
    """Raise ``UsageError`` where two of the files are one."""
    named = [("IN", job.source), ("OUT", job.output), ("--errors", job.errors)]
    seen: dict[Path, str] = {}
    for name, path in named:
        if path is None:
            continue
        place = path.resolve()
        if place in seen:
            raise UsageError(f'{seen[place]} and {name} are both "{path}"', "name another file")
        seen[place] = name
    if job.errors is not None and job.output is None:
        raise UsageError("--errors goes with a file for the answers", "name OUT")


def _digest(options: Mapping[str, Any]) -> str:
    text = json.dumps(options, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _count(usage: Mapping[str, Any], *names: str) -> int:
    found = next((usage[name] for name in names if isinstance(usage.get(name), int)), 0)
    return int(found)


def require(summary: Summary) -> None:
    """Raise ``CheckFailed`` where lines failed."""
    if summary.failed:
        place = summary.errors or summary.output
        said = f"{summary.failed:,} of {summary.done:,} lines failed"
        raise CheckFailed(said, "their lines of the output say why" if place == "-" else
                          f"grep -v '\"status_code\": 200,' {shlex.quote(place)}")
