"""Vectors of texts: https://platform.openai.com/docs/api-reference/embeddings"""

from array import array
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from llmrr.protocols.fields import BadField, Fields
from llmrr.protocols.openai.text_completions import texts_or_tokens
from llmrr.types import Usage

MOST_TEXTS: Final = 2048


class Wanted(NamedTuple):
    """Which texts, of which model, and how their vectors are to be written down; what else of a
    body has no effect."""

    texts: list[str | tuple[int, ...]]
    model: str | None
    base64: bool = False
    dimensions: int | None = None
    left_out: tuple[str, ...] = ()


def embedding(body: Mapping[str, Any]) -> Wanted:
    """The body of ``/v1/embeddings``. Raises ``BadField``."""
    given = Fields(body)
    texts = texts_or_tokens(given.get("input"))
    if not texts:
        raise given.bad("input", "text, list of texts, or list of token ids")
    if len(texts) > MOST_TEXTS:
        raise BadField("input", f"{len(texts)} texts are too many", f"{MOST_TEXTS} at most")
    for at, one in enumerate(texts):
        if isinstance(one, str) and not one.strip():
            raise BadField("input", f"text {at} of the input is empty", "leave it out")
    form = given.one_of("encoding_format", "float", "base64")
    model, size = given.text("model"), given.whole("dimensions", 1)
    return Wanted(texts, model, form == "base64", size, given.unread())


def vectors(wanted: Wanted, found: Sequence[Sequence[float]], model: str, took: Usage) -> Any:
    """The answer. Raises ``BadField`` for a length that the vectors have not: those of few models
    keep their meaning when they are cut, and which do is not known."""
    length = len(found[0])
    if wanted.dimensions not in (None, length):
        said = f"the vectors of {model} have {length} numbers, and are not cut"
        raise BadField("dimensions", said, f"{length}, or leave it out", code="unsupported_value")
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index,
             "embedding": packed(one) if wanted.base64 else one}
            for index, one in enumerate(found)
        ],
        "model": model,
        "usage": {"prompt_tokens": took.prompt_tokens, "total_tokens": took.prompt_tokens},
    }  # fmt: skip


def packed(vector: Sequence[float]) -> str:
    """Little-endian floats of 32 bits, in base64.

    >>> packed([1.0, -2.5])
    'AACAPwAAIMA='
    """
    import sys

    found = array("f", vector)
    if sys.byteorder == "big":
        found.byteswap()
    return b64encode(found.tobytes()).decode()
