"""Writes a message down, whole or as Anthropic's events.
https://docs.anthropic.com/en/docs/build-with-claude/streaming"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llmrr.protocols import base
from llmrr.protocols.anthropic.asking import one_call
from llmrr.protocols.anthropic.errors import error
from llmrr.protocols.anthropic.inputs import Input, input_of
from llmrr.protocols.anthropic.sealing import sealed
from llmrr.protocols.base import Answered, Asked, Event
from llmrr.protocols.calling import Calling
from llmrr.types import CallPiece, Chunk, FinishReason, ToolCall, Usage

_REASONS: Final[Mapping[FinishReason | None, str]] = {
    "length": "max_tokens", "tool_calls": "tool_use",
}  # fmt: skip


class MessageWriter:
    """Writes a message."""

    def __init__(self, about: Answered, asked: Asked) -> None:
        self._about, self._one_call = about, one_call(asked)
        self._stops = asked.request.sampling.stop or ()
        thinking = asked.body.get("thinking")
        self._hides = isinstance(thinking, Mapping) and thinking.get("display") == "omitted"
        self._hidden = ""  # what was thought in the block that is open
        self._index = -1  # of the block that is open, or was the last
        self._kind: str | None = None  # of the one that is open
        self._calling = Calling(only_one=self._one_call, in_turn=True)
        self._input = Input()  # of the call that is under way
        self._reason: FinishReason | None = None
        self._stop: str | None = None
        self._usage = Usage()

    def begin(self) -> Iterator[Event]:
        """The message, with nothing in it yet."""
        usage = _usage(Usage(prompt_tokens=self._about.prompt_tokens))
        yield _event("message_start", message=self._message([], None, usage))
        yield _event("ping")

    def piece(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk adds to the block that is open, or to one that it opens."""
        if chunk.reasoning:
            yield from self._said("thinking", "thinking_delta", chunk.reasoning)
        if chunk.text:
            yield from self._said("text", "text_delta", chunk.text)
        for _, call, begins in self._calling.pieces(chunk):
            yield from self._called(call, begins=begins)
        self._reason = chunk.finish_reason or self._reason
        self._stop = chunk.stop or self._stop
        self._usage = chunk.usage or self._usage

    def end(self) -> Iterator[Event]:
        """Why it ended, and what it took."""
        yield from self._close()
        reason, stop = self._ending(self._reason, self._stop)
        delta = {"stop_reason": reason, "stop_sequence": stop}
        yield _event("message_delta", delta=delta, usage=_usage(self._usage))
        yield _event("message_stop")

    def failed(self, error_: BaseException) -> Iterator[Event]:
        """Why it broke off."""
        yield Event(error(error_, base.status_of(error_)), "error")

    def whole(self, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """The complete message."""
        (one,) = base.choices(chunks) or [base.Choice()]
        content: list[dict[str, Any]] = []
        if one.reasoning:
            content.append({"type": "thinking", **self._thought(one.reasoning)})
        if one.text:
            content.append({"type": "text", "text": one.text})
        for call in one.tool_calls[: 1 if self._one_call else None]:
            content.append({**_call(call), "input": input_of(call.arguments)})
        ending = self._ending(one.finish_reason, one.stop)
        return self._message(content, ending, _usage(base.usage_of(chunks)))

    def _said(self, kind: str, delta: str, text: str) -> Iterator[Event]:
        if self._kind != kind:
            yield from self._close()
            empty = {"text": ""} if kind == "text" else {"thinking": "", "signature": ""}
            yield self._open({"type": kind, **empty})
        if kind == "thinking" and self._hides:
            self._hidden += text
        else:
            yield self._delta({"type": delta, kind: text})

    def _thought(self, text: str) -> dict[str, str]:
        hidden = {"thinking": "", "signature": sealed(text)}
        return hidden if self._hides else {"thinking": text, "signature": ""}

    def _called(self, call: CallPiece, *, begins: bool) -> Iterator[Event]:
        """A piece of a call; of what no JSON begins with nothing, and what is none at all as
        ``input_of`` has it."""
        if begins:
            yield from self._close()
            yield self._open({**_call(call), "input": {}})
            self._input = Input()
        text = call.arguments
        if begins and text and not text.lstrip().startswith("{"):
            text = json.dumps(input_of(text), ensure_ascii=False)
        if json_ := self._input.push(text):
            yield self._delta({"type": "input_json_delta", "partial_json": json_})

    def _open(self, block: Mapping[str, Any]) -> Event:
        self._index, self._kind = self._index + 1, block["type"]
        return _event("content_block_start", index=self._index, content_block=block)

    def _delta(self, delta: Mapping[str, Any]) -> Event:
        return _event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> Iterator[Event]:
        kind, self._kind = self._kind, None
        if kind == "thinking":  # clients expect one, and the model here has none
            signature = self._thought(self._hidden)["signature"]
            self._hidden = ""
            yield self._delta({"type": "signature_delta", "signature": signature})
        if kind is not None:
            yield _event("content_block_stop", index=self._index)

    def _ending(self, reason: FinishReason | None, stop: str | None) -> tuple[str, str | None]:
        """Why it ended; a stop string of the model's own is no news to the client."""
        if reason == "stop" and stop in self._stops:
            return "stop_sequence", stop
        return _REASONS.get(reason, "end_turn"), None

    def _message(
        self, content: Sequence[Any], ending: tuple[str, str | None] | None,
        usage: Mapping[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        reason, stop = ending or (None, None)
        return {
            "id": f"msg_{self._about.id}", "type": "message", "role": "assistant",
            "model": self._about.model, "content": content, "stop_reason": reason,
            "stop_sequence": stop, "usage": usage,
        }  # fmt: skip


def _event(kind: str, **values: Any) -> Event:
    return Event({"type": kind, **values}, kind)


def _usage(found: Usage) -> dict[str, Any]:
    """What it took; what was read again from the cache is counted apart."""
    thought = found.thought_tokens
    return {
        "input_tokens": found.prompt_tokens - found.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": found.cached_tokens,
        "output_tokens": found.completion_tokens,
        **({"output_tokens_details": {"thinking_tokens": thought}} if thought is not None else {}),
    }


def _call(call: ToolCall | CallPiece) -> dict[str, Any]:
    found = {"type": "tool_use", "id": call.id, "name": call.name}
    return found | ({"signature": call.signature} if call.signature else {})
