"""Log probabilities as OpenAI's and Ollama's protocols tell them."""

from collections.abc import Iterable, Mapping
from typing import Any

from llmrr.types import TokenLogprob


def likely(found: Iterable[Any] | None) -> tuple[TokenLogprob, ...]:
    """Each token with its alternatives. What is none raises ``KeyError`` or ``TypeError``."""
    return tuple(_token(one) for one in found or ())


def _token(found: Mapping[str, Any]) -> TokenLogprob:
    told = [found, *(found.get("top_logprobs") or ())]
    return TokenLogprob.of([_spelled(one) for one in told], [one["logprob"] for one in told])


def _spelled(found: Mapping[str, Any]) -> bytes:
    """The bytes of a token: its text does not tell those of a part of a character.

    >>> _spelled({"token": "a", "bytes": None}), _spelled({"token": "\\\\xc3", "bytes": [195]})
    (b'a', b'\\xc3')
    """
    text: bytes = found["token"].encode(errors="replace")
    try:
        told = bytes(found.get("bytes") or ())
    except (TypeError, ValueError):
        return text
    return told if told and told.decode(errors="replace").encode() != told else text
