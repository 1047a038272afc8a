"""What chat completions and completions have in common."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from llmrr.errors import InvalidRequest
from llmrr.protocols import base
from llmrr.protocols.base import Answered, Asked, Event
from llmrr.protocols.fields import BadField, Fields
from llmrr.protocols.openai.errors import error
from llmrr.routing import cache
from llmrr.strategies import parse_strategy
from llmrr.types import Request, Usage

DONE: Final = Event("[DONE]")
MOST_CHOICES: Final = 128


def asked(request: Request, given: Fields) -> Asked:
    """A request with what the body says besides."""
    options = given.inner("stream_options")
    if options is not None:
        options.flag("continuous_usage_stats")
    streams = bool(given.flag("stream"))
    if options is not None and not streams:
        said = "stream_options is for an answer in pieces"
        raise BadField("stream_options", said, '"stream": true', code="invalid_value")
    return Asked(
        request,
        given.text("model"),
        stream=streams,
        usage=bool(options and options.flag("include_usage")),
        choice=choice(given),
        body=given.given,
    )


def choice(given: Fields) -> dict[str, Any]:
    """What a body says of the choice of the model: for whom it is, and what llmrr takes besides
    OpenAI's fields (``strategy``, ``fallback``, ``need``, ``models``, ``cache``). Raises
    ``BadField``."""
    found: dict[str, Any] = {}
    if (user := given.text("user") or given.text("safety_identifier")) is not None:
        found["user"] = user
    if (strategy := given.text("strategy")) is not None:
        try:
            parse_strategy(strategy)
        except ValueError as wrong:
            raise BadField("strategy", f"strategy = {strategy!r}: {wrong}") from None
        found["strategy"] = strategy
    if given.get("fallback") is False:
        found["fallback"] = False
    for name in ("fallback", "need", "models"):
        if name not in found and (words := given.words(name)):
            found[name] = words
    if "cache" in given:
        found["cache"] = given.get("cache")
        try:
            cache.rules(found["cache"], cache.Rules())
        except InvalidRequest as wrong:
            raise BadField("cache", wrong.message, wrong.hint) from None
    return found


def usage(found: Usage) -> dict[str, Any]:
    """What an answer took."""
    thought = found.thought_tokens
    return {
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": found.completion_tokens,
        "total_tokens": found.prompt_tokens + found.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": found.cached_tokens},
        **({} if thought is None else {"completion_tokens_details": {"reasoning_tokens": thought}}),
    }


def finish(reason: str | None) -> str:
    """Why an answer ended, in OpenAI's words."""
    return "stop" if reason in (None, "cancelled") else str(reason)


def dumps(data: Any) -> str:
    """JSON without spaces."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


class Ending:
    """The end of a stream: what it took, where that was asked for, or why it broke off. vLLM's
    ``continuous_usage_stats`` asks for what it took so far with every piece: ``counts``."""

    def __init__(self, head: Mapping[str, Any], about: Answered, asked: Asked) -> None:
        self._head, self._wanted = head, asked.usage
        options = asked.body.get("stream_options") or {}
        self.counts = asked.usage and options.get("continuous_usage_stats") is True
        self._so_far = Usage(prompt_tokens=about.prompt_tokens)
        self.usage: Usage | None = None

    def after(self, tokens: int = 0) -> str:
        """What ends a piece, of so many ``tokens``, behind what its choice is told."""
        if not self.counts:
            return '}],"usage":null}' if self._wanted else "}]}"
        made = self._so_far.completion_tokens + tokens
        self._so_far = replace(self._so_far, completion_tokens=made)
        return f'}}],"usage":{dumps(usage(self.usage or self._so_far))}}}'

    def end(self) -> Iterator[Event]:
        """The last events."""
        if self._wanted:
            yield Event({**self._head, "choices": [], "usage": usage(self.usage or Usage())})
        yield DONE

    def failed(self, why: BaseException) -> Iterator[Event]:
        """The last events where it broke off."""
        yield Event(error(why, base.status_of(why)))
        yield DONE
