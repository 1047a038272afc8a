"""The answers to several requests, as one answer: the choices of each follow those of the one
before. They are computed at once, as far as the engine has room, and heard one after the other."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from llmrr.catalogue import Resolved
from llmrr.choosing.answering import Answer
from llmrr.errors import LlmrrError
from llmrr.types import Chunk, Request, Usage


def together(begin: Callable[[Request], Answer], requests: Sequence[Request]) -> Answer:
    """Begin to answer all of them. Raises what one of them raises, and stops the others."""
    answers: list[Answer] = []
    try:
        for request in requests:
            answers.append(begin(request))
    except BaseException:
        for answer in answers:
            answer.close()
        raise
    return Several(answers, requests[0].n) if len(answers) > 1 else answers[0]


class Several(Answer):
    """Several answers of ``n`` choices each. What is said of it is said of the first, but for what
    they took."""

    def __init__(self, answers: Sequence[Answer], n: int) -> None:
        self.decision, self.usage, self.finish_reason = answers[0].decision, None, None
        self.text = ""
        self._answers, self._n, self._at = answers, n, 0
        self._first = answers[0]

    @property
    def model(self) -> Resolved:
        """The one that answers."""
        return self._first.model

    @property
    def engine(self) -> str:
        """What runs it."""
        return self._first.engine

    @property
    def runs(self) -> str:
        """Why this engine, and what computes."""
        return self._first.runs

    @property
    def cache(self) -> str | None:
        """Why nothing is run."""
        return self._first.cache

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompts, once they have ended; before, of the first one."""
        return self.usage.prompt_tokens if self.usage else self._first.prompt_tokens

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how it was asked."""
        return self._first.notes

    @property
    def context_size(self) -> int | None:
        """Tokens of context that the engine took for it."""
        return self._first.context_size

    def facts(self) -> dict[str, Any] | None:
        """The decision."""
        return self._first.facts()

    @property
    def cost(self) -> float | None:
        """Dollars of all of them; None where no price is known."""
        known = [one.cost for one in self._answers if one.cost is not None]
        return sum(known) if known else None

    @property
    def tokens(self) -> int:
        """Tokens of all of them that have come so far."""
        return sum(one.tokens for one in self._answers)

    def __next__(self) -> Chunk:
        while self._at < len(self._answers):
            answer = self._answers[self._at]
            chunk = next(answer, None)
            if chunk is None:
                self._at += 1
            else:
                return self._told(chunk, self._at * self._n)
        raise StopIteration

    def _told(self, chunk: Chunk, before: int) -> Chunk:
        """A chunk with the index of its choice among all; the last one says what all took."""
        usage = None
        if chunk.usage is not None:
            self.usage = _sum([one.usage for one in self._answers if one.usage is not None])
            usage = self.usage if self._at == len(self._answers) - 1 else None
        return replace(chunk, index=chunk.index + before, usage=usage)

    def cancel(self, why: LlmrrError | None = None) -> None:
        """Stop all of them, from any thread."""
        for one in self._answers:
            one.cancel(why)

    def close(self) -> None:
        """Stop those that still run, and record them."""
        for one in self._answers:
            one.close()


def thought(took: Iterable[Usage]) -> int | None:
    """How many tokens were thought in all; None where nobody counts them.

    >>> thought([Usage(), Usage(thought_tokens=2), Usage(thought_tokens=3)]), thought([Usage()])
    (5, None)
    """
    known = [one.thought_tokens for one in took if one.thought_tokens is not None]
    return sum(known) if known else None


def _sum(took: Sequence[Usage]) -> Usage:
    return Usage(
        sum(one.prompt_tokens for one in took),
        sum(one.cached_tokens for one in took),
        sum(one.completion_tokens for one in took),
        any(one.estimated for one in took),
        load_s=took[0].load_s,
        first_token_s=took[0].first_token_s,
        total_s=max(one.total_s for one in took),
        thought_tokens=thought(took),
    )
