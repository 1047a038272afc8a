"""Lines that are answered here: by the router, from the models that it knows."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from llmrr.batch.items import CHAT, COMPLETIONS, RESPONSES, Item
from llmrr.batch.replies import OK, Reply
from llmrr.choosing.answering import Answer
from llmrr.choosing.several import together
from llmrr.errors import (
    AuthenticationFailed,
    BreakerOpen,
    BrokenStream,
    LlmrrError,
    NotFound,
    Unreachable,
)
from llmrr.protocols import base, openai
from llmrr.protocols.base import Answered, Asked, Writer
from llmrr.protocols.openai import embeddings, responses
from llmrr.protocols.openai.output import ResponseWriter
from llmrr.router import Router
from llmrr.types import Chunk, Request

AUTO: Final = "auto"  # leaves the choice to the router, as `llmrr serve` has it
TOLD: Final = 20  # fields without an effect
TRIED_S: Final = 0.05  # between two looks at what came of the request that tries a model
# A model is loaded once for many lines at once, and not anew for each that is longer.
OPTIONS: Final[Mapping[str, object]] = {"at_least": 32768, "crowded": True}
MakeWriter = Callable[[Answered, Asked], Writer]


class How(NamedTuple):
    """What holds for all lines: how a model is chosen, whether answers are kept and recorded, how
    it is loaded and by which engine."""

    strategy: str | None = None
    cache: bool = True
    log: bool = True
    options: Mapping[str, object] = {}
    engine: str | None = None

    def choice(self) -> dict[str, Any]:
        """The same for ``Router.run``."""
        return {
            "strategy": self.strategy, "log": self.log, "cache": None if self.cache else False,
            "options": {**OPTIONS, **self.options}, "engine": self.engine,
        }  # fmt: skip


class LocalAsker:
    """Asks a router. Safe to use from several threads. ``tell`` is told once of each field that has
    no effect."""

    def __init__(
        self, router: Router, how: How, tell: Callable[[str], None] = lambda text: None
    ) -> None:
        self._router, self._how, self._tell = router, how, tell
        self._told: set[str] = set()
        self._under_way: set[Answer] = set()
        self._lock, self._over = threading.Lock(), False

    def __call__(self, item: Item) -> Reply:
        """The answer; what goes wrong with it as a server would say it."""
        try:
            return Reply(OK, self._answered(item), f"req_{uuid.uuid4().hex}")
        except Exception as error:
            status = base.status_of(error)
            body = openai.error(error, status)
            if not isinstance(error, LlmrrError):
                body["error"]["message"] = f"this is a bug in llmrr: {type(error).__name__}"
            given = f"req_{uuid.uuid4().hex}"
            is_refused = isinstance(error, AuthenticationFailed)
            is_lost = isinstance(error, Unreachable | BreakerOpen) and not is_refused
            return Reply(status, body, given, is_lost=is_lost, is_refused=is_refused)

    def close(self) -> None:
        """Stop what is under way."""
        with self._lock:
            self._over = True
            left = tuple(self._under_way)
        for answer in left:
            answer.cancel()

    def _answered(self, item: Item) -> Mapping[str, Any]:
        broke = False
        while True:
            try:
                return self._body(item)
            except BreakerOpen as error:
                if not error.is_tried or self._over:
                    raise
                time.sleep(TRIED_S)
            except BrokenStream:  # the router asks no second time once there was text
                if broke:
                    raise
                broke = True

    def _body(self, item: Item) -> Mapping[str, Any]:
        if item.url not in _ANSWERS:
            wanted = embeddings.embedding(item.body)
            self._note(item, wanted.left_out)
            return self._vectors(wanted)
        understood, make = _ANSWERS[item.url]
        asked = understood(item.body)
        self._note(item, asked.left_out)
        return self._whole(asked, make)

    def _note(self, item: Item, left_out: Sequence[str]) -> None:
        for one in left_out:
            if one not in self._told and len(self._told) < TOLD:
                self._told.add(one)
                self._tell(f"{one} has no effect (line {item.number})")

    def _vectors(self, wanted: embeddings.Wanted) -> Mapping[str, Any]:
        how = self._how
        found = self._router.embedded(
            wanted.texts, model=_name(wanted.model), options=how.options, engine=how.engine
        )
        name = wanted.model or found.model.name
        told: Mapping[str, Any] = embeddings.vectors(wanted, found.vectors, name, found.usage)
        return told

    def _whole(self, asked: Asked, make: MakeWriter) -> Mapping[str, Any]:
        choice = {**self._how.choice(), **asked.choice}

        def begin(request: Request) -> Answer:
            answer = self._router.run(request, model=_name(asked.model), **choice)
            answer.held = True
            return answer

        answer = together(begin, (asked.request, *asked.others))
        chunks = self._heard(answer)
        about = Answered(
            uuid.uuid4().hex, int(time.time()), asked.model or answer.model.name,
            answer.model.name, answer.facts(),
        )  # fmt: skip
        return make(about, asked).whole(chunks)

    def _heard(self, answer: Answer) -> list[Chunk]:
        with self._lock:
            self._under_way.add(answer)
            if self._over:
                answer.cancel()
        try:
            return list(answer)
        finally:
            answer.close()
            with self._lock:
                self._under_way.discard(answer)


def _name(model: str | None) -> str | None:
    return None if model in ("", AUTO) else model


def _response(body: Mapping[str, Any]) -> Asked:
    if (before := body.get("previous_response_id")) is not None:
        raise NotFound(f"there is no response {before!r} here", "the whole conversation as input")
    return responses.response(body)


_ANSWERS: Final[Mapping[str, tuple[Callable[[Mapping[str, Any]], Asked], MakeWriter]]] = {
    CHAT: (openai.chat, openai.ChatWriter),
    COMPLETIONS: (openai.completion, openai.CompletionWriter),
    RESPONSES: (_response, ResponseWriter),
}
