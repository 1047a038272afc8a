"""What a side is: something that is asked, and answers or fails."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from llmrr.errors import LlmrrError, Unreachable, masked
from llmrr.migrate.validating.cases import Case
from llmrr.migrate.validating.likeness import Likeness, likeness
from llmrr.types import Request, Sampling

if TYPE_CHECKING:
    from llmrr.router import Opened, Router

_NOTHING = Sampling()
LONGEST_ERROR = 300  # characters of what a side says of its failure


class Reply(NamedTuple):
    """What came of one request. Seconds from when it was asked to its end; ``error`` is why there
    is no answer, and ``hint`` what mends that; ``text`` is None where its words were not kept.
    ``is_asked`` is False where this side has no way to be asked that; ``likeness`` is of what
    answered. ``cause`` is what no further request would mend: nothing is there, or no key is."""

    text: str | None = ""
    error: str | None = None
    latency_s: float | None = None
    first_token_s: float | None = None
    tokens: int | None = None
    cost: float | None = None
    model: str | None = None
    likeness: Likeness | None = None
    is_asked: bool = True
    hint: str = ""
    cause: Unreachable | None = None


NOT_ASKED = Reply(is_asked=False)


class System(Protocol):
    """A side."""

    @property
    def name(self) -> str:
        """What it is called, without any secret."""
        ...

    @property
    def likenesses(self) -> Sequence[Likeness]:
        """What may answer, as far as that is known."""
        ...

    @property
    def context(self) -> int | None:
        """How many tokens the longest context of those that may answer holds; None where that is
        not known."""
        ...

    def prepare(self, case: Case) -> float | None:
        """Do what the first request alone would have to: load, and answer it once. The seconds
        that it took; None where nothing was done. Raises ``LlmrrError`` where nothing of this
        side can answer."""
        ...

    def ask(self, case: Case) -> Reply:
        """Ask, and wait for the answer. What goes wrong is in the reply."""
        ...


class EngineSystem:
    """Models by our engines, or all that are configured where none is named; no answer is a kept
    one, and no other model is asked."""

    def __init__(self, router: "Router", models: Sequence[str], sampling: Sampling) -> None:
        self._router, self._models, self._sampling = router, tuple(models), sampling
        self._held: list[Opened] = []
        self._known: dict[str, Likeness | None] = {}

    @property
    def name(self) -> str:
        return ", ".join(name or self._router.resolve(None).name for name in self._names)

    @property
    def likenesses(self) -> list[Likeness]:
        return [one for name in self._names if (one := self._likeness(name)) is not None]

    @property
    def _names(self) -> Sequence[str | None]:
        """Those that may answer; None is the one that answers by default."""
        answering = [one.name for one in self._router.config.models if not makes_vectors(one.tags)]
        return self._models or answering or [None]

    @property
    def context(self) -> int | None:
        found = [_context(self._router, name) for name in self._names]
        return None if None in found else max(filter(None, found), default=None)

    def prepare(self, case: Case) -> float | None:
        """Load the models of this machine, as far as they fit, and have each answer with a token.
        A provider is not asked: that costs money, and its models are loaded. Raises ``LlmrrError``
        where each of them fails."""
        began, here = time.perf_counter(), 0
        failures = list[LlmrrError]()
        for name in self._names:
            known = self._likeness(name)
            if known is None or not known.is_here:
                continue
            here += 1
            try:
                if known.remote is None:
                    self._held.append(self._router.open(name))
                request = self._request(case, Sampling(max_tokens=1))
                with closing(self._router.run(
                    request, model=name, fallback=False, cache=False, log=False
                )) as answer:  # fmt: skip
                    for _ in answer:
                        pass
            except LlmrrError as error:
                failures.append(error)
        if failures and len(failures) == len(self._names):
            raise failures[0]
        return time.perf_counter() - began if here else None

    def ask(self, case: Case) -> Reply:
        began = time.perf_counter()
        first: float | None = None
        answer = None
        try:
            answer = self._router.run(self._request(case), cache=False, log=False, **self._choice())  # type: ignore[arg-type]
            for chunk in answer:
                if first is None and (chunk.text or chunk.reasoning):
                    first = time.perf_counter() - began
        except LlmrrError as error:
            cause = error if isinstance(error, Unreachable) else None
            return failed(f"{error.type}: {error.message}", began, error.hint, cause)
        finally:
            if answer is not None:
                answer.close()
        taken = time.perf_counter() - began
        usage = answer.usage
        return Reply(
            answer.text, None, taken, first, usage.completion_tokens if usage else None,
            answer.cost, answer.model.name, self._likeness(answer.model.name),
        )  # fmt: skip

    def _choice(self) -> Mapping[str, object]:
        if len(self._models) == 1:
            return {"model": self._models[0], "fallback": False}
        return {"models": self._models, "fallback": self._models} if self._models else {}

    def _request(self, case: Case, above: Sampling = _NOTHING) -> Request:
        from llmrr.choosing import turns

        if case.request is not None:
            stated = above.over(case.request.sampling).over(self._sampling)
            return replace(case.request, sampling=stated)
        return Request(messages=turns.turns(case.given), sampling=self._sampling)

    def _likeness(self, name: str | None) -> Likeness | None:
        key = name or ""
        if key not in self._known:
            self._known[key] = likeness(self._router, name)
        return self._known[key]


def _context(router: "Router", name: str | None) -> int | None:
    """How many tokens a context of a model may hold, as it is trained or as the user says."""
    from llmrr import formats
    from llmrr.catalogue import place

    try:
        found = router.resolve(name)
        if found.endpoint is not None:
            return None
        trained = formats.inspect(place(found).path).context_length
    except LlmrrError:
        return None
    stated = found.options.get("context_size")
    known = [one for one in (trained, stated) if isinstance(one, int)]
    return max(known) if trained is not None else None


def makes_vectors(tags: Sequence[str]) -> bool:
    """Whether a model is tagged as one of embeddings."""
    return bool({"embedding", "embeddings"} & {*tags})


def failed(
    why: str, began: float, hint: str = "", cause: Unreachable | None = None
) -> Reply:
    """That there is no answer, and why, without what looks as a key does; ``began`` is by
    ``time.perf_counter``."""
    taken = time.perf_counter() - began
    said = masked(why)[:LONGEST_ERROR]
    return Reply(error=said, latency_s=taken, hint=masked(hint), cause=cause)
