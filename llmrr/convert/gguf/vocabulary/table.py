"""Tokens by id, and the lists that GGUF has of them."""

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from llmrr.errors import Unsupported
from llmrr.formats.messages import damaged, shown

MAX_TOKENS = 1 << 21  # the largest vocabularies have 262,144
UNKNOWN_SCORE = -10000.0  # of what only fills a row of the embeddings
ADDED_SCORE = -1000.0


class Type(IntEnum):
    """``llama_token_type`` of llama.cpp."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Token(NamedTuple):
    """One token: its text as GGUF spells it, its type, its score."""

    text: str
    type: Type = Type.NORMAL
    score: float = 0.0


class Lists(NamedTuple):
    """All tokens, one item for each id."""

    texts: list[str]
    types: list[int]
    scores: list[float]


def lay_out(tokens: Mapping[int, Token], size: int | None, where: object) -> Lists:
    """One token for every id below ``size`` (None: as many as there are), holes filled with
    ``[PAD<id>]`` of the type unused. Ids from ``size`` on have no row in the embeddings, and are
    left out if they were added to the vocabulary.

    llama.cpp ends the process where two tokens are the same text, and reads a text up to its first
    zero byte: what a later id spells too, or has a zero in it, becomes a filler as well.
    Raises ``DamagedFile`` for ids that cannot be, ``Unsupported`` where the vocabulary itself does
    not fit into ``size``.
    """
    count = _count(tokens, size, where)
    spelled = {token.text: number for number, token in sorted(tokens.items())}
    texts, types, scores = [], [], []
    for number in range(count):
        token = tokens.get(number)
        if token is None or "\0" in token.text or spelled[token.text] != number:
            token = Token(_filler(number, spelled), Type.UNUSED, UNKNOWN_SCORE)
        texts.append(token.text)
        types.append(int(token.type))
        scores.append(token.score)
    return Lists(texts, types, scores)


def _count(tokens: Mapping[int, Token], size: int | None, where: object) -> int:
    if not tokens:
        raise damaged(where, "its vocabulary is empty")
    first, last = min(tokens), max(tokens)
    if first < 0 or last >= MAX_TOKENS:
        raise damaged(where, f"a token has the id {first if first < 0 else last}")
    if size is None:
        return last + 1
    if not 0 < size <= MAX_TOKENS:
        raise damaged(where, f"its vocabulary would have {size} tokens")
    beyond = [number for number, token in tokens.items() if number >= size]
    for number in beyond:
        if tokens[number].type in (Type.NORMAL, Type.BYTE):
            raise Unsupported(
                f"{where} has the token {shown(tokens[number].text)} with the id {number}, and"
                f" the embeddings of the model have {size} rows",
                "get the tokenizer that belongs to the model",
            )
    return size


def _filler(number: int, spelled: Mapping[str, int]) -> str:
    text = f"[PAD{number}]"
    while text in spelled:
        text = f"[{text}]"
    return text
