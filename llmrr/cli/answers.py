"""Printing an answer: as it comes, or when it is complete if what is asked for needs all of it."""

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from llmrr.cli import cutting, output, route_views, saving
from llmrr.cli.neighbours import REAL_MODEL
from llmrr.errors import DoesNotFit, EngineFailed
from llmrr.routing.budgets import dollars

if TYPE_CHECKING:
    from llmrr.router import Answer
    from llmrr.types import Chunk, Message, Sampling, ToolCall, Usage

DIM, RESET = "\x1b[2m", "\x1b[0m"
CLEAR_LINE = "\r\x1b[K"


class Shown(NamedTuple):
    """How an answer is to be printed."""

    json: bool = False
    buffered: bool = False
    extract: bool = False
    file: str | None = None
    hide_thinking: bool = False
    verbose: bool = False
    markdown: bool = False
    explain: bool = False

    @property
    def live(self) -> bool:
        """Whether the answer may be printed before it is complete."""
        return not (self.json or self.buffered or self.extract or self.file)


class Made(NamedTuple):
    """A call of a tool that was made, or refused, and what the model was told of it."""

    call: "ToolCall"
    result: str


class Heard:
    """What has come of an answer so far, also when it is broken off; the calls of tools that were
    ``made`` for it, and the turns of the conversation that they are."""

    def __init__(self) -> None:
        self.made: list[Made] = []
        self.turns: list[Message] = []
        self.begin()

    def begin(self) -> None:
        """Another answer, after the calls of the one before were made."""
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[ToolCall] = []

    def add(self, chunk: "Chunk") -> None:
        """Keep a piece."""
        self.texts.append(chunk.text)
        self.thoughts.append(chunk.reasoning)
        self.calls += chunk.tool_calls

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(self.texts)

    @property
    def reasoning(self) -> str:
        """What was thought before it."""
        return "".join(self.thoughts)


