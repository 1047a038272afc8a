"""The commands of a conversation that begin with a slash: Ollama's, as far as they have a meaning
here."""

from collections.abc import Callable
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from llmrr import parameters
from llmrr.cli import output, views
from llmrr.cli.session import Session, lasting_name, new_id
from llmrr.errors import DamagedFile, NotFound, UsageError
from llmrr.types import Message, Sampling

if TYPE_CHECKING:
    from pathlib import Path

QUOTES = '"""'


class Bye(Exception):
    """The conversation is over."""


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
        session.sampling = parameters.sampling({"think": level}, {}).over(session.sampling)
        output.note(f"thinking is {level}")
    elif key in ("verbose", "quiet"):
        session.how = session.how._replace(verbose=key == "verbose")
        output.note(f"tokens and timings are {'' if key == 'verbose' else 'not '}told")
    elif key in ("history", "nohistory"):
        session.log = key == "history"
        output.note(f"what is said is {'' if session.log else 'not '}kept")
    else:
        choices = "parameter KEY VALUE, system TEXT, think, nothink, verbose, quiet, nohistory"
        raise UsageError(f'there is no setting "{key}" for /set', f"/set {choices}")


def _set_parameter(session: Session, text: str) -> None:
    key, _, value = text.partition(" ")
    if not value.strip():
        raise UsageError("/set parameter needs a key and a value", "/set parameter temperature 0.2")
    sampling, loading = parameters.read_options([(key, value.strip())])
    session.sampling = replace(session.sampling, **sampling)  # type: ignore[arg-type]
    session.loading.update(loading)
    for name, setting in {**sampling, **loading}.items():
        output.note(f"{name} is {'not set' if setting is None else setting}")


def show(session: Session, rest: str) -> None:
    if rest in ("", "info", "model"):
        info = session.router.info(session.current)
        name = session.router.resolve(session.current).name
        output.lines(output.page().facts(views.model_facts(name, info)))
    elif rest in ("parameters", "params"):
        stated = {f.name: getattr(session.sampling, f.name) for f in fields(Sampling)}
        known = {k: v for k, v in {**stated, **session.loading}.items() if v is not None}
        output.lines(output.page().facts(known) if known else ["no parameter is set"])
    elif rest == "system":
        output.lines([session.system or "no system prompt is set"])
    elif rest == "template":
        template = session.router.info(session.current).chat_template
        output.lines([template or "the model brings no chat template"])
    elif rest in ("messages", "history"):
        output.lines(f"{message.role}: {message.content}" for message in session.turns())
    else:
        choices = "info, parameters, system, template, messages"
        raise UsageError(f'there is nothing "{rest}" for /show', f"/show {choices}")


def save(session: Session, rest: str) -> None:
    from llmrr import journal

    path = _saved(rest, "/save NAME")
    facts = {
        "model": lasting_name(session.router, session.model),
        "system": session.system,
        "messages": [{"role": m.role, "content": m.content} for m in session.messages],
    }
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
    session.cid = new_id()
    output.note(f"loaded {len(session.messages)} messages")


def clear(session: Session, rest: str) -> None:
    session.messages = ()
    session.cid = new_id()
    output.note("the conversation begins anew")


def system(session: Session, rest: str) -> None:
    text = rest.strip().removeprefix(QUOTES).removesuffix(QUOTES).strip()
    session.system = text or None
    output.note("the system prompt is set" if text else "the system prompt is gone")


def model(session: Session, rest: str) -> None:
    if not rest:
        return output.lines([session.router.resolve(session.current).name])
    found = session.router.resolve(rest)
    session.model = lasting_name(session.router, rest)
    session.named = True
    return output.note(f"model {found.name}")


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
