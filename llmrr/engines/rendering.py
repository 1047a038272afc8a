"""Renders chat templates in a process of their own, which may take so much memory and time and no
more: what a template of a model's file or of a project's folder can end or freeze is that process.

The system's limits hold for whatever a template may do: there is no list of what is dangerous. The
process is started for the first template and then kept, as starting takes longer than rendering.
Templates that cannot grow (``plain``) are rendered here.

The process reads a line of JSON for each task, ``{"text": …, "seconds": …, "values": {…},
"now": …}``, or without the last two for the names that the template reads, or with ``"check"`` for
them, and answers with a line: ``{"rendered": …, "by": …}``, ``{"names": […]}``, ``{}``,
``{"refused": …}`` or ``{"failed": …}``.
"""

import json
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from llmrr.engines import jinja, plain
from llmrr.engines.jinja import Clock, Jinja, Refused, Renderer, Unrenderable

if TYPE_CHECKING:
    from datetime import datetime

MEMORY = 512 * 1024**2  # bytes
CPU_SECONDS = 5  # for one rendering
SECONDS = 15  # for one rendering, with whatever keeps the process waiting
STACK_BYTES = 64 << 20  # the parsers recurse
KEPT = 16  # compiled templates

# The package is not imported, only this module of it: that takes half the time to start.
_START = """
import sys
package, *sys.path[:] = sys.argv[1:]
for name, folder in (("llmrr", package), ("llmrr.engines", package + "/engines")):
    sys.modules[name] = type(sys)(name)
    sys.modules[name].__path__ = [folder]
from llmrr.engines.rendering import serve
serve()
"""


def render(text: str, values: Mapping[str, Any], now: Clock) -> str:
    """What the template makes of the values, which are those of JSON. Raises ``Refused`` and
    ``Unrenderable``."""
    if _is_plain(text, values):
        try:
            return _plain(text)(values)
        except Refused:
            raise
        except Exception:  # broken, or a long conversation: the other process has the last word
            pass
    answer = _ask({"text": text, "values": dict(values), "now": now().isoformat()})
    return str(answer["rendered"])


def names(text: str) -> frozenset[str]:
    """The names that the template reads and does not define, or more."""
    if plain.is_plain(text):
        return frozenset(jinja.free_names(text))
    return frozenset(_ask({"text": text})["names"])


def check(text: str) -> None:
    """Raise ``Unrenderable``, with the line, for a template that cannot be read."""
    _ask({"text": text, "check": True})


def prepare(text: str) -> None:
    """Start the process if this template will need it, and do not wait for it."""
    if not plain.is_plain(text):
        with _lock, suppress(Unrenderable):
            _running()


def stop() -> None:
    """End the process, and what it is at; it is started again when it is needed."""
    global _process
    process, _process = _process, None
    if process:
        process.kill()


@lru_cache(KEPT)
def _plain(text: str) -> Renderer:
    return jinja.fast(jinja.prepare(text), jinja.no_clock, fuel=plain.FUEL)


def _is_plain(text: str, values: Mapping[str, Any]) -> bool:
    if values.get("tools") or any("tool_calls" in one for one in values.get("messages", ())):
        return False
    given = sum(
        64 + len(one["content"]) + len(one.get("reasoning_content", ""))
        for one in values.get("messages", ())
    )
    return given <= plain.LARGEST and plain.is_plain(text) and jinja.differs(text) is None


# -- this side ---------------------------------------------------------------------------------


