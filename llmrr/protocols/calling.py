"""The calls of an answer, as a protocol tells of them while they come."""

from collections.abc import Iterator
from typing import NamedTuple

from llmrr.types import CallPiece, Chunk, ToolCall


class Told(NamedTuple):
    """A piece of the call that is the ``number``-th of its choice. ``begins``: its first one."""

    number: int
    call: CallPiece
    begins: bool


class Calling:
    """Puts the calls of one choice into pieces, where an engine has not; ``only_one``: the others
    are left out, for a client that wants no two at once."""

    def __init__(self, *, only_one: bool = False) -> None:
        self._only_one = only_one
        self._begun: dict[str, int] = {}  # those of which pieces came, and not yet the whole
        self.count = 0  # of all calls so far

    def pieces(self, chunk: Chunk) -> Iterator[Told]:
        """What a chunk adds. A call of which pieces came before is not told again as a whole."""
        for piece in chunk.call_pieces:
            begins = piece.id not in self._begun
            if begins:
                self._begun[piece.id] = self._next()
            yield from self._told(Told(self._begun[piece.id], piece, begins))
        for call in chunk.tool_calls:
            if self._begun.pop(call.id, None) is None:
                piece = CallPiece(call.id, call.name, call.arguments, call.signature)
                yield from self._told(Told(self._next(), piece, True))

    def _next(self) -> int:
        self.count += 1
        return self.count - 1

    def _told(self, told: Told) -> Iterator[Told]:
        if not (self._only_one and told.number):
            yield told


def is_cut(call: ToolCall) -> bool:
    """Are the arguments of a call less than an object of JSON?

    >>> is_cut(ToolCall("c", "f", '{"a": ')), is_cut(ToolCall("c", "f", "{}"))
    (True, False)
    """
    import json

    try:
        return not isinstance(json.loads(call.arguments or "{}"), dict)
    except (ValueError, RecursionError):
        return True
