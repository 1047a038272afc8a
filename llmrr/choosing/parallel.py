"""The old and the new side of a migration, beside each other: one of them answers, and what came of
both is recorded.

The side that comes first runs in the thread that hears the answer, as any answer does; where both
are asked at once, the other one runs on a thread of its own. So a slow or failing other side takes
nothing from the answer. A first side that fails before its first word leaves the answer to the
other one; where nobody sees the answer before its end (``held``), also one that fails later.
"""

import copy
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from llmrr import pairs
from llmrr.catalogue import Resolved
from llmrr.choosing.answering import Answer
from llmrr.choosing.attempts import Attempt
from llmrr.choosing.dispatch import Call
from llmrr.choosing.host import Host
from llmrr.choosing.side import Side
from llmrr.errors import EngineFailed, LlmrrError
from llmrr.routing.sides import SidedDecision, outcome
from llmrr.sides import Sides
from llmrr.similarity import similarity
from llmrr.types import Chunk, Request

_LONGEST_SAID = 250  # characters of an error


class Parallel(Answer):
    """The answer of one side, while the other one may still be under way."""

    decision: SidedDecision

    def __init__(
        self, host: Host, sides: Sides, request: Request, call: Call, first: Side, second: Side
    ) -> None:
        self.decision = first.decision
        self.usage, self.finish_reason, self.text = None, None, ""
        self._host, self._sides, self._request, self._call = host, sides, request, call
        self._first, self._second, self._leading = first, second, first
        self._began, self._at = time.time(), 0
        self._parts: list[str] = []
        self._said = self._watched = self._ended = self._cancelled = False
        self._answered: str | None = None
        self._lock, self._open = threading.Lock(), 1
        first.asked.speak()
        if sides.at_once:
            self._open = 2
            second.is_driven = True
        # Loading takes long, and the other side need not wait for it; unless it takes memory too,
        # as the first one must not wait for room that the second has taken.
        ahead = first.takes_memory and not second.takes_memory
        if sides.at_once and ahead:
            self._ask_second()
        first.start()
        if sides.at_once and not ahead:
            self._ask_second()
        if first.error is not None:
            self._go_over(first.error)

    @property
    def attempt(self) -> Attempt:
        """The attempt that is under way, or was the last."""
        return self._answer.attempt

    @property
    def model(self) -> Resolved:
        """The one that answers."""
        return self._answer.model

    @property
    def engine(self) -> str:
        """What runs it."""
        return self._answer.engine

    @property
    def runs(self) -> str:
        """Why this engine, and what computes."""
        return self._answer.runs

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how it was asked."""
        return self._answer.notes

    @property
    def context_size(self) -> int | None:
        """Tokens of context that the engine took for it."""
        return self._answer.context_size

    @property
    def cache(self) -> str | None:
        """Why nothing was run for it."""
        return self._answer.cache

    @property
    def cost(self) -> float | None:
        """Dollars, of what both sides are known to have taken so far."""
        costs = [one.asked.cost for one in (self._first, self._second)]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known else None

    def __next__(self) -> Chunk:
        while True:
            try:
                if self.held:
                    self._leading.hear_all()
                chunk = self._leading.hear(self._at)
            except KeyboardInterrupt:
                self.close()
                raise
            except Exception as error:
                self._go_over(error)
                continue
            if chunk is None:
                self._stop(None if self._cancelled else self._leading.name)
                raise StopIteration
            self._at += 1
            self._note(chunk)
            if self._said and self._leading is self._first:
                self._second.asked.let_go()
            if chunk.usage is not None:
                self._stop(None if self._cancelled else self._leading.name)
            return chunk

    def cancel(self, why: LlmrrError | None = None) -> None:
        """Stop both sides, from any thread; an answer that is complete stops nothing."""
        if not self._ended:
            self._cancelled = True
            self._first.cancel(why)
            self._second.cancel(why)

    def close(self) -> None:
        """Stop it if it still runs, and record it. For the thread that iterates; never raises."""
        if self._ended:
            return
        self.cancel()
        for side in (self._first, self._second):
            side.close()
        self._stop(None)

    def facts(self) -> dict[str, Any]:
        """The decision of both sides, with the one that answered and why."""
        both = (self._first, self._second)
        failed = {side.name: side.failure for side in both if side.failure}
        facts = self.decision.facts()
        facts["migration"] |= {
            "answered": self._answered,
            "why": outcome(self._sides.order, self._answered, failed),
            "failed": failed,
        }
        return {**facts, "answered": self.model.name}

    @property
    def _answer(self) -> Answer:
        assert self._leading.answer is not None
        return self._leading.answer

    def _go_over(self, error: BaseException) -> None:
        """Hear the other side from now on. Raises the error where that cannot be."""
        first, second = self._first, self._second
        if self._ended:  # what comes after the last word changes nothing
            raise error
        said = f"the {first.name} side failed ({first.failure[:_LONGEST_SAID]})"
        if self._leading is second or self._said or self._cancelled:
            if self._leading is first and self._open == 2 and not self._cancelled:
                # The error itself may be told only once the other side has ended.
                self._host.warn(said)
            self._stop(None)
            raise self._both_failed(error)
        self._host.warn(f"{said}: the {second.name} side answers")
        self._leading, self._at = second, 0
        second.asked.speak()
        if second.is_driven:
            second.wait_begun()
        else:
            second.start()
        if second.answer is None:
            self._go_over(second.error or error)

    def _both_failed(self, error: BaseException) -> BaseException:
        """What to raise: the error of the side that comes first says of the other one too."""
        found = self._first.error
        if found is None or self._said or self._leading is self._first:
            return error
        if not isinstance(found, LlmrrError):
            return found
        found = copy.copy(found)
        found.message += f"; the {self._second.name} side failed too ({self._second.failure})"
        found.args = (found.message, *found.args[1:])
        return found

    def _stop(self, answered: str | None) -> None:
        if self._ended:
            return
        self._ended = True
        self.text, self._answered = "".join(self._parts), answered
        self._leading.asked.flush(is_said=True)
        if self._leading is self._first:
            self._second.asked.let_go()
        if not self._is_last():
            return
        # Where both were asked the answer need not wait for it.
        background = self._host.background
        if not (self._sides.at_once and background.start(self._finish, lambda: None, self._other)):
            self._finish()

    def _ask_second(self) -> None:
        background = self._host.background
        if not background.start(self._drive, self._second.cancel, self._other):
            self._second.fail(EngineFailed("the system gave no thread to ask it on"))
            self._is_last()

    @property
    def _other(self) -> str:
        return f"the {self._second.name} side"

    def _drive(self) -> None:
        seconds = self._call.deadline
        timer = None if seconds is None else threading.Timer(seconds, self._expire, [seconds])
        if timer is not None:
            timer.daemon = True
            with suppress(RuntimeError):  # the system has no thread to give: it takes its time
                timer.start()
        self._second.drive()
        if timer is not None:
            timer.cancel()
        if self._is_last():
            self._finish()

    def _expire(self, seconds: float) -> None:
        """The time of the call is over, and nobody needs the other side's answer."""
        if self._leading is self._first:
            self._second.expire(seconds)

    def _is_last(self) -> bool:
        """One of two is done: the answer, or the thread. Is the other one, if there is one?"""
        with self._lock:
            self._open -= 1
            return self._open == 0

    def _finish(self) -> None:
        for side in (self._first, self._second):
            side.asked.leave(is_said=side is self._leading)
        if self._answered == self._first.name and (failure := self._second.failure):
            said = f"the {self._second.name} side failed ({failure[:_LONGEST_SAID]})"
            self._host.tell([f"{said}; the answer does not hang on it"])
        by_name = {side.name: side.outcome for side in (self._first, self._second)}
        new, legacy = by_name["new"], by_name["legacy"]
        if not any(one and one.is_own for one in (new, legacy)):
            return
        alike = None
        if new and legacy and new.success and legacy.success:
            alike = similarity(new.text or "", legacy.text or "")
        turns = self._request.messages
        prompt = turns[-1].content if turns else self._request.prompt
        config = self._call.setup.config
        if not (self._call.log and config.value("log_prompts")):
            prompt, new, legacy = None, _without_text(new), _without_text(legacy)
        pair = pairs.Pair(
            self._began, self._sides.mode, self._answered, prompt, new, legacy, alike
        )
        self._host.with_database(
            lambda connection: pairs.record(connection, pair),
            "what both sides answered is not recorded",
        )


def _without_text(one: pairs.Outcome | None) -> pairs.Outcome | None:
    return None if one is None else replace(one, text=None)
