"""Vectors of texts, from a model that is chosen, tried again and fallen back from as for an answer.
All texts of a call get theirs from one model: vectors of two cannot be compared."""

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, cast

from llmrr.catalogue import Resolved
from llmrr.choosing.attempts import Attempt, Attempts, Ended
from llmrr.choosing.dispatch import Call, Dispatch
from llmrr.choosing.host import Host
from llmrr.choosing.profiles import Loading
from llmrr.choosing.wishes import Wish
from llmrr.engines.base import Model, Stream, Text
from llmrr.engines.remote import estimates
from llmrr.errors import InvalidRequest, nearest
from llmrr.routing import Decision
from llmrr.types import Request, Usage

FIRST: Final = 8  # texts at a time; more while those take less than
PART_S: Final = 0.1
ENDS: Final = 2  # tokens that models put around a text
NEED = "embedding"  # what --need calls it
_TAKEN = ("model", "options", "engine")


class Embedded(NamedTuple):
    """One vector of length 1 per text, the model that made them, and what it took. ``decision`` is
    None where nothing was to be chosen."""

    vectors: list[list[float]]
    model: Resolved
    decision: Decision | None = None
    usage: Usage = Usage()


def embedded(
    host: Host,
    texts: str | Sequence[Text],
    *,
    model: str | None,
    options: Mapping[str, object] | None,
    engine: str | None,
    cuts: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Embedded:
    """What ``Router.embedded`` returns."""
    wanted, setup = checked(texts), host.setup
    if not wanted:
        raise InvalidRequest("there are no texts", 'embed(["…", "…"])')
    request = Request(prompt="") if cuts else _longest(wanted)
    need = (NEED,) if setup.selection.members(model) else ()
    wish = Wish(model, None, (), need, Loading.of(options, engine))
    chosen = setup.selection.choose(request, wish, host.moment())
    host.tell(chosen.notes)
    if model is not None and not need:  # vectors of another one cannot be compared with its own
        chosen = chosen._replace(names=chosen.names[:1])
    call = Call(setup, options or {}, engine, None, True, None, False)
    return Embedding(Dispatch(host, chosen, request, call), wanted, cuts, stopped).run()


class Embedding:
    """Texts on their way through the models that were chosen for them; ``cuts`` says whether one
    that is too long loses its end, ``stopped`` whether nobody waits for them any more."""

    def __init__(
        self, dispatch: Dispatch, texts: Sequence[Text], cuts: bool, stopped: Callable[[], bool]
    ) -> None:
        self._dispatch, self._texts, self._cuts = dispatch, list(texts), cuts
        self._stopped = stopped
        self._vectors: list[list[float]] = []
        self._usage = Usage()
        self._was_asked = False
        self.claim, self.resolve, self.warn = dispatch.claim, dispatch.resolve, dispatch.warn

    @property
    def cost(self) -> float | None:
        """Dollars of all that was asked."""
        return self._dispatch.cost

    def run(self) -> Embedded:
        """The vectors of the first model that makes them. Raises what the last one failed with."""
        chosen = self._dispatch.chosen
        attempts: Attempts = self._dispatch.attempts_of(
            self, chosen.names, self._dispatch.request
        )
        attempt = attempts.begin()
        attempts.ended(usage=self._usage, finish_reason="stop")
        return Embedded(self._vectors, attempt.model, chosen.decision, self._usage)

    def start(self, model: Resolved, request: Request) -> Attempt:
        """Load the model and let it work. Raises what goes wrong with either."""
        self._dispatch.reserve(model)
        began = time.perf_counter()
        self._was_asked = model.endpoint is None
        with self._dispatch.open(model) as lease:
            self._was_asked = True
            ready = time.perf_counter()
            texts = [cut(one, lease.model) for one in self._texts] if self._cuts else self._texts
            self._vectors = self._made(lease.model, texts, is_here=model.endpoint is None)
            total_s = time.perf_counter() - began
            self._usage = _usage(lease.model, texts, ready - began, total_s)
        nothing = cast(Stream, iter(()))  # is left to come
        return Attempt(nothing, model, lease.about.engine.name, "", lease)

    def _made(
        self, model: Model, texts: Sequence[Text], *, is_here: bool
    ) -> list[list[float]]:
        """The vectors; of a model of this machine some at a time, between which it goes on with its
        answers. Raises ``KeyboardInterrupt`` when nobody waits for them any more."""
        if not is_here:
            return model.embed(texts)
        found: list[list[float]] = []
        count = FIRST
        while len(found) < len(texts):
            if self._stopped():
                raise KeyboardInterrupt
            began = time.perf_counter()
            found += model.embed(texts[len(found) : len(found) + count])
            is_short = time.perf_counter() - began < PART_S
            count = count * 2 if is_short else max(1, count // 2)
        return found

    def record(self, ended: Ended) -> None:
        """Write down how an attempt ended, without what was said: it is no turn of a conversation,
        and a model of vectors is not to answer because it was used last."""
        self._dispatch.keep(ended, is_said=False, is_answer=False, was_asked=self._was_asked)


def _longest(texts: Sequence[Text]) -> Request:
    """The longest text, which must fit."""
    ids = max((one for one in texts if not isinstance(one, str)), key=len, default=())
    text = max((one for one in texts if isinstance(one, str)), key=len, default="")
    return Request(tokens=ids) if len(ids) > estimates.tokens_of(text) else Request(prompt=text)


def cut(text: Text, model: Model) -> Text:
    """As much of a text, from its beginning, as the context of a model holds."""
    most = model.info.context_length
    if most is None:
        return text
    if not isinstance(text, str):
        return text[:most]
    fits = most - ENDS

    def tokens(length: int) -> int:
        return len(model.tokenize(text[:length]) or ())

    if tokens(len(text)) <= fits:
        return text
    return text[: max(1, bisect_right(range(len(text)), fits, key=tokens) - 1)]


def _usage(model: Model, texts: Sequence[Text], load_s: float, total_s: float) -> Usage:
    counted = [model.tokenize(text) if isinstance(text, str) else text for text in texts]
    known = [len(one) for one in counted if one is not None]
    guessed = len(known) < len(texts)
    tokens = sum(map(_guessed, texts)) if guessed else sum(known)
    return Usage(prompt_tokens=tokens, estimated=guessed, load_s=load_s, total_s=total_s)


def _guessed(text: Text) -> int:
    return estimates.tokens_of(text) if isinstance(text, str) else len(text)


def refuse(stated: Mapping[str, object]) -> None:
    """Raise ``InvalidRequest`` for what a call states, and ``embed`` does not take."""
    for name in stated:
        near = nearest(name, _TAKEN)
        hint = f"did you mean {near}?" if near else f"it takes {', '.join(_TAKEN)}"
        raise InvalidRequest(f"embed has no argument {name!r}", hint)


def checked(texts: object) -> list[Text]:
    """The texts of a call, one or several; a text may be a tuple of its token ids. Raises
    ``InvalidRequest``.

    >>> checked("a"), checked(["a", (1, 2)])
    (['a'], ['a', (1, 2)])
    """
    if isinstance(texts, str):
        texts = [texts]
    if texts is None or isinstance(texts, bytes | Mapping) or not hasattr(texts, "__iter__"):
        raise InvalidRequest(f"the texts are {texts!r}", 'embed("…"), or embed(["…", "…"])')
    found = list(texts)
    for at, one in enumerate(found):
        if not (_is_tokens(one) or (isinstance(one, str) and one.strip())):
            raise InvalidRequest(f"texts[{at}] = {one!r} is no text", "leave it out")
    return found


def _is_tokens(one: object) -> bool:
    """Whether this is a text as its token ids."""
    return isinstance(one, tuple) and bool(one) and all(type(token) is int for token in one)
