"""OpenAI's chat completions, completions and embeddings, and what speaks the same protocol.

https://platform.openai.com/docs/api-reference/chat
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llmrr.engines.base import Text
from llmrr.engines.remote.client import Call
from llmrr.engines.remote.dialect import Counts, Reader, ended, missing, refuse, schema_of, stated
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.faults import Party, in_stream
from llmrr.engines.remote.images import url_of
from llmrr.engines.remote.likelihoods import likely
from llmrr.engines.remote.providers import OWN_SERVER, PROVIDERS, is_own
from llmrr.errors import ContentRefused
from llmrr.types import (
    UNSTATED,
    Chunk,
    Endpoint,
    FinishReason,
    Message,
    Request,
    Sampling,
    Tool,
)

SAMPLES: Final = {
    "temperature": "temperature", "top_p": "top_p", "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty", "seed": "seed", "stop": "stop",
    "max_tokens": "max_tokens",
}  # fmt: skip
REASONS: Final[dict[str, FinishReason]] = {
    "length": "length", "model_length": "length", "max_tokens": "length",
    "tool_calls": "tool_calls", "function_call": "tool_calls",
}  # fmt: skip
# Those that are known to take what is no more than a hint: a name, a detail, strict.
HINTED: Final = frozenset({"openai", "azure", "deepseek", "groq", "openrouter", "xai"})
ANY_OBJECT: Final = {"type": "object", "properties": {}}


class OpenAI:
    """Chat completions."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        provider = PROVIDERS[endpoint.provider]
        self._name, self._lacks = endpoint.provider, provider.lacks
        self._is_official = endpoint.provider in ("openai", "azure") and self._own
        more = provider.samples
        if endpoint.provider == "openai" and not self._own:
            more = OWN_SERVER
        self._samples = [*SAMPLES.items()]
        if self._is_official:  # "max_tokens" is refused by its reasoning models
            self._samples[-1] = ("max_tokens", "max_completion_tokens")
        renamed = {ours for ours, _ in more}
        self._samples = [one for one in self._samples if one[0] not in renamed] + [*more]
        known = {ours for ours, _ in self._samples}
        known |= {"schema", "logprobs", "logit_bias", "think"}
        if endpoint.provider == "fireworks":
            known.add("grammar")
        self._known = frozenset(known - self._lacks)

    @property
    def _own(self) -> bool:
        return is_own(self._endpoint) or self._endpoint.provider == "azure"

    def headers(self, key: str | None) -> dict[str, str]:
        """The key as a bearer, and the organization that pays."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        if self._endpoint.organization:
            headers["openai-organization"] = self._endpoint.organization
        return headers

    def call(self, request: Request) -> Call:
        """Chat completions, or for a raw prompt completions."""
        sampling = request.sampling
        body: dict[str, Any] = {"model": self._endpoint.model, "stream": True}
        if "stream_options" not in self._lacks:
            body["stream_options"] = {"include_usage": True}
        if request.n > 1:
            body["n"] = request.n
        body |= self._sampled(sampling)
        if request.prompt is not None:
            for name in ("schema", "logprobs", "think"):
                if getattr(sampling, name) not in (None, False):
                    raise missing(f"{self._name}, for a raw prompt,", name)
            return Call(self._path("completions"), {**body, "prompt": request.prompt})
        hints = self._name in HINTED
        body["messages"] = [
            turn(one, hints=hints, thoughts=self._recalls(one)) for one in request.messages
        ]
        if request.tools:
            body["tools"] = [
                {"type": "function", "function": function(one, hints=hints)}
                for one in request.tools
            ]
            body |= choice_of(request.tool_choice)
        return Call(self._path("chat/completions"), body)

    def reader(self, request: Request, party: Party) -> Reader:
        """What reads the answer."""
        return Chunks(party, request.n)

    def embedding(self, texts: Sequence[Text]) -> Call:
        """Vectors of floats."""
        body = {"model": self._endpoint.model, "input": list(texts), "encoding_format": "float"}
        return Call(self._path("embeddings"), body)

    def vectors(self, document: Event) -> list[list[float]]:
        """In the order of the texts, which the answer says."""
        return [one["embedding"] for one in sorted(document["data"], key=lambda one: one["index"])]

    # -- inside --------------------------------------------------------------------------------

    def _recalls(self, message: Message) -> bool:
        """Whether a turn is sent with what was thought before it: servers of one's own give it to
        the template; DeepSeek wants it before calls, and before nothing else; OpenAI refuses it."""
        if self._name == "deepseek":
            return bool(message.tool_calls)
        return self._name == "openai" and not self._own

    def _path(self, name: str) -> str:
        return f"/{name}"

    def _sampled(self, sampling: Sampling) -> dict[str, Any]:
        if sampling == UNSTATED:
            return {}
        refuse(self._name, sampling, self._known)
        body: dict[str, Any] = {}
        for ours, theirs in self._samples:
            body |= stated(sampling, {ours: theirs})
        if sampling.logit_bias:
            body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
        if sampling.logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
        return body | self._shaped(sampling) | self._thinking(sampling)

    def _shaped(self, sampling: Sampling) -> dict[str, Any]:
        schema = schema_of(sampling)
        if sampling.grammar is not None:
            return {"response_format": {"type": "grammar", "grammar": sampling.grammar}}
        if schema is None:
            return {}
        if not schema:
            return {"response_format": {"type": "json_object"}}
        shape = {"name": "answer", "schema": dict(schema), "strict": is_strict(schema)}
        return {"response_format": {"type": "json_schema", "json_schema": shape}}

    def _thinking(self, sampling: Sampling) -> dict[str, Any]:
        think = sampling.think
        if think is None or "think" not in self._known:
            return {}
        if self._name == "deepseek":
            return {"thinking": {"type": "disabled" if think == "off" else "enabled"}}
        if self._name == "openrouter":
            return {"reasoning": {"enabled": False} if think == "off" else {"effort": think}}
        effort = {"reasoning_effort": "none" if think == "off" else think}
        if self._name == "openai" and not self._own:  # what vLLM and llama-server hand to templates
            return {**effort, "chat_template_kwargs": {"enable_thinking": think != "off"}}
        return effort


class Chunks(Reader):
    """Reads ``chat.completion.chunk`` and its older and whole kin."""

    def chunks(self, event: Event) -> Iterator[Chunk]:
        self._count(event)
        for choice in event.get("choices") or ():
            index = choice.get("index") or 0
            delta = choice.get("delta") or choice.get("message") or {}
            if (said := self._said(index, choice, delta)) is not None:
                yield said
            if calls := delta.get("tool_calls"):
                yield from self._called(index, calls)
            if choice.get("finish_reason"):
                yield from self._ended(index, choice)

    def _said(
        self, index: int, choice: Mapping[str, Any], delta: Mapping[str, Any]
    ) -> Chunk | None:
        if delta.get("refusal"):
            raise ContentRefused(
                f"{self.party.name} refuses: {self.party.clean(delta['refusal'])}",
                "say it in other words",
            )
        text, thought = _texts(delta.get("content") or choice.get("text") or "")
        thought = delta.get("reasoning_content") or delta.get("reasoning") or thought
        if delta and text:
            text, within = self.apart(index, text)
            thought += within
        logprobs = likely((choice.get("logprobs") or {}).get("content"))
        is_empty = not (text or thought or logprobs)
        return None if is_empty else Chunk(index, text, thought, logprobs=logprobs)

    def _called(self, index: int, calls: Sequence[Mapping[str, Any]]) -> Iterator[Chunk]:
        for place, call in enumerate(calls):
            said = call.get("function") or {}
            yield from self.tools.add(
                index, call.get("index", place), id=call.get("id"), name=said.get("name"),
                arguments=said.get("arguments"),
            )  # fmt: skip

    def _ended(self, index: int, choice: Mapping[str, Any]) -> Iterator[Chunk]:
        reason = choice["finish_reason"]
        if reason == "content_filter":
            raise ContentRefused(
                f"{self.party.name} left out its answer: its filter of contents stopped it",
                "say it in other words",
            )
        if reason == "error":
            raise in_stream(self.party, {"error": choice.get("error") or "the provider failed"})
        text, thought = self.apart(index, "")
        if text or thought:
            yield Chunk(index, text, thought)
        calls = [*self.tools.take(index)]
        yield from calls
        self.reasons[index] = ended(REASONS.get(reason, "stop"), called=bool(calls))

    def _count(self, event: Event) -> None:
        usage = event.get("usage") or (event.get("x_groq") or {}).get("usage")
        if usage:
            details = usage.get("prompt_tokens_details") or {}
            cached = details.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0
            thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
            self.counts = Counts(
                usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0, cached,
                thought,
            )  # fmt: skip


def turn(message: Message, *, hints: bool = False, thoughts: bool = False) -> dict[str, Any]:
    """A message as the protocol has it, with what was thought before it as vLLM, llama-server and
    DeepSeek name that."""
    content: object = message.content
    if message.images:
        content = [
            {"type": "text", "text": part} if isinstance(part, str)
            else {"type": "image_url", "image_url": {
                "url": url_of(part), **({"detail": part.detail} if hints and part.detail else {})
            }}
            for part in message.parts
        ]  # fmt: skip
    found: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        found["content"] = content or None
        found["tool_calls"] = [
            {"id": one.id, "type": "function",
             "function": {"name": one.name, "arguments": one.arguments}}
            for one in message.tool_calls
        ]  # fmt: skip
    if message.role == "tool":
        found["tool_call_id"] = message.tool_call_id
    if message.name and hints:
        found["name"] = message.name
    if message.reasoning and thoughts:
        found["reasoning_content"] = message.reasoning
    return found


def function(tool: Tool, *, hints: bool = False) -> dict[str, Any]:
    """A tool as the protocol has it."""
    found: dict[str, Any] = {"name": tool.name}
    if tool.description:
        found["description"] = tool.description
    found["parameters"] = dict(tool.parameters) or ANY_OBJECT
    return {**found, "strict": tool.strict} if hints and tool.strict is not None else found


def choice_of(stated: str | None) -> dict[str, Any]:
    """Which tool must be called."""
    if stated is None or stated in ("auto", "none", "required"):
        return {} if stated is None else {"tool_choice": stated}
    return {"tool_choice": {"type": "function", "function": {"name": stated}}}


def is_strict(schema: object) -> bool:
    """May OpenAI hold an answer to this schema to the letter? Every object must name all its
    properties as required, and allow no others: structured outputs, supported schemas.

    >>> is_strict({"type": "object", "properties": {"a": {}}, "required": ["a"],
    ...            "additionalProperties": False}), is_strict({"type": "object"})
    (True, False)
    """
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if schema.get("type") == "object" or isinstance(properties, Mapping):
            named = set(properties) if isinstance(properties, Mapping) else set()
            if schema.get("additionalProperties") is not False:
                return False
            if named != set(schema.get("required") or ()):
                return False
        return all(is_strict(one) for one in schema.values())
    return all(map(is_strict, schema)) if isinstance(schema, list) else True


def _texts(content: Any) -> tuple[str, str]:
    """Text and reasoning of a content; Mistral's reasoning models send a list of both."""
    if isinstance(content, str):
        return content, ""
    text = "".join(one.get("text") or "" for one in content if one.get("type") == "text")
    thought = "".join(
        piece.get("text") or "" for one in content for piece in one.get("thinking") or ()
    )
    return text, thought
