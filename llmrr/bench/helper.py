"""The helper process: opens a model, measures it, and ends with the process that started it.

``python -m llmrr.bench.helper`` takes a ``Job`` as one line of JSON on its input, which must stay
open while it works, and prints lines of JSON: ``{"told": [what, done, of]}`` as it goes, at the end
``{"result": …}`` or ``{"error": [type, message, hint]}``.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from llmrr import parameters
from llmrr.bench import measuring
from llmrr.bench.job import Job
from llmrr.errors import LlmrrError, by_system
from llmrr.router import Router

MEASURES = {"start": measuring.start, "speed": measuring.speed}


def run(job: Job, say: Callable[[object], None]) -> Any:
    """Do what the job says. Raises what opening a model and asking it raise."""
    options = parameters.read_loading(job.options)
    options["slots"] = job.sequences
    if job.what == "speed":
        options["at_least"] = 1  # a context no larger than what is measured takes
    with Router(leave_model=True) as router:
        opened = router.open(job.model, options=options, engine=job.engine)
        return MEASURES[job.what](
            opened, job, lambda what, done, of: say({"told": [what, done, of]})
        )


def main() -> int:
    """Run the helper; the exit status is the error's."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What a library prints on the standard output must not get between the lines.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(words: object) -> None:
        lines.write(json.dumps(words) + "\n")
        lines.flush()

    job = Job.of_line(sys.stdin.readline())
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        say({"result": run(job, say)})
    except LlmrrError as error:
        return _failed(say, error)
    except OSError as error:
        if (known := by_system(error)) is None:
            raise
        return _failed(say, known)
    return 0


def _failed(say: Callable[[object], None], error: LlmrrError) -> int:
    say({"error": [error.type, error.message, error.hint]})
    return error.exit_code


def _die_with_parent() -> None:
    """The parent holds the other end of the input: the end of it is the end of the parent, however
    it ended."""
    while os.read(0, 64):
        pass
    os._exit(130)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # at once: freeing all that memory is the system's business
