"""Conversations as chat templates take them that have no place for a part of them."""

from collections.abc import Sequence
from dataclasses import replace

from llmrr.types import Message


def folded(messages: Sequence[Message]) -> list[Message]:
    """The conversation with its system message at the head of the first user message."""
    system, rest = messages[0].content.strip(), list(messages[1:])
    for place, message in enumerate(rest):
        if message.role == "user":
            rest[place] = replace(message, content=f"{system}\n\n{message.content}")
            return rest
    return [Message("user", system), *rest]


def told(messages: Sequence[Message], word: str) -> list[Message]:
    """The conversation with a command at the end of its system message."""
    if messages and messages[0].role == "system":
        first = replace(messages[0], content=f"{messages[0].content}\n{word}")
        return [first, *messages[1:]]
    return [Message("system", word), *messages]
