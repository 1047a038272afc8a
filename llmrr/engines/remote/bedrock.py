"""Amazon Bedrock's converse, through boto3, which finds keys and region by itself.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

import json
import socket
import time
from base64 import b64decode
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Final

from llmrr.engines import prompting
from llmrr.engines.base import Text
from llmrr.engines.remote import aws, retry, vectors
from llmrr.engines.remote.deadlines import Deadlines
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
    words,
)
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.exchange import Exchange, watched
from llmrr.engines.remote.far import Far
from llmrr.engines.remote.faults import Party
from llmrr.engines.remote.images import inline
from llmrr.engines.remote.model import unit
from llmrr.engines.remote.stream import RemoteStream
from llmrr.errors import ContentRefused, FeatureMissing
from llmrr.types import Chunk, Endpoint, FinishReason, Image, Message, ModelInfo, Request

INSTALL: Final = "pip install boto3"
SAMPLES: Final = {
    "temperature": "temperature", "top_p": "topP", "stop": "stopSequences",
    "max_tokens": "maxTokens",
}  # fmt: skip
REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls",
    "model_context_window_exceeded": "length",
}  # fmt: skip
CHOICES: Final[dict[str, Any]] = {"auto": {"auto": {}}, "required": {"any": {}}}
REFUSED: Final = ("guardrail_intervened", "content_filtered")


class BedrockModel(Far[Any]):
    """A model of Bedrock. Safe to call from several threads, as clients of boto3 are."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise FeatureMissing("bedrock needs boto3, which is not installed", INSTALL) from error
        for name in ("api_key_env", "headers_env"):
            if getattr(endpoint, name):
                raise FeatureMissing(
                    f"bedrock has no {name}: boto3 finds the keys", "aws configure"
                )
        self.info = ModelInfo(None, "", name=endpoint.model)
        self._party = Party(endpoint.provider, endpoint.model)
        config = Config(
            connect_timeout=endpoint.connect, read_timeout=endpoint.first_token,
            retries={"total_max_attempts": 1}, max_pool_connections=64,
        )  # fmt: skip
        with aws.translated(self._party, None):
            self._client = boto3.session.Session().client(  # the common one keeps its keys
                "bedrock-runtime", endpoint_url=endpoint.base_url, config=config
            )
        self.where: str | None = self._client.meta.region_name

    def generate(
        self, request: Request, on_chunk: Callable[[Chunk], None] | None = None
    ) -> RemoteStream:
        """Start answering. Raises ``FeatureMissing`` for what converse has not."""
        self._require_open()
        prompting.require_numbers(request)
        asked = {"modelId": self._endpoint.model, **body(request)}
        return RemoteStream(
            self._endpoint, request, self._party,
            lambda exchange, deadlines: self._events(asked, exchange, deadlines),
            lambda: Blocks(self._party), on_chunk,
        )  # fmt: skip

    def embed(self, texts: Sequence[Text]) -> list[list[float]]:
        """One vector of length 1 per text. Raises ``FeatureMissing`` for a model that makes none,
        or in a form that is not known here."""
        self._require_open()
        found: list[list[float]] = []
        for asked in vectors.bodies(self._endpoint.model, words(texts, "bedrock")):
            found += self._vectors(asked)
        if len(found) != len(texts):
            raise self._party.broken(f"has {len(found)} vectors for {len(texts)} texts")
        return found

    def _vectors(self, asked: Mapping[str, Any]) -> list[list[float]]:
        deadlines = Deadlines(self._endpoint)

        def call() -> Any:
            deadlines.begin()
            with aws.translated(self._party, deadlines):
                answer = self._client.invoke_model(
                    modelId=self._endpoint.model, body=json.dumps(asked),
                    contentType="application/json", accept="application/json",
                )  # fmt: skip
                return json.loads(answer["body"].read())

        document = retry.run(call, self._endpoint.max_retries, deadlines, wait=time.sleep)
        try:
            return [unit(one) for one in vectors.found_in(document)]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._party.broken(f"is not what the protocol has: {error!r}") from error

    def _events(
        self, asked: Mapping[str, Any], exchange: Exchange, deadlines: Deadlines
    ) -> Generator[list[Event], None, None]:
        with aws.translated(self._party, deadlines):
            stream = self._client.converse_stream(**asked)["stream"]
        exchange.uses(_socket(stream))
        events = iter(stream)
        try:
            with watched(exchange):
                while (event := self._next(events, exchange, deadlines)) is not None:
                    yield [event]
                    if deadlines.passed():
                        raise deadlines.error(self._party)
        finally:
            stream.close()

    def _next(
        self, events: Iterator[Event], exchange: Exchange, deadlines: Deadlines
    ) -> Event | None:
        exchange.wait_at_most(deadlines.left())
        exchange.passed = deadlines.passed
        with aws.translated(self._party, deadlines):
            event = next(events, None)
        exchange.passed = None
        if exchange.expired and not exchange.cancelled:
            raise deadlines.error(self._party)
        return event


