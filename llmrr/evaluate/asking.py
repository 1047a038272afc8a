"""Putting a set of questions to a model, several at once, and judging what comes back."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from llmrr.errors import ContextOverflow, LlmrrError
from llmrr.evaluate.judging import Search, is_right
from llmrr.evaluate.patterns import Patterns
from llmrr.types import Message, Request, Sampling

if TYPE_CHECKING:
    from llmrr.engines.base import Stream
    from llmrr.evaluate.questions import Question
    from llmrr.types import FinishReason

# What holds where neither the question nor the caller says otherwise: the likeliest token, always.
GREEDY = Sampling(temperature=0.0, seed=0, max_tokens=1024)
# An engine takes the next one the moment that a sequence is free: so many wait, per sequence.
WAITING = 2

Generate = Callable[[Request], "Stream"]


class Told(Protocol):
    """Told after every answer: how many are judged, how many there are, how many were right."""

    def __call__(self, done: int, total: int, right: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Answered:
    """A question and what was answered. ``finish_reason`` is length where the answer was cut;
    ``problem`` says why there is none."""

    question: "Question"
    text: str
    is_right: bool
    finish_reason: "FinishReason | None" = None
    problem: str | None = None
    tokens: int = 0


def ask(
    generate: Generate,
    questions: Sequence["Question"],
    sampling: Sampling,
    *,
    system: str | None = None,
    at_once: int = 1,
    told: Told = lambda done, total, right: None,
) -> list[Answered]:
    """Put the questions, ``at_once`` in flight, and judge the answers, in the order of the set.

    ``sampling`` goes before what a question states, both before ``GREEDY``; ``system`` takes the
    place of the model's own system prompt, not of a question's. A question that is longer than the
    context has no right answer. Other errors are raised with the line of the question; whatever
    ends the work, what is in flight is cancelled.
    """
    found: list[Answered] = []
    right = 0
    with Patterns() as patterns:
        for answered in _answers(generate, questions, sampling, system, at_once, patterns.search):
            found.append(answered)
            right += answered.is_right
            told(len(found), len(questions), right)
    return found


def _answers(
    generate: Generate,
    questions: Sequence["Question"],
    sampling: Sampling,
    system: str | None,
    at_once: int,
    search: Search,
) -> Iterator[Answered]:
    waiting = iter(questions)
    flying: deque[tuple[Question, Stream | ContextOverflow]] = deque()
    try:
        while True:
            while len(flying) < max(1, at_once * WAITING if at_once > 1 else 1):
                question = next(waiting, None)
                if question is None:
                    break
                flying.append((question, _begun(generate, question, sampling, system)))
            if not flying:
                return
            question, stream = flying[0]
            answered = _heard(question, stream, search)
            flying.popleft()
            yield answered
    finally:
        for _, stream in flying:
            if not isinstance(stream, ContextOverflow):
                with suppress(Exception):  # an error is under way already
                    stream.cancel()


def _begun(
    generate: Generate, question: "Question", sampling: Sampling, system: str | None
) -> "Stream | ContextOverflow":
    request = question.request
    messages = request.messages
    if system and messages and messages[0].role != "system":
        messages = (Message("system", system), *messages)
    wanted = sampling.over(request.sampling).over(GREEDY)
    try:
        return generate(replace(request, messages=messages, sampling=wanted))
    except ContextOverflow as error:
        return error
    except LlmrrError as error:
        raise _at(question, error) from error


def _heard(
    question: "Question", stream: "Stream | ContextOverflow", search: Search
) -> Answered:
    """The answer, without what was thought before it."""
    if isinstance(stream, ContextOverflow):
        return Answered(question, "", False, problem=stream.message)
    text, reason, tokens = [], None, 0
    try:
        for chunk in stream:
            text.append(chunk.text)
            reason = chunk.finish_reason or reason
            tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    except ContextOverflow as error:
        return Answered(question, "".join(text), False, problem=error.message)
    except LlmrrError as error:
        raise _at(question, error) from error
    said = "".join(text)
    try:
        judged = is_right(said, question.expected, search)
    except LlmrrError as error:
        raise _at(question, error) from error
    return Answered(question, said, judged, reason, tokens=tokens)


def _at(question: "Question", error: LlmrrError) -> LlmrrError:
    """The same error, which says at which question."""
    return type(error)(f"line {question.line}: {error.message}", error.hint)
