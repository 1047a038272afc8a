"""Alerts: which are due is a pure decision over figures; which were raised is kept in the database,
so that processes do not repeat each other.

``high-latency``: an answer took longer than it may, in milliseconds. ``high-error-rate``: of a
model's last runs too large a share failed. ``high-memory``: of this machine's memory too large a
share is taken. An alert of one event and model is followed by no other for five minutes, unless it
could not go out because nobody had agreed to where.
"""

from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmrr import database
from llmrr.errors import error_types

if TYPE_CHECKING:
    import sqlite3

EVENTS: Final = ("high-latency", "high-error-rate", "high-memory")
QUIET_S: Final = 300.0
WINDOW: Final = 50  # runs of a model that its error rate is over
AT_LEAST: Final = 10  # runs before a rate means anything
WINDOW_S: Final = 86400.0

_OF_REQUEST: Final = frozenset(one.__name__ for one in error_types() if one.is_of_request)


class Rules(NamedTuple):
    """What is too much; None is never."""

    latency_ms: float | None = None
    error_rate: float | None = None
    memory: float | None = None


class Facts(NamedTuple):
    """What is known after a run; unknown is None. After ``opens_at`` failures no run
    may come any more: the breaker is open."""

    at: float
    model: str
    latency_ms: float | None = None
    failed: int = 0
    runs: int = 0
    memory: float | None = None
    opens_at: int = AT_LEAST


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that was too much: ``value`` is above ``limit``. ``model`` is empty where it is
    about the machine; ``at`` in epoch seconds."""

    event: str
    model: str
    value: float | None
    limit: float | None
    at: float
    message: str

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def due(rules: Rules, facts: Facts) -> list[Alert]:
    """The alerts that these figures give.

    >>> [one.message for one in due(Rules(latency_ms=2000), Facts(0.0, "m", latency_ms=2500.0))]
    ['m took 2,500 ms, and may take 2,000 ms']
    >>> due(Rules(error_rate=0.5), Facts(0.0, "m", failed=4, runs=9))
    []
    """
    found = []
    at, model = facts.at, facts.model
    if _above(facts.latency_ms, rules.latency_ms):
        took, may = (_figure(one) for one in (facts.latency_ms, rules.latency_ms))
        said = f"{model} took {took} ms, and may take {may} ms"
        found.append(Alert(EVENTS[0], model, facts.latency_ms, rules.latency_ms, at, said))
    is_rate = facts.runs >= AT_LEAST or facts.failed >= facts.opens_at
    rate = facts.failed / facts.runs if is_rate and facts.runs else None
    if _above(rate, rules.error_rate):
        said = (
            f"{facts.failed} of the last {facts.runs} runs of {model} failed, and "
            f"{_share(rules.error_rate)} may"
        )
        found.append(Alert(EVENTS[1], model, rate, rules.error_rate, at, said))
    if _above(facts.memory, rules.memory):
        taken, may = (_share(one) for one in (facts.memory, rules.memory))
        said = f"{taken} of the memory is taken, and {may} may be"
        found.append(Alert(EVENTS[2], "", facts.memory, rules.memory, at, said))
    return found


def outcomes(
    connection: "sqlite3.Connection", model: str, now: float
) -> tuple[int, int]:
    """How many of a model's last runs failed, and how many there were: at most ``WINDOW`` of one
    day. What was wrong with a request is no failure of the model."""
    # Newest first; only so many are looked at, whoever's they are.
    sql = """SELECT model, at, error FROM runs WHERE cache IS NULL AND import_id IS NULL
        ORDER BY id DESC LIMIT ?"""
    failed = runs = 0
    with database.errors():
        rows = connection.execute(sql, (20 * WINDOW,))
        for name, at, error in rows:
            if runs == WINDOW or at < now - WINDOW_S:
                break
            if name == model and not is_of_request(error or ""):
                runs, failed = runs + 1, failed + bool(error)
    return failed, runs


def is_of_request(error: str) -> bool:
    """Whether a recorded error says something of the request, and nothing of the model.

    >>> is_of_request("ContextOverflow: too long"), is_of_request("TimedOut: too late")
    (True, False)
    """
    return error.partition(":")[0] in _OF_REQUEST


def record(
    connection: "sqlite3.Connection",
    alerts: Iterable[Alert],
    quiet: float = QUIET_S,
    *,
    withheld: bool = False,
) -> list[Alert]:
    """Keep those that are not repeated too early; these. What is ``withheld`` goes nowhere, and is
    no reason to be quiet once the next one may."""
    kept = []
    with database.errors(), database.transaction(connection):
        for one in alerts:
            sql = "SELECT 1 FROM alerts WHERE event = ? AND model = ? AND at > ? AND at <= ?"
            key = f"alerts.withheld {one.event} {one.model}"
            before = one.at - quiet
            if not withheld and (unheard := database.recall(connection, key)) is not None:
                before = max(before, float(unheard))
                database.remember(connection, key, None)
            since = (one.event, one.model, before, one.at)
            if quiet and connection.execute(sql, since).fetchone():
                continue
            connection.execute(
                "INSERT INTO alerts (event, model, value, bound, at, message)"
                " VALUES (?, ?, ?, ?, ?, ?)", astuple(one),
            )  # fmt: skip
            if withheld:
                database.remember(connection, key, str(one.at))
            kept.append(one)
    return kept


def recent(
    connection: "sqlite3.Connection", *, since: float | None = None, last: int | None = None
) -> list[Alert]:
    """Those that were raised at or after ``since``, newest last."""
    sql = """SELECT event, model, value, bound, at, message FROM alerts WHERE at >= ?
        ORDER BY id DESC LIMIT ?"""
    with database.errors():
        rows = connection.execute(sql, (since or 0.0, -1 if last is None else last)).fetchall()
    return [Alert(*row) for row in reversed(rows)]


def _figure(value: float | None) -> str:
    """A figure without more digits than it takes to compare it.

    >>> _figure(2500.4), _figure(6.1), _figure(0.25), _figure(5.0)
    ('2,500', '6.1', '0.25', '5')
    """
    return f"{value or 0:.2g}" if (value or 0) < 9.95 else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return f"{_figure((value or 0.0) * 100)}%"


def _above(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit
