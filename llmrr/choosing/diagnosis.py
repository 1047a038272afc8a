"""How it all is doing: what runs took, the models with what keeps them from answering, the cache.
Facts from the record of runs; unknown is None.

Times are in milliseconds, as the names say. The guide's names stand beside ours where it has some:
``avgLatency``, ``avgLoadTime`` (both in milliseconds) and ``hitRate``.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from llmrr import alerts, database, stats
from llmrr.choosing import health, kept
from llmrr.choosing.budgeting import Budgeting
from llmrr.choosing.profiles import breaker_rules, key_of
from llmrr.choosing.selection import Selection
from llmrr.config import Config
from llmrr.errors import InvalidRequest, Unreachable, UsageError, nearest
from llmrr.kinds import parse_duration
from llmrr.pool import Held
from llmrr.routing.budgets import Budgets
from llmrr.stats import quantile

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

SECTIONS: Final = ("metrics", "models", "cache")
_CAMEL: Final = {f"include{one.capitalize()}": one for one in SECTIONS}
_LOSS: Final = "what runs took is not known"
_CACHE_FACTS: Final = ("hit_rate", "hitRate", "entries", "bytes")
_RUNS: Final = """SELECT model, error IS NOT NULL, CASE WHEN cache IS NULL THEN total_s END, load_s,
    prompt_tokens + completion_tokens, cost FROM runs WHERE at >= ?
    AND import_id IS NULL"""


class Host(Protocol):
    """What a diagnosis needs of the router."""

    @property
    def config(self) -> Config: ...

    @property
    def selection(self) -> Selection: ...

    @property
    def budgeting(self) -> Budgeting: ...

    def loaded(self) -> list[Held]: ...

    def with_database(self, work: "Callable[[sqlite3.Connection], T]", loss: str) -> "T | None": ...


def wanted(stated: Mapping[str, bool], camel: Mapping[str, bool]) -> set[str]:
    """The sections that are asked for; ``camel`` are the guide's names, as ``includeCache``.

    >>> sorted(wanted({"metrics": True, "models": True, "cache": True}, {"includeCache": False}))
    ['metrics', 'models']
    """
    found = dict(stated)
    for name, is_wanted in camel.items():
        if name not in _CAMEL:
            near = nearest(name, _CAMEL)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(_CAMEL)}"
            raise UsageError(f'diagnose takes no "{name}"', hint)
        found[_CAMEL[name]] = is_wanted
    return {name for name, is_wanted in found.items() if is_wanted}


def moment(since: object) -> float | None:
    """The moment (epoch seconds) of an argument: itself, or a time ago. Raises ``InvalidRequest``.

    >>> moment(1e9), time.time() - moment("7d") < 8 * 86400
    (1000000000.0, True)
    """
    if since is None:
        return None
    try:
        found = parse_duration(since)
    except ValueError:
        raise InvalidRequest(
            f"since = {since!r} is neither epoch seconds nor a time ago", 'since="7d"'
        ) from None
    return time.time() - found if isinstance(since, str) else found


def diagnose(host: Host, sections: set[str], since: object = None) -> dict[str, Any]:
    """The sections, over the runs at or after ``since``, a ``moment``; None is all."""
    since = moment(since)
    rows = host.with_database(lambda connection: run_rows(connection, since), _LOSS)
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "metrics": lambda: _metrics(host, rows, since),
        "models": lambda: _models(host, rows or ()),
        "cache": lambda: (
            host.with_database(lambda one: cache_facts(one, since), _LOSS)
            or dict.fromkeys(_CACHE_FACTS)
        ),
    }
    return {name: makers[name]() for name in SECTIONS if name in sections}


def figures(rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """What runs took: (failed, seconds, seconds to load, tokens, dollars) each. An answer of the
    cache took no seconds of a model: None.

    >>> figures([(0, 0.2, 0.0, 10, None), (0, 0.4, 0.0, 10, 0.5), (1, 9.0, 0.0, 0, None)])
    ... # doctest: +NORMALIZE_WHITESPACE
    {'runs': 3, 'errors': 1, 'error_rate': 0.333, 'avg_latency_ms': 300.0, 'p95_latency_ms': 390.0,
     'tokens': 20, 'cost': 0.5}
    """
    taken = [row[1] * 1000 for row in rows if not row[0] and row[1] is not None]
    errors = sum(row[0] for row in rows)
    costs = [row[4] for row in rows if row[4] is not None]
    return {
        "runs": len(rows),
        "errors": errors,
        "error_rate": round(errors / len(rows), 3) if rows else None,
        "avg_latency_ms": _mean(taken),
        "p95_latency_ms": _rounded(quantile(taken, 0.95)),
        "tokens": sum(row[3] for row in rows),
        "cost": sum(costs) if costs else None,
    }


def cache_facts(connection: "sqlite3.Connection", since: float | None = None) -> dict[str, Any]:
    """Of the runs that an answer was looked up for, the share that found one; and what lies in the
    cache."""
    rate, (entries, size) = stats.hit_rate(connection, since), kept.size(connection)
    return dict(zip(_CACHE_FACTS, (rate, rate, entries, size), strict=True))


def run_rows(connection: "sqlite3.Connection", since: float | None) -> list[tuple[Any, ...]]:
    """The model of each run, and what ``figures`` takes."""
    with database.errors():
        return connection.execute(_RUNS, (since or 0.0,)).fetchall()


def _metrics(
    host: Host, rows: Sequence[tuple[Any, ...]] | None, since: float | None
) -> dict[str, Any]:
    by_model: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows or ():
        by_model.setdefault(row[0], []).append(row[1:])
    found = figures([row[1:] for row in rows or ()])
    if rows is None:
        found = dict.fromkeys(found)
    raised = host.with_database(
        lambda connection: alerts.recent(connection, since=since, last=10), _LOSS
    )
    return {
        **found,
        "avgLatency": found["avg_latency_ms"],
        "by_model": {name: figures(of_model) for name, of_model in sorted(by_model.items())},
        "budgets": _budgets(host.budgeting.now()),
        "alerts": None if raised is None else [one.facts() for one in raised],
    }


def _budgets(budgets: Budgets | None) -> list[dict[str, Any]]:
    if budgets is None:
        return []
    uses = [*budgets.uses("", None, 0)]
    for name in budgets.own:
        uses += [use for use in budgets.uses(name, None, 0) if use.of == name]
    return [
        {
            "budget": use.key, "model": use.of, "limit": use.limit,
            "spent": use.spent if budgets.is_known else None,
            "under_way": use.under_way,
            "share": round(use.spent / use.limit, 3) if use.limit and budgets.is_known else None,
            "resets": use.resets.isoformat(),
        }
        for use in uses
    ]  # fmt: skip


def _models(host: Host, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    config = host.config
    loads: dict[str, list[float]] = {}
    for row in rows:
        if row[3]:
            loads.setdefault(row[0], []).append(row[3] * 1000)
    known = host.with_database(
        lambda connection: health.read(
            connection, map(key_of, config.models), breaker_rules(config)
        ), _LOSS,
    )  # fmt: skip
    problems = {one.name: host.selection.profiles.problem(one) for one in config.models}
    average = _mean([one for times in loads.values() for one in times])
    return {
        "configured": [one.name for one in config.models],
        "loaded": sorted({one.name for one in host.loaded()}),
        "avg_load_ms": average,
        "avgLoadTime": average,
        "load_ms": {name: _mean(times) for name, times in sorted(loads.items())},
        "breakers_open": None if known is None else [
            one.name for one in config.models
            if (found := known.get(key_of(one))) is not None and found.closed_at is not None
        ],
        "missing_keys": [
            name for name, problem in problems.items() if isinstance(problem, Unreachable)
        ],
        "blocked": {name: one.message for name, one in problems.items() if one is not None},
    }  # fmt: skip


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return _rounded(sum(found) / len(found)) if found else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
