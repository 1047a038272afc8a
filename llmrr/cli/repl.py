"""The conversation behind ``llmrr chat``: messages, and the commands that begin with a slash."""

import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, TextIO

from llmrr.cli import answers, asking, output, prompt, views
from llmrr.errors import DamagedFile, LlmrrError, NotFound, UsageError
from llmrr.types import Message, Request, Sampling

if TYPE_CHECKING:
    from pathlib import Path

    from llmrr.router import Router

QUOTES = '"""'
# A conversation takes more context than its first message needs, if it fits.
CONTEXT_AT_LEAST = 32768
ReadLine = Callable[[bool], str]


class Bye(Exception):
    """The conversation is over."""


@dataclass(slots=True)
class Session:
    """A conversation under way."""

    router: "Router"
    model: str | None
    how: answers.Shown
    loading: dict[str, object]
    sampling: Sampling
    system: str | None = None
    messages: tuple[Message, ...] = ()
    cid: str = ""
    log: bool = True
    named: bool = False  # the model was named once on stderr

    def turns(self) -> tuple[Message, ...]:
        """All that is sent: the system prompt, then the conversation."""
        system = (Message("system", self.system),) if self.system else ()
        return (*system, *self.messages)


def converse(
    router: "Router", question: asking.Question, how: answers.Shown, *, log: bool = True
) -> None:
    """Read and answer until the end, beginning with what the command line said."""
    session = begin(router, question, how._replace(markdown=True), log=log)
    with reader(sys.stdin) as read_line:
        loop(session, read_line, question.prompt)


def begin(
    router: "Router", question: asking.Question, how: answers.Shown, *, log: bool = True
) -> Session:
    """A session from what the command line said; a continued conversation brings its turns."""
    turns = question.past
    system = question.system or next((m.content for m in turns if m.role == "system"), None)
    return Session(
        router=router,
        model=question.model,
        how=how,
        loading={"at_least": CONTEXT_AT_LEAST, **question.loading},
        sampling=question.sampling,
        system=system,
        messages=tuple(m for m in turns if m.role != "system"),
        cid=question.conversation or uuid.uuid4().hex[:12],
        log=log,
    )


def loop(session: Session, read_line: ReadLine, first: str | None = None) -> None:
    """Answer messages and obey commands until the end of the input."""
    if first:
        turn(session, first)
    while True:
        try:
            text = read_message(read_line)
        except EOFError:
            return
        except KeyboardInterrupt:
            if not output.is_terminal(sys.stdin):
                raise
            output.note("/bye or Ctrl-D ends the conversation")
            continue
        try:
            turn(session, text)
        except Bye:
            return


def turn(session: Session, text: str) -> None:
    """One message or command. What goes wrong is told, and the conversation goes on."""
    try:
        if text.startswith("/"):
            obey(session, text)
        elif text.strip():
            say(session, text)
    except LlmrrError as error:
        output.problem(error)
    except KeyboardInterrupt:
        output.note("stopped")


def say(session: Session, text: str) -> None:
    """Send a message and print the answer. An answer that was stopped stays in the conversation:
    it is what the person saw; a question that failed does not."""
    progress = answers.Progress()
    turns = (*session.turns(), Message("user", text))
    answer = session.router.run(
        Request(messages=turns, sampling=session.sampling),
        model=session.model,
        options=session.loading,
        conversation=session.cid,
        log=session.log,
        progress=progress,
    )
    heard = answers.Heard()
    try:
        if not session.named:
            answers.announce(answer, session.how)
        session.named = True
        answers.show(answer, session.how, progress, heard)
    finally:
        if heard.text:
            said = (Message("user", text), Message("assistant", heard.text))
            session.messages = (*session.messages, *said)


def read_message(read_line: ReadLine) -> str:
    r"""One line, or all lines between two that hold three quotes.

    >>> lines = iter(['\"\"\"one', 'two\"\"\"'])
    >>> read_message(lambda more: next(lines))
    'one\ntwo'
    """
    line = read_line(False)
    if not line.lstrip().startswith(QUOTES):
        return line
    block = line.lstrip()[len(QUOTES) :]
    while QUOTES not in block:
        block += "\n" + read_line(True)
    return block[: block.index(QUOTES)].strip("\n")


@contextmanager
def reader(stdin: TextIO) -> Iterator[ReadLine]:
    """How lines are read: with editing and history on a terminal, plainly from a pipe."""
    if output.is_terminal(stdin) and output.is_terminal(sys.stdout):
        yield _terminal_reader()
    else:
        yield lambda more: _piped_line(stdin)


def obey(session: Session, line: str) -> None:
    """Carry out a command. Raises ``UsageError`` for one that does not exist, with the nearest."""
    word, _, rest = line[1:].strip().partition(" ")
    name = _ALIASES.get(word.lower(), word.lower())
    if name not in COMMANDS:
        near = get_close_matches(name, [*COMMANDS, *_ALIASES], n=1)
        raise UsageError(f'there is no command "/{word}"', f"/{near[0] if near else '?'}")
    COMMANDS[name][0](session, rest.strip())


def set_(session: Session, rest: str) -> None:
    key, _, value = rest.partition(" ")
    value = value.strip()
    if key == "parameter":
        _set_parameter(session, value)
    elif key == "system":
        system(session, value)
    elif key in ("think", "nothink"):
        level = "off" if key == "nothink" else value or "medium"
        session.sampling = prompt.sampling({"think": level}, {}).over(session.sampling)
    elif key in ("verbose", "quiet"):
        session.how = session.how._replace(verbose=key == "verbose")
    elif key in ("history", "nohistory"):
        session.log = key == "history"
    else:
        choices = "parameter KEY VALUE, system TEXT, think, nothink, verbose, quiet, nohistory"
        raise UsageError(f'there is no setting "{key}" for /set', f"/set {choices}")


