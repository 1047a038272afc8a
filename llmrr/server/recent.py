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
        return None if found is None else _plain(_facts(found))

    def _settle(self, id: str) -> None:
        if (found := self._kept.get(id)) is not None:
            self._kept[id] = _facts(found)


def facts(running: Running) -> dict[str, Any]:
    """What is known of an answer now."""
    return _plain(_facts(running))


def _facts(found: Running | dict[str, Any]) -> dict[str, Any]:
    if isinstance(found, dict):
        return found
    answer = found.answer
    return {"ended": found.ended, **({} if answer is None else _of_answer(answer))}


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON has it: made of what is asked for, which is little of it."""
    usage = facts.get("usage")
    return facts if usage is None else {**facts, "usage": asdict(usage)}


def _of_answer(answer: Answer) -> dict[str, Any]:
    return {
        "model": answer.model.name,
        "source": answer.model.source,
        "engine": answer.engine,
        "runs": answer.runs,
        "notes": list(answer.notes),
        "context_size": answer.context_size,
        "cache": answer.cache,
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
        "cost": answer.cost,
        "decision": answer.facts(),
    }
