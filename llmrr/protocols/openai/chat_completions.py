"""Chat completions: https://platform.openai.com/docs/api-reference/chat"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmrr.choosing import turns
from llmrr.protocols import base
from llmrr.protocols.base import Answered, Asked, Event
from llmrr.protocols.fields import Fields
from llmrr.protocols.openai import common
from llmrr.protocols.openai.errors import error
from llmrr.protocols.openai.sampling import sampling
from llmrr.types import Chunk, Request, TokenLogprob, ToolCall, Usage


def chat(body: Mapping[str, Any]) -> Asked:
    """The body of ``/v1/chat/completions``. Raises ``InvalidRequest`` naming what is wrong."""
    given = Fields(body)
    messages = turns.turns(given.listed("messages"))
    limit = given.whole("max_completion_tokens", 1) or given.whole("max_tokens", -1)
    logprobs = None
    if given.flag("logprobs"):
        logprobs = given.whole("top_logprobs", 0, 20) or 0
    request = Request(
        messages=messages,
        n=given.whole("n", 1, 128) or 1,
        sampling=sampling(given, limit, logprobs),
        tools=turns.tools(given.listed("tools") or ()),
        tool_choice=turns.tool_choice(given.get("tool_choice")),
    )
    return common.asked(request, given)


class ChatWriter:
    """Writes a chat completion."""

    def __init__(self, about: Answered, asked: Asked) -> None:
        self._about, self._asked = about, asked
        self._begun: set[int] = set()
        self._calls: dict[int, int] = {}
        self._usage: Usage | None = None

    def begin(self) -> Iterator[Event]:
        """Every choice begins with its role."""
        for index in range(self._asked.request.n):
            yield self._chunk(index, {"role": "assistant", "content": ""})

    def piece(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk adds to its choice, and how that ended."""
        self._usage = chunk.usage or self._usage
        delta: dict[str, Any] = {}
        if chunk.reasoning:
            delta["reasoning_content"] = chunk.reasoning
        if chunk.text:
            delta["content"] = chunk.text
        if chunk.tool_calls:
            first = self._calls.get(chunk.index, 0)
            self._calls[chunk.index] = first + len(chunk.tool_calls)
            delta["tool_calls"] = [
                {"index": at, **_call(one)} for at, one in enumerate(chunk.tool_calls, first)
            ]
        logprobs = _chat_logprobs(chunk.logprobs) if chunk.logprobs else None
        if delta or logprobs:
            yield self._chunk(chunk.index, delta, logprobs=logprobs)
        if chunk.finish_reason is not None:
            yield self._chunk(chunk.index, {}, finish=common.finish(chunk.finish_reason))

    def end(self) -> Iterator[Event]:
        """What it took, where that was asked for."""
        if self._asked.usage:
            took = common.usage(self._usage or Usage())
            yield Event({**self._head(), "choices": [], "usage": took})
        yield common.DONE

    def failed(self, error_: BaseException) -> Iterator[Event]:
        """Why it broke off."""
        yield Event(error(error_, base.status_of(error_)))
        yield common.DONE

    def whole(self, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """The complete answer."""
        return {
            **self._head("chat.completion"),
            "choices": [
                {
                    "index": index,
                    "message": _message(one),
                    "logprobs": _chat_logprobs(one.logprobs) if one.logprobs else None,
                    "finish_reason": common.finish(one.finish_reason),
                }
                for index, one in enumerate(base.choices(chunks))
            ],
            "usage": common.usage(base.usage_of(chunks)),
        }

    def _head(self, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        about = self._about
        return {"id": f"chatcmpl-{about.id}", "object": kind, "created": about.created,
                "model": about.model, "system_fingerprint": about.answered}  # fmt: skip

    def _chunk(
        self, index: int, delta: Mapping[str, Any], *,
        finish: str | None = None, logprobs: Mapping[str, Any] | None = None,
    ) -> Event:  # fmt: skip
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        found = {**self._head(), "choices": [choice]}
        if self._asked.usage:
            found["usage"] = None
        return Event(found)


def _message(one: base.Choice) -> dict[str, Any]:
    found: dict[str, Any] = {"role": "assistant", "content": one.text, "refusal": None}
    if one.reasoning:
        found["reasoning_content"] = one.reasoning
    if one.tool_calls:
        found["tool_calls"] = [_call(call) for call in one.tool_calls]
        found["content"] = one.text or None
    return found


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _chat_logprobs(found: Sequence[TokenLogprob]) -> dict[str, Any]:
    return {
        "content": [
            {
                **_token(one.text, one.logprob),
                "top_logprobs": [_token(text, logprob) for text, logprob in one.top],
            }
            for one in found
        ],
        "refusal": None,
    }


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode())}
