"""Alerts on their way out: posted to a webhook, handed to a command. In the background, so that no
answer waits; a process that ends waits for what is under way, two seconds at most.

Nothing of a prompt, an answer or a key is in an alert. Redirects are not followed. A command that
an alert runs raises none itself, so that none goes round in a circle.
"""

import atexit
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from llmrr.alerts import Alert
from llmrr.tomltext import host_of

VARIABLE: Final = "LLMRR_ALERT"
POST_S: Final = 5.0
COMMAND_S: Final = 30.0
AT_EXIT_S: Final = 2.0

_under_way: set[threading.Thread] = set()
_lock: Final = threading.Lock()


class Targets(NamedTuple):
    """Where alerts go."""

    webhook: str | None = None
    command: tuple[str, ...] | None = None


def deliver(alert: Alert, targets: Targets, failed: Callable[[str], None]) -> None:
    """Begin to deliver; ``failed`` is told what went wrong, by another thread."""
    if VARIABLE in os.environ:
        return
    text = json.dumps(alert.facts(), ensure_ascii=False)
    if targets.webhook is not None:
        _begin(_post, targets.webhook, text, failed)
    if targets.command is not None:
        _begin(_run, targets.command, text, alert.event, failed)


def finish(seconds: float = AT_EXIT_S) -> bool:
    """Wait for what is under way, at most so long; whether all of it was delivered."""
    deadline = time.monotonic() + seconds
    with _lock:
        threads = list(_under_way)
    for one in threads:
        one.join(max(0.0, deadline - time.monotonic()))
    return not any(one.is_alive() for one in threads)


def _at_exit() -> None:
    with suppress(KeyboardInterrupt):
        finish()


def _begin(work: Callable[..., None], *given: object) -> None:
    def run() -> None:
        try:
            work(*given)
        finally:
            with _lock:
                _under_way.discard(threading.current_thread())

    thread = threading.Thread(target=run, name="llmrr-alert", daemon=True)
    with _lock:
        if not _under_way:
            atexit.unregister(_at_exit)
            atexit.register(_at_exit)
        _under_way.add(thread)
    try:
        thread.start()
    except RuntimeError:  # Python is ending: no thread begins any more
        with _lock:
            _under_way.discard(thread)


def _post(url: str, text: str, failed: Callable[[str], None]) -> None:
    from urllib3.exceptions import HTTPError

    from llmrr.engines.remote.connections import manager

    where = host_of(url)
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", "User-Agent": "llmrr"}
    try:
        pool = manager(parts.scheme, parts.hostname or "")
        answer = pool.request(
            "POST", url, body=text.encode(), headers=headers, timeout=POST_S, retries=False,
            redirect=False,
        )  # fmt: skip
        if answer.status >= 300:
            failed(f"the alert was not taken by {where}: status {answer.status}")
    except (HTTPError, OSError, ValueError) as error:
        failed(f"the alert could not be posted to {where}: {type(error).__name__}")


def _run(command: Sequence[str], text: str, event: str, failed: Callable[[str], None]) -> None:
    import subprocess

    nowhere = subprocess.DEVNULL
    try:
        # A session of its own: Ctrl-C is meant for what asked, and all of it can be ended.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere,
            env={**os.environ, VARIABLE: event}, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        failed(f"the command {command[0]} of the alerts cannot be run: {error}")
        return
    try:
        process.communicate(text.encode(), timeout=COMMAND_S)
    except subprocess.TimeoutExpired:
        _end(process.pid)
        process.communicate()
        failed(f"the command {command[0]} of the alerts took over {COMMAND_S:g} s, and was ended")
        return
    if process.returncode:
        failed(f"the command {command[0]} of the alerts ended with {process.returncode}")


def _end(group: int) -> None:
    import signal

    with suppress(OSError):
        os.killpg(group, signal.SIGKILL)
