"""Google's Gemini, at the Gemini API and at Vertex AI. https://ai.google.dev/api/generate-content"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from llmrr.engines.base import Text
from llmrr.engines.remote.client import Call
from llmrr.engines.remote.dialect import (
    Counts,
    Reader,
    arguments_of,
    ended,
    missing,
    refuse,
    schema_of,
    signature_of,
    signed,
    stated,
    words,
)
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.faults import Party
from llmrr.engines.remote.images import inline
from llmrr.engines.remote.model import TEXTS_AT_ONCE
from llmrr.engines.remote.providers import address
from llmrr.errors import ContentRefused
from llmrr.types import (
    Chunk,
    Endpoint,
    FinishReason,
    Image,
    Message,
    Request,
    Sampling,
    TokenLogprob,
    ToolCall,
)

SAMPLES: Final = {
    "temperature": "temperature", "top_p": "topP", "top_k": "topK", "seed": "seed",
    "stop": "stopSequences", "max_tokens": "maxOutputTokens",
    "frequency_penalty": "frequencyPenalty", "presence_penalty": "presencePenalty",
}  # fmt: skip
BUDGETS: Final = {"off": 0, "low": 1024, "medium": 8192, "high": 24576}  # tokens of thought
REASONS: Final[dict[str, FinishReason]] = {"STOP": "stop", "MAX_TOKENS": "length"}
REFUSED: Final = frozenset({
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
})  # fmt: skip
# Of Vertex AI, for vectors: 20,000 tokens in one call, up to 2,048 of each text; one text where a
# Gemini makes them. https://cloud.google.com/vertex-ai/generative-ai/docs/embeddings
VERTEX_AT_ONCE: Final = 8
MODES: Final = {"auto": "AUTO", "required": "ANY", "none": "NONE"}


def texts_at_once(endpoint: Endpoint) -> int:
    """How many texts go into one call for vectors.

    >>> texts_at_once(Endpoint("vertex", "gemini-embedding-001"))
    1
    """
    if endpoint.provider != "vertex":
        return TEXTS_AT_ONCE
    return 1 if endpoint.model.startswith("gemini-") else VERTEX_AT_ONCE


class Google:
    """``generateContent``, streamed."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self._name = endpoint, endpoint.provider
        # A project of Vertex AI takes a token of OAuth, all others a key.
        self._takes_token = "/projects/" in (address(endpoint) or "")

    def headers(self, key: str | None) -> dict[str, str]:
        """The key, or the token of a project."""
        if key is None:
            return {}
        if self._takes_token:
            return {"authorization": f"Bearer {key}"}
        return {"x-goog-api-key": key}

    def call(self, request: Request) -> Call:
        """Contents, with the system prompt beside them."""
        sampling = request.sampling
        if request.prompt is not None:
            raise missing(self._name, "raw prompts")
        refuse(self._name, sampling, (*SAMPLES, "schema", "think", "logprobs"))
        body: dict[str, Any] = {"contents": turns(request.messages)}
        system = [one.content for one in request.messages if one.role in ("system", "developer")]
        if system:
            body["systemInstruction"] = {"parts": [{"text": "\n\n".join(system)}]}
        settings = {**stated(sampling, SAMPLES), **_shaped(sampling)}
        if request.n > 1:
            settings["candidateCount"] = request.n
        if settings:
            body["generationConfig"] = settings
        if request.tools:
            declared = [
                {"name": one.name, "description": one.description,
                 **({"parametersJsonSchema": dict(one.parameters)} if one.parameters else {})}
                for one in request.tools
            ]  # fmt: skip
            body["tools"] = [{"functionDeclarations": declared}]
        if request.tool_choice is not None:
            mode = MODES.get(request.tool_choice)
            named = {} if mode else {"allowedFunctionNames": [request.tool_choice]}
            body["toolConfig"] = {"functionCallingConfig": {"mode": mode or "ANY", **named}}
        return Call(f"/{self._model}:streamGenerateContent?alt=sse", body)

    def reader(self, request: Request, party: Party) -> Reader:
        """What reads the answer."""
        return Candidates(party, request.n)

    def embedding(self, texts: Sequence[Text]) -> Call:
        """Vectors of several texts; at Vertex AI a prediction, where nothing is to be cut."""
        said = words(texts, self._name)
        if self._name == "vertex":
            body = {"instances": [{"content": text} for text in said],
                    "parameters": {"autoTruncate": False}}  # fmt: skip
            return Call(f"/{self._model}:predict", body)
        requests = [
            {"model": self._model, "content": {"parts": [{"text": text}]}} for text in said
        ]
        return Call(f"/{self._model}:batchEmbedContents", {"requests": requests})

    def vectors(self, document: Event) -> list[list[float]]:
        """In the order of the texts."""
        found = document.get("embeddings")
        if found is None:  # of Vertex AI
            found = [one["embeddings"] for one in document["predictions"]]
        return [list(map(float, one["values"])) for one in found]

    @property
    def _model(self) -> str:
        model = quote(self._endpoint.model)
        return model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"


