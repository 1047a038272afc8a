"""Log probabilities of tokens, in the shapes of chat completions and of completions."""

from collections.abc import Sequence
from typing import Any, Final

from llmrr.types import TokenLogprob

_LEAST: Final = -9999.0  # JSON has no infinity


def chat_logprobs(found: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Those of a choice of a chat."""
    return {"content": tokens(found), "refusal": None}


def tokens(found: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """Each token with its alternatives."""
    return [
        {
            **_token(one.text, one.logprob),
            "top_logprobs": [_token(text, logprob) for text, logprob in one.top],
        }
        for one in found
    ]


def completion_logprobs(
    found: Sequence[TokenLogprob], at: int, *, is_first_known: bool = True
) -> dict[str, Any]:
    """Those of a choice of a completion; ``at`` is how many characters stand before it. Of the
    first token nothing is known where it begins a text."""
    offsets = []
    for one in found:
        offsets.append(at)
        at += len(one.text)
    values: list[float | None] = [max(one.logprob, _LEAST) for one in found]
    tops: list[dict[str, float] | None] = [
        {text: max(logprob, _LEAST) for text, logprob in (*one.top, (one.text, one.logprob))}
        for one in found
    ]
    if not is_first_known:
        values[0] = tops[0] = None
    return {
        "tokens": [one.text for one in found],
        "token_logprobs": values,
        "top_logprobs": tops,
        "text_offset": offsets,
    }


def _token(text: str, logprob: float) -> dict[str, Any]:
    told = list(text.encode(errors="replace"))
    return {"token": text, "logprob": max(logprob, _LEAST), "bytes": told}
