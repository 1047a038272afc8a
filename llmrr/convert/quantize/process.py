"""Runs a job in a helper process, so that llama.cpp can neither end this one nor outlive it."""

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from llmrr.convert.quantize.job import Job
from llmrr.errors import DamagedFile, DoesNotFit, LlmrrError, error_types

HELPER = "llmrr.convert.quantize.helper"
OnLine = Callable[[list[Any]], None]


class Helper:
    """The helper process, started at once, so that it is ready when its first job is. It ends with
    this object at the latest."""

    def __init__(self) -> None:
        # -P and our own folder alone: the working directory must not be imported from.
        package = str(Path(__file__).parents[3])
        environment = {**os.environ, "PYTHONPATH": package, "GGML_NO_BACKTRACE": "1"}
        self._said: IO[bytes] = TemporaryFile()  # noqa: SIM115 (closed by end)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", HELPER],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
        )  # fmt: skip
        self.end = weakref.finalize(self, _end, self._process, self._said)

    @property
    def is_ready(self) -> bool:
        """Has it not ended?"""
        return self.end.alive and self._process.poll() is None

    def run(self, job: Job, on_line: OnLine) -> None:
        """Do ``job``; ``on_line`` gets what the helper tells (see there) as it comes.

        Raises what the helper raised, or ``DamagedFile`` when llama.cpp ended it. When this ends
        otherwise than by returning, the helper has ended too.
        """
        try:
            for words in self._told(job):
                if words[0] == "done":
                    return
                if words[0] == "failed":
                    raise _known(*words[1:])
                on_line(words)
            raise _failure(job, self._process.wait(), self._said)
        except BaseException:
            self.end()
            raise

    def _told(self, job: Job) -> Iterator[list[Any]]:
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):  # it ended early, and will have said why
            self._process.stdin.write(job.line())
            self._process.stdin.flush()
        for line in self._process.stdout:
            try:
                words = json.loads(line)
            except ValueError:  # half a line of one that was ended
                continue
            yield words


def _end(helper: "subprocess.Popen[bytes]", said: IO[bytes]) -> None:
    helper.kill()
    with helper, suppress(BrokenPipeError):  # closes the pipes and waits
        pass
    said.close()


def run(job: Job, on_line: OnLine) -> None:
    """Do one job in a helper of its own. Raises what ``Helper.run`` does."""
    helper = Helper()
    try:
        helper.run(job, on_line)
    finally:
        helper.end()


def _known(name: str, message: str, hint: str) -> LlmrrError:
    kind = next((one for one in error_types() if one.__name__ == name), LlmrrError)
    return kind(message, hint)


def _failure(job: Job, code: int, output: IO[bytes]) -> LlmrrError:
    output.seek(0)
    said = output.read(1 << 16).decode(errors="replace").strip().splitlines()
    name = Path(job.source).name
    if code == -9:
        return DoesNotFit(
            f"quantizing {name} was ended from outside, as the system does when memory runs out",
            "quantize with fewer other programs running, or on a machine with more memory",
        )
    what = f"signal {-code}" if code < 0 else f"exit {code}"
    return DamagedFile(
        f"llama.cpp breaks on {name} ({what}): {said[-1][:200] if said else 'no message'}",
        "the file is damaged or hostile; get it again from a source that you trust",
    )
