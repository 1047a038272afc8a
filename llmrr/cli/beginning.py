"""Asking a question that may have to be asked again, with the results of the calls of tools."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from llmrr.cli import answers, asking, output
from llmrr.types import Message

if TYPE_CHECKING:
    from llmrr.router import Answer, Router


class Begin:
    """Asks a question, and asks it again as it goes on; who answers is told once."""

    def __init__(
        self, question: asking.Question, router: "Router", how: answers.Shown,
        progress: Callable[[int, int], None] | None = None, *, log: bool = True,
    ) -> None:  # fmt: skip
        self._question, self._router, self._how = question, router, how
        self._progress, self._log = progress, log
        self._told = False

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is asked first."""
        request = self._question.request
        return request.messages if request else ()

    def __call__(self, messages: tuple[Message, ...] = ()) -> "Answer":
        asked, request = self._question, self._question.request
        if messages and request:
            asked = asked._replace(request=replace(request, messages=messages))
        answer = asking.ask(asked, self._router, self._progress, log=self._log)
        if not self._told:
            answers.announce(answer, explain=self._how.explain)
            output.notes(answer.notes)
        self._told = True
        return answer
