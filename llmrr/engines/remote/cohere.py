"""Cohere's chat, second version. https://docs.cohere.com/reference/chat-stream"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llmrr.engines.base import Text
from llmrr.engines.remote.client import Call
from llmrr.engines.remote.dialect import (
    Counts,
    Reader,
    ended,
    missing,
    refuse,
    refuse_raw,
    schema_of,
    stated,
    words,
)
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.faults import Party
from llmrr.engines.remote.openai import function, turn
from llmrr.types import Chunk, Endpoint, FinishReason, Request

SAMPLES: Final = {
    "temperature": "temperature", "top_p": "p", "top_k": "k", "seed": "seed",
    "stop": "stop_sequences", "max_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty",
}  # fmt: skip
REASONS: Final[dict[str, FinishReason]] = {
    "COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls",
}  # fmt: skip
BUDGETS: Final = {"low": 1024, "medium": 4096, "high": 16384}  # tokens of thought


class Cohere:
    """Chat, and vectors."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def headers(self, key: str | None) -> dict[str, str]:
        """The key as a bearer."""
        return {} if key is None else {"authorization": f"Bearer {key}"}

    def call(self, request: Request) -> Call:
        """Chat; messages and tools are as OpenAI has them."""
        sampling = request.sampling
        refuse_raw("cohere", request)
        refuse("cohere", sampling, (*SAMPLES, "schema", "think"))
        body: dict[str, Any] = {
            "model": self._endpoint.model, "stream": True, **stated(sampling, SAMPLES),
            "messages": [turn(one) for one in request.messages],
        }  # fmt: skip
        if request.tools:
            body["tools"] = [{"type": "function", "function": function(t)} for t in request.tools]
        if request.tool_choice not in (None, "auto"):
            if request.tool_choice not in ("none", "required"):
                raise missing("cohere", "tool_choice of one tool")
            body["tool_choice"] = str(request.tool_choice).upper()
        schema = schema_of(sampling)
        if schema is not None:
            shape = {"json_schema": dict(schema)} if schema else {}
            body["response_format"] = {"type": "json_object", **shape}
        if sampling.think == "off":
            body["thinking"] = {"type": "disabled"}
        elif sampling.think is not None:
            body["thinking"] = {"type": "enabled", "token_budget": BUDGETS[sampling.think]}
        return Call("/v2/chat", body)

    def reader(self, request: Request, party: Party) -> Reader:
        """What reads the answer."""
        return Deltas(party)

    def embedding(self, texts: Sequence[Text]) -> Call:
        """Vectors of texts to be compared with each other."""
        return Call("/v2/embed", {
            "model": self._endpoint.model, "texts": words(texts, "cohere"),
            "input_type": "clustering", "embedding_types": ["float"], "truncate": "NONE",
        })  # fmt: skip

    def vectors(self, document: Event) -> list[list[float]]:
        """In the order of the texts."""
        return [list(map(float, one)) for one in document["embeddings"]["float"]]


class Deltas(Reader):
    """Reads the events of an answer."""

    def chunks(self, event: Event) -> Iterator[Chunk]:
        kind = event.get("type")
        message = (event.get("delta") or {}).get("message") or {}
        if kind in ("content-start", "content-delta"):
            content = message.get("content") or {}
            text, thought = content.get("text") or "", content.get("thinking") or ""
            if text or thought:
                yield Chunk(text=text, reasoning=thought)
        elif kind == "tool-plan-delta" and message.get("tool_plan"):
            yield Chunk(reasoning=message["tool_plan"])
        elif kind in ("tool-call-start", "tool-call-delta"):
            call = message["tool_calls"]
            said = call.get("function") or {}
            yield from self.tools.add(
                0, event.get("index"), id=call.get("id"), name=said.get("name"),
                arguments=said.get("arguments"),
            )  # fmt: skip
        elif kind == "message-end":
            yield from self._ended(event["delta"])

    def _ended(self, delta: Mapping[str, Any]) -> Iterator[Chunk]:
        usage = delta.get("usage") or {}
        if tokens := usage.get("tokens"):
            self.counts = Counts(
                int(tokens.get("input_tokens") or 0), int(tokens.get("output_tokens") or 0),
                int(usage.get("cached_tokens") or 0),
            )  # fmt: skip
        reason = delta.get("finish_reason")
        if reason not in REASONS:
            raise self.party.broken(f"ended with {reason}: {delta.get('error') or ''}")
        calls = [*self.tools.take(0)]
        yield from calls
        self.reasons[0] = ended(REASONS[reason], called=bool(calls))
