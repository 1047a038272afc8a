"""The process that keeps models loaded after the run that loaded the first of them. It ends when
nobody has used them for long enough, when it is told to, and when its socket has gone."""

import fcntl
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from llmrr import paths
from llmrr.engines.later import Later
from llmrr.engines.resident import loads, places
from llmrr.engines.resident.loads import Load
from llmrr.errors import LlmrrError
from llmrr.pool import Pool, Rules
from llmrr.warm.lending import Lending
from llmrr.warm.service import Service

LOOK_EVERY: Final = 1.0  # seconds
PATIENCE_S: Final = 3.0  # for the one before to have ended
DRAIN_S: Final = 60.0  # for answers that are under way when it is told to end


def main() -> None:
    """Keep the model that stdin says, and those that are asked for meanwhile."""
    job = _detached()
    signal.signal(signal.SIGTERM, _ended)
    with suppress(OSError, LlmrrError, SystemExit):
        held = _locked(places.made())
        if held is not None:
            with held:
                _keep(job)
    os._exit(0)  # the system frees a model faster than we could


def _detached() -> dict[str, Any]:
    """Take leave of who started it; what it is to do."""
    with suppress(OSError):
        os.setsid()
    os.closerange(3, 1024)
    os.chdir("/")
    os.umask(0o077)
    job: dict[str, Any] = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    until = time.monotonic() + PATIENCE_S
    while os.getppid() == job["parent"] and time.monotonic() < until:
        time.sleep(0.005)  # until its memory is free
    return job


def _ended(*_: object) -> None:
    raise SystemExit


def _locked(folder: Path) -> BinaryIO | None:
    """The lock that only one process has; None where another one keeps models already."""
    file = (folder / "run.lock").open("ab")
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            listens = (folder / places.of(places.LEFT, 0)).exists()
            if listens or time.monotonic() > until:
                file.close()
                return None
            time.sleep(0.05)  # it begins, or ends


def _keep(job: Mapping[str, Any]) -> None:
    rules = Rules(*job["rules"])._replace(unload_after=math.inf)
    pool = Pool(lambda: rules, lives=False)
    wake, told = threading.Event(), threading.Event()

    def stop() -> None:
        told.set()
        wake.set()

    lending = Lending(pool, {"most_slots": job["most_slots"]}, keeps=True, changed=wake.set)
    service = Service(lending, places.LEFT, stop)
    first = Later(lambda: _load(lending, loads.load_of(job["load"]))).start()
    try:
        home, swept = paths.data_dir(), time.monotonic()
        while not told.is_set() and service.is_there and home.is_dir():
            left = lending.expire()
            if first.is_done and lending.is_idle:
                break
            if time.monotonic() - swept > rules.interval:
                pool.sweep()
                swept = time.monotonic()
            wake.wait(LOOK_EVERY if left is None else min(left, LOOK_EVERY))
            wake.clear()
        service.close(wait_s=DRAIN_S if told.is_set() else 0.0)
    finally:
        service.close()


def _load(lending: Lending, load: Load) -> None:
    """Load what the run had; where that cannot stay, nothing."""
    if lending.has_room(load):
        lending.lease(load).release()
