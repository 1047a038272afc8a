"""Several models are asked at once, and one of their answers is taken.

Each is asked on a thread of its own. Models of this machine that memory does not hold together wait
for each other in the pool.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from llmrr.catalogue import Resolved
from llmrr.choosing.answering import Answer
from llmrr.choosing.attempts import Asks, Attempt, Attempts, Ended
from llmrr.choosing.several import thought
from llmrr.errors import EngineFailed, LlmrrError
from llmrr.routing import Decision, voting
from llmrr.types import Chunk, Message, Request, Sampling, Usage

_JUDGE_TOKENS = 16
_PATIENCE_S = 2.0  # after Ctrl-C, for what was stopped to end and be recorded


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

    def __init__(self, members: Members, name: str, stopped: threading.Event) -> None:
        self.name, self.ended = name, list[Ended]()
        # Not Thread.join: one that Ctrl-C interrupts takes the thread for ended (Python 3.11).
        self.done = threading.Event()
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.resolve, self.start, self.warn = members.resolve, members.start, members.warn
        self._members, self._stopped = members, stopped
        self._lock, self._is_flushed = threading.Lock(), False

    def claim(self, name: str) -> None:
        if self._stopped.is_set():
            raise EngineFailed(f"{name} was not asked: the answer was stopped")
        self._members.claim(name)

    @property
    def cost(self) -> float | None:
        return self._members.cost

    def record(self, ended: Ended) -> None:
        with self._lock:
            self.ended.append(ended)
        if self._is_flushed:  # it ended after everything else
            self.flush(is_said=False)

    def flush(self, *, is_said: bool) -> None:
        """Write down how it ended, each time once, and from now on at once."""
        self._is_flushed = True
        with self._lock:
            ended = self.ended.copy()
            self.ended.clear()
        for one in ended:
            self._members.keep(one, is_said=is_said)

    def ask(self, request: Request, progress: Callable[[int, int], None] | None = None) -> None:
        """Ask, and hear the answer to its end. What goes wrong is kept."""
        try:
            attempts = self._members.attempts_of(self, [self.name], request)
            answer = self.answer = Answer(attempts, progress)
            try:
                if self._stopped.is_set():
                    answer.cancel()
                for _ in answer:
                    pass
            finally:
                answer.close()
        except BaseException as error:
            self.error = error
        finally:
            self.done.set()

    def cancel(self, why: LlmrrError | None = None) -> None:
        """Stop it, from any thread."""
        if self.answer is not None:
            self.answer.cancel(why)

    @property
    def given(self) -> Given:
        """What it answered, or why not."""
        if self.error is None and self.answer is not None:
            return Given(self.name, self.answer.text)
        said = self.error.message if isinstance(self.error, LlmrrError) else self.error
        return Given(self.name, None, f"{type(self.error).__name__}: {said}")


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
        self._asked: list[_Member] = []
        self._best: Resolved | None = None
        self._attempt: Attempt | None = None
        self._ended = False
        self._stopped = threading.Event()

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
    def cost(self) -> float | None:
        """Dollars of all that was asked for it, once it has ended; None where no price is known."""
        return self._members.cost

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, once it has ended."""
        return self.usage.prompt_tokens if self.usage else 0

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
        members = self._all()
        answered = [one for one in members if one.error is None and one.answer is not None]
        whole = [one for one in answered if _reason(one) != "cancelled"]
        answers = [one.answer for one in whole or answered if one.answer is not None]
        if not answers:
            self._flush(members)
            raise next((one.error for one in members[::-1] if one.error), StopIteration())
        at = self._taken([one.text for one in answers])
        taken = answers[at]
        self._flush(members, taken)
        self._best, self._attempt = taken.model, taken.attempt
        self.text, self.finish_reason = taken.text, taken.finish_reason
        self.usage = _together([one.usage for one in answers])
        return Chunk(text=self.text, finish_reason=self.finish_reason, usage=self.usage)

    def cancel(self, why: LlmrrError | None = None) -> None:
        """Stop all of them, from any thread."""
        self._stopped.set()
        for one in self._asked:
            one.cancel(why)

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

    def _all(self) -> list[_Member]:
        """Ask all, and wait for them."""
        members = [_Member(self._members, name, self._stopped) for name in self._names]
        self._asked = members
        self._members.warn(f"asked at once: {', '.join(self._names)}")
        heard = [self._progress, *(None for _ in members[1:])]  # one line is for one of them
        threads = [
            threading.Thread(
                target=one.ask, args=(self._request, progress), name="llmrr-member", daemon=True
            )
            for one, progress in zip(members, heard, strict=True)
        ]
        try:
            for thread in threads:
                thread.start()
            for member in members:
                member.done.wait()
        except KeyboardInterrupt:
            self.cancel()
            for member, thread in zip(members, threads, strict=True):
                if thread.ident is not None:
                    member.done.wait(_PATIENCE_S)
            self._flush(members)
            raise
        self.given = [one.given for one in members]
        for one in members:
            if isinstance(one.error, LlmrrError):
                said = f"{type(one.error).__name__}: {one.error.message}"
                self._members.warn(f"{one.name} failed ({said})")
            elif one.error is not None:
                raise one.error
        return members

    def _taken(self, texts: list[str]) -> int:
        if self._judge is not None and len(texts) > 1 and not self._stopped.is_set():
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
        member = _Member(self._members, judge, self._stopped)
        self._asked = [*self._asked, member]
        member.ask(request, self._progress)
        self._flush([member])
        if isinstance(member.error, LlmrrError):
            said = member.error.message
            self._members.warn(f"the judge {judge} failed ({said}): the majority decides")
            return None
        if member.error is not None or member.answer is None:
            raise member.error or EngineFailed(f"{judge} was not asked")
        at = voting.judged(member.answer.text, len(texts))
        if at is None:
            self._members.warn(f"the judge {judge} named no answer: the majority decides")
        return at

    def _flush(self, members: Sequence[_Member], taken: Answer | None = None) -> None:
        """Record them; what was ``taken`` is a turn of the conversation."""
        for member in members:
            member.flush(is_said=taken is not None and member.answer is taken)


def _reason(member: _Member) -> str | None:
    return member.answer.finish_reason if member.answer else None


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
        thought_tokens=thought(known),
    )
