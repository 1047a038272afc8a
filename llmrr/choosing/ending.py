"""What is written down of an attempt that ended: the run, and what it says of the model."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmrr import stats
from llmrr.catalogue import Resolved
from llmrr.choosing.attempts import Ended
from llmrr.choosing.profiles import key_of
from llmrr.config import ConfiguredModel
from llmrr.errors import BadConfig, EngineFailed, LlmrrError, Unreachable, UsageError
from llmrr.routing.breaker import Rules
from llmrr.types import Request, Usage

if TYPE_CHECKING:
    import sqlite3

    Work = Callable[[sqlite3.Connection], object]


def run_of(
    request: Request, ended: Ended, model: Resolved, cid: str | None, cost: float | None,
    *, cache: str | None, looked_up: bool,
) -> stats.Run:  # fmt: skip
    """The run that it was; ``cache`` has answered it, and was asked where it was ``looked_up``."""
    usage = ended.usage or Usage(total_s=time.time() - ended.began)
    error = ended.error
    system = next((one.content for one in request.messages if one.role == "system"), None)
    said = request.messages[-1].content if request.messages else request.prompt
    return stats.Run(
        id=None,
        at=ended.began,
        model=model.name,
        source=model.source,
        engine=ended.engine,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        load_s=usage.load_s,
        first_token_s=usage.first_token_s,
        total_s=usage.total_s,
        finish_reason=ended.finish_reason or _interrupted(error),
        error=f"{type(error).__name__}: {error}" if isinstance(error, Exception) else None,
        conversation=cid,
        system=system,
        prompt=said,
        answer=ended.text,
        cost=cost,
        cache=cache,
        looked_up=looked_up,
    )


def was_asked(ended: Ended) -> bool:
    """Whether a model was asked, or loaded. What llmrr itself refuses is no run of a model; of one
    elsewhere that is all that goes wrong before there is a stream."""
    if ended.stream is not None or not isinstance(ended.error, LlmrrError):
        return True
    is_here = ended.model is not None and ended.model.endpoint is None
    return is_here and not isinstance(ended.error, UsageError | BadConfig)


def _interrupted(error: BaseException | None) -> str | None:
    return "cancelled" if isinstance(error, KeyboardInterrupt) else None


def outcome(
    model: ConfiguredModel | None, ended: Ended, rules: Rules, *, is_own: bool
) -> "Work | None":
    """What it says of one of the ``[[models]]``; where it is no run of its own, as it was not
    asked, or the answer is that of another request, the model is only let go."""
    if model is None:
        return None
    from llmrr.choosing import health

    key, error = key_of(model), ended.error
    if not is_own:
        return lambda connection: health.release(connection, key)
    if error is None and ended.finish_reason != "cancelled" and ended.usage is not None:
        return lambda connection: health.note(connection, key, rules, usage=ended.usage)
    if isinstance(error, LlmrrError) and not error.is_of_request:
        said = f"{type(error).__name__}: {error.message}"[:500]
        # A file here that is damaged or too large is none that waiting mends.
        is_elsewhere = ended.model is not None and ended.model.endpoint is not None
        trips = is_elsewhere or isinstance(error, EngineFailed | Unreachable)
        return lambda connection: health.note(
            connection, key, rules, error=said, trips=trips
        )
    return lambda connection: health.release(connection, key)


def refused(model: ConfiguredModel | None, said: str, rules: Rules) -> "Work | None":
    """That one of the ``[[models]]`` refused a request which another one has answered."""
    if model is None:
        return None
    from llmrr.choosing import health

    key = key_of(model)
    return lambda connection: health.note(connection, key, rules, error=said, late=True)


def both(one: "Work | None", other: "Work | None") -> "Work | None":
    """One after the other."""
    if one is None or other is None:
        return one or other

    def work(connection: "sqlite3.Connection") -> None:
        one(connection)
        other(connection)

    return work
