"""From the bytes of tokens to the text of an answer: UTF-8 that is split over tokens, stop strings
that span them, and the model's reasoning, which is kept apart from what it answers."""

import codecs
from collections.abc import Callable, Iterable
from typing import Protocol

from llmrr.engines.markers import Markers

# What one push gives: answer text, reasoning text, and whether a stop string ended the answer.
Pieces = tuple[str, str, bool]

Feed = Callable[[str, bool], Pieces]

NOTHING: Pieces = ("", "", False)

# More leading whitespace than this is an answer of its own, not the way to a reasoning block.
LEADING_SPACE = 16


class Calls(Protocol):
    """What knows calls of tools, which end a block of reasoning that is not closed."""

    @property
    def interrupting(self) -> tuple[str, ...]:
        """The texts that such a call begins with."""

    def call_in(self, thought: str, *, last: bool) -> tuple[int, bool] | None:
        """Where in what is thought a call begins, or with False may; ``last``: no more is
        thought."""


class TextAssembler:
    """Puts an answer together from its tokens' bytes, whatever way they are cut into tokens.

    ``stop`` applies to the answer alone, not to reasoning: the stop string that is complete first
    ends it (of two that end together the longer), and the text is cut before it. Held back is only
    what may become a stop string or a marker. Reasoning is recognised where the answer would begin,
    or at once with ``opened``, when the prompt ends inside a block; space around it is dropped. A
    mark that ends a block is dropped where none is open. ``calls`` know what ends one besides.
    """

    __slots__ = (
        "_again",
        "_calls",
        "_close",
        "_decode",
        "_feed",
        "_held",
        "_leads",
        "_opens",
        "_repeated",
        "_stop",
        "_trim",
        "_watched",
        "stop",
        "stopped",
    )

    def __init__(
        self, stop: Iterable[str] = (), reasoning: Markers | None = None, opened: bool = False,
        calls: Calls | None = None,
    ) -> None:  # fmt: skip
        self._stop = tuple(dict.fromkeys(text for text in stop if text))
        self._opens = reasoning.open if reasoning else ()
        # The longest first: one marker may begin with another.
        leads = reasoning.all if reasoning else ()
        self._leads = tuple(sorted(leads, key=len, reverse=True))
        self._close = reasoning.close if reasoning else ()
        self._calls = calls
        self._repeated: tuple[str, ...] = ()  # marks that a model may write though they stand there
        self._again = reasoning.open if reasoning and reasoning.again else ()
        self._watched = self._stop + self._again + (reasoning.around if reasoning else ())
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._held = ""
        self._trim = False
        self.stopped = False
        self.stop: str | None = None  # the string that it stopped at
        self._feed: Feed = self._answer
        if reasoning:
            self._feed = self._begin
            if opened:
                self._feed, self._trim, self._repeated = self._reason, True, self._opens

    @property
    def reasoning(self) -> bool:
        """Is what comes now reasoning, until its block is closed?"""
        return self._feed == self._reason

    def push(self, data: bytes) -> Pieces:
        """Add a token's bytes; what can be said for certain now comes back."""
        return self.add(self._decode(data))

    def add(self, text: str) -> Pieces:
        """The same for whole characters."""
        if not text or self.stopped:
            return "", "", self.stopped
        return self._feed(text, False)

    def finish(self) -> Pieces:
        """Say the rest: nothing more will come."""
        text = self._decode(b"", True)
        return ("", "", True) if self.stopped else self._feed(text, True)

    def _answer(self, text: str, last: bool) -> Pieces:
        if not self._watched:
            return text, "", False
        said, text = "", self._held + text
        self._held = ""
        while found := first(text, self._watched):
            said, mark = said + text[: found[0]], text[slice(*found)]
            if mark in self._stop:
                self.stopped, self.stop = True, mark
                return said, "", True
            if mark in self._again:  # or a longer mark that begins like it
                self._feed = self._begin
                more, thought, stopped = self._begin(text[found[0] :], last)
                return said + more, thought, stopped
            text = text[found[1] :]
        keep = len(text) if last else settled(text, self._watched)
        self._held = text[keep:]
        return said + text[:keep], "", False

    def _begin(self, text: str, last: bool) -> Pieces:
        """Where an answer, a reasoning block or what is to be skipped may begin."""
        text = self._held + text
        self._held = ""
        bare = text.lstrip()
        space = len(text) - len(bare)
        if self._trim or space <= LEADING_SPACE:
            marker = self._lead(text, bare, self._leads)
            if marker is not None and not last and self._may_grow(text, bare, marker, self._leads):
                self._held = text
                return NOTHING
            if marker:
                self._trim = True
                rest = (bare if bare.startswith(marker) else text)[len(marker) :]
                self._feed = self._reason if marker in self._opens else self._begin
                return self._feed(rest, last)
        self._feed = self._answer
        return self._answer(bare if self._trim else text, last)

    def _lead(self, text: str, bare: str, leads: tuple[str, ...]) -> str | None:
        """The marker that stands here, "" if one may yet come, None if none can."""
        for marker in leads:
            if bare.startswith(marker) or text.startswith(marker):
                return marker
        if any(marker.startswith((bare, text)) for marker in leads):
            return ""
        return None

    def _may_grow(self, text: str, bare: str, marker: str, leads: tuple[str, ...]) -> bool:
        """Could a longer marker than the one that is complete still come?"""
        return any(
            len(other) > len(marker) and other.startswith((bare, text)) for other in leads
        )

    def _reason(self, text: str, last: bool) -> Pieces:
        text = self._held + text
        if self._trim:
            text = text.lstrip()
            mark = self._lead(text, text, self._repeated)
            if mark is not None and not last and self._may_grow(text, text, mark, self._repeated):
                self._held = text
                return NOTHING
            text = text[len(mark or "") :].lstrip()
            self._trim, self._repeated = not text, ()
        found = first(text, self._close)
        call = self._called(text[: found[0]] if found else text, last or found is not None)
        if call and call[1]:
            return self._ended(text, call[0], call[0], self._answer, last)
        if found:
            return self._ended(text, *found, self._begin, last)
        wanted = self._close + (self._calls.interrupting if self._calls else ())
        keep = call[0] if call else len(text) if last else settled(text, wanted)
        keep = len(text[:keep].rstrip())
        self._held = text[keep:]
        return "", text[:keep], False

    def _called(self, thought: str, last: bool) -> tuple[int, bool] | None:
        """Where a call begins in what is thought, or may."""
        return self._calls.call_in(thought, last=last) if self._calls else None

    def _ended(self, text: str, end: int, after: int, feed: Feed, last: bool) -> Pieces:
        """The block ends, and what stands behind it goes on by ``feed``."""
        thought, self._held = text[:end].rstrip(), ""
        self._feed, self._trim = feed, True
        answer, more, stopped = feed(text[after:], last)
        return answer, thought + more, stopped


def first(text: str, wanted: tuple[str, ...]) -> tuple[int, int] | None:
    """Start and end of the wanted string that is complete first; of two the one longer."""
    ends = [(at + len(one), at) for one in wanted if (at := text.find(one)) >= 0]
    if not ends:
        return None
    end, start = min(ends)
    return start, end


def settled(text: str, wanted: tuple[str, ...]) -> int:
    """How much of the text cannot be the beginning of a wanted string."""
    settled = len(text)
    for one in wanted:
        at = text.find(one[0], max(0, len(text) - len(one) + 1))
        while 0 <= at < settled:
            if one.startswith(text[at:]):
                settled = at
            at = text.find(one[0], at + 1)
    return settled
