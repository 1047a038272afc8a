"""Writes an answer down as Ollama does: a line of JSON for each piece, the last with the figures.
Times are in nanoseconds."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from llmrr.protocols import base
from llmrr.protocols.base import Answered, Asked, Event
from llmrr.protocols.calling import is_cut
from llmrr.types import Chunk, FinishReason, TokenLogprob, ToolCall, Usage


def error(error: BaseException, status: int) -> dict[str, Any]:
    """An error as Ollama's clients read it; some look for these words, to fetch the model."""
    start = "not found: " if status == 404 else ""
    return {"error": start + base.message_of(error)}


def loaded(model: str, *, is_chat: bool, keeps: bool) -> dict[str, Any]:
    """What is answered when a model was loaded, or unloaded."""
    said = {"message": {"role": "assistant", "content": ""}} if is_chat else {"response": ""}
    reason = "load" if keeps else "unload"
    return {"model": model, "created_at": time_of(), **said, "done": True, "done_reason": reason}


class _Writer:
    """What both kinds of answer share."""

    def __init__(self, about: Answered, asked: Asked) -> None:
        self._about, self._count = about, 0
        self._reason: FinishReason | None = None
        self._usage, self._tokens = Usage(), list[int]()

    def begin(self) -> Iterable[Event]:
        """Nothing comes before the answer."""
        return ()

    def piece(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk adds."""
        self._note(chunk)
        calls = _whole(chunk.tool_calls)
        if chunk.text or chunk.reasoning or calls or chunk.logprobs:
            said = self._said(chunk.text, chunk.reasoning, calls)
            yield Event({**self._head(), **said, "done": False, **_logprobs(chunk.logprobs)})

    def end(self) -> Iterator[Event]:
        """Why it ended, and what it took."""
        yield Event({**self._head(), **self._said("", "", ()), **self._figures()})

    def failed(self, error_: BaseException) -> Iterator[Event]:
        """Why it broke off."""
        yield Event(error(error_, base.status_of(error_)))

    def whole(self, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """The complete answer."""
        for chunk in chunks:
            self._note(chunk)
        (one,) = base.choices(chunks) or [base.Choice()]
        said = self._said(one.text, one.reasoning, _whole(one.tool_calls))
        return {**self._head(), **said, **self._figures(), **_logprobs(one.logprobs)}

    def _said(
        self, text: str, reasoning: str, calls: Sequence[ToolCall]
    ) -> dict[str, Any]:
        raise NotImplementedError

    def _more(self) -> dict[str, Any]:
        """What the last piece has besides."""
        return {}

    def _note(self, chunk: Chunk) -> None:
        self._reason = chunk.finish_reason or self._reason
        self._usage = chunk.usage or self._usage
        self._tokens += chunk.tokens

    def _head(self) -> dict[str, Any]:
        return {"model": self._about.model, "created_at": time_of()}

    def _figures(self) -> dict[str, Any]:
        usage = self._usage
        if self._about.cache:  # no model took any time
            usage = replace(usage, total_s=time.monotonic() - self._about.entered)
        first = usage.first_token_s or 0.0
        return {
            "done": True,
            "done_reason": "length" if self._reason == "length" else "stop",
            **self._more(),
            # No time is 0: clients divide by them, and take 0 for one that was not told.
            "total_duration": max(1, nanoseconds(usage.load_s + usage.total_s)),
            "load_duration": max(1, nanoseconds(usage.load_s)),
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": max(1, nanoseconds(first)),
            "eval_count": usage.completion_tokens,
            "eval_duration": max(1, nanoseconds(usage.total_s - first)),
        }


class ChatWriter(_Writer):
    """Writes the answer of ``/api/chat``."""

    def _said(
        self, text: str, reasoning: str, calls: Sequence[ToolCall]
    ) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if reasoning:
            message["thinking"] = reasoning
        if calls:
            message["tool_calls"] = [_call(one, self._count + at) for at, one in enumerate(calls)]
            self._count += len(calls)
        return {"message": message}


class GenerateWriter(_Writer):
    """Writes the answer of ``/api/generate``. ``prompt`` are the tokens that the model was given,
    where they are known: with those of the answer they are the context of a next one."""

    def __init__(self, about: Answered, asked: Asked, prompt: Sequence[int] = ()) -> None:
        super().__init__(about, asked)
        self._prompt = prompt

    def _said(
        self, text: str, reasoning: str, calls: Sequence[ToolCall]
    ) -> dict[str, Any]:
        return {"response": text} | ({"thinking": reasoning} if reasoning else {})

    def _more(self) -> dict[str, Any]:
        return {"context": [*self._prompt, *self._tokens]} if self._prompt else {}


def nanoseconds(seconds: float) -> int:
    """A time as Ollama writes it."""
    return round(seconds * 1e9)


def time_of(seconds: float | None = None) -> str:
    """A moment, in epoch seconds; without one that is now.

    >>> time_of(0.5)
    '1970-01-01T00:00:00.500000Z'
    """
    at = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _whole(calls: Sequence[ToolCall]) -> Sequence[ToolCall]:
    """The calls that can be told: Ollama's have objects, and its clients call what they are given.
    """
    return [one for one in calls if not is_cut(one)]


def _call(call: ToolCall, index: int) -> dict[str, Any]:
    arguments = json.loads(call.arguments or "{}")
    function = {"index": index, "name": call.name, "arguments": arguments}
    return {"id": call.id, "function": function}


def _logprobs(found: Sequence[TokenLogprob]) -> Mapping[str, Any]:
    return {"logprobs": [base.likely(one, _token) for one in found]} if found else {}


def _token(spelled: bytes, logprob: float) -> dict[str, Any]:
    told = spelled.decode(errors="replace")
    return {"token": told, "logprob": max(logprob, -9999.0), "bytes": list(spelled)}
