"""What programs get: an answer that is complete, or its text as it comes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from llmrr.choosing.answering import Answer
from llmrr.errors import TimedOut
from llmrr.types import ToolCall


class Metadata(dict[str, Any]):
    """Facts by name, as keys and as attributes: ``latency`` in seconds from the call to the end,
    ``decision`` as ``llmrr route --json`` has it (None where the model was named),
    ``finish_reason``, ``usage`` with its tokens and seconds, ``cost`` in dollars (None where no
    price is known), ``engine``, and ``cache``, which says what of a cache answered.

    >>> Metadata(latency=0.5).latency
    0.5
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the metadata has no {name!r}") from None


@dataclass(frozen=True, slots=True)
class Result:
    """An answer. ``tokens`` is how many were generated, ``model`` the one that answered.
    ``str(result)`` is the text."""

    text: str
    tokens: int
    model: str
    metadata: Metadata = field(default_factory=Metadata)
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()

    def __str__(self) -> str:
        return self.text


class TextStream(Iterator[str]):
    """An answer as it comes, in pieces of text. ``result`` is the whole of it; ``cancel`` stops it
    from any thread. At the end of a ``with``, or once nobody holds it, it is stopped as well."""

    def __init__(self, start: Callable[[], Answer], timeout: float | None = None) -> None:
        self._began = time.perf_counter()
        self._limit = Limit(timeout)
        self._reasoning: list[str] = []
        self._calls: list[ToolCall] = []
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._answer = start()
        self._limit.watch(self._answer)

    def __enter__(self) -> "TextStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __next__(self) -> str:
        if self._error is not None:
            raise StopIteration
        try:
            for chunk in self._answer:
                if chunk.index == 0:
                    self._reasoning.append(chunk.reasoning)
                    self._calls += chunk.tool_calls
                if chunk.text and chunk.index == 0:
                    return chunk.text
            self._finish()
            self._limit.require()
        except BaseException as error:
            self._limit.end()
            self._error = self._limit.error or error
            if self._error is error:
                raise
            raise self._error from None
        raise StopIteration

    @property
    def model(self) -> str:
        """The one that answers."""
        return self._answer.model.name

    @property
    def result(self) -> Result:
        """The whole answer; what has yet to come is waited for. Raises what it failed with."""
        for _ in self if self._result is None else ():
            pass
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def cancel(self) -> None:
        """Stop it, from any thread; what has come remains."""
        self._answer.cancel()

    def close(self) -> None:
        """Stop it if it still runs. Twice is allowed; never raises."""
        self._limit.end()
        self._answer.close()
        if self._result is None:
            self._finish()

    def __del__(self) -> None:
        with suppress(Exception):  # where it never began, or all is coming down
            if self._result is None:
                self.close()

    def _finish(self) -> None:
        self._limit.end()
        if self._result is not None:
            return
        answer = self._answer
        usage = None if answer.usage is None else Metadata(asdict(answer.usage))
        self._result = Result(
            text=answer.text,
            tokens=answer.usage.completion_tokens if answer.usage else 0,
            model=answer.model.name,
            metadata=Metadata(
                latency=time.perf_counter() - self._began,
                decision=answer.facts(),
                finish_reason=answer.finish_reason,
                usage=usage,
                engine=answer.engine,
                cost=answer.cost,
                cache=getattr(answer, "cache", None),
            ),
            reasoning="".join(self._reasoning),
            tool_calls=tuple(self._calls),
        )


class Limit:
    """Stops an answer that takes longer than ``seconds``, if any are stated."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._at = None if seconds is None else time.monotonic() + seconds
        self._timer: threading.Timer | None = None
        self.error: TimedOut | None = None

    def watch(self, answer: Answer) -> None:
        """From now on; what was before counts too."""
        if self._at is None:
            return

        def stop() -> None:
            said = f"the answer was not complete within {self._seconds:g} s"
            self.error = TimedOut(said, "a longer timeout")
            answer.cancel(self.error)

        self._timer = threading.Timer(max(0.0, self._at - time.monotonic()), stop)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """It has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def require(self) -> None:
        """Raise ``TimedOut`` where it was stopped."""
        if self.error is not None:
            raise self.error
