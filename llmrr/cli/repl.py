"""The loop of ``llmrr chat``: read a message or a command, answer or obey, until the end."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from llmrr.cli import answers, asking, output, slash
from llmrr.cli.session import Session, begin, say
from llmrr.errors import ContextOverflow, LlmrrError

if TYPE_CHECKING:
    from prompt_toolkit.history import History

    from llmrr.router import Router

ReadLine = Callable[[bool], str]


def converse(
    router: "Router", question: asking.Question, how: answers.Shown, *, log: bool = True
) -> None:
    """Read and answer until the end, beginning with what the command line said."""
    session = begin(router, question, how._replace(markdown=True), log=log)
    typed = output.is_terminal(sys.stdin)
    if typed:
        who = "one of the models"
        if not router.chooses(session.model):
            who, session.named = router.resolve(session.model).name, True
        output.note(f"{who} answers; /? lists the commands")
    with reader(sys.stdin, session) as read_line:
        failed = loop(session, read_line, question.prompt)
    if failed and not typed:
        raise type(failed[0])(f"lines that failed: {len(failed)}; the first is told above")


def loop(session: Session, read_line: ReadLine, first: str | None = None) -> list[LlmrrError]:
    """Answer messages and obey commands until the end of the input; what went wrong on the way."""
    failed = turn(session, first) if first else []
    while True:
        try:
            text = read_message(read_line)
        except EOFError:
            return failed
        except KeyboardInterrupt:
            if not output.is_terminal(sys.stdin):
                raise
            output.note("/bye or Ctrl-D ends the conversation")
            continue
        try:
            failed += turn(session, text)
        except slash.Bye:
            return failed


def turn(session: Session, text: str) -> list[LlmrrError]:
    """One message or command. What goes wrong is told, and the conversation goes on."""
    try:
        if text.startswith("/"):
            slash.obey(session, text)
        elif text.strip():
            say(session, text)
    except LlmrrError as error:
        if isinstance(error, ContextOverflow) and session.messages:
            error.hint = "/clear begins anew (/save NAME first keeps what was said)"
        output.problem(error)
        return [error]
    except KeyboardInterrupt:
        output.note("stopped")
    return []


def read_message(read_line: ReadLine) -> str:
    r"""One line, or all lines between two that hold three quotes.

    >>> lines = iter(['\"\"\"one', 'two\"\"\"'])
    >>> read_message(lambda more: next(lines))
    'one\ntwo'
    """
    line = read_line(False)
    if not line.lstrip().startswith(slash.QUOTES):
        return line
    block = line.lstrip()[len(slash.QUOTES) :]
    while slash.QUOTES not in block:
        block += "\n" + read_line(True)
    return block[: block.index(slash.QUOTES)].strip("\n")


@contextmanager
def reader(stdin: TextIO, session: Session) -> Iterator[ReadLine]:
    """How lines are read: with editing and history on a terminal, plainly from a pipe."""
    if output.is_terminal(stdin) and output.is_terminal(sys.stdout):
        yield _terminal_reader(session)
    else:
        yield lambda more: _piped_line(stdin, more)


def _piped_line(stdin: TextIO, more: bool) -> str:
    line = stdin.readline()
    if not line and more:
        return slash.QUOTES  # the end closes a block
    if not line:
        raise EOFError
    return line.rstrip("\n")


def history(keeps: Callable[[], bool]) -> "History":
    """What was typed before. A line goes into the file only while ``keeps`` says so; without a
    file that can be written, all is remembered until the end."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    from llmrr import paths

    class Kept(FileHistory):
        def store_string(self, string: str) -> None:
            if keeps():
                super().store_string(string)

    path = paths.data_dir() / "chat_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError:
        output.note(f"{path} cannot be written: what you type is remembered until you leave")
        return InMemoryHistory()
    return Kept(str(path))


def _terminal_reader(session: Session) -> ReadLine:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter

    words = WordCompleter([f"/{name}" for name in slash.COMMANDS], sentence=True)
    typed: PromptSession[str] = PromptSession(
        history=history(session.keeps), completer=words, complete_while_typing=False,
        reserve_space_for_menu=0,
    )  # fmt: skip
    return lambda more: typed.prompt("... " if more else ">>> ")
