"""What chat completions and completions have in common."""

from typing import Any, Final

from llmrr.protocols.base import Asked, Event
from llmrr.protocols.fields import Fields
from llmrr.types import Request, Usage

DONE: Final = Event("[DONE]")


def asked(request: Request, given: Fields) -> Asked:
    """A request with what the body says besides."""
    options = given.inner("stream_options")
    choice: dict[str, Any] = {}
    if (user := given.text("user") or given.text("safety_identifier")) is not None:
        choice["user"] = user
    return Asked(
        request,
        given.text("model"),
        stream=bool(given.flag("stream")),
        usage=bool(options and options.flag("include_usage")),
        choice=choice,
        body=given.given,
    )


def usage(found: Usage) -> dict[str, Any]:
    """What an answer took."""
    return {
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": found.completion_tokens,
        "total_tokens": found.prompt_tokens + found.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": found.cached_tokens},
    }


def finish(reason: str | None) -> str:
    """Why an answer ended, in OpenAI's words."""
    return "stop" if reason in (None, "cancelled") else str(reason)
