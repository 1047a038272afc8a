"""The user's editor."""

import os
import sys
from pathlib import Path

from llmrr.cli import output
from llmrr.config import Problem
from llmrr.errors import LlmrrError, NotFound, UsageError

FALLBACKS = ("nano", "vi", "notepad")


def command() -> list[str]:
    """The words that start the editor: VISUAL, EDITOR, or one that is there.

    Raises ``NotFound`` when there is none, ``UsageError`` for words that cannot be told apart.
    """
    import shlex
    import shutil

    for name in ("VISUAL", "EDITOR"):
        value = os.environ.get(name, "")
        try:
            words = shlex.split(value)
        except ValueError as error:
            said = f"{name}={shlex.quote(value)} cannot be read: {error}"
            raise UsageError(said, f"{name}=nano llmrr config edit") from None
        if words:
            return words
    for name in FALLBACKS:
        if found := shutil.which(name):
            return [found]
    raise NotFound("no editor is known", "EDITOR=nano llmrr config edit")


def run(path: Path) -> None:
    """Let the user edit ``path``. Raises ``LlmrrError`` when the editor fails."""
    import subprocess

    words = command()
    try:
        done = subprocess.run([*words, str(path)], check=False)
    except OSError as error:
        hint = "EDITOR=nano llmrr config edit"
        raise NotFound(f'the editor "{words[0]}" cannot be started', hint) from error
    if done.returncode:
        said = f'the editor "{words[0]}" ended with {done.returncode}'
        raise LlmrrError(f"{said}: nothing is changed", "EDITOR=nano llmrr config edit")


def again(problems: list[Problem]) -> bool:
    """Tell what is wrong, and ask on a terminal whether to go on editing."""
    for problem in problems:
        output.problem(LlmrrError(problem.message, problem.hint))
    if not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)):
        return False
    output.stderr("llmrr: edit again? [Y/n] ")
    return not sys.stdin.readline().strip().lower().startswith("n")
