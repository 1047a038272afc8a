"""MLX in a process of its own: what it takes in memory goes back when it ends, Ctrl-C ends it at
once, and nothing that it imports (transformers among it) stays in this one.

The helper reads one line of JSON with its task and answers with lines of JSON: ``told`` with
progress, then ``result``, or ``error`` with a name of the error tree. It ends when its standard
input does, so that it never outlives its parent.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmrr.convert.base import Told
from llmrr.errors import DoesNotFit, EngineFailed, LlmrrError, error_types

HELPER = "llmrr.convert.mlx.helper"
# Nothing is fetched, and no code that a folder names is run: see the helper.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def run(task: str, arguments: Mapping[str, Any], told: Told) -> Any:
    """What the helper's ``task`` gives. Raises what it raised, ``DoesNotFit`` where the system
    ended it, ``EngineFailed`` where it broke."""
    package = str(Path(__file__).parents[3])
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": package}
    command = [sys.executable, "-P", "-m", HELPER]
    with (
        tempfile.TemporaryFile("w+", errors="replace") as said,
        subprocess.Popen(
            command, env=environment, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
        ) as process,
    ):  # fmt: skip
        try:
            answer = _talk(process, {"task": task, **arguments}, told)
        except BaseException:
            process.kill()
            raise
        code = process.wait()
        said.seek(0)
        return _result(answer, code, said.read()[-20_000:])


def _talk(process: "subprocess.Popen[str]", task: Mapping[str, Any], told: Told) -> Any:
    """The last answer; None where there was none."""
    assert process.stdin is not None and process.stdout is not None
    answer = None
    try:
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
    except BrokenPipeError:  # it ended before: what it said tells why
        return None
    for line in process.stdout:
        found = json.loads(line)
        if "told" in found:
            told(*found["told"])
        else:
            answer = found
            break
    process.stdin.close()
    return answer


def _result(answer: Any, code: int, said: str) -> Any:
    if isinstance(answer, dict) and "result" in answer:
        return answer["result"]
    if isinstance(answer, dict) and "error" in answer:
        name, *words = answer["error"]
        kinds = {kind.__name__: kind for kind in error_types()}
        raise kinds.get(name, LlmrrError)(*words)
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "no message")
    if code == -signal.SIGKILL:
        raise DoesNotFit("MLX was ended by the system, most likely for want of memory", "free -h")
    ending = f"signal {-code}" if code < 0 else f"exit {code}"
    raise EngineFailed(f"MLX broke ({ending}): {last.strip()[:300]}", "pip install -U mlx-lm")
