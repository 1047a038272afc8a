"""Completions: https://platform.openai.com/docs/api-reference/completions"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

from llmrr.choosing.scoring import Scored
from llmrr.protocols import base
from llmrr.protocols.base import Answered, Asked, Event
from llmrr.protocols.fields import BadField, Fields
from llmrr.protocols.openai import common
from llmrr.protocols.openai.logprobs import Offsets, completion_logprobs
from llmrr.protocols.openai.sampling import insists, limited, sampling
from llmrr.types import Chunk, Request, TokenLogprob, Usage

MOST_PROMPTS: Final = 256


def completion(body: Mapping[str, Any]) -> Asked:
    """The body of ``/v1/completions``. Raises ``InvalidRequest`` naming what is wrong."""
    given = Fields(body)
    given.refuse("suffix", "a text is gone on with, and none is filled in", "leave it out")
    # With 0 of them the prompt alone is told.
    is_silent = given.whole("max_tokens", -1) == 0 and given.flag("echo")
    limit = 1 if is_silent else limited(given) or 16
    found = sampling(given, limit, given.whole("logprobs", 0, 20))
    n, best = _counts(given)
    if best > n and found.logprobs is None:
        found = replace(found, logprobs=0)  # the best is known by them
    given.flag("echo")
    wanted = Request(
        n=best, sampling=found, firm=insists(given.get("reasoning_effort"), "reasoning_effort")
    )
    first, *others = [
        replace(wanted, prompt=one) if isinstance(one, str) else replace(wanted, tokens=one)
        for one in _prompts(given)
    ]
    asked = common.asked(first, given)
    return replace(asked, others=tuple(others), left_out=given.unread())


def prompts(body: Mapping[str, Any]) -> list[str | tuple[int, ...]]:
    """The prompts of a completion: texts, or token ids."""
    return _prompts(Fields(body))


def _prompts(given: Fields) -> list[str | tuple[int, ...]]:
    value = given.get("prompt")
    if isinstance(value, list) and len(value) > MOST_PROMPTS and isinstance(value[0], str | list):
        raise BadField("prompt", f"{len(value)} prompts are too many", f"{MOST_PROMPTS} at most")
    if found := texts_or_tokens(value):
        return found
    raise given.bad("prompt", "text, list of texts, or list of token ids")


def texts_or_tokens(value: object) -> list[str | tuple[int, ...]]:
    """Texts, and texts as token ids; none where it is neither.

    >>> texts_or_tokens("a"), texts_or_tokens([1, 2]), texts_or_tokens([[1], [2]])
    (['a'], [(1, 2)], [(1,), (2,)])
    >>> texts_or_tokens(["a", [1, 2]])
    ['a', (1, 2)]
    >>> texts_or_tokens([1, "a"])
    []
    """
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return []
    if all(map(_is_token, value)):
        return [tuple(value)] if value else []
    if all(isinstance(one, str) or _are_tokens(one) for one in value):
        return [one if isinstance(one, str) else tuple(one) for one in value]
    return []


def _are_tokens(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_token, value))


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _counts(given: Fields) -> tuple[int, int]:
    """How many choices are told, and how many are made for them."""
    n = given.whole("n", 1, common.MOST_CHOICES) or 1
    best = given.whole("best_of", 1, 20) or n
    if best < n:
        raise BadField("best_of", f"best_of = {best} is less than n = {n}", "best_of >= n")
    if best > n and given.flag("stream"):
        raise BadField("best_of", "best_of is known at the end: it comes in no stream", "n")
    return n, best


class Echoed(NamedTuple):
    """What is to be known of the prompts' tokens to repeat them: their texts and, with ``top``
    alternatives, how likely each is."""

    top: int | None


def echoed(asked: Asked) -> Echoed | None:
    """What has to be known; None where the prompts are repeated as they are, or not at all."""
    if not asked.body.get("echo"):
        return None
    top = asked.request.sampling.logprobs if asked.body.get("logprobs") is not None else None
    return None if top is None and not asked.request.tokens else Echoed(top)


class CompletionWriter:
    """Writes a completion. The choices of several prompts follow each other; ``first`` is the index
    of its first choice. ``scored`` has the prompts' own tokens, where they are to be known."""

    def __init__(
        self, about: Answered, asked: Asked, first: int = 0, scored: Sequence[Scored] = ()
    ) -> None:
        self._about, self._asked, self._first, self._scored = about, asked, first, scored
        self._n = Fields(asked.body).whole("n", 1) or 1
        self._best = asked.request.n
        self._wants = asked.body.get("logprobs") is not None
        self._is_silent = asked.body.get("max_tokens") == 0
        self._echo = prompts(asked.body) if asked.body.get("echo") else ()
        self._offsets: dict[int, Offsets] = {}
        self._ending = common.Ending(self._head(), about, asked)
        self._before = common.dumps(self._head())[:-1] + ',"choices":[{"text":'
        self._after = self._ending.after()
        self.end, self.failed = self._ending.end, self._ending.failed

    def begin(self) -> Iterable[Event]:
        """Nothing comes before the text, but what is echoed."""
        for index in range(len(self._echo) * self._n):
            text, before = self._prompt(index)
            yield self._piece(index, text, None, before.tokens if before else (), before)

    def piece(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk adds to its choice."""
        if chunk.usage is not None:
            self._ending.usage = self._told(chunk.usage)
        if self._ending.counts:
            self._after = self._ending.after(0 if self._is_silent else len(chunk.tokens))
        said, logprobs = chunk.reasoning + chunk.text, chunk.logprobs
        if self._is_silent:
            said, logprobs = "", ()
        if said or chunk.finish_reason is not None or logprobs:
            yield self._piece(chunk.index, said, chunk.finish_reason, logprobs)

    def whole(self, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """The complete answer."""
        told = [
            self._choice(index, one) for index, one in enumerate(self._chosen(base.choices(chunks)))
        ]
        usage = common.usage(self._told(base.usage_of(chunks)))
        return {**self._head(), "choices": told, "usage": usage}

    # -- inside --------------------------------------------------------------------------------

    def _told(self, usage: Usage) -> Usage:
        return replace(usage, completion_tokens=0) if self._is_silent else usage

    def _head(self) -> dict[str, Any]:
        about = self._about
        return {"id": f"cmpl-{about.id}", "object": "text_completion", "created": about.created,
                "model": about.model, "system_fingerprint": about.answered}  # fmt: skip

    def _piece(
        self, index: int, text: str, reason: str | None, logprobs: Sequence[TokenLogprob],
        before: Scored | None = None,
    ) -> Event:  # fmt: skip
        told = "null"
        if logprobs:
            offsets = self._offsets.setdefault(index, Offsets())
            found = completion_logprobs(logprobs, offsets, is_first_known=_is_first_known(before))
            told = common.dumps(found)
        ended = "null" if reason is None else f'"{common.finish(reason)}"'
        return Event(
            f'{self._before}{encode_basestring(text)},"index":{self._first + index},'
            f'"logprobs":{told},"finish_reason":{ended}{self._after}'
        )

    def _choice(self, index: int, one: base.Choice) -> dict[str, Any]:
        text, before = self._prompt(index)
        if self._is_silent:
            one = base.Choice(finish_reason="length")
        tokens = (*(before.tokens if before else ()), *one.logprobs)
        logprobs = None
        if tokens and self._wants:
            at = Offsets(0 if before else len(text))
            logprobs = completion_logprobs(tokens, at, is_first_known=_is_first_known(before))
        return {
            "text": text + one.reasoning + one.text,
            "index": self._first + index,
            "logprobs": logprobs,
            "finish_reason": common.finish(one.finish_reason or "stop"),
        }

    def _prompt(self, index: int) -> tuple[str, Scored | None]:
        """What is echoed before a choice, with its tokens where they are told."""
        if not self._echo:
            return "", None
        at = (self._first + index) // self._n
        if not self._scored:
            return str(self._echo[at]), None
        found = self._scored[at]
        text = self._echo[at]
        return (text if isinstance(text, str) else found.text), found if self._wants else None

    def _chosen(self, made: Sequence[base.Choice]) -> list[base.Choice]:
        """Of each prompt's choices the likeliest ones, by the mean of their tokens."""
        if self._best <= self._n:
            return list(made)
        found: list[base.Choice] = []
        for at in range(0, len(made), self._best):
            found += sorted(made[at : at + self._best], key=_mean, reverse=True)[: self._n]
        return found


def _mean(one: base.Choice) -> float:
    return sum(token.logprob for token in one.logprobs) / max(1, len(one.logprobs))


def _is_first_known(before: Scored | None) -> bool:
    return before is None or before.is_first_known
