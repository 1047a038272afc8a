"""Why a model answered, and what that took: of the last answers, by the ids that clients saw."""

from collections import OrderedDict
from dataclasses import asdict
from typing import Any, Final

from llmrr.choosing.answering import Answer
from llmrr.server.running import Running

MOST: Final = 256


class Recent:
    """The last answers. Of what has ended only facts are kept, no words and no model."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[str, Running | dict[str, Any]] = OrderedDict()

    def note(self, id: str, running: Running) -> None:
        """Remember an answer that has begun."""
        self._kept[id] = running
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        running.done.add_done_callback(lambda _: self._settle(id))

    def facts(self, id: str) -> dict[str, Any] | None:
        """What is known of it; None where it is not remembered."""
        found = self._kept.get(id)
        return found if found is None or isinstance(found, dict) else facts(found)

    def _settle(self, id: str) -> None:
        if (found := self.facts(id)) is not None:
            self._kept[id] = found


def facts(running: Running) -> dict[str, Any]:
    """What is known of an answer now."""
    answer = running.answer
    return {"ended": running.ended, **({} if answer is None else _facts(answer))}


def _facts(answer: Answer) -> dict[str, Any]:
    return {
        "model": answer.model.name,
        "source": answer.model.source,
        "engine": answer.engine,
        "runs": answer.runs,
        "notes": list(answer.notes),
        "context_size": answer.context_size,
        "cache": answer.cache,
        "finish_reason": answer.finish_reason,
        "usage": None if answer.usage is None else asdict(answer.usage),
        "cost": answer.cost,
        "decision": answer.facts(),
    }