class Blocks(Reader):
    """Reads the events of a message."""

    def __init__(self, party: Party) -> None:
        super().__init__(party)
        self._thoughts: dict[int, dict[str, str]] = {}

    def chunks(self, event: Event) -> Iterator[Chunk]:
        if started := event.get("contentBlockStart"):
            yield from self._begun(started["contentBlockIndex"], started["start"].get("toolUse"))
        elif said := event.get("contentBlockDelta"):
            yield from self._said(said["contentBlockIndex"], said["delta"])
        elif stopped := event.get("messageStop"):
            yield from self._ended(stopped["stopReason"])
        elif usage := (event.get("metadata") or {}).get("usage"):
            cached = usage.get("cacheReadInputTokens") or 0
            written = usage.get("cacheWriteInputTokens") or 0
            prompt = usage["inputTokens"] + cached + written
            self.counts = Counts(prompt, usage["outputTokens"], cached)

    def _begun(self, place: int, tool: Mapping[str, Any] | None) -> Iterator[Chunk]:
        if tool is not None:
            thoughts = json.dumps([*self._thoughts.values()])
            signature = signed("bedrock", thoughts) if self._thoughts else None
            self._thoughts = {}
            yield from self.tools.add(
                0, place, id=tool["toolUseId"], name=tool["name"], signature=signature
            )

    def _said(self, place: int, delta: Mapping[str, Any]) -> Iterator[Chunk]:
        if text := delta.get("text"):
            yield Chunk(text=text)
        elif tool := delta.get("toolUse"):
            yield from self.tools.add(0, place, arguments=tool["input"])
        elif thought := delta.get("reasoningContent"):
            known = self._thoughts.setdefault(place, {"text": "", "signature": ""})
            known["signature"] += thought.get("signature") or ""
            if thought.get("text"):
                known["text"] += thought["text"]
                yield Chunk(reasoning=thought["text"])

    def _ended(self, reason: str) -> Iterator[Chunk]:
        if reason in REFUSED:
            raise ContentRefused(
                f"{self.party.name} left out its answer: {reason}", "say it in other words"
            )
        if reason not in REASONS:
            raise self.party.broken(f"ended with {reason}")
        yield from self.tools.take(0)
        self.reasons[0] = REASONS[reason]


def body(request: Request) -> dict[str, Any]:
    """A request as converse has it. Raises ``FeatureMissing``."""
    sampling = request.sampling
    refuse_raw("bedrock", request)
    refuse("bedrock", sampling, (*SAMPLES, "schema"))
    found: dict[str, Any] = {"messages": turns(request.messages)}
    system = [one.content for one in request.messages if one.role in ("system", "developer")]
    if system:
        found["system"] = [{"text": text} for text in system]
    if settings := stated(sampling, SAMPLES):
        found["inferenceConfig"] = settings
    schema = schema_of(sampling)
    if schema == {}:
        raise missing("bedrock", "JSON without a schema")
    if schema is not None:
        structure = {"jsonSchema": {"name": "answer", "schema": json.dumps(schema)}}
        found["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": structure}}
    return found | _tools(request)


def _tools(request: Request) -> dict[str, Any]:
    if not request.tools or request.tool_choice == "none":
        return {}
    specs = [
        {"toolSpec": {"name": one.name, "description": one.description or one.name,
                      "inputSchema": {"json": dict(one.parameters) or {"type": "object"}}}}
        for one in request.tools
    ]  # fmt: skip
    found: dict[str, Any] = {"tools": specs}
    if request.tool_choice is not None:
        named = {"tool": {"name": request.tool_choice}}
        found["toolChoice"] = CHOICES.get(request.tool_choice, named)
    return {"toolConfig": found}


def turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages without the system prompt; results side by side are one turn."""
    found: list[dict[str, Any]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if found and found[-1]["role"] == role:
            found[-1]["content"] += _blocks(message)
        else:
            found.append({"role": role, "content": _blocks(message)})
    return found


def _blocks(message: Message) -> list[dict[str, Any]]:
    parts = [_part(one) for one in message.parts or (message.content,) if one]
    if message.role == "tool":
        return [{"toolResult": {"toolUseId": message.tool_call_id, "content": parts}}]
    for call in message.tool_calls:
        found = thoughts_of("bedrock", call)
        thoughts = [{"reasoningContent": {"reasoningText": one}} for one in found]
        parts = [*thoughts, *parts]
        parts.append({"toolUse": {
            "toolUseId": call.id, "name": call.name, "input": arguments_of(call),
        }})  # fmt: skip
    return parts


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"text": part}
    if (found := inline(part)) is None:
        raise missing("bedrock", "images by their address: it takes bytes")
    kind = found[0].partition("/")[2]
    return {"image": {"format": kind, "source": {"bytes": b64decode(found[1])}}}


def _socket(stream: Any) -> socket.socket | None:
    """The connection under a stream of botocore's, which has urllib3 below it."""
    raw = getattr(stream, "_raw_stream", None)
    found = getattr(getattr(raw, "connection", None), "sock", None)
    return found if isinstance(found, socket.socket) else None