def _set_parameter(session: Session, text: str) -> None:
    key, _, value = text.partition(" ")
    if not value.strip():
        raise UsageError("/set parameter needs a key and a value", "/set parameter temperature 0.2")
    sampling, loading = prompt.read_options([(key, value.strip())])
    session.sampling = prompt.sampling(sampling, {}).over(session.sampling)
    session.loading.update(loading)


def show(session: Session, rest: str) -> None:
    if rest in ("", "info", "model"):
        info = session.router.info(session.model)
        name = session.router.resolve(session.model).name
        output.lines(output.page().facts(views.model_facts(name, info)))
    elif rest in ("parameters", "params"):
        stated = {f.name: getattr(session.sampling, f.name) for f in fields(Sampling)}
        known = {k: v for k, v in {**stated, **session.loading}.items() if v is not None}
        output.lines(output.page().facts(known))
    elif rest == "system":
        output.data(session.system or "no system prompt is set")
    elif rest == "template":
        template = session.router.info(session.model).chat_template
        output.data(template or "the model brings no chat template")
    elif rest in ("messages", "history"):
        output.lines(f"{message.role}: {message.content}" for message in session.turns())
    else:
        choices = "info, parameters, system, template, messages"
        raise UsageError(f'there is nothing "{rest}" for /show', f"/show {choices}")


def save(session: Session, rest: str) -> None:
    from llmrr import journal

    path = _saved(rest, "/save NAME")
    facts = {
        "model": session.model,
        "system": session.system,
        "messages": [{"role": m.role, "content": m.content} for m in session.messages],
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with journal.change(f"conversation {rest}") as change:
        change.write(path, output.dumps(facts) + "\n")
    output.note(f"saved; /load {rest} brings it back")


def load(session: Session, rest: str) -> None:
    import json

    path = _saved(rest, "/load NAME")
    if not path.is_file():
        if session.router.is_model(rest):
            raise NotFound(f'no conversation is saved as "{rest}"', f"/model {rest}")
        names = sorted(found.stem for found in path.parent.glob("*.json"))
        raise NotFound(
            f'no conversation is saved as "{rest}"',
            f"/load {names[0]}" if names else "/save NAME keeps the one under way",
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        messages = tuple(Message(m["role"], m["content"]) for m in facts["messages"])
        kept = facts["model"], facts["system"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"{path} holds no conversation", f"rm {path}") from error
    session.model, session.system = kept[0] or session.model, kept[1]
    session.messages = messages
    session.cid = uuid.uuid4().hex[:12]
    output.note(f"loaded {len(session.messages)} messages")


def clear(session: Session, rest: str) -> None:
    session.messages = ()
    session.cid = uuid.uuid4().hex[:12]
    output.note("the conversation begins anew")


def system(session: Session, rest: str) -> None:
    text = rest.strip().removeprefix(QUOTES).removesuffix(QUOTES).strip()
    session.system = text or None
    output.note("the system prompt is set" if text else "the system prompt is gone")


def model(session: Session, rest: str) -> None:
    if not rest:
        return output.data(session.router.resolve(session.model).name)
    session.model = session.router.resolve(rest).name
    session.named = True
    return output.note(f"model {session.model}")


def help_(session: Session, rest: str) -> None:
    output.lines(f"  {usage:<28} {text}" for _, usage, text in COMMANDS.values())
    output.data(f"  {QUOTES:<28} begin and end a message of several lines")


def bye(session: Session, rest: str) -> None:
    raise Bye


Action = Callable[[Session, str], None]
COMMANDS: dict[str, tuple[Action, str, str]] = {
    "set": (set_, "/set parameter KEY VALUE", "change a setting (system, think, verbose too)"),
    "show": (show, "/show [info]", "show info, parameters, system, template or messages"),
    "system": (system, "/system [TEXT]", "set or drop the system prompt"),
    "model": (model, "/model [NAME]", "name the model, or change it"),
    "save": (save, "/save NAME", "keep this conversation"),
    "load": (load, "/load NAME", "go on with one that was kept"),
    "clear": (clear, "/clear", "forget what was said"),
    "?": (help_, "/?", "list the commands"),
    "bye": (bye, "/bye", "end (also /exit, /quit, Ctrl-D)"),
}
_ALIASES = {"help": "?", "exit": "bye", "quit": "bye", "q": "bye", "new": "clear"}


def _saved(name: str, usage: str) -> "Path":
    import re

    from llmrr import paths

    if not re.fullmatch(r"[\w][\w.-]*", name):
        said = f'"{name}" is no name for a conversation' if name else "a name is missing"
        raise UsageError(said, f"{usage}, of letters, digits, dots and dashes")
    return paths.data_dir() / "conversations" / f"{name}.json"


def _piped_line(stdin: TextIO) -> str:
    line = stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _terminal_reader() -> ReadLine:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory

    from llmrr import paths

    path = paths.data_dir() / "chat_history"
    history: History = InMemoryHistory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        history = FileHistory(str(path))
    except OSError:
        output.note(f"{path} cannot be written: what you type is remembered until you leave")
    words = WordCompleter([f"/{name}" for name in COMMANDS], sentence=True)
    typed: PromptSession[str] = PromptSession(
        history=history, completer=words, complete_while_typing=False, reserve_space_for_menu=0
    )
    return lambda more: typed.prompt("... " if more else ">>> ")
