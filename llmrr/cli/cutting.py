"""Answers that were cut: at which limit, and what sets another one."""

from typing import TYPE_CHECKING, NamedTuple

from llmrr.errors import LlmrrError

if TYPE_CHECKING:
    from llmrr.router import Answer
    from llmrr.types import Sampling


class Cut(NamedTuple):
    """Why an answer ended before its end; ``stated`` when the command line wanted it so."""

    why: str
    hint: str
    stated: bool = False


def cut(answer: "Answer", sampling: "Sampling") -> Cut:
    """Why an answer that has reached a limit did, and what sets another one."""
    usage, room = answer.usage, answer.context_size
    configured = answer.model.recipe.params.max_tokens
    count = usage.completion_tokens if usage else 0
    longer = "--max-tokens N sets another limit"
    if sampling.max_tokens is not None and count >= sampling.max_tokens:
        return Cut(f"at --max-tokens {sampling.max_tokens}", longer, stated=True)
    if sampling.max_tokens is None and configured is not None and count >= configured:
        return Cut(f"at max_tokens = {configured} of {answer.model.name}", longer)
    # The engine keeps a place or two of the context free.
    if usage and room and usage.prompt_tokens + count + 2 >= room:
        return Cut(
            f"after {count} tokens: the context of {room} tokens is full", _more_room(answer, room)
        )
    return Cut(f"after {count} tokens, the limit where none is stated", longer)


def _more_room(answer: "Answer", room: int) -> str:
    from llmrr import formats
    from llmrr.catalogue import place

    try:
        most = formats.inspect(place(answer.model).path).context_length
    except LlmrrError:
        most = None
    if most is not None and most <= room:
        return f"{answer.model.name} has no larger one: a shorter prompt, or another model"
    return "--ctx-size N takes a larger one, where model and memory allow it"
