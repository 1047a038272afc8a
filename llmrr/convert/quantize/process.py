"""Runs a job in a helper process, so that llama.cpp can neither end this one nor outlive it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from llmrr.convert.quantize.job import Job
from llmrr.errors import DamagedFile, DoesNotFit, LlmrrError, error_types

HELPER = "llmrr.convert.quantize.helper"
OnLine = Callable[[list[Any]], None]


def run(job: Job, on_line: OnLine) -> None:
    """Run ``job``; ``on_line`` gets what the helper tells (see there) as it comes.

    Raises what the helper raised, or ``DamagedFile`` when llama.cpp ended it. However this ends,
    the helper has ended too.
    """
    # -P and our own folder alone: the working directory must not be imported from.
    package = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": package, "GGML_NO_BACKTRACE": "1"}
    command = [sys.executable, "-P", "-m", HELPER]
    with (
        TemporaryFile() as said,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
        ) as helper,
    ):
        try:
            for words in _told(helper, job):
                if words[0] == "failed":
                    raise _known(*words[1:])
                on_line(words)
            code = helper.wait()
        except BaseException:
            helper.kill()
            raise
        if code != 0:
            raise _failure(job, code, said)


def _told(helper: "subprocess.Popen[bytes]", job: Job) -> Iterator[list[Any]]:
    assert helper.stdin and helper.stdout
    with suppress(BrokenPipeError):  # it ended early, and will have said why
        helper.stdin.write(job.line())
        helper.stdin.flush()
    for line in helper.stdout:
        try:
            words = json.loads(line)
        except ValueError:  # half a line of one that was ended
            continue
        yield words


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
