"""Log probabilities of tokens, in the shapes of chat completions and of completions."""

import codecs
from collections.abc import Sequence
from typing import Any, Final

from llmrr.protocols.base import likely
from llmrr.types import TokenLogprob

_LEAST: Final = -9999.0  # JSON has no infinity


def chat_logprobs(found: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Those of a choice of a chat."""
    return {"content": tokens(found), "refusal": None}


def tokens(found: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """Each token with its alternatives."""
    return [likely(one, _token) for one in found]


class Offsets:
    """Where tokens stand in a text, of which ``at`` characters are before them. A character of
    several tokens ends with the last of them."""

    def __init__(self, at: int = 0) -> None:
        self._at = at
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def of(self, found: Sequence[TokenLogprob]) -> list[int]:
        """The offsets of the next ones.

        >>> pieces = b"ab", b"\\xc3", b"\\xa9", b"c"
        >>> Offsets(5).of([TokenLogprob.of([one], [0.0]) for one in pieces])
        [5, 7, 7, 8]
        """
        offsets = []
        for one in found:
            offsets.append(self._at)
            self._at += len(self._decoder.decode(one.octets[0]))
        return offsets


def completion_logprobs(
    found: Sequence[TokenLogprob], offsets: Offsets, *, is_first_known: bool = True
) -> dict[str, Any]:
    """Those of a choice of a completion. Of the first token nothing is known where it begins a
    text."""
    spelled = [[_name(each, "bytes:") for each in one.octets] for one in found]
    values: list[float | None] = [max(one.logprob, _LEAST) for one in found]
    tops: list[dict[str, float] | None] = [
        {
            **{name: max(one[1], _LEAST) for name, one in zip(names[1:], token.top, strict=True)},
            names[0]: max(token.logprob, _LEAST),
        }
        for names, token in zip(spelled, found, strict=True)
    ]
    if not is_first_known:
        values[0] = tops[0] = None
    return {
        "tokens": [names[0] for names in spelled],
        "token_logprobs": values,
        "top_logprobs": tops,
        "text_offset": offsets.of(found),
    }


def _token(spelled: bytes, logprob: float) -> dict[str, Any]:
    return {"token": _name(spelled), "logprob": max(logprob, _LEAST), "bytes": list(spelled)}


def _name(spelled: bytes, lead: str = "") -> str:
    """The text of a token; of a part of a character, its bytes as OpenAI writes them.

    >>> _name("é".encode()), _name("é".encode()[:1], "bytes:")
    ('é', 'bytes:\\\\xc3')
    """
    try:
        return spelled.decode()
    except UnicodeDecodeError:
        return lead + spelled.decode(errors="backslashreplace")
