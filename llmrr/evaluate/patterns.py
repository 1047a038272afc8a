"""Regular expressions with a limit of time.

Some patterns take ages on some texts ((a+)+$ on many a's), and a match under way cannot be stopped
from within its process. So one small process of its own searches, and is ended when it takes too
long.
"""

import json
import re
import subprocess
import sys
from typing import Final

from llmrr.errors import EngineFailed, UsageError

LIMIT_S: Final = 2.0  # of one search; an answer has some thousand characters
_WORKER: Final = """
import json, re, sys
for line in sys.stdin:
    pattern, text = json.loads(line)
    print(int(re.search(pattern, text) is not None), flush=True)
"""


def check(pattern: str) -> str | None:
    """Why a pattern is none, or None.

    >>> check("a(b"), check("a|b")
    ('missing ), unterminated subpattern at position 1', None)
    """
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return str(error) or type(error).__name__
    return None


class Patterns:
    """Searches patterns; its process is started by the first one."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Patterns":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def search(self, pattern: str, text: str) -> bool:
        """Whether ``pattern`` is found in ``text``. Raises ``UsageError`` when that takes too long.
        """
        import select

        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps([pattern, text]).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            self.close()
            raise EngineFailed("the process that searches patterns has ended") from None
        if not select.select([process.stdout], [], [], self._limit_s)[0]:
            self.close()
            raise UsageError(
                f'the pattern "{pattern}" takes more than {self._limit_s:g} s on an answer',
                "write it without nested repetitions such as (a+)+",
            )
        return process.stdout.readline().strip() == b"1"

    def close(self) -> None:
        """End its process. Twice is allowed."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _WORKER],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the one who asked
            )  # fmt: skip
        return self._process
