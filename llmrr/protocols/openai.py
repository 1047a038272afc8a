"""OpenAI's protocol: chat completions and completions.

Source of the format: https://platform.openai.com/docs/api-reference/chat and /completions; what
llama-server and vLLM take besides (``top_k``, ``min_p``, ``repeat_penalty``, ``ignore_eos``,
``grammar``, …) is taken under their names.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from llmrr.choosing import turns
from llmrr.errors import ContextOverflow, NotFound, OverBudget, RateLimited
from llmrr.protocols import base
from llmrr.protocols.base import Answered, Asked, Event
from llmrr.protocols.fields import BadField, Fields
from llmrr.types import Chunk, Request, Sampling, TokenLogprob, ToolCall, Usage

DONE: Final = Event("[DONE]")
_EFFORTS: Final = {"none": "off", "minimal": "low", "xhigh": "high"}


# -- what is asked ---------------------------------------------------------------------------------


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
    return _asked(request, given)


def completion(body: Mapping[str, Any]) -> Asked:
    """The body of ``/v1/completions``; of several prompts the first, see ``prompts``."""
    given = Fields(body)
    prompt = prompts(body)[0]
    limit = 16 if given.get("max_tokens") is None else given.whole("max_tokens", -1)
    found = sampling(given, limit, given.whole("logprobs", 0, 20))
    n = given.whole("n", 1, 128) or 1
    if isinstance(prompt, str):
        return _asked(Request(prompt=prompt, n=n, sampling=found), given)
    return _asked(Request(tokens=prompt, n=n, sampling=found), given)


def prompts(body: Mapping[str, Any]) -> list[str | tuple[int, ...]]:
    """The prompts of a completion: texts, or token ids."""
    given = Fields(body)
    value = given.get("prompt")
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(one, str) for one in value):
            return list(value)
        if all(map(_is_token, value)):
            return [tuple(value)]
        if all(isinstance(one, list) and one and all(map(_is_token, one)) for one in value):
            return [tuple(one) for one in value]
    raise given.bad("prompt", "text, list of texts, or list of token ids")


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def sampling(given: Fields, limit: int | None, logprobs: int | None) -> Sampling:
    """How the next token is chosen, as a body states it."""
    schema, grammar = _shape(given)
    repeat = given.number("repeat_penalty", 0)
    return Sampling(
        temperature=given.number("temperature", 0),
        top_k=given.whole("top_k", -1),
        top_p=given.number("top_p", 0, 1),
        min_p=given.number("min_p", 0, 1),
        typical_p=given.number("typical_p", 0, 1),
        repeat_penalty=given.number("repetition_penalty", 0) if repeat is None else repeat,
        frequency_penalty=given.number("frequency_penalty", -2, 2),
        presence_penalty=given.number("presence_penalty", -2, 2),
        seed=_seed(given),
        stop=given.words("stop", 16),
        max_tokens=None if limit is None or limit < 0 else limit,
        logit_bias=_bias(given),
        logprobs=logprobs,
        ignore_eos=given.flag("ignore_eos"),
        schema=schema,
        grammar=grammar,
        think=_think(given),
    )


def _seed(given: Fields) -> int | None:
    seed = given.whole("seed", -(2**63), 2**64 - 1)
    return None if seed is None or seed == -1 else seed % 2**32


def _bias(given: Fields) -> dict[int, float] | None:
    if (found := given.inner("logit_bias")) is None:
        return None
    bias: dict[int, float] = {}
    for token in found.given:
        if not token.lstrip("-").isdecimal():
            raise BadField("logit_bias", f"logit_bias has {token!r}, which is no token id")
        bias[int(token)] = found.number(token, -100, 100) or 0.0
    return bias


def _shape(given: Fields) -> tuple[Mapping[str, Any] | bool | None, str | None]:
    """The schema or grammar that the answer has to obey."""
    grammar = given.text("grammar") or given.text("guided_grammar")
    wanted = given.inner("response_format")
    if wanted is None:
        schema = given.inner("json_schema") or given.inner("guided_json")
        return (None if schema is None else schema.given), grammar
    kind = wanted.one_of("type", "text", "json_object", "json_schema")
    if kind == "json_schema":
        outer = wanted.inner("json_schema") or wanted
        if (schema := outer.inner("schema")) is None:
            raise outer.bad("schema", "JSON Schema")
        return schema.given, grammar
    if kind == "json_object":
        stated = wanted.inner("schema")
        return ({"type": "object"} if stated is None else stated.given), grammar
    return None, grammar


def _think(given: Fields) -> Any:
    if (effort := given.text("reasoning_effort")) is not None:
        known = {**_EFFORTS, "low": "low", "medium": "medium", "high": "high"}
        if effort not in known:
            raise given.bad("reasoning_effort", f"one of {', '.join(known)}")
        return known[effort]
    template = given.inner("chat_template_kwargs")
    if template is not None and template.flag("enable_thinking") is False:
        return "off"
    return None


def _asked(request: Request, given: Fields) -> Asked:
    options = given.inner("stream_options")
    choice: dict[str, Any] = {}
    if (user := given.text("user") or given.text("safety_identifier")) is not None:
        choice["user"] = user
    return Asked(
        request,
        given.text("model"),
        stream=bool(given.flag("stream")),
        usage=bool(options and options.flag("include_usage")),
        choice=choice,
        body=given.given,
    )


# -- what is answered ------------------------------------------------------------------------------


def usage(found: Usage) -> dict[str, Any]:
    """What an answer took."""
    return {
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": found.completion_tokens,
        "total_tokens": found.prompt_tokens + found.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": found.cached_tokens},
    }


def error(error: BaseException, status: int) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    code: str | None = None
    kind = "invalid_request_error" if status < 500 else "server_error"
    if isinstance(error, NotFound):
        code = "model_not_found"
    elif isinstance(error, ContextOverflow):
        code = "context_length_exceeded"
    elif isinstance(error, OverBudget):
        kind = code = "insufficient_quota"
    elif isinstance(error, RateLimited) or status == 429:
        kind, code = "rate_limit_error", "rate_limit_exceeded"
    elif status in (401, 403):
        kind, code = "authentication_error", "invalid_api_key"
    param = getattr(error, "param", None)
    told = {"message": base.message_of(error), "type": kind, "param": param, "code": code}
    return {"error": told}


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
            yield self._chunk(chunk.index, {}, finish=finish(chunk.finish_reason))

    def end(self) -> Iterator[Event]:
        """What it took, where that was asked for."""
        if self._asked.usage:
            yield Event({**self._head(), "choices": [], "usage": usage(self._usage or Usage())})
        yield DONE

    def failed(self, error_: BaseException) -> Iterator[Event]:
        """Why it broke off."""
        yield Event(error(error_, base.status_of(error_)))
        yield DONE

    def whole(self, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """The complete answer."""
        return {
            **self._head("chat.completion"),
            "choices": [
                {
                    "index": index,
                    "message": _message(one),
                    "logprobs": _chat_logprobs(one.logprobs) if one.logprobs else None,
                    "finish_reason": finish(one.finish_reason),
                }
                for index, one in enumerate(base.choices(chunks))
            ],
            "usage": usage(base.usage_of(chunks)),
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


class CompletionWriter:
    """Writes a completion. ``first`` is the index of its first choice."""

    def __init__(self, about: Answered, asked: Asked, first: int = 0) -> None:
        self._about, self._asked, self._first = about, asked, first
        self._usage: Usage | None = None
        self._offsets: dict[int, int] = {}

    def begin(self) -> Iterable[Event]:
        """Nothing comes before the text."""
        return ()

    def piece(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk adds to its choice."""
        self._usage = chunk.usage or self._usage
        said = chunk.reasoning + chunk.text
        if said or chunk.finish_reason is not None or chunk.logprobs:
            at = self._offsets.get(chunk.index, 0)
            self._offsets[chunk.index] = at + sum(len(one.text) for one in chunk.logprobs)
            found = {
                **self._head(),
                "choices": [
                    self._choice(chunk.index, said, chunk.finish_reason, chunk.logprobs, at)
                ],
            }
            if self._asked.usage:
                found["usage"] = None
            yield Event(found)

    def end(self) -> Iterator[Event]:
        """What it took, where that was asked for."""
        if self._asked.usage:
            yield Event({**self._head(), "choices": [], "usage": usage(self._usage or Usage())})
        yield DONE

    def failed(self, error_: BaseException) -> Iterator[Event]:
        """Why it broke off."""
        yield Event(error(error_, base.status_of(error_)))
        yield DONE

    def whole(self, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """The complete answer."""
        found = [
            self._choice(
                index, one.reasoning + one.text, one.finish_reason or "stop", one.logprobs, 0
            )
            for index, one in enumerate(base.choices(chunks))
        ]
        return {**self._head(), "choices": found, "usage": usage(base.usage_of(chunks))}

    def _head(self) -> dict[str, Any]:
        about = self._about
        return {"id": f"cmpl-{about.id}", "object": "text_completion", "created": about.created,
                "model": about.model, "system_fingerprint": about.answered}  # fmt: skip

    def _choice(
        self, index: int, text: str, reason: str | None, logprobs: Sequence[TokenLogprob], at: int
    ) -> dict[str, Any]:
        return {
            "text": text,
            "index": self._first + index,
            "logprobs": _completion_logprobs(logprobs, at) if logprobs else None,
            "finish_reason": None if reason is None else finish(reason),
        }


def finish(reason: str | None) -> str:
    """Why an answer ended, in OpenAI's words."""
    return "stop" if reason in (None, "cancelled") else str(reason)


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


def _completion_logprobs(found: Sequence[TokenLogprob], at: int) -> dict[str, Any]:
    offsets = []
    for one in found:
        offsets.append(at)
        at += len(one.text)
    return {
        "tokens": [one.text for one in found],
        "token_logprobs": [max(one.logprob, -9999.0) for one in found],
        "top_logprobs": [
            {text: max(logprob, -9999.0) for text, logprob in one.top} for one in found
        ],
        "text_offset": offsets,
    }
