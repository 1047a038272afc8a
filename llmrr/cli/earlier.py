"""The conversation that a prompt goes on with."""

from dataclasses import replace
from typing import TYPE_CHECKING

from llmrr.errors import NotFound
from llmrr.types import Message

if TYPE_CHECKING:
    from llmrr.config import Config
    from llmrr.stats import Conversation


def conversation(*, latest: bool, cid: str | None) -> "Conversation | None":
    """The conversation of that id, or the latest one; None where neither is wanted. Raises
    ``NotFound``."""
    if not latest and cid is None:
        return None
    from contextlib import closing

    from llmrr import stats
    from llmrr.database import open_database

    with closing(open_database()) as connection:
        found = stats.conversation(connection, cid)
        newest = stats.runs(connection, last=1)
    if cid is None and newest and newest[0].prompt is None and not newest[0].error:
        hint = "llmrr logs on\nllmrr run --cid ID, with one of: llmrr logs list"
        raise NotFound("the words of the last conversation were not kept", hint)
    if found is None and cid is not None:
        raise NotFound(f'there is no conversation "{cid}"', "llmrr logs list")
    if found is None:
        raise NotFound("there is no conversation to continue", 'llmrr run "…" begins one')
    if not found.messages:
        raise NotFound(f"no words of the conversation {found.cid} were kept", "llmrr logs list")
    return replace(found, messages=tuple(map(_told, found.messages)))


def _told(turn: Message) -> Message:
    # Images are not kept, and providers refuse a turn of nothing.
    is_empty = turn.role == "user" and not turn.content
    return replace(turn, content="(an image)") if is_empty else turn


def same_model(past: "Conversation", config: "Config") -> str:
    """What names the model that answered it. The name of a file is none in another folder; its
    source is."""
    return past.model if config.model(past.model) or not past.source else past.source