class Candidates(Reader):
    """Reads the parts of the candidates."""

    def __init__(self, party: Party, choices: int) -> None:
        super().__init__(party, choices)
        self._calls = [0] * choices

    def chunks(self, event: Event) -> Iterator[Chunk]:
        if reason := (event.get("promptFeedback") or {}).get("blockReason"):
            raise ContentRefused(
                f"{self.party.name} refuses the prompt: {self.party.clean(str(reason))}",
                "say it in other words",
            )
        if usage := event.get("usageMetadata"):
            said = usage.get("candidatesTokenCount") or 0
            thought = usage.get("thoughtsTokenCount") or 0
            self.counts = Counts(
                usage.get("promptTokenCount") or 0, said + thought,
                usage.get("cachedContentTokenCount") or 0, usage.get("thoughtsTokenCount"),
            )  # fmt: skip
        for candidate in event.get("candidates") or ():
            index = candidate.get("index") or 0
            yield from self._said(index, candidate)
            if reason := candidate.get("finishReason"):
                self._ended(index, reason, candidate)

    def _said(self, index: int, candidate: Mapping[str, Any]) -> Iterator[Chunk]:
        logprobs = _logprobs(candidate.get("logprobsResult"))
        for part in (candidate.get("content") or {}).get("parts") or ():
            text = part.get("text") or ""
            if called := part.get("functionCall"):
                yield Chunk(index, tool_calls=(self._call(index, called, part),))
            elif part.get("thought"):
                yield Chunk(index, reasoning=text)
            elif text:
                yield Chunk(index, text, logprobs=logprobs)
                logprobs = ()
        if logprobs:
            yield Chunk(index, logprobs=logprobs)

    def _call(
        self, index: int, called: Mapping[str, Any], part: Mapping[str, Any]
    ) -> ToolCall:
        identity = called.get("id") or f"call_{index}_{self._calls[index]}"
        self._calls[index] += 1
        signature = part.get("thoughtSignature")
        return ToolCall(
            identity, called["name"], json.dumps(called.get("args") or {}),
            signed("google", signature) if signature else None,
        )  # fmt: skip

    def _ended(self, index: int, reason: str, candidate: Mapping[str, Any]) -> None:
        if reason in REFUSED:
            raise ContentRefused(
                f"{self.party.name} left out its answer: {reason}", "say it in other words"
            )
        if reason not in REASONS:
            why = self.party.clean(str(candidate.get("finishMessage") or ""))
            raise self.party.broken(f"ended with {reason}{': ' if why else ''}{why}")
        self.reasons[index] = ended(REASONS[reason], called=bool(self._calls[index]))


def turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages without the system prompt. A result has the name of what was called; results
    side by side are one turn."""
    names = {call.id: call.name for one in messages for call in one.tool_calls}
    found: list[dict[str, Any]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = _parts(message, names)
        if found and found[-1]["role"] == role:
            found[-1]["parts"] += parts
        else:
            found.append({"role": role, "parts": parts})
    return found


def _parts(message: Message, names: Mapping[str, str]) -> list[dict[str, Any]]:
    if message.role == "tool":
        name = names.get(message.tool_call_id or "", message.tool_call_id)
        response = {"name": name, "response": {"result": message.content}}
        return [{"functionResponse": response}]
    parts = [_part(one) for one in message.parts or (message.content,) if one]
    for call in message.tool_calls:
        part: dict[str, Any] = {
            "functionCall": {"name": call.name, "args": arguments_of(call)}
        }
        if signature := signature_of("google", call):
            part["thoughtSignature"] = signature
        parts.append(part)
    return parts or [{"text": ""}]


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"text": part}
    if (found := inline(part)) is None:
        return {"fileData": {"mimeType": part.media_type, "fileUri": part.url}}
    return {"inlineData": {"mimeType": found[0], "data": found[1]}}


def _shaped(sampling: Sampling) -> dict[str, Any]:
    found: dict[str, Any] = {}
    schema = schema_of(sampling)
    if schema is not None:
        found["responseMimeType"] = "application/json"
    if schema:
        found["responseJsonSchema"] = dict(schema)
    if sampling.logprobs is not None:
        found |= {"responseLogprobs": True, "logprobs": max(1, sampling.logprobs)}
    if sampling.think is not None:
        budget = BUDGETS[sampling.think]
        found["thinkingConfig"] = {"thinkingBudget": budget, "includeThoughts": budget > 0}
    return found


def _logprobs(found: Any) -> tuple[TokenLogprob, ...]:
    if not found:
        return ()
    tops = found.get("topCandidates") or ()
    return tuple(
        TokenLogprob(
            one["token"], one["logProbability"],
            tuple((top["token"], top["logProbability"])
                  for top in (tops[at]["candidates"] if at < len(tops) else ())),
        )
        for at, one in enumerate(found.get("chosenCandidates") or ())
    )  # fmt: skip
