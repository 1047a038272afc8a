"""The helper process: quantizes, and dies with the process that started it.

``python -m llmrr.convert.quantize.helper`` takes jobs (``Job``), each as one line of JSON, on its
input, which must stay open while it works. It prints one line of JSON for each thing it has to
tell: ``["tensor", name, type]``, ``["calibrated", chunks, of]``, at the end of a job ``["done"]``,
and for an error ``["failed", type, message, hint]``, with which it ends. llama.cpp itself may print
on the error output.
"""

import json
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from llmrr.convert.quantize import native
from llmrr.convert.quantize.job import Job
from llmrr.errors import LlmrrError, by_system

if TYPE_CHECKING:
    from llmrr.convert.quantize.imatrix import Imatrix


def run(job: Job) -> None:
    """Do what the job says. Raises ``LlmrrError``."""
    weights: native.Weights | None = None
    if job.calibrate is not None or job.imatrix is not None:
        from llmrr.convert.quantize import imatrix
    if job.calibrate is not None:
        found = _calibrated(job)
        saved = Path(job.save_imatrix).name if job.save_imatrix else None
        noted = imatrix.metadata(found, saved)
        job = replace(job, metadata={**job.metadata, **noted})
        weights = found.weights()
    elif job.imatrix is not None:
        weights = imatrix.read(Path(job.imatrix)).weights()
    native.quantize(job, weights, tell_tensor)


def _calibrated(job: Job) -> "Imatrix":
    from llmrr.convert.quantize import calibrate, imatrix

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


def _read(jobs: "SimpleQueue[Job]") -> None:
    """The parent holds the other end of the input: the end of it is the end of the parent, however
    it ended."""
    for line in sys.stdin.buffer:
        jobs.put(Job.of_line(line))
    os._exit(130)


def main() -> int:
    """Run the helper until its parent ends or a job fails; the exit status is the error's."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a handler would wait for llama.cpp to return
    jobs: SimpleQueue[Job] = SimpleQueue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    native.prepare()  # while the parent makes up its first job
    try:
        while True:
            run(jobs.get())
            tell("done")
    except LlmrrError as error:
        return _failed(error)
    except OSError as error:
        if (known := by_system(error)) is None:
            raise
        return _failed(known)


def _failed(error: LlmrrError) -> int:
    tell("failed", error.type, error.message, error.hint)
    return error.exit_code


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # at once: freeing all that memory is the system's business
