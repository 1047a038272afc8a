"""What both sides are asked."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmrr.errors import NotFound
from llmrr.evaluate import Expected, parse_prompts
from llmrr.evaluate.judging import Match
from llmrr.types import Message, Request

if TYPE_CHECKING:
    import sqlite3

GUIDE: Final = ("What is the capital of France?", "Generate a short story about AI")
# Where the context of a side is not known: 12 MB, as OpenAI refuses texts of more than 10,485,760
# characters unread, and more tokens than any provider's context holds, so that nobody bills it.
LONG_WORDS: Final = 6_000_000
WRONG: Final = 12345


class Case(NamedTuple):
    """One request. ``request`` is None where nothing that could be answered is asked: then
    ``given`` stands in the place of the prompt, and both sides must fail. ``expected`` is what is
    right, where that is known."""

    name: str
    request: Request | None
    expected: Expected | None = None
    given: Any = None
    is_over_long: bool = False

    @property
    def must_fail(self) -> bool:
        """Whether there is nothing to answer."""
        return self.request is None or self.is_over_long

    def sized(self, context: int | None) -> "Case":
        """The same; one that is to be too long, so that it is for a context of so many tokens.

        >>> len(builtin()[4].sized(512).text), len(builtin()[4].sized(None).text)
        (2048, 12000000)
        """
        if not self.is_over_long or context is None:
            return self
        return self._replace(request=asked("x " * min(2 * context, LONG_WORDS)))

    @property
    def text(self) -> Any:
        """What is sent where there are no messages: the whole of them as one text."""
        if self.request is None:
            return self.given
        if self.request.prompt is not None:
            return self.request.prompt
        return "\n\n".join(one.content for one in self.request.messages)


def asked(text: str, system: str | None = None) -> Request:
    """A request of one turn."""
    before = [Message("system", system)] if system else []
    return Request(messages=(*before, Message("user", text)))


def builtin() -> list[Case]:
    """The guide's two prompts, and requests that must fail.

    >>> [one.name for one in builtin() if one.must_fail]
    ['empty', 'missing', 'over-long', 'wrong type']
    """
    return [
        *(Case(text, asked(text)) for text in GUIDE),
        Case("empty", None, given=""),
        Case("missing", None, given=None),
        Case("over-long", asked("x " * LONG_WORDS), is_over_long=True),
        Case("wrong type", None, given=WRONG),
    ]


def of_set(data: bytes, path: Path, match: Match | None = None) -> list[Case]:
    """The lines of a set. Raises ``DamagedFile`` with the line that is wrong."""
    return [
        Case(one.id or one.shown, one.request, one.expected, one.given)
        for one in parse_prompts(data, path, match)
    ]


def of_history(connection: "sqlite3.Connection", last: int) -> list[Case]:
    """The ``last`` so many different prompts of the history that have words. Raises ``NotFound``
    where there are none."""
    from llmrr import stats

    found: dict[tuple[str, str | None], None] = {}
    for run in reversed(stats.runs(connection)):
        if run.prompt and run.prompt.strip():
            found.setdefault((run.prompt, run.system))
        if len(found) >= last:
            break
    if not found:
        raise NotFound("the history has no prompt to ask", "llmrr migrate validate --set FILE")
    return [Case(prompt, asked(prompt, system)) for prompt, system in reversed(found)]


def answerable(cases: Iterable[Case]) -> list[Case]:
    """Those that are to be answered."""
    return [one for one in cases if not one.must_fail]
