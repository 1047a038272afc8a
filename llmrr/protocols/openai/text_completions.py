"""Completions: https://platform.openai.com/docs/api-reference/completions"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from llmrr.protocols import base
from llmrr.protocols.base import Answered, Asked, Event
from llmrr.protocols.fields import Fields
from llmrr.protocols.openai import common
from llmrr.protocols.openai.errors import error
from llmrr.protocols.openai.sampling import sampling
from llmrr.types import Chunk, Request, TokenLogprob, Usage


def completion(body: Mapping[str, Any]) -> Asked:
    """The body of ``/v1/completions``; of several prompts the first, see ``prompts``."""
    given = Fields(body)
    prompt = prompts(body)[0]
    limit = 16 if given.get("max_tokens") is None else given.whole("max_tokens", -1)
    found = sampling(given, limit, given.whole("logprobs", 0, 20))
    n = given.whole("n", 1, 128) or 1
    if isinstance(prompt, str):
        return common.asked(Request(prompt=prompt, n=n, sampling=found), given)
    return common.asked(Request(tokens=prompt, n=n, sampling=found), given)


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
            took = common.usage(self._usage or Usage())
            yield Event({**self._head(), "choices": [], "usage": took})
        yield common.DONE

    def failed(self, error_: BaseException) -> Iterator[Event]:
        """Why it broke off."""
        yield Event(error(error_, base.status_of(error_)))
        yield common.DONE

    def whole(self, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """The complete answer."""
        found = [
            self._choice(
                index, one.reasoning + one.text, one.finish_reason or "stop", one.logprobs, 0
            )
            for index, one in enumerate(base.choices(chunks))
        ]
        return {**self._head(), "choices": found, "usage": common.usage(base.usage_of(chunks))}

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
            "finish_reason": None if reason is None else common.finish(reason),
        }


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
