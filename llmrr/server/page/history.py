"""What was: runs, what they took by day and by model, what was spent, alerts.

Read by a connection of its own, so that what is recorded meanwhile does not wait.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmrr import alerts, database, spending, stats
from llmrr.errors import InvalidRequest, NotFound
from llmrr.server.service import Service

MOST_DAYS: Final = 366
MOST_RUNS: Final = 200
_SHOWN: Final = 160  # letters of a prompt in a list
_FACTS: Final = ("id", "at", "model", "engine", "prompt_tokens", "cached_tokens",
                 "completion_tokens", "load_s", "first_token_s", "total_s", "finish_reason",
                 "error", "cost", "cache")  # fmt: skip


async def respond(request: Request) -> Response:
    """``GET /page/history?days=7``: figures by model and day, with today."""
    days = _whole(request, "days", 7, MOST_DAYS)
    service: Service = request.app.state.service
    budgets = await run_in_threadpool(_budgets, service)
    found = await _read(lambda connection: _figures(connection, days))
    return _answer({**found, "budgets": budgets})


async def respond_runs(request: Request) -> Response:
    """``GET /page/runs?last=50&query=…``: runs, the newest first."""
    last = _whole(request, "last", 50, MOST_RUNS)
    query = request.query_params.get("query", "")[:200] or None
    found = await _read(lambda connection: stats.runs(connection, last=last, query=query))
    return _answer({"runs": [_line(one) for one in reversed(found)]})


async def respond_run(request: Request) -> Response:
    """``GET /page/runs/NUMBER``: one, with its words where they were kept."""
    number = int(request.path_params["number"])
    found = None
    if number < 2**63:  # what SQLite counts to
        found = await _read(lambda connection: stats.run(connection, number))
    if found is None:
        raise NotFound(f"there is no run {number}", "llmrr logs")
    return _answer({**_line(found), "system": found.system, "prompt": found.prompt,
                    "answer": found.answer, "source": found.source})  # fmt: skip


def _figures(connection: sqlite3.Connection, days: int) -> dict[str, Any]:
    now = time.time()
    since = _midnight(now, days - 1)
    summary, by_day = stats.daily(connection, since)
    in_all, by_model = spending.spent(connection, spending.day_of(now))
    return {
        "today": spending.day_of(now),
        "from": spending.day_of(since),
        "days": [
            {"day": day, **asdict(one)} for day, models in by_day.items() for one in models
        ],
        "models": [asdict(one) for one in summary.models],
        "spent": {"all": in_all._asdict(),
                  "models": {name: one._asdict() for name, one in by_model.items()}},
        "alerts": [one.facts() for one in reversed(alerts.recent(connection, last=30))],
    }  # fmt: skip


def _midnight(now: float, days_ago: int) -> float:
    """When a local day began."""
    parts = time.localtime(now)
    return time.mktime((parts.tm_year, parts.tm_mon, parts.tm_mday - days_ago, 0, 0, 0, 0, 0, -1))


def _budgets(service: Service) -> list[dict[str, Any]]:
    found = service.router.diagnose(include_models=False, include_cache=False, since=time.time())
    budgets: list[dict[str, Any]] = found["metrics"]["budgets"]
    return budgets


def _line(run: stats.Run) -> dict[str, Any]:
    """A line of the list; its words are None where they were not kept."""
    prompt = run.prompt
    if prompt is not None and len(prompt) > _SHOWN:
        prompt = prompt[: _SHOWN - 1] + "…"
    return {**{name: getattr(run, name) for name in _FACTS}, "prompt": prompt}


def _whole(request: Request, name: str, default: int, most: int) -> int:
    """A whole number of the query."""
    stated = request.query_params.get(name)
    if stated is None:
        return default
    if not (stated.isascii() and stated.isdecimal() and 1 <= int(stated[:9]) <= most):
        raise InvalidRequest(f"{name}={stated[:40]} is no whole number from 1 to {most}")
    return int(stated[:9])


async def _read(work: Callable[[sqlite3.Connection], Any]) -> Any:
    def read() -> Any:
        with closing(database.open_database()) as connection:
            return work(connection)

    return await run_in_threadpool(read)


def _answer(found: dict[str, Any]) -> Response:
    return JSONResponse(found, headers={"cache-control": "no-store"})
