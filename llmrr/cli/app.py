"""The way in: ``main`` runs one command line and turns whatever went wrong into an exit code.

Exit codes: those of the error tree, 0 when the reader of a pipe has had enough (``… | head``), 70
for a bug (with its traceback), 130 when interrupted.
"""

import os
import sys
from collections.abc import Sequence

from llmrr.cli import output
from llmrr.errors import LlmrrError, UsageError, by_system

BUG = 70
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (``sys.argv`` by default) and return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    output.prepare(json_errors="--json" in _before_dashes(args))
    try:
        _dispatch(args)
        output.flush()
    except KeyboardInterrupt:
        return output.interrupted(INTERRUPTED)
    except BrokenPipeError:
        return output.hush()
    except LlmrrError as error:
        return output.failure(error)
    except OSError as error:
        found = by_system(error)
        return output.failure(found) if found else output.bug(error, BUG)
    except UnicodeEncodeError as error:
        if wrong := next((arg for arg in args if _is_no_text(arg)), None):
            shown = os.fsencode(wrong).decode(errors="replace")
            return output.failure(UsageError(f'"{shown}" is not UTF-8', "rename it first"))
        return output.bug(error, BUG)
    except Exception as bug:
        return output.bug(bug, BUG)
    return 0


def _is_no_text(arg: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in arg)


def _dispatch(args: list[str]) -> None:
    # Asked for by scripts and package managers: answered before Typer is imported (50 ms).
    if args in (["--version"], ["-V"]):
        return output.version()
    from llmrr.cli import tree

    if tree.completion_wanted():
        return output.completions(tree.complete(args))
    return tree.invoke(args or ["--help"])


def _before_dashes(args: list[str]) -> list[str]:
    return args[: args.index("--")] if "--" in args else args
