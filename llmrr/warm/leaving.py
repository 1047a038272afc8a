"""Starting the process that keeps a model loaded, which goes on when this one has ended."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

HELPER = "llmrr.warm"


def leave(job: dict[str, Any]) -> None:
    """Start it; ``job`` is as ``keeping`` reads it. Where that cannot be done, nothing is kept.

    ``posix_spawn``, because importing ``subprocess`` takes longer than all of this.
    """
    if not sys.executable:
        return
    # -P and our own folder alone: the working directory must not be imported from.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-P", "-m", HELPER]
    with suppress(OSError):
        reading, writing = os.pipe()
        nothing = [(os.POSIX_SPAWN_OPEN, to, os.devnull, os.O_WRONLY, 0) for to in (1, 2)]
        try:
            given = (os.POSIX_SPAWN_DUP2, reading, 0)
            os.posix_spawn(command[0], command, environment, file_actions=[given, *nothing])
        finally:
            os.close(reading)
            with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
                pipe.write(json.dumps({**job, "parent": os.getpid()}).encode())
