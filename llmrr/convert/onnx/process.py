"""A job in another Python, which has what this one has not: JSON lines in and out, and an end of it
when this process ends, however that comes."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from llmrr.convert.base import Told
from llmrr.errors import (
    DamagedFile,
    DoesNotFit,
    EngineFailed,
    LlmrrError,
    Unreachable,
    Unsupported,
)

MAIN = Path(__file__).parent / "outside" / "main.py"
# Nothing is asked of the hub, and nothing of it is used that is not in the model's folder.
ALONE: Final = {
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false", "USE_TF": "0",
    "USE_FLAX": "0", "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore",
}  # fmt: skip
DROPPED: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
KINDS: Final[Mapping[str, type[LlmrrError]]] = {
    "unsupported": Unsupported, "damaged": DamagedFile, "room": DoesNotFit,
    "network": Unreachable, "failed": EngineFailed,
}  # fmt: skip
TAIL = 64_000
WAIT_SECONDS = 10


def run(python: Path, job: str, told: Told, *, isolated: bool = True, **given: Any) -> Any:
    """Have ``python`` do ``job``; its result. ``isolated`` from the user's own packages and paths.

    Raises ``Unsupported``, ``DamagedFile``, ``DoesNotFit``, ``Unreachable`` or, for whatever else
    went wrong there, ``EngineFailed`` with the last words of it.
    """
    with tempfile.TemporaryDirectory(prefix="llmrr-") as home, tempfile.TemporaryFile() as errors:
        kept = {name: one for name, one in os.environ.items() if name not in DROPPED}
        process = subprocess.Popen(
            [python, "-I" if isolated else "-P", MAIN],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
            env={**kept, **ALONE, "HF_HOME": home},
        )  # fmt: skip
        try:
            return _result(process, {"job": job, **given}, told, errors)
        finally:
            _end(process)


def _result(
    process: "subprocess.Popen[bytes]", job: Mapping[str, Any], told: Told, errors: IO[bytes]
) -> Any:
    assert process.stdin is not None and process.stdout is not None
    with suppress(BrokenPipeError):  # what it says of itself tells more
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
    for line in process.stdout:
        said = _parsed(line)
        if "at" in said:
            told(said["at"], said["done"], said["total"])
        elif "result" in said:
            return said["result"]
        elif "error" in said:
            raise KINDS[said["error"]](said["message"])
    raise _death(process.wait(), errors)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _death(code: int, errors: IO[bytes]) -> LlmrrError:
    """Why it ended without a word: a signal, or what it last wrote."""
    if code == -signal.SIGKILL:
        return DoesNotFit(
            "the process that converts was killed, as the system does when memory runs out",
            "llmrr probe",
        )
    if code < 0:
        return EngineFailed(f"the process that converts was ended by signal {-code}")
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - TAIL))
    lines = [one.strip() for one in errors.read().decode(errors="replace").splitlines()]
    last = next((one for one in reversed(lines) if one), f"exit code {code}")
    return EngineFailed(f"the process that converts broke off: {last[:400]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """See that nothing of it is left: it and all that it started are a group of their own."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(WAIT_SECONDS)


def this_python() -> Path:
    """The interpreter that runs this."""
    return Path(sys.executable)