class _Process:
    """The other process. One task at a time; after any error it is of no more use."""

    def __init__(self) -> None:
        import atexit
        import subprocess

        package = str(Path(__file__).parents[1])
        folders = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
        # Neither the environment nor the working directory decides what is imported there, and
        # Ctrl-C is not meant for it.
        self._made: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, package, *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._owner = os.getpid()
        atexit.register(stop)

    def usable(self) -> bool:
        """Is it running, and ours? (A fork of this process has the same pipes.)"""
        return self._owner == os.getpid() and self._made.poll() is None

    def ask(self, task: dict[str, Any]) -> dict[str, Any]:
        """Its answer. Raises ``Unrenderable`` when it ended over it."""
        stdin, stdout = self._made.stdin, self._made.stdout
        assert stdin and stdout
        clock = threading.Timer(SECONDS, self._made.kill)
        clock.daemon = True
        clock.start()
        try:
            stdin.write(json.dumps({"seconds": CPU_SECONDS, **task}).encode() + b"\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline())
        except (OSError, ValueError) as exc:
            raise Unrenderable(_why(self._made.wait(SECONDS))) from exc
        finally:
            clock.cancel()
        return answer

    def kill(self) -> None:
        """End it and give back what it took here."""
        if self._owner == os.getpid():
            self._made.kill()
            self._made.wait()
        for pipe in (self._made.stdin, self._made.stdout):
            assert pipe
            with suppress(OSError):  # what could not be written is not missed
                pipe.close()


_lock = threading.Lock()
_process: _Process | None = None


def _running() -> _Process:
    """The process. Under ``_lock``."""
    global _process
    if _process and not _process.usable():
        _process.kill()
        _process = None
    try:
        _process = _process or _Process()
    except OSError as exc:
        raise Unrenderable(f"no process can be started for it: {exc}") from exc
    return _process


def _ask(task: dict[str, Any]) -> dict[str, Any]:
    global _process
    with _lock:
        process = _running()
        try:
            answer = process.ask(task)
        except BaseException:  # Ctrl-C too: the answer would be taken for that of the next task
            process.kill()
            _process = None
            raise
    if "refused" in answer:
        raise Refused(answer["refused"])
    if "failed" in answer:
        raise Unrenderable(answer["failed"])
    return answer


def _why(status: int) -> str:
    import signal

    if status in (-signal.SIGPROF, -signal.SIGKILL):
        return f"it takes more than {CPU_SECONDS} s"
    return f"it takes more than {MEMORY >> 20} MiB of memory, or ends what renders it ({status})"


# -- the other side ----------------------------------------------------------------------------


def serve() -> None:
    """Do the tasks that come on standard input, until it ends."""
    _limit("RLIMIT_DATA", MEMORY)
    _limit("RLIMIT_CORE", 0)
    threading.stack_size(STACK_BYTES)
    worker = threading.Thread(target=_serve, args=(sys.stdin.buffer, sys.stdout.buffer))
    worker.start()
    worker.join()


def _serve(tasks: IO[bytes], answers: IO[bytes]) -> None:
    import signal
    from importlib import import_module

    import_module("minijinja")  # while the other side is still loading the model
    asked = ""

    def now() -> "datetime":
        from datetime import datetime

        return datetime.fromisoformat(asked)

    made: dict[str, Jinja] = {}
    for line in tasks:
        task = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, task["seconds"])  # of CPU; what it sends ends us
        text, asked = task["text"], task.get("now", "")
        while len(made) > KEPT:
            made.pop(next(iter(made)))
        template = made.setdefault(text, Jinja(text, now))
        answers.write(json.dumps(_answer(template, task)).encode() + b"\n")
        answers.flush()


def _answer(template: Jinja, task: dict[str, Any]) -> dict[str, Any]:
    try:
        if "values" in task:
            return {"rendered": template.render(task["values"]), "by": template.by}
        if "check" in task:
            jinja.check(task["text"])
            return {}
        return {"names": jinja.free_names(task["text"])}
    except Refused as exc:
        return {"refused": str(exc)}
    except Unrenderable as exc:
        return {"failed": str(exc)[:1000]}


def _limit(name: str, most: int) -> None:
    """Lower a limit of this process, as far as it can be."""
    import resource

    kind = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(OSError, ValueError):  # macOS knows limits that it does not set
        resource.setrlimit(kind, (soft, hard))
