"""The calls of an answer, as a protocol tells of them while they come."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from llmrr.engines.calls.bodies import Json
from llmrr.types import CallPiece, Chunk, ToolCall


class Told(NamedTuple):
    """A piece of the call that is the ``number``-th of its choice. ``begins``: its first one."""

    number: int
    call: CallPiece
    begins: bool = False


class Calling:
    """Puts the calls of one choice into pieces, where an engine has not. ``only_one``: the others
    are left out, for a client that wants no two at once. ``in_turn``: one call after the other, for
    a protocol that numbers no pieces."""

    def __init__(self, *, only_one: bool = False, in_turn: bool = False) -> None:
        self._only_one, self._in_turn = only_one, in_turn
        self._begun: dict[str, int] = {}  # those of which pieces came, and not yet the whole
        self._count = 0
        self._held: list[tuple[Told, bool]] = []  # what comes later, and whether a call ends there
        self._turn, self._json = 0, Json()  # the call that is told, and what finds its end

    def pieces(self, chunk: Chunk) -> Iterator[Told]:
        """What a chunk adds. A call of which pieces came before is not told again as a whole."""
        for told, ends in self._numbered(chunk):
            if self._only_one and told.number:
                continue
            if self._in_turn:
                self._held.append((told, ends))
                yield from self._due()
            elif told.begins or told.call.arguments:
                yield told

    def _numbered(self, chunk: Chunk) -> Iterator[tuple[Told, bool]]:
        """All pieces, and whether the call ends there for certain."""
        for piece in chunk.call_pieces:
            begins = piece.id not in self._begun
            if begins:
                self._begun[piece.id] = self._next()
            yield Told(self._begun[piece.id], piece, begins), False
        for call in chunk.tool_calls:
            number = self._begun.pop(call.id, None)
            if number is not None:
                yield Told(number, CallPiece(call.id, call.name)), True
            else:
                piece = CallPiece(call.id, call.name, call.arguments, call.signature)
                yield Told(self._next(), piece, True), True

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    def _due(self) -> Iterator[Told]:
        """What is held of the call whose turn it is, and of those that follow when it has ended."""
        at = 0
        while at < len(self._held):
            told, ends = self._held[at]
            if told.number > self._turn:
                at += 1
                continue
            del self._held[at]
            if told.number < self._turn:
                continue
            if told.begins or told.call.arguments:
                yield told
            if ends or self._json.read(told.call.arguments, last=False).ended:
                self._turn, self._json, at = self._turn + 1, Json(), 0


def is_cut(call: ToolCall) -> bool:
    """Are the arguments of a call less than an object of JSON?

    >>> is_cut(ToolCall("c", "f", '{"a": ')), is_cut(ToolCall("c", "f", "{}"))
    (True, False)
    """
    try:
        return not isinstance(json.loads(call.arguments or "{}"), dict)
    except (ValueError, RecursionError):
        return True
