"""Lines that are answered here: by the router, from the models that it knows."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from llmrr.batch.items import CHAT, COMPLETIONS, Item
from llmrr.batch.replies import OK, Reply
from llmrr.choosing.answering import Answer
from llmrr.errors import FeatureMissing, LlmrrError, Unreachable
from llmrr.protocols import base, openai
from llmrr.protocols.base import Answered, Asked, Writer
from llmrr.router import Router
from llmrr.types import Chunk

AUTO: Final = "auto"  # leaves the choice to the router, as `llmrr serve` has it
# A model is loaded once, and not anew for each line that is longer than those before it.
CONTEXT_AT_LEAST: Final = 32768


class How(NamedTuple):
    """What holds for all lines: how a model is chosen, whether answers are kept and recorded."""

    strategy: str | None = None
    cache: bool = True
    log: bool = True

    def choice(self) -> dict[str, Any]:
        """The same for ``Router.run``."""
        return {
            "strategy": self.strategy, "log": self.log, "cache": None if self.cache else False,
            "options": {"at_least": CONTEXT_AT_LEAST},
        }  # fmt: skip


class LocalAsker:
    """Asks a router. Safe to use from several threads."""

    def __init__(self, router: Router, how: How) -> None:
        self._router, self._how = router, how
        self._under_way: set[Answer] = set()
        self._lock, self._over = threading.Lock(), False

    def __call__(self, item: Item) -> Reply:
        """The answer; what goes wrong with it as a server would say it."""
        try:
            return Reply(OK, self._body(item), f"req_{uuid.uuid4().hex}")
        except Exception as error:
            status = base.status_of(error)
            body = openai.error(error, status)
            if not isinstance(error, LlmrrError):
                body["error"]["message"] = f"this is a bug in llmrr: {type(error).__name__}"
            given = f"req_{uuid.uuid4().hex}"
            return Reply(status, body, given, is_lost=isinstance(error, Unreachable))

    def close(self) -> None:
        """Stop what is under way."""
        with self._lock:
            self._over = True
            left = tuple(self._under_way)
        for answer in left:
            answer.cancel()

    def _body(self, item: Item) -> Mapping[str, Any]:
        if item.url == CHAT:
            return self._whole(openai.chat(item.body), openai.ChatWriter)
        if item.url == COMPLETIONS:
            return self._completed(item.body)
        raise FeatureMissing(f"a batch has no {item.url} here", "--url URL asks a server that has")

    def _completed(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answers to all prompts of a completion, as one."""
        parts = [
            self._whole(openai.completion({**body, "prompt": prompt}), openai.CompletionWriter)
            for prompt in openai.prompts(body)
        ]
        return parts[0] if len(parts) == 1 else joined(parts)

    def _whole(
        self, asked: Asked, make: Callable[[Answered, Asked], Writer]
    ) -> Mapping[str, Any]:
        name = None if asked.model in ("", AUTO) else asked.model
        choice = {**self._how.choice(), **asked.choice}
        answer = self._router.run(asked.request, model=name, **choice)
        chunks = self._heard(answer)
        about = Answered(
            uuid.uuid4().hex, int(time.time()), asked.model or answer.model.name,
            answer.model.name, answer.facts(),
        )  # fmt: skip
        return make(about, asked).whole(chunks)

    def _heard(self, answer: Answer) -> list[Chunk]:
        answer.held = True
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


def joined(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Several completions as the one that they are the prompts of."""
    choices = [choice for part in parts for choice in part["choices"]]
    usage = {
        name: sum(part["usage"][name] for part in parts)
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    numbered = [{**choice, "index": index} for index, choice in enumerate(choices)]
    return {**parts[0], "choices": numbered, "usage": usage}
