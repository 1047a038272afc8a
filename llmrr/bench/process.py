"""Runs a job in a process of its own: its memory is that of one model alone, what it breaks is not
this process, and Ctrl-C ends it at once."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from llmrr.bench.job import Job
from llmrr.bench.measuring import Told
from llmrr.errors import DoesNotFit, EngineFailed, LlmrrError, error_types

HELPER = "llmrr.bench.helper"


def run(job: Job, told: Told) -> dict[str, Any]:
    """What the helper measured. Raises what it raised, ``DoesNotFit`` where the system ended it,
    ``EngineFailed`` where it broke. However this ends, the helper has ended too."""
    # -P and our own folder alone: the working directory must not be imported from.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with (
        tempfile.TemporaryFile("w+", errors="replace") as said,
        subprocess.Popen(
            [sys.executable, "-P", "-m", HELPER], env=environment, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
        ) as process,
    ):  # fmt: skip
        try:
            answer = _talk(process, job, told)
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        said.seek(0)
        return _result(answer, code, said.read()[-20_000:])


def _talk(process: "subprocess.Popen[str]", job: Job, told: Told) -> Any:
    """The last answer; None where there was none."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(job.line())
        process.stdin.flush()
    except BrokenPipeError:  # it ended before: what it said tells why
        return None
    for line in process.stdout:
        try:
            found = json.loads(line)
        except ValueError:  # half a line of one that was ended
            continue
        if "told" not in found:
            return found
        told(*found["told"])
    return None


def _result(answer: Any, code: int, said: str) -> dict[str, Any]:
    if isinstance(answer, dict) and "error" in answer:
        name, *words = answer["error"]
        kinds = {kind.__name__: kind for kind in error_types()}
        raise kinds.get(name, LlmrrError)(*words)
    if isinstance(answer, dict) and isinstance(answer.get("result"), dict):
        found: dict[str, Any] = answer["result"]
        return found
    if code == -signal.SIGINT:
        raise KeyboardInterrupt
    if code == -signal.SIGKILL:
        raise DoesNotFit(
            "the system ended it, most likely for want of memory",
            "a smaller quantization, a smaller --ctx-size, or fewer sequences at once",
        )
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "no message")
    ending = f"signal {-code}" if code < 0 else f"exit {code}"
    raise EngineFailed(f"the engine broke ({ending}): {last.strip()[:300]}", "llmrr doctor")
