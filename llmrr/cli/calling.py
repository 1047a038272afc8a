"""Calls of a model's tools: asked of the person at the terminal, made, and given back to it."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmrr.cli import answers, output
from llmrr.cli.tooling import Function, load
from llmrr.errors import EngineFailed, UsageError
from llmrr.types import Message, Tool, ToolCall

if TYPE_CHECKING:
    from llmrr.router import Answer

ROUNDS: Final = 20  # of calls, before a model that never answers is stopped
REFUSED: Final = "The user did not allow this call."


class Toolbox(NamedTuple):
    """The functions that may be called; ``yes``: without asking."""

    functions: Mapping[str, Function]
    yes: bool

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What the model is told of them."""
        return tuple(one.tool for one in self.functions.values())


def toolbox(files: Sequence[str], *, yes: bool) -> Toolbox:
    """The tools of ``--tool``. Raises what ``tooling.load`` does, and ``UsageError`` where each
    call would be asked for and nobody is there."""
    functions = load(files)
    if not (yes or output.can_ask()):
        raise UsageError(
            "--tool asks before each call, and nobody can be asked here", "-y calls without asking"
        )
    return Toolbox(functions, yes)


def quiet(how: answers.Shown) -> answers.Shown:
    """Where stdout is read by a program, what is said before a call does not go there."""
    return how if output.is_terminal(sys.stdout) else how._replace(buffered=True)


def answer(
    begin: "Callable[[tuple[Message, ...]], Answer]",
    messages: tuple[Message, ...],
    box: Toolbox,
    how: answers.Shown,
    progress: answers.Progress,
    heard: answers.Heard,
) -> "Answer":
    """Ask, and make the calls that come back, until there is an answer; ``heard`` has it, and the
    calls on the way. Of an answer that was cut none is made."""
    for _ in range(ROUNDS):
        asked = begin(messages)
        heard.begin()
        answers.listen(asked, how, progress, heard)
        if asked.finish_reason == "length":
            _tell_of_cut(heard.calls)
            return asked
        if not heard.calls:
            return asked
        made = [answers.Made(call, _result(call, box)) for call in heard.calls]
        heard.made += made
        turns = [Message("assistant", heard.text, tool_calls=tuple(heard.calls))]
        turns += [Message("tool", one.result, tool_call_id=one.call.id, name=one.call.name)
                  for one in made]  # fmt: skip
        heard.turns += turns
        messages = (*messages, *turns)
    raise EngineFailed(
        f"the model called tools {ROUNDS} times over, and gave no answer", "ask another model"
    )


def _tell_of_cut(calls: Sequence[ToolCall]) -> None:
    """What the last call lacks, nobody knows; the ones before may belong to it."""
    for call in calls:
        output.note(f"not called, for the answer was cut: {_shown(call)}")


def _result(call: ToolCall, box: Toolbox) -> str:
    """What the model is told of its call."""
    function = box.functions.get(call.name)
    if function is None:
        return f"Error: there is no tool {call.name}; there are {', '.join(box.functions)}."
    given = _given(call, function.tool)
    if isinstance(given, str):
        output.note(f"{_shown(call)}: {given}")
        return f"Error: {given}"
    if box.yes:
        output.note(f"calls {_shown(call)}")
    elif not output.confirm(f"call {_shown(call)}?", default=False):
        return REFUSED
    return _called(function, given)


def _given(call: ToolCall, tool: Tool) -> dict[str, Any] | str:
    """The arguments, or why they are none."""
    import json

    from llmrr.engines.schema_check import misfit
    from llmrr.jsonflaws import flaw

    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError) as exc:
        return f"the arguments are no JSON: {flaw(exc)}"
    if not isinstance(found, dict):
        return "the arguments are no JSON object"
    wrong = misfit(tool.parameters, json.dumps(found))
    return f"the arguments do not fit: {wrong}" if wrong else found


def _called(function: Function, given: Mapping[str, Any]) -> str:
    """The result as text; an error of the function is one, for the model to read."""
    import inspect
    import json

    try:
        with _quiet_stdout():
            result = function.call(**given)
            if inspect.iscoroutine(result):
                import asyncio

                result = asyncio.run(result)
        said = result if isinstance(result, str) else json.dumps(
            result, default=str, ensure_ascii=False
        )
    except (Exception, SystemExit) as exc:
        said = f"Error: {type(exc).__name__}: {exc}"
        output.note(f"{function.tool.name}: {said}")
    return said


@contextmanager
def _quiet_stdout() -> Iterator[None]:
    """What a function prints, or a program that it starts, goes to stderr: stdout is the answer's.
    """
    output.flush()
    kept = None
    with suppress(OSError, ValueError, AttributeError):
        kept = os.dup(sys.__stdout__.fileno())  # type: ignore[union-attr]
        os.dup2(sys.__stderr__.fileno(), sys.__stdout__.fileno())  # type: ignore[union-attr]
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, sys.__stdout__.fileno())  # type: ignore[union-attr]
            os.close(kept)


def _shown(call: ToolCall) -> str:
    """A call as one line."""
    return " ".join(f"{call.name}({call.arguments})".split())
