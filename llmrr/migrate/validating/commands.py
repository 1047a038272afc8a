"""The old side as any command: the prompt on stdin, the answer on stdout."""

import errno
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from llmrr.errors import NotFound, UsageError
from llmrr.migrate.validating.cases import Case
from llmrr.migrate.validating.likeness import Likeness
from llmrr.migrate.validating.systems import NOT_ASKED, Reply, failed


class CommandSystem:
    """Runs it once for each request, without a shell; an exit code that is not 0 is a failure, and
    so is an empty answer."""

    context: int | None = None

    def __init__(
        self, command: str, timeout_s: float, likenesses: Sequence[Likeness] = ()
    ) -> None:
        self.likenesses = likenesses
        try:
            self._words = shlex.split(command)
            signs = [one for one in _tokens(command) if set(one) <= set("|&;<>")]
        except ValueError as error:
            raise UsageError(f"--old-command {command}: {error}", "close the quote") from None
        if signs:
            inner = "'…'" if "'" in command or '"' in command else f"'{command}'"
            raise UsageError(
                f"--old-command runs no shell, and {signs[0]} is for one",
                f'--old-command "sh -c {inner}", or quote {signs[0]}',
            )
        if not self._words:
            raise UsageError("--old-command is empty", '--old-command "python old.py"')
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        return Path(self._words[0]).name

    def prepare(self, case: Case) -> None:
        """Nothing stays loaded."""

    def ask(self, case: Case) -> Reply:
        """Ask. A prompt that is missing is no stdin; what is no text cannot be asked. Raises
        ``NotFound`` where there is no such command, or none that can be run."""
        text = case.text
        if not isinstance(text, str | None):
            return NOT_ASKED
        began = time.perf_counter()
        try:
            code, out, err = self._run(text)
        except subprocess.TimeoutExpired:
            return failed(f"no answer within {self._timeout_s:g} s", began)
        except FileNotFoundError:
            raise NotFound(
                f'there is no command "{self.name}"', "--old-command takes a program and its words"
            ) from None
        except OSError as error:
            if error.errno in (errno.EACCES, errno.ENOEXEC):
                raise NotFound(
                    f"the command {self._words[0]} cannot be run: {error.strerror}",
                    f"chmod +x {self._words[0]}, or the program that reads it before its name",
                ) from None
            return failed(error.strerror or str(error), began)
        if code:
            said = err.decode(errors="replace").strip().splitlines()
            return failed(f"exit code {code}: {said[-1] if said else 'no word why'}", began)
        answer = out.decode(errors="replace").strip()
        if not answer:
            return failed("an empty answer", began)
        return Reply(answer, latency_s=time.perf_counter() - began)

    def _run(self, text: str | None) -> tuple[int, bytes, bytes]:
        """Its exit code, stdout and stderr; whatever ends the waiting ends all that it started."""
        pipe = subprocess.PIPE
        given = None if text is None else text.encode(errors="replace")
        with subprocess.Popen(
            self._words, stdin=subprocess.DEVNULL if text is None else pipe, stdout=pipe,
            stderr=pipe, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                out, err = process.communicate(given, timeout=self._timeout_s)
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        return process.returncode, out, err


def _tokens(command: str) -> list[str]:
    """The words with their quotes, and what a shell takes for its signs."""
    found = shlex.shlex(command, punctuation_chars=True)
    found.whitespace_split = True
    found.commenters = ""
    return list(found)
