"""The files that the answers go to, a whole line at a time, in the order of the input. What a
process left behind that was killed is taken up where it ends.

The id of each line says which input and which options it belongs to, and the how-manieth it is: so
a file proves by itself how far it has come, and no other file says anything of it. What comes as a
stream is not known as a whole: there the id tells which line of the input it belongs to.
"""

import errno
import fcntl
import hashlib
import heapq
import os
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from llmrr.batch import replies
from llmrr.batch.lines import Line
from llmrr.batch.replies import Head, Mark, Reply
from llmrr.errors import DoesNotFit, LlmrrError, NotFound

SYNC_S: Final = 1.0  # so much of what was answered may be asked again after a power cut


class Done(NamedTuple):
    """What is written already: how many lines, how many of them are failures, and the ``digest`` of
    what their ids say of the input."""

    lines: int = 0
    failed: int = 0
    digest: str = ""


class Ledger:
    """An output, and with ``errors`` another one for what failed. ``done`` is what they held when
    they were opened.

    Raises ``LlmrrError`` where a file holds something else, unless it is to be replaced
    (``force``), and where another process is writing it.
    """

    def __init__(
        self, output: Path, errors: Path | None, mark: Mark, *, force: bool = False
    ) -> None:
        self._mark, self._force = mark, force
        self._files: list[_File] = []
        try:
            for path in (output, errors) if errors else (output,):
                self._files.append(_File(path))
            self.done = self._take_up()
        except BaseException:
            self.close()
            raise

    def write(self, line: Line, custom_id: str | None, reply: Reply) -> None:
        """Write what came of the next line. Raises ``DoesNotFit`` for a full disk, and then nothing
        of it is there."""
        file = self._files[0 if reply.is_answered else -1]
        file.append(replies.line(self._mark.of(line).id(line.at), custom_id, reply))

    def close(self) -> None:
        """Close the files, with all that was written on the disk. Twice is allowed."""
        for file in self._files:
            file.close()

    def _take_up(self) -> Done:
        """Count what is written, and cut off what is not whole, or stands behind a gap."""
        if self._force:
            for file in self._files:
                file.cut(0)
            return Done()
        lines, failed, inputs = 0, 0, hashlib.sha256()
        ends = [0] * len(self._files)
        written = (file.lines(self._mark, which) for which, file in enumerate(self._files))
        for at, which, end, head in heapq.merge(*written):
            if at != lines:
                break
            lines, failed = lines + 1, failed + (not head.is_answered)
            inputs.update((head.mark.input or "").encode())
            ends[which] = end
        for file, end in zip(self._files, ends, strict=True):
            file.cut(end)
        return Done(lines, failed, inputs.hexdigest())


class _File:
    """A file that grows by lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _errors(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._file: BinaryIO = os.fdopen(handle, "r+b", buffering=0)
        self._synced, self._is_stale = time.monotonic(), False
        self._end = 0
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise LlmrrError(
                f'another process is writing "{path}"', "wait for its end, or name another file"
            ) from None
        except OSError:  # a file system without locks
            pass

    def lines(self, mark: Mark, which: int) -> Iterator[tuple[int, int, int, Head]]:
        """Of each line that is whole: which it is, ``which``, where it ends, and what it is. Raises
        ``LlmrrError`` for one that is not of this batch."""
        end = 0
        with self.path.open("rb") as file:
            for number, data in enumerate(file, 1):
                head = replies.head(data)
                if head is None and _is_torn(data, mark):
                    return
                if head is None or not mark.is_of(head.mark):
                    raise self._foreign(number, head and head.mark, mark)
                end += len(data)
                yield head.at, which, end, head

    def cut(self, end: int) -> None:
        """Go on behind so many bytes."""
        with _errors(self.path):
            os.ftruncate(self._file.fileno(), end)
            self._file.seek(end)
        self._end = end

    def append(self, data: bytes) -> None:
        """Write a line: all of it, or nothing."""
        with _errors(self.path):
            try:
                left = memoryview(data)
                while left:
                    left = left[self._file.write(left) :]
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(self._file.fileno(), self._end)
                    self._file.seek(self._end)
                raise
            self._end += len(data)
            self._is_stale = True
            if time.monotonic() - self._synced > SYNC_S:
                self._sync()

    def close(self) -> None:
        if not self._file.closed:
            with _errors(self.path):
                self._sync()
            self._file.close()

    def _sync(self) -> None:
        if self._is_stale:
            os.fsync(self._file.fileno())
        self._synced, self._is_stale = time.monotonic(), False

    def _foreign(self, number: int, found: Mark | None, mark: Mark) -> LlmrrError:
        if found is None:
            return foreign(f'"{self.path}" holds something else (line {number} is no answer of a '
                           "batch)")  # fmt: skip
        if mark.input not in (None, found.input):
            return foreign(f'"{self.path}" holds the answers to another input')
        return foreign(f'"{self.path}" was begun with other options')


def foreign(said: str) -> LlmrrError:
    """The error for a file that is not of this batch."""
    hint = "name another file, or --force to begin anew"
    return LlmrrError(f"{said}: nothing was written", hint)


def _is_torn(data: bytes, mark: Mark) -> bool:
    """Whether it is a line of this batch that was not written to its end: a process was killed, or
    the power cut, which leaves zeros."""
    written, zero, _ = data.partition(b"\0")
    begins = written
    if mark.input is None:  # whatever it says of its line
        begins = re.sub(rb'^(\{"id": "batch_req_)[0-9a-f]{1,16}', rb"\1", written)
    start = f'{{"id": "{replies.PREFIX}{mark.input or ""}{mark.options}_'.encode()
    is_ours = begins.startswith(start) or start.startswith(begins)
    return is_ours and (bool(zero) or not data.endswith(b"\n"))


class _errors:
    """What the system says of a file, as an error of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, OSError):
            return
        said = f'"{self._path}" cannot be written: {error.strerror}'
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DoesNotFit(said, "make room; the same command goes on from there") from error
        folder = self._path.parent
        if error.errno == errno.ENOENT:
            raise NotFound(said, f"mkdir -p {shlex.quote(str(folder))}") from error
        raise LlmrrError(said, f"ls -ld {shlex.quote(str(folder))}") from error
