"""The helper process: quantizes, and dies with the process that started it.

``python -m llmrr.convert.quantize.helper`` takes a ``Job`` as one line of JSON on its input, which
must stay open while it works, and prints one line of JSON for each thing it has to tell:
``["tensor", name, type]``, ``["calibrated", chunks, of]``, and for an error ``["failed", type,
message, hint]``. llama.cpp itself may print on the error output.
"""

import json
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmrr.convert.quantize import imatrix, native
from llmrr.convert.quantize.job import Job
from llmrr.errors import LlmrrError, by_system


def run(job: Job) -> None:
    """Do what the job says. Raises ``LlmrrError``."""
    weights: native.Weights | None = None
    if job.calibrate is not None:
        found = _calibrated(job)
        saved = Path(job.save_imatrix).name if job.save_imatrix else None
        noted = imatrix.metadata(found, saved)
        job = replace(job, metadata={**job.metadata, **noted})
        weights = found.weights()
    elif job.imatrix is not None:
        weights = imatrix.read(Path(job.imatrix)).weights()
    native.quantize(job, weights, tell_tensor)


def _calibrated(job: Job) -> imatrix.Imatrix:
    from llmrr.convert.quantize import calibrate

    found = calibrate.compute(
        Path(job.source),
        Path(job.calibrate or ""),
        job.threads,
        lambda done, of: tell("calibrated", done, of),
    )
    if job.save_imatrix is not None:
        imatrix.write(Path(job.save_imatrix), found)
    return found


def tell_tensor(name: str, tensor_type: str | None) -> None:
    """A tensor is being quantized, or in a dry run would get this type."""
    tell("tensor", name, tensor_type)


def tell(*words: Any) -> None:
    """Print a line for the process that reads."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def _die_with_parent() -> None:
    """The parent holds the other end of the input: the end of it is the end of the parent, however
    it ended."""
    while os.read(0, 64):
        pass
    os._exit(130)


def main() -> int:
    """Run the helper; the exit status is the error's."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a handler would wait for llama.cpp to return
    job = Job.of_line(sys.stdin.buffer.readline())
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        run(job)
    except LlmrrError as error:
        return _failed(error)
    except OSError as error:
        if (known := by_system(error)) is None:
            raise
        return _failed(known)
    return 0


def _failed(error: LlmrrError) -> int:
    tell("failed", error.type, error.message, error.hint)
    return error.exit_code


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # at once: freeing all that memory is the system's business
