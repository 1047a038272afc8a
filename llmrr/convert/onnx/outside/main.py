"""One job in a process of its own: it comes as a line of JSON on stdin, progress and the result go
as lines of JSON to stdout. When stdin ends, whoever asked is gone, and so is this process with all
that it started.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

if not __package__:  # run by its path: the modules beside it are a package of their own
    _package = ModuleType("outside")
    _package.__path__ = [str(Path(__file__).parent)]
    sys.modules["outside"] = _package
    __package__ = "outside"

from .refusal import Refused, translated

Say = Callable[[str, int, int], None]


def main() -> None:
    """Do the job; the exit code tells nothing, the last line does."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no line of ours

    def send(**said: Any) -> None:
        lines.write(json.dumps(said) + "\n")
        lines.flush()

    def say(what: str, done: int, total: int) -> None:
        send(at=what, done=done, total=total)

    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_watch, daemon=True).start()
    try:
        send(result=_job(job.pop("job"))(say, **job))
    except Refused as refused:
        send(error=refused.kind, message=refused.message)
    except BaseException as error:
        import traceback

        traceback.print_exc()
        kind, message = translated(error)
        send(error=kind, message=message)


def _watch() -> None:
    while os.read(0, 1 << 16):
        pass
    os.killpg(0, signal.SIGKILL)


def _job(name: str) -> Callable[..., Any]:
    if name in ("create", "install", "imports"):
        from . import install

        return {"create": install.create, "install": install.install, "imports": install.imports}[
            name
        ]
    if name == "export":
        from .export import export

        return export
    if name == "compare":
        from .compare import compare

        return compare
    from .supported import supported

    return supported


if __name__ == "__main__":
    main()