class Progress:
    """How much of a long prompt is processed, from one second on, on a terminal only."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.shown = False
        self.wanted = output.moves(sys.stderr)

    def __call__(self, done: int, total: int) -> None:
        if self.wanted and total and time.monotonic() - self.started > 1:
            self.shown = True
            share = f"{100 * done // total} % of {total} tokens"
            output.stderr(f"{CLEAR_LINE}reading the prompt: {share}")

    def clear(self) -> None:
        """Take the line away."""
        if self.shown:
            self.shown = False
            output.stderr(CLEAR_LINE)


def announce(answer: "Answer", *, explain: bool = False) -> None:
    """Name the model that answers, when it was not stated; with ``explain`` all that decided."""
    if explain:
        output.notes_of(answer.facts(), route_views.decision)
        return
    model = answer.model
    if model.source.startswith("builtin:"):
        output.note(f"{model.name} is the small built-in model; for a real one: {REAL_MODEL}")
    elif not model.stated:
        output.note(f"model {model.name} ({model.why})")


def show(
    answer: "Answer", how: Shown, sampling: "Sampling", progress: Progress, heard: Heard
) -> None:
    """Print an answer; ``heard`` holds what came of it, whatever happens. Raises what ``conclude``
    does."""
    listen(answer, how, progress, heard)
    conclude(answer, how, sampling, heard)


def conclude(answer: "Answer", how: Shown, sampling: "Sampling", heard: Heard) -> None:
    """Print what of an answer waits for its end.

    Raises ``DoesNotFit`` for one that was to have a form (``sampling``) and was cut, and
    ``EngineFailed`` for one of a provider that has not the form.
    """
    if answer.cache and (how.verbose or how.explain or answer.cache != "exact"):
        output.note(f"cache: {answer.cache}")
    cut = cutting.cut(answer, sampling) if answer.finish_reason == "length" else None
    formal = sampling.schema is not None or sampling.grammar is not None
    wrong = None if cut else _misfit(answer, sampling, heard.text, how)
    if not how.live and not (how.file and (wrong or (cut and formal))):
        _deliver(answer, heard, how)
    if how.verbose and answer.usage:
        output.note(f"engine {answer.engine}: {answer.runs}")
        for line in _figures(answer.usage, answer.context_size):
            output.note(line)
        if answer.cost:
            output.note(f"cost {dollars(answer.cost)}")
    if cut and formal:
        raise DoesNotFit(f"the answer is incomplete: it was cut {cut.why}", cut.hint)
    if wrong:
        said = f"the answer of {answer.model.name} does not fit the schema: {wrong}"
        raise EngineFailed(said, "a model of this machine is held to it; or ask again")
    if cut and not (cut.stated or how.json):
        output.note(f"the answer was cut {cut.why}; {cut.hint}")


def listen(answer: "Answer", how: Shown, progress: Progress, heard: Heard) -> None:
    """Take in an answer to its end. One that is broken off is stopped, and recorded."""
    answer.held = not how.live
    screen = _screen(how)
    thinking = Thinking(wanted=not how.hide_thinking)
    try:
        for chunk in answer:
            progress.clear()
            heard.add(chunk)
            thinking.show(chunk.reasoning)
            if chunk.text:
                thinking.end()
                screen.show(chunk.text)
    finally:
        with suppress(Exception):  # an error may be under way already
            answer.close()
        progress.clear()
        thinking.end()
        screen.end()


def as_json(answer: "Answer", heard: Heard, text: str) -> dict[str, object]:
    """The shape of ``run --json``; ``text`` is what of the answer is wanted."""
    counts = ("prompt_tokens", "cached_tokens", "completion_tokens", "estimated")
    seconds = ("load_s", "first_token_s", "total_s", "tokens_per_s")
    return {
        "text": text,
        "reasoning": heard.reasoning,
        "model": answer.model.name,
        "engine": answer.engine,
        "finish_reason": answer.finish_reason,
        "usage": {name: getattr(answer.usage, name, None) for name in counts},
        "cost": answer.cost,
        "timings": {name: getattr(answer.usage, name, None) for name in seconds},
        "decision": answer.facts(),
        "cache": answer.cache,
        "tool_calls": [
            {"name": one.call.name, "arguments": one.call.arguments, "result": one.result}
            for one in heard.made
        ],
    }


class Screen(Protocol):
    """Where the text of an answer goes while it comes."""

    def show(self, text: str) -> None:
        """Add text."""

    def end(self) -> None:
        """No more comes. Must not raise: an error may be under way."""


class Plain:
    """Text as it comes, each piece at once."""

    def __init__(self) -> None:
        self.last = "\n"

    def show(self, text: str) -> None:
        output.write(output.safe(text), flush=True)
        self.last = text[-1]

    def end(self) -> None:
        if self.last != "\n":
            self.last = "\n"
            with suppress(Exception):
                output.write("\n", flush=True)


class Nowhere:
    """For an answer that is printed when it is complete."""

    def show(self, text: str) -> None:
        pass

    def end(self) -> None:
        pass


class Thinking:
    """The reasoning, dimmed on a terminal's stderr and nowhere else."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted and output.is_terminal(sys.stderr)
        self.colour = output.moves(sys.stderr)
        self.open = False

    def show(self, text: str) -> None:
        """Add to the thought."""
        if text and self.wanted:
            begin = DIM if self.colour and not self.open else ""
            output.stderr(begin + output.safe(text, sys.stderr))
            self.open = True

    def end(self) -> None:
        """The answer begins, or nothing more comes."""
        if self.open:
            self.open = False
            output.stderr((RESET if self.colour else "") + "\n\n")


def _screen(how: Shown) -> Screen:
    if not how.live:
        return Nowhere()
    if how.markdown and output.moves(sys.stdout):
        from llmrr.cli.markdown import Markdown

        return Markdown()
    return Plain()


def _misfit(answer: "Answer", sampling: "Sampling", text: str, how: Shown) -> str | None:
    """Why a provider's answer is not what the schema asks for."""
    if sampling.schema is None or answer.model.endpoint is None:
        return None
    from llmrr.cli.prompt import code_block
    from llmrr.engines.schema_check import misfit

    return misfit(sampling.schema, code_block(text) if how.extract else text)


def _deliver(answer: "Answer", heard: Heard, how: Shown) -> None:
    text = heard.text
    if how.extract:
        from llmrr.cli.prompt import code_block

        text = code_block(text)
    if how.json and not how.file:
        return output.document(as_json(answer, heard, text))
    text = output.dumps(as_json(answer, heard, text)) if how.json else text
    text = text if text.endswith("\n") else text + "\n"
    if how.file:
        return saving.save(how.file, text)
    return output.write(output.safe(text), flush=True)


def _figures(usage: "Usage", context: int | None) -> tuple[str, str]:
    speed = f", {usage.tokens_per_s:.1f} tokens/s" if usage.tokens_per_s else ""
    room = f", context {context}" if context else ""
    first = f"first token {usage.first_token_s:.2f} s, " if usage.first_token_s is not None else ""
    counted = "about " if usage.estimated else ""
    return (
        f"{counted}prompt {usage.prompt_tokens} tokens ({usage.cached_tokens} cached), "
        f"answer {usage.completion_tokens} tokens{speed}{room}",
        f"load {usage.load_s:.2f} s, {first}total {usage.total_s:.2f} s",
    )
