"""OpenAI's responses. https://platform.openai.com/docs/api-reference/responses"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llmrr.engines.base import Text
from llmrr.engines.remote.client import Call
from llmrr.engines.remote.dialect import (
    Counts,
    Reader,
    refuse,
    refuse_raw,
    schema_of,
    stated,
)
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.faults import Party, in_stream
from llmrr.engines.remote.images import url_of
from llmrr.engines.remote.likelihoods import likely
from llmrr.engines.remote.openai import choice_of, function, is_strict
from llmrr.errors import ContentRefused
from llmrr.types import Chunk, Image, Message, Request, Sampling

NAME: Final = "openai-responses"
_ITEM: Final = ("response.output_item.added", "response.output_item.done")
SAMPLES: Final = {
    "temperature": "temperature", "top_p": "top_p", "max_tokens": "max_output_tokens",
}  # fmt: skip


class Responses:
    """Responses, of which nothing is stored; headers, vectors and addresses are those of
    ``below``."""

    def __init__(self, below: Any, model: str) -> None:
        self._below, self._model = below, model

    def headers(self, key: str | None) -> dict[str, str]:
        """Those of the provider."""
        return dict(self._below.headers(key))

    def call(self, request: Request) -> Call:
        """One response."""
        sampling = request.sampling
        refuse_raw(NAME, request)
        refuse(NAME, sampling, (*SAMPLES, "schema", "think", "logprobs"))
        body: dict[str, Any] = {
            "model": self._model, "stream": True, "store": False, **stated(sampling, SAMPLES),
            "input": [item for one in request.messages for item in items(one)],
        }  # fmt: skip
        if request.tools:
            body["tools"] = [{"type": "function", **function(one), "strict": bool(one.strict)}
                             for one in request.tools]  # fmt: skip
        choice = choice_of(request.tool_choice).get("tool_choice")
        if isinstance(choice, dict):
            choice = {"type": "function", **choice["function"]}
        if choice is not None:
            body["tool_choice"] = choice
        return Call("/responses", body | _shaped(sampling))

    def reader(self, request: Request, party: Party) -> Reader:
        """What reads the answer."""
        return Output(party)

    def embedding(self, texts: Sequence[Text]) -> Call:
        """Vectors, by the other interface."""
        found: Call = self._below.embedding(texts)
        return found

    def vectors(self, document: Event) -> list[list[float]]:
        """In the order of the texts."""
        found: list[list[float]] = self._below.vectors(document)
        return found


class Output(Reader):
    """Reads the events of a response."""

    def __init__(self, party: Party) -> None:
        super().__init__(party)
        self._calls = False

    def chunks(self, event: Event) -> Iterator[Chunk]:
        kind = event["type"]
        if kind == "response.output_text.delta":
            yield Chunk(text=event["delta"], logprobs=likely(event.get("logprobs")))
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            yield Chunk(reasoning=event["delta"])
        elif kind == "response.refusal.done":
            raise ContentRefused(
                f"{self.party.name} refuses: {self.party.clean(event['refusal'])}",
                "say it in other words",
            )
        elif kind == "response.function_call_arguments.delta":
            yield from self.tools.add(0, event.get("output_index"), arguments=event["delta"])
        elif kind in _ITEM and event["item"]["type"] == "function_call":
            yield from self._called(event, event["item"], ends=kind == _ITEM[1])
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            yield from self.tools.take(0)  # one that was cut
            self._ended(event["response"])
        elif kind == "error":
            raise in_stream(self.party, {"error": event})

    def _called(self, event: Event, item: Mapping[str, Any], *, ends: bool) -> Iterator[Chunk]:
        place = event.get("output_index")
        rest = self.tools.missing(0, place, item.get("arguments") or "")
        yield from self.tools.add(
            0, place, id=item["call_id"], name=item["name"], arguments=rest
        )
        if ends:
            self._calls = True
            yield from self.tools.take(0)

    def _ended(self, response: Mapping[str, Any]) -> None:
        if usage := response.get("usage"):
            details = usage.get("input_tokens_details") or {}
            thought = (usage.get("output_tokens_details") or {}).get("reasoning_tokens")
            cached = details.get("cached_tokens") or 0
            self.counts = Counts(usage["input_tokens"], usage["output_tokens"], cached, thought)
        if response.get("status") == "failed":
            raise in_stream(self.party, {"error": response.get("error") or "it failed"})
        why = (response.get("incomplete_details") or {}).get("reason")
        if why == "content_filter":
            raise ContentRefused(
                f"{self.party.name} left out its answer: its filter of contents stopped it",
                "say it in other words",
            )
        self.reasons[0] = "length" if why else "tool_calls" if self._calls else "stop"


def items(message: Message) -> Iterator[dict[str, Any]]:
    """What a message is in the list of inputs: itself, and each call of a tool."""
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id,
               "output": message.content}  # fmt: skip
        return
    kind = "output_text" if message.role == "assistant" else "input_text"
    parts = [
        {"type": kind, "text": part} if isinstance(part, str) else _image(part)
        for part in message.parts or (message.content,) if part
    ]  # fmt: skip
    if parts:
        yield {"role": message.role, "content": parts}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name,
               "arguments": call.arguments}  # fmt: skip


def _image(image: Image) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url_of(image), "detail": image.detail or "auto"}


def _shaped(sampling: Sampling) -> dict[str, Any]:
    body: dict[str, Any] = {}
    schema = schema_of(sampling)
    if schema is not None:
        shape = {"type": "json_schema", "name": "answer", "schema": dict(schema),
                 "strict": is_strict(schema)}  # fmt: skip
        body["text"] = {"format": shape if schema else {"type": "json_object"}}
    if sampling.think is not None:
        off = sampling.think == "off"
        body["reasoning"] = {"effort": "none"} if off else {
            "effort": sampling.think, "summary": "auto"
        }  # fmt: skip
    if sampling.logprobs is not None:
        body["top_logprobs"] = sampling.logprobs
        body["include"] = ["message.output_text.logprobs"]
    return body
