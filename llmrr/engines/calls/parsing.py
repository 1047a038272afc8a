"""From the text of an answer, as it comes, to its words and its calls of tools."""

from collections.abc import Mapping
from typing import NamedTuple

from llmrr.engines.calls.base import MORE, Found, Said, Syntax
from llmrr.engines.text import first, settled
from llmrr.types import Tool


class Spoken(NamedTuple):
    """A piece of an answer."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[Said, ...] = ()


class Parser:
    """Reads one answer; ``tools`` are those that there are, by name. However the text is cut into
    pieces, the same comes of it. What is no whole call stays text; space around a call is dropped.
    """

    def __init__(self, syntax: Syntax, tools: Mapping[str, Tool], *, opened: str = "") -> None:
        self._syntax, self._tools = syntax, tools
        self._held = opened  # what the prompt began already
        self._said = False  # words
        self._trim = False  # a call has just been
        self._waits = False  # what is held begins with what may become a call

    def push(self, text: str) -> Spoken:
        """Add text; what can be said for certain now comes back."""
        self._held += text
        if self._waits and not any(mark in text for mark in self._syntax.closers):
            return Spoken()
        return self._feed(last=False)

    def finish(self) -> Spoken:
        """Say the rest: nothing more will come."""
        return self._feed(last=True)

    def _feed(self, *, last: bool) -> Spoken:
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[Said] = []
        self._waits = False
        while self._held:
            start = self._start()
            if start is None:
                texts.append(self._take(len(self._held) if last else self._safe()))
                break
            found = self._syntax.read(self._held[start:], self._tools, last=last)
            if found is MORE and not last:
                texts.append(self._take(self._spaced(start)))
                self._waits = True
                break
            if isinstance(found, Found):
                texts.append(self._take(start).rstrip())
                self._held = self._held[found.end :]
                calls += found.calls
                thoughts.append(found.reasoning)
                self._trim = self._trim or bool(found.calls)
            else:
                texts.append(self._take(start + 1))
        return Spoken("".join(texts), "".join(thoughts), tuple(calls))

    def _take(self, length: int) -> str:
        """So much of what is held, as words."""
        text, self._held = self._held[:length], self._held[length:]
        if self._trim:
            text = text.lstrip()
        if text.strip():
            self._said, self._trim = True, False
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
            return self._syntax.following
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
