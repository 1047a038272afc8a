"""From the text of an answer, as it comes, to its words and its calls of tools."""

from collections.abc import Mapping
from typing import NamedTuple

from llmrr.engines.calls.akin import reader
from llmrr.engines.calls.base import MORE, Begun, Body, Found, Reading, Rest, Said, Syntax
from llmrr.engines.text import first, settled
from llmrr.types import Tool


class Piece(NamedTuple):
    """A piece of the arguments of a call, by its number in the answer."""

    number: int
    name: str
    arguments: str
    id: str | None = None


class Spoken(NamedTuple):
    """A piece of an answer. ``calls`` have come to their end; ``pieces`` are of these and of the
    one that is under way."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[Said, ...] = ()
    pieces: tuple[Piece, ...] = ()


class Parser:
    """Reads one answer; ``tools`` are those that there are, by name. However the text is cut into
    pieces, the same comes of it. What never begins a call stays text; space before one is dropped,
    and behind one unless words stood before it; so is a call that is cut before its name is known:
    behind another one, and where its mark stands in an answer that was cut, which its finish reason
    says. ``stray`` is what is no text behind a call: the mark that ends thoughts, where a call has
    ended them already.

    A call that has begun stays one, whatever comes, as it was told already: one that is cut or
    broken has for arguments what the model wrote of them. The answer's finish reason says that it
    was cut, and whoever makes a call reads its arguments before: so it is at OpenAI.
    """

    def __init__(
        self, syntax: Syntax, tools: Mapping[str, Tool], *, opened: str = "",
        stray: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self._syntax, self._tools, self._stray = reader(syntax), tools, stray
        self._held = opened  # what the prompt began already
        self._said = False  # words
        self._parted = False  # from those that come
        self._trim = False  # a call has just been
        self._waits = False  # what is held begins with what may become a call
        self._open: _Open | None = None  # the call that is under way
        self._rest: Rest | None = None  # reads what stands behind the last one
        self._count = 0
        self._cut = False
        self._spoken = _Spoken()

    def push(self, text: str) -> Spoken:
        """Add text; what can be said for certain now comes back."""
        self._held += text
        if self._waits and not any(mark in text for mark in self._syntax.closers):
            return Spoken()
        return self._feed(last=False)

    def finish(self, *, cut: bool = False) -> Spoken:
        """Say the rest: nothing more will come, as the answer was ``cut`` or has ended."""
        self._cut = cut
        return self._feed(last=True)

    def behind(self, lead: str) -> str | None:
        """What stands behind the ``lead`` of a call that may begin; None where none does."""
        held = self._held.lstrip()
        return held[len(lead) :] if self._waits and held.startswith(lead) else None

    def _feed(self, *, last: bool) -> Spoken:
        self._waits = False
        while self._held and self._goes_on(last=last):
            pass
        if self._open is not None and last:
            self._ended()
        spoken, self._spoken = self._spoken, _Spoken()
        return spoken.told()

    def _goes_on(self, *, last: bool) -> bool:
        """Read what is held up to the next change; False where more must come."""
        if self._open is not None:
            return self._argued(self._open, last=last)
        if self._rest is not None:
            return self._followed(self._rest, last=last)
        start = self._start()
        if start is None:
            if last and self._trim and self._may_begin():
                self._held = ""
            self._spoken.texts.append(self._take(len(self._held) if last else self._safe()))
            return False
        found = self._read(self._held[start:], last=last)
        if found is MORE and not last:
            self._spoken.texts.append(self._take(self._spaced(start)))
            self._waits = True
            return False
        if isinstance(found, Found | Begun):
            self._spoken.texts.append(self._take(start).rstrip())
            self._found(found)
        elif last and self._is_unfinished(start):
            self._spoken.texts.append(self._take(start).rstrip())
            self._held = ""
        else:
            self._spoken.texts.append(self._take(start + 1))
        return True

    def _read(self, text: str, *, last: bool) -> Reading:
        for mark in self._stray if self._trim else ():
            if text.startswith(mark):
                return Found((), len(mark))
        return self._syntax.read(text, self._tools, last=last)

    def _may_begin(self) -> bool:
        """Is what is held the beginning of what another call begins with, or the last one ends?"""
        bare = self._held.lstrip()
        return any(one.startswith(bare) for one in (*self._leads, *self._syntax.triggers))

    def _is_unfinished(self, start: int) -> bool:
        """Is what stands there a call that was cut before it was known to be one? Behind another
        call, or by its mark in an answer that was cut."""
        mark = self._held[start:]
        behind = self._trim and not self._held[:start].strip()
        marked = self._cut and mark.startswith(self._syntax.triggers)
        return (behind or marked) and self._syntax.read(mark, self._tools, last=False) is MORE

    def _followed(self, rest: Rest, *, last: bool) -> bool:
        """Read what belongs to the call before."""
        found: Reading = rest.read(self._held, self._tools, last=last)
        self._waits = found is MORE
        if isinstance(found, Found | Begun):
            self._found(found)
        elif not self._waits:
            self._rest = None
        return not self._waits

    def _found(self, found: Found | Begun) -> None:
        self._held, self._rest = self._held[found.end :], found.rest
        self._parted |= isinstance(found, Found) and found.parts and self._said
        if isinstance(found, Begun):
            self._open = _Open(found.name, found.body, found.id)
            self._piece("")
            return
        for said in found.calls:
            self._spoken.pieces.append(Piece(self._count, said.name, said.arguments, said.id))
            self._called(said)
        self._spoken.thoughts.append(found.reasoning)

    def _argued(self, call: "_Open", *, last: bool) -> bool:
        """Read arguments."""
        step = call.body.read(self._held, last=last)
        self._held = self._held[step.used :]
        if step.piece:
            call.parts.append(step.piece)
            self._piece(step.piece)
        if step.ended:
            self._ended()
        return step.ended

    def _piece(self, arguments: str) -> None:
        assert self._open
        one = Piece(self._count, self._open.name, arguments, self._open.id)
        self._spoken.pieces.append(one)

    def _ended(self) -> None:
        """No more comes of the call that is under way."""
        assert self._open
        call, self._open = self._open, None
        self._called(Said(call.name, "".join(call.parts), call.id))

    def _called(self, said: Said) -> None:
        self._spoken.calls.append(said)
        self._count += 1
        self._trim = True

    def _take(self, length: int) -> str:
        """So much of what is held, as words."""
        text, self._held = self._held[:length], self._held[length:]
        if self._trim and not (self._said and text.strip()):  # words on both sides stay apart
            text = text.lstrip()
        if text.strip():
            text = "\n" + text if self._parted else text
            self._said, self._trim, self._parted = True, False, False
        return text

    def _start(self) -> int | None:
        """Where a call may begin in what is held."""
        found = first(self._held, self._syntax.triggers)
        starts = [found[0]] if found else []
        bare = self._held.lstrip()
        if self._leads and bare.startswith(self._leads):
            starts.append(len(self._held) - len(bare))
        return min(starts, default=None)

    @property
    def _leads(self) -> tuple[str, ...]:
        """What begins a call here and would not elsewhere."""
        if self._trim:
            return self._syntax.following + self._stray
        return () if self._said else self._syntax.leading

    def _safe(self) -> int:
        """How much of what is held is text, whatever comes."""
        bare = self._held.lstrip()
        if any(one.startswith(bare) for one in self._leads):
            return 0
        return self._spaced(settled(self._held, self._syntax.triggers))

    def _spaced(self, length: int) -> int:
        """So much, without the space at its end: a call may follow."""
        return len(self._held[:length].rstrip())


class _Open:
    """A call that is under way."""

    def __init__(self, name: str, body: Body, id: str | None) -> None:
        self.name, self.body, self.id = name, body, id
        self.parts: list[str] = []


class _Spoken:
    """What is collected of a piece."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[Said] = []
        self.pieces: list[Piece] = []

    def told(self) -> Spoken:
        """All of it."""
        text, thought = "".join(self.texts), "".join(self.thoughts)
        return Spoken(text, thought, tuple(self.calls), tuple(self.pieces))
