"""Anthropic's messages. https://docs.anthropic.com/en/api/messages"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from llmrr.engines.base import Text
from llmrr.engines.remote.client import Call
from llmrr.engines.remote.dialect import (
    Counts,
    Reader,
    arguments_of,
    missing,
    refuse,
    refuse_raw,
    schema_of,
    signed,
    stated,
    thoughts_of,
)
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.faults import Party
from llmrr.engines.remote.images import inline
from llmrr.errors import ContentRefused
from llmrr.types import Chunk, Endpoint, FinishReason, Image, Message, Request

VERSION: Final = "2023-06-01"
MAX_TOKENS: Final = 4096  # must be stated; what every model of theirs can
SAMPLES: Final = {
    "temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "stop": "stop_sequences",
}  # fmt: skip
BUDGETS: Final = {"low": 1024, "medium": 4096, "high": 16384}  # tokens of thought; 1024 at least
REASONS: Final[dict[str, FinishReason]] = {
    "max_tokens": "length", "model_context_window_exceeded": "length", "tool_use": "tool_calls",
}  # fmt: skip
CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}


class Anthropic:
    """Messages."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def headers(self, key: str | None) -> dict[str, str]:
        """The key in a header of its own, and the version of the interface."""
        headers = {"anthropic-version": self._endpoint.api_version or VERSION}
        return headers if key is None else {**headers, "x-api-key": key}

    def call(self, request: Request) -> Call:
        """Messages; the system prompt stands beside them."""
        sampling = request.sampling
        refuse_raw("anthropic", request)
        refuse("anthropic", sampling, (*SAMPLES, "max_tokens", "schema", "think"))
        body: dict[str, Any] = {
            "model": self._endpoint.model, "stream": True,
            "max_tokens": sampling.max_tokens or MAX_TOKENS, **stated(sampling, SAMPLES),
        }  # fmt: skip
        system = [one.content for one in request.messages if one.role in ("system", "developer")]
        if system:
            body["system"] = "\n\n".join(system)
        body["messages"] = turns(request.messages)
        if request.tools:
            body["tools"] = [
                {"name": one.name, "description": one.description,
                 "input_schema": dict(one.parameters) or {"type": "object"}}
                for one in request.tools
            ]  # fmt: skip
        if request.tool_choice is not None:
            kind = CHOICES.get(request.tool_choice)
            body["tool_choice"] = (
                {"type": kind} if kind else {"type": "tool", "name": request.tool_choice}
            )
        schema = schema_of(sampling)
        if schema == {}:
            raise missing("anthropic", "JSON without a schema")
        if schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": dict(schema)}}
        if sampling.think == "off":
            body["thinking"] = {"type": "disabled"}
        elif sampling.think is not None:
            budget = BUDGETS[sampling.think]
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
            body["max_tokens"] += budget  # ours is that of the answer, theirs of both
        return Call("/v1/messages", body)

    def reader(self, request: Request, party: Party) -> Reader:
        """What reads the answer."""
        return Messages(party)

    def embedding(self, texts: Sequence[Text]) -> Call:
        """Raises ``FeatureMissing``."""
        raise missing("anthropic", "embeddings")

    def vectors(self, document: Event) -> list[list[float]]:
        """There are none."""
        raise missing("anthropic", "embeddings")


class Messages(Reader):
    """Reads the events of a message."""

    def __init__(self, party: Party) -> None:
        super().__init__(party)
        self._prompt = self._cached = 0
        self._thoughts: dict[int, dict[str, str]] = {}  # blocks that belong before a call

    def chunks(self, event: Event) -> Iterator[Chunk]:
        kind = event.get("type")
        if kind == "message_start":
            self._count_prompt(event["message"].get("usage") or {})
        elif kind == "content_block_start":
            yield from self._begun(event["index"], event["content_block"])
        elif kind == "content_block_delta":
            yield from self._said(event["index"], event["delta"])
        elif kind == "message_delta":
            yield from self._ended(event)

    def _begun(self, place: int, block: dict[str, Any]) -> Iterator[Chunk]:
        if block["type"] == "tool_use":
            thoughts = json.dumps([*self._thoughts.values()])
            signature = signed("anthropic", thoughts) if self._thoughts else None
            self._thoughts = {}
            yield from self.tools.add(
                0, place, id=block["id"], name=block["name"], signature=signature
            )
        elif block["type"] == "thinking":
            self._thoughts[place] = {"type": "thinking", "thinking": "", "signature": ""}
        elif block["type"] == "redacted_thinking":
            self._thoughts[place] = {"type": "redacted_thinking", "data": block["data"]}
        if block["type"] == "text" and block.get("text"):
            yield Chunk(text=block["text"])

    def _said(self, place: int, delta: dict[str, Any]) -> Iterator[Chunk]:
        kind = delta["type"]
        if kind == "text_delta":
            yield Chunk(text=delta["text"])
        elif kind == "thinking_delta":
            self._thoughts[place]["thinking"] += delta["thinking"]
            yield Chunk(reasoning=delta["thinking"])
        elif kind == "signature_delta":
            self._thoughts[place]["signature"] += delta["signature"]
        elif kind == "input_json_delta":
            yield from self.tools.add(0, place, arguments=delta["partial_json"])

    def _ended(self, event: Event) -> Iterator[Chunk]:
        usage = event.get("usage") or {}
        if usage.get("input_tokens"):  # the sum, where the tools of the provider took more
            self._count_prompt(usage)
        thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens")
        said = usage.get("output_tokens") or 0
        self.counts = Counts(self._prompt, said, self._cached, thought)
        reason = event["delta"].get("stop_reason")
        if reason == "refusal":
            raise ContentRefused(f"{self.party.name} refuses to answer", "say it in other words")
        if reason is None:
            return
        yield from self.tools.take(0)
        self.reasons[0] = REASONS.get(reason, "stop")
        if stop := event["delta"].get("stop_sequence"):
            self.stops[0] = stop

    def _count_prompt(self, usage: dict[str, Any]) -> None:
        self._cached = usage.get("cache_read_input_tokens") or 0
        created = usage.get("cache_creation_input_tokens") or 0
        self._prompt = (usage.get("input_tokens") or 0) + self._cached + created


def turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages without the system prompt; what stands side by side in one role is one turn, as
    the results of several calls must be."""
    found: list[dict[str, Any]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if found and found[-1]["role"] == role:
            found[-1]["content"] += blocks
        elif blocks:
            found.append({"role": role, "content": blocks})
    return found


def _blocks(message: Message) -> list[dict[str, Any]]:
    parts = [_part(one) for one in message.parts or (message.content,) if one]
    if message.role == "tool":
        return [
            {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": parts}
        ]
    for call in message.tool_calls:
        parts = [*thoughts_of("anthropic", call), *parts]
        parts.append(
            {"type": "tool_use", "id": call.id, "name": call.name,
             "input": arguments_of(call)}
        )  # fmt: skip
    return parts


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if (found := inline(part)) is None:
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    source = {"type": "base64", "media_type": found[0], "data": found[1]}
    return {"type": "image", "source": source}
