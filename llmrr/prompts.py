"""Prompts with holes: ``{name}`` is filled, ``{{`` and ``}}`` are braces that stay. A brace around
anything else than a name stays too, and so does the pair that closes it: JSON can stand in a prompt
as it is, or with doubled braces.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from llmrr.errors import UsageError, nearest
from llmrr.types import Message

ROLES: Final = ("system", "user", "assistant")
# What other tools call them.
_STRAY_ROLES: Final = {
    "human": "user", "ai": "assistant", "model": "assistant", "gpt": "assistant"
}  # fmt: skip

_TOKEN = r"\{\{|\}\}|\{(?P<hole>[^\W\d]\w*)\}|[{}]"

# Texts, each with the name of the hole behind it; none behind the last.
Parts = tuple[tuple[str, str | None], ...]
Turn = Message | Mapping[str, str] | tuple[str, str]


@lru_cache(maxsize=256)
def split(text: str) -> Parts:
    """A text at its holes.

    >>> split("Dear {name}, {{x}}")
    (('Dear ', 'name'), (', {x}', None))
    >>> split('{"a": {"b": 1}}'), split('{{"a": {{"b": 1}}}}')
    ((('{"a": {"b": 1}}', None),), (('{"a": {"b": 1}}', None),))
    """
    pattern = re.compile(_TOKEN)
    parts: list[tuple[str, str | None]] = []
    said: list[str] = []
    opened: list[str] = []  # the braces that nothing has closed yet
    at = 0
    while match := pattern.search(text, at):
        said.append(text[at : match.start()])
        token, at = match[0], match.end()
        if match["hole"]:
            parts.append(("".join(said), match["hole"]))
            said = []
        elif token[0] == "{":
            opened.append(token)
            said.append("{")
        else:
            said.append("}")
            single = opened[-1:] == ["{"]
            if token == "}}" and single:
                at -= 1  # the second one closes another, or stands alone
            if opened and (single or token == "}}"):
                opened.pop()
    parts.append(("".join((*said, text[at:])), None))
    return tuple(parts)


def role_problem(role: object) -> str | None:
    """What is wrong with the name of a role, or None.

    >>> role_problem("human"), role_problem("user")
    ("the role 'human' is called user here", None)
    """
    if role in ROLES:
        return None
    if role in _STRAY_ROLES:
        return f"the role {role!r} is called {_STRAY_ROLES[str(role)]} here"
    return f"the role {role!r} is not {', '.join(ROLES[:-1])} or {ROLES[-1]}"


@dataclass(frozen=True, slots=True, init=False)
class PromptTemplate:
    """A prompt with ``{name}`` holes: a text, or the messages of ``from_messages``. It never
    changes, and several threads may use it.

    ``variables`` are the names that are still to be filled; where they are stated, they must be
    just those of the template. ``filled`` are the values of ``partial``. ``UsageError`` names what
    is missing or unknown.

    >>> PromptTemplate("Context: {context}\\nUser: {input}").format(context="a {b}", input="c")
    'Context: a {b}\\nUser: c'
    >>> PromptTemplate("{greeting}, {name}!").partial(greeting="Hello").variables
    ('name',)
    """

    messages: tuple[Message, ...]
    is_text: bool
    filled: tuple[tuple[str, str], ...]
    name: str | None
    variables: tuple[str, ...] = field(compare=False)

    def __init__(self, template: str, variables: Iterable[str] | None = None) -> None:
        if not isinstance(template, str):
            raise UsageError(
                f"a prompt template is a text, and no {type(template).__name__}",
                "PromptTemplate.from_messages takes messages",
            )
        self._be((Message("user", template),), is_text=True)
        self._agree(variables)

    @classmethod
    def from_messages(
        cls, messages: Iterable[Turn], variables: Iterable[str] | None = None
    ) -> "PromptTemplate":
        """Messages with holes: ``Message``, ``{"role", "content"}`` or ``(role, content)``.

        >>> made = PromptTemplate.from_messages([("system", "Be {how}."), ("user", "{input}")])
        >>> [one.content for one in made.format_messages(how="brief", input="Hi")]
        ['Be brief.', 'Hi']
        """
        made = cls.__new__(cls)
        made._be(tuple(map(_message, messages)))
        made._agree(variables)
        return made

    @classmethod
    def named(
        cls, name: str, template: str | None, messages: Iterable[Message], filled: Mapping[str, str]
    ) -> "PromptTemplate":
        """What a configuration calls so: a text, or messages. Its errors name it."""
        made = cls.__new__(cls)
        turns = tuple(messages) if template is None else (Message("user", template),)
        made._be(turns, tuple(filled.items()), is_text=template is not None, name=name)
        return made

    @property
    def template(self) -> str | None:
        """The text; None of messages."""
        return self.messages[0].content if self.is_text else None

    @property
    def holes(self) -> tuple[str, ...]:
        """All its names, also those that are filled, each once, in the order of the text."""
        texts = (text for one in self.messages for text in _texts(one))
        found = (hole for text in texts for _, hole in split(text))
        return tuple(dict.fromkeys(name for name in found if name is not None))

    def partial(
        self, values: Mapping[str, object] | None = None, /, **named: object
    ) -> "PromptTemplate":
        """The template with some of its holes filled; a later value of the same name wins."""
        made = type(self).__new__(type(self))
        filled = tuple(self._given({**(values or {}), **named}).items())
        made._be(self.messages, filled, is_text=self.is_text, name=self.name)
        return made

    def format(self, values: Mapping[str, object] | None = None, /, **named: object) -> str:
        """The text with all holes filled; braces in a value stay as they are."""
        if self.template is None:
            raise UsageError(f"{self._label} has messages, and no text", "use format_messages")
        return _filled(self.template, self._complete({**(values or {}), **named}))

    def format_messages(
        self, values: Mapping[str, object] | None = None, /, **named: object
    ) -> tuple[Message, ...]:
        """The messages with all holes filled; a text is one of the user."""
        found = self._complete({**(values or {}), **named})
        return tuple(
            replace(
                one,
                content=_filled(one.content, found),
                parts=tuple(_filled(at, found) if isinstance(at, str) else at for at in one.parts),
            )
            for one in self.messages
        )

    def _be(
        self,
        messages: tuple[Message, ...],
        filled: tuple[tuple[str, str], ...] = (),
        *,
        is_text: bool = False,
        name: str | None = None,
    ) -> None:
        facts = {"messages": messages, "is_text": is_text, "filled": filled, "name": name}
        for fact, value in facts.items():
            object.__setattr__(self, fact, value)
        known = dict(filled)
        object.__setattr__(self, "variables", tuple(n for n in self.holes if n not in known))

    def _agree(self, variables: Iterable[str] | None) -> None:
        """Raise ``UsageError`` where the variables that are stated are not those of the text."""
        if variables is None:
            return
        if isinstance(variables, str):
            raise UsageError("variables are a list of names, and no text", f"[{variables!r}]")
        stated = tuple(variables)
        unstated = [name for name in self.variables if name not in stated]
        unknown = [name for name in stated if name not in self.variables]
        said = []
        if unstated:
            said.append(f"{_braced(unstated)} of the template {_is(unstated)} not among them")
        if unknown:
            said.append(f"{_listed(unknown)} {_is(unknown)} no hole of the template")
        if said:
            names = ", ".join(f'"{name}"' for name in self.variables)
            raise UsageError(
                f"the variables are not those of the template: {'; '.join(said)}",
                f"variables=[{names}], or leave them out",
            )

    @property
    def _label(self) -> str:
        return "the prompt template" if self.name is None else f"the template {self.name!r}"

    def _given(self, values: Mapping[str, object]) -> dict[str, str]:
        """The values as texts, with those that were filled before."""
        holes = self.holes
        unknown = [name for name in values if name not in holes]
        if unknown:
            near = nearest(unknown[0], holes)
            hint = f"its holes are: {', '.join(holes) or 'none'}"
            near = near and self._how([near], "")
            raise UsageError(
                f"{self._label} has no hole {_braced(unknown)}",
                f"did you mean {near}?" if near else hint,
            )
        return {**dict(self.filled), **{name: _text(name, one) for name, one in values.items()}}

    def _complete(self, values: Mapping[str, object]) -> dict[str, str]:
        found = self._given(values)
        missing = [name for name in self.variables if name not in found]
        if missing:
            raise UsageError(
                f"{self._label} needs a value for {_braced(missing)}",
                f"add: {self._how(missing, ' VALUE')}",
            )
        return found

    def _how(self, names: Iterable[str], value: str) -> str:
        """How values are given: on the command line to what a configuration names."""
        if self.name is None:
            return ", ".join(f"{name}=…" for name in names)
        return " ".join(f"-P {name}{value}" for name in names)


def _message(turn: Turn) -> Message:
    if isinstance(turn, Mapping) and set(turn) == {"role", "content"}:
        turn = Message(turn["role"], turn["content"])
    elif isinstance(turn, tuple | list) and len(turn) == 2:
        turn = Message(*turn)
    if not isinstance(turn, Message) or not isinstance(turn.content, str):
        raise UsageError(
            f"{_short(turn)} is no message", 'a Message, {"role", "content"} or (role, content)'
        )
    if problem := role_problem(turn.role):
        raise UsageError(problem, f"the roles are {', '.join(ROLES)}")
    return turn


def _texts(message: Message) -> tuple[str, ...]:
    """What is to be filled of a message."""
    return tuple(one for one in message.parts if isinstance(one, str)) or (message.content,)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """In one pass: what a value holds is no hole."""
    return "".join(said if hole is None else said + values[hole] for said, hole in split(text))


def _text(name: str, value: object) -> str:
    if value is None or callable(value):
        raise UsageError(
            f"the value of {{{name}}} is {_short(value)}, and no text", f'{name}="" is an empty one'
        )
    return str(value)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _braced(names: Iterable[str]) -> str:
    return _listed([f"{{{name}}}" for name in names])


def _listed(names: Sequence[str]) -> str:
    """
    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last


def _is(names: Sequence[str]) -> str:
    return "are" if len(names) > 1 else "is"
