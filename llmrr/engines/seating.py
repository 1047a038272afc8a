"""Where system messages stand, for chat templates that do not take them everywhere: many raise an
error for one behind the first message, or leave it out, and some for any."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from llmrr.types import Message

FOLDED: Final = (
    "the model's chat template takes no system message: it stands before the first question"
)
SEATED: Final = (
    "the model's chat template takes no system message later on: it stands with the user's words"
)


def ways(messages: Sequence[Message]) -> Iterator[tuple[Sequence[Message], str | None]]:
    """The conversation as it is, and with its system messages where more templates take them; each
    with what is to be noted of that."""
    yield messages, None
    if all(one.role != "system" for one in messages):
        return
    seated = _seated(messages)
    if seated != list(messages):
        yield seated, SEATED
    if seated[0].role == "system":
        yield _folded(seated), FOLDED


def told(messages: Sequence[Message], word: str) -> list[Message]:
    """The conversation with a command at the end of its system message."""
    if messages and messages[0].role == "system":
        first = replace(messages[0], content=f"{messages[0].content}\n{word}")
        return [first, *messages[1:]]
    return [Message("system", word), *messages]


def _seated(messages: Sequence[Message]) -> list[Message]:
    """The conversation with a system message at its head alone: one that follows there belongs to
    it, a later one to what the user says before it, else behind it.

    >>> told = [Message("user", "a"), Message("system", "b"), Message("assistant", "c")]
    >>> [(one.role, one.content) for one in _seated(told)]
    [('user', 'a\\n\\nb'), ('assistant', 'c')]
    """
    found = list(messages[:1])
    moved = False  # whether the last one is the user's, with a system message at its end
    for message in messages[1:]:
        last, is_system = found[-1], message.role == "system"
        joins = last.role in ("system", "user") if is_system else moved and message.role == "user"
        if joins:
            found[-1] = replace(last, content=f"{last.content}\n\n{message.content}")
        else:
            found.append(replace(message, role="user") if is_system else message)
        moved = is_system and found[-1].role == "user"
    return found


def _folded(messages: Sequence[Message]) -> list[Message]:
    """The conversation with its system message at the head of the first user message."""
    system, rest = messages[0].content.strip(), list(messages[1:])
    for place, message in enumerate(rest):
        if message.role == "user":
            rest[place] = replace(message, content=f"{system}\n\n{message.content}")
            return rest
    return [Message("user", system), *rest]
