"""Several models are asked, and one of their answers is taken.

They are asked one after the other: one local model is in memory at a time.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from llmrr.catalogue import Resolved
from llmrr.choosing.answering import Answer
from llmrr.choosing.attempts import Asks, Attempt, Attempts, Ended
from llmrr.errors import LlmrrError
from llmrr.routing import Decision, voting
from llmrr.types import Chunk, Message, Request, Sampling, Usage

_JUDGE_TOKENS = 16


class Given(NamedTuple):
    """What a model answered, or why not."""

    name: str
    text: str | None
    error: str | None = None


class Members(Asks, Protocol):
    """What an ensemble needs of the router."""

    def attempts_of(self, asks: Asks, names: Sequence[str], request: Request) -> Attempts: ...

    def keep(self, ended: Ended, *, is_said: bool) -> None: ...


class _Member:
    """One model of them: it is asked as any, and recorded once it is known whose answer is taken.
    """

    def __init__(self, members: Members) -> None:
        self._members, self.ended = members, list[Ended]()
        self.claim, self.resolve, self.start = members.claim, members.resolve, members.start
        self.warn = members.warn

    def record(self, ended: Ended) -> None:
        self.ended.append(ended)


class Ensemble(Answer):
    """The answer that several models agree on, or that ``judge`` prefers. It comes in one piece."""

    def __init__(
        self,
        members: Members,
        request: Request,
        decision: Decision,
        names: Sequence[str],
        judge: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.decision = decision
        self.usage, self.finish_reason, self.text = None, None, ""
        self.given: list[Given] = []
        self.by = ""
        self._members, self._request, self._names = members, request, names
        self._judge, self._progress = judge, progress
        self._asked: Answer | None = None
        self._best: Resolved | None = None
        self._attempt: Attempt | None = None
        self._failure: LlmrrError | None = None
        self._ended = self._cancelled = False

    @property
    def model(self) -> Resolved:
        """The one whose answer is taken; until then the first that is asked."""
        return self._best or self._members.resolve(self._names[0])

    @property
    def engine(self) -> str:
        """What runs it."""
        return self._attempt.engine if self._attempt else ""

    @property
    def runs(self) -> str:
        """Why this engine, and what computes."""
        return self._attempt.runs if self._attempt else ""

    @property
    def cache(self) -> str | None:
        """Why nothing was run for the answer that is taken."""
        return self._attempt.cache if self._attempt else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how it was asked."""
        return self._attempt.stream.notes if self._attempt else ()

    @property
    def context_size(self) -> int | None:
        """Tokens of context that the engine took for it."""
        return self._attempt.stream.context_size if self._attempt else None

    def __next__(self) -> Chunk:
        if self._ended:
            raise StopIteration
        self._ended = True
        answers, members = self._all()
        if not answers:
            for member in members:
                self._flush(member, is_said=False)
            raise self._failure or StopIteration
        at = self._taken([one.text for one in answers])
        for member in members:
            self._flush(member, is_said=member is answers[at].member)
        taken = answers[at].answer
        self._best, self._attempt = taken.model, taken.attempt
        self.text, self.finish_reason = taken.text, taken.finish_reason
        self.usage = _together([one.answer.usage for one in answers])
        return Chunk(text=self.text, finish_reason=self.finish_reason, usage=self.usage)

    def cancel(self) -> None:
        """Stop it, from any thread."""
        self._cancelled = True
        if self._asked is not None:
            self._asked.cancel()

    def close(self) -> None:
        """Stop it if it still runs; never raises."""
        self._ended = True
        self.cancel()

    def facts(self) -> dict[str, Any]:
        """The decision with every answer, and how one was taken."""
        assert self.decision is not None
        answers = [one._asdict() for one in self.given]
        facts = {**self.decision.facts(), "answers": answers, "by": self.by}
        return {**facts, "answered": self._best.name if self._best else None}

    def _all(self) -> "tuple[list[_Said], list[_Member]]":
        said: list[_Said] = []
        members: list[_Member] = []
        self._members.warn(f"asked in turn: {', '.join(self._names)}")
        for name in self._names:
            if self._cancelled:
                break
            member = _Member(self._members)
            members.append(member)
            try:
                asked = self._ask(member, name, self._request)
            except LlmrrError as error:
                self._failure = error
                self._members.warn(f"{name} failed ({type(error).__name__}: {error.message})")
                self.given.append(Given(name, None, f"{type(error).__name__}: {error.message}"))
                continue
            said.append(_Said(member, asked, asked.text))
            self.given.append(Given(name, asked.text))
        return said, members

    def _ask(self, member: _Member, name: str, request: Request) -> Answer:
        attempts = self._members.attempts_of(member, [name], request)
        self._asked = Answer(attempts, self._progress)
        try:
            for _ in self._asked:
                pass
        finally:
            self._asked.close()
        return self._asked

    def _taken(self, texts: list[str]) -> int:
        if self._judge is not None and len(texts) > 1:
            at = self._judged(self._judge, texts)
            if at is not None:
                self.by = f"{self._judge} prefers it"
                return at
        at, self.by = voting.majority(texts)
        return at

    def _judged(self, judge: str, texts: list[str]) -> int | None:
        turns = self._request.messages
        asked = turns[-1].content if turns else self._request.prompt or ""
        request = Request(
            messages=(Message("user", voting.question(asked, texts)),),
            sampling=Sampling(temperature=0.0, max_tokens=_JUDGE_TOKENS, think="off"),
        )
        member = _Member(self._members)
        try:
            reply = self._ask(member, judge, request).text
        except LlmrrError as error:
            self._members.warn(f"the judge {judge} failed ({error.message}): the majority decides")
            return None
        finally:
            self._flush(member, is_said=False)
        at = voting.judged(reply, len(texts))
        if at is None:
            self._members.warn(f"the judge {judge} named no answer: the majority decides")
        return at

    def _flush(self, member: _Member, *, is_said: bool) -> None:
        for ended in member.ended:
            self._members.keep(ended, is_said=is_said)


class _Said(NamedTuple):
    member: _Member
    answer: Answer
    text: str


def _together(usages: Sequence[Usage | None]) -> Usage:
    """What all of them took."""
    known = [usage for usage in usages if usage is not None]
    return Usage(
        prompt_tokens=sum(one.prompt_tokens for one in known),
        cached_tokens=sum(one.cached_tokens for one in known),
        completion_tokens=sum(one.completion_tokens for one in known),
        estimated=any(one.estimated for one in known),
        load_s=sum(one.load_s for one in known),
        total_s=sum(one.total_s for one in known),
    )
