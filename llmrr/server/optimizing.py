"""``[optimize] every``: proposals from the record of runs, while the server goes on."""

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Final, cast

from llmrr import database, paths
from llmrr.errors import LlmrrError
from llmrr.optimize import drafting, report
from llmrr.router import Router
from llmrr.server import logs

if TYPE_CHECKING:
    import sqlite3

logger = logging.getLogger("llmrr.server")

FILE: Final = "optimize.diff"
_LAST: Final = "optimize.looked"  # when, in the database: a server that begins anew does not forget
_LOSS: Final = "when proposals were looked for is not known"
_LOOK_S: Final = 60.0


class Optimizing:
    """Looks for proposals when that is due, on a thread of its own."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._looked, self._thread = -_LOOK_S, threading.Thread()

    def tick(self) -> None:
        """Once a second: begin where it may be due."""
        now = time.monotonic()
        every = cast("float | None", self._router.config.value("optimize.every"))
        if every is None or now - self._looked < min(every, _LOOK_S) or self._thread.is_alive():
            return
        self._looked = now
        self._thread = threading.Thread(target=self._work, args=(every,), name="llmrr-optimize")
        self._thread.start()

    def wait(self) -> None:
        """Wait until what is under way has ended."""
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self, every: float) -> None:
        try:
            if self._is_due(every):
                look(self._router)
        except LlmrrError as error:
            logger.error("there are no proposals: %s", error)
        except Exception:
            logger.exception("looking for proposals failed")

    def _is_due(self, every: float) -> bool:
        """Whether nobody has looked for that long; who is told so has looked. The clock of the
        first time begins with the first run of a server."""
        now = time.time()

        def take(connection: "sqlite3.Connection") -> bool:
            with database.errors(), database.transaction(connection):
                last = database.recall(connection, _LAST)
                if last is not None and 0 <= now - float(last) < every:
                    return False
                database.remember(connection, _LAST, str(now))
                return last is not None

        return bool(self._router.with_database(take, _LOSS))


def look(router: Router) -> None:
    """Write down what is proposed, and with ``[optimize] auto`` change the files so."""
    value = router.config.value
    found = report.look(router, time.time() - cast(float, value("optimize.window")))
    if not found.drafts:
        logger.info("there is nothing to propose")
        return
    count = len(found.advice.proposals)
    _keep(drafting.diff(found.drafts))
    if value("optimize.auto"):
        found.write()
        logs.notice(f"{count} settings were changed: llmrr config rollback undoes it")
    else:
        logs.notice(f"{count} settings are proposed: llmrr optimize --write makes them")


def _keep(diff: str) -> None:
    """Write down the newest proposals, which only the user may read: prices and names are in them.
    """
    target = paths.data_dir() / FILE
    new = target.with_name(f".{FILE}.{os.getpid()}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(diff)
        new.replace(target)
    except OSError as error:
        raise LlmrrError(f"{target} cannot be written: {error.strerror}") from None
    finally:
        new.unlink(missing_ok=True)
