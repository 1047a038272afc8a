"""Ollama's own interface. https://github.com/ollama/ollama/blob/main/docs/api.md"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from llmrr.engines.base import Options, Text
from llmrr.engines.remote.client import Call
from llmrr.engines.remote.dialect import (
    Counts,
    Reader,
    arguments_of,
    ended,
    missing,
    refuse,
    schema_of,
    stated,
    words,
)
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.faults import Party
from llmrr.engines.remote.images import inline
from llmrr.engines.remote.likelihoods import likely
from llmrr.engines.remote.openai import function
from llmrr.types import (
    Chunk,
    Endpoint,
    FinishReason,
    Message,
    Request,
    Sampling,
    ToolCall,
)

SAMPLES: Final = {
    "temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p",
    "typical_p": "typical_p", "repeat_penalty": "repeat_penalty", "seed": "seed",
    "frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty",
    "stop": "stop", "max_tokens": "num_predict",
}  # fmt: skip
ALL_LAYERS: Final = 999  # more than any model has: for Ollama -1 is what fits


class Ollama:
    """Chat, and for a raw prompt generate."""

    def __init__(self, endpoint: Endpoint, options: Options) -> None:
        self._endpoint = endpoint
        layers = options.gpu_layers
        loading = {
            "num_ctx": options.context_size,
            "num_gpu": None if layers == "auto" else ALL_LAYERS if layers == -1 else layers,
            "num_thread": options.threads,
        }
        self._loading = {name: value for name, value in loading.items() if value is not None}

    def headers(self, key: str | None) -> dict[str, str]:
        """A key for what stands in front of it; Ollama itself has none."""
        return {} if key is None else {"authorization": f"Bearer {key}"}

    def call(self, request: Request) -> Call:
        """Chat or generate."""
        sampling = request.sampling
        known = (*SAMPLES, "schema", "think", "logprobs")
        refuse("ollama", sampling, known)
        if request.n > 1:
            raise missing("ollama", "n: several answers at once")
        if request.tool_choice not in (None, "auto"):
            raise missing("ollama", "tool_choice")
        body: dict[str, Any] = {"model": self._endpoint.model, "stream": True}
        if options := {**self._loading, **stated(sampling, SAMPLES)}:
            body["options"] = options
        body |= _shaped(sampling)
        if request.prompt is not None:
            return Call("/api/generate", {**body, "prompt": request.prompt, "raw": True})
        body["messages"] = turns(request.messages)
        if request.tools:
            body["tools"] = [{"type": "function", "function": function(t)} for t in request.tools]
        return Call("/api/chat", body)

    def reader(self, request: Request, party: Party) -> Reader:
        """What reads the answer."""
        return Lines(party)

    def embedding(self, texts: Sequence[Text]) -> Call:
        """Vectors of several texts."""
        body = {"model": self._endpoint.model, "input": words(texts, "ollama")}
        return Call("/api/embed", body | ({"options": self._loading} if self._loading else {}))

    def vectors(self, document: Event) -> list[list[float]]:
        """In the order of the texts."""
        return [list(map(float, one)) for one in document["embeddings"]]


class Lines(Reader):
    """Reads the lines of an answer."""

    def __init__(self, party: Party) -> None:
        super().__init__(party)
        self._calls = 0

    def chunks(self, event: Event) -> Iterator[Chunk]:
        message = event.get("message") or {}
        text = message.get("content") or event.get("response") or ""
        thought = message.get("thinking") or event.get("thinking") or ""
        logprobs = likely(event.get("logprobs"))
        if message and text:
            text, within = self.apart(0, text)
            thought += within
        if event.get("done"):
            rest, within = self.apart(0, "")
            text, thought = text + rest, thought + within
        calls = tuple(map(self._call, message.get("tool_calls") or ()))
        if text or thought or calls or logprobs:
            yield Chunk(text=text, reasoning=thought, logprobs=logprobs, tool_calls=calls)
        if event.get("done"):
            reason = event.get("done_reason")
            said: FinishReason = "length" if reason == "length" else "stop"
            self.reasons[0] = ended(said, called=bool(self._calls))
            if "eval_count" in event or "prompt_eval_count" in event:
                self.counts = Counts(
                    event.get("prompt_eval_count") or 0, event.get("eval_count") or 0
                )

    def _call(self, call: dict[str, Any]) -> ToolCall:
        called = call["function"]
        identity = call.get("id") or f"call_{self._calls}"
        self._calls += 1
        return ToolCall(identity, called["name"], json.dumps(called.get("arguments") or {}))


def turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages. The result of a tool has its name instead of the call's id."""
    names = {call.id: call.name for one in messages for call in one.tool_calls}
    found = []
    for message in messages:
        turn: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.reasoning:
            turn["thinking"] = message.reasoning
        if message.images:
            turn["images"] = [_base64(one) for one in map(inline, message.images)]
        if message.tool_calls:
            turn["tool_calls"] = [
                {"function": {"name": one.name, "arguments": arguments_of(one)}}
                for one in message.tool_calls
            ]
        if message.role == "tool":
            turn["tool_name"] = names.get(message.tool_call_id or "", message.tool_call_id)
        found.append(turn)
    return found


def _base64(found: tuple[str, str] | None) -> str:
    if found is None:
        raise missing("ollama", "images by their address: it takes bytes")
    return found[1]


def _shaped(sampling: Sampling) -> dict[str, Any]:
    body: dict[str, Any] = {}
    schema = schema_of(sampling)
    if schema is not None:
        body["format"] = dict(schema) or "json"
    if sampling.think is not None:
        body["think"] = False if sampling.think == "off" else sampling.think
    if sampling.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
    return body
