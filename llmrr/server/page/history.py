"""What was: runs, what they took by day and by model, what was spent, alerts.

Read by a connection of its own, so that what is recorded meanwhile does not wait.
"""

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmrr import alerts, database, spending, stats, summaries
from llmrr.errors import InvalidRequest, NotFound
from llmrr.server.page import sight
from llmrr.server.service import Service
from llmrr.server.whereabouts import has_path

MOST_DAYS: Final = 366
MOST_RUNS: Final = 200
_NUMBER: Final = re.compile("[0-9]{1,18}")  # SQLite counts no further
_SHOWN: Final = 160  # letters of a prompt in a list
_FIGURES: Final = ("id", "at", "model", "engine", "prompt_tokens", "cached_tokens",
                 "completion_tokens", "load_s", "first_token_s", "total_s", "finish_reason",
                 "error", "cost", "cache")  # fmt: skip


async def respond(request: Request) -> Response:
    """``GET /page/history?days=7``: figures by model and day, with today."""
    days = _whole(request, "days", 7, MOST_DAYS)
    service: Service = request.app.state.service
    budgets = await run_in_threadpool(_budgets, service) if sight.everything() else []
    found = await _read(lambda connection: _figures(connection, days))
    return _answer({**found, "budgets": budgets})


async def respond_runs(request: Request) -> Response:
    """``GET /page/runs?last=50&query=…``: runs, the newest first."""
    last = _whole(request, "last", 50, MOST_RUNS)
    query = request.query_params.get("query", "")[:200] or None
    if query is not None:
        sight.require_words()
    found = await _read(lambda connection: stats.runs(connection, last=last, query=query))
    return _answer({"runs": [_line(one) for one in reversed(found) if sight.model(one.model)]})


async def respond_run(request: Request) -> Response:
    """``GET /page/runs/NUMBER``: one, with its words where they were kept."""
    stated, found = request.path_params["number"], None
    if _NUMBER.fullmatch(stated):
        found = await _read(lambda connection: stats.run(connection, int(stated)))
    if found is None or not sight.model(found.model):
        raise NotFound(f"there is no run {stated[:40]}", "llmrr logs")
    names = ("system", "prompt", "answer")
    words = {name: getattr(found, name) if sight.words() else None for name in names}
    return _answer({**_line(found), **words, "source": sight.source(found.source)})


def _figures(connection: sqlite3.Connection, days: int) -> dict[str, Any]:
    now = time.time()
    since = _midnight(now, days - 1)
    summary, by_day = summaries.daily(connection, since)
    in_all, by_model = spending.spent(connection, spending.day_of(now))
    return {
        "today": spending.day_of(now),
        "from": spending.day_of(since),
        "days": [
            {"day": day, **asdict(one)}
            for day, models in by_day.items() for one in models if sight.model(one.model)
        ],
        "models": [asdict(one) for one in summary.models if sight.model(one.model)],
        "spent": {
            "all": in_all._asdict() if sight.everything() else None,
            "models": {
                name: one._asdict() for name, one in by_model.items() if sight.model(name)
            },
        },
        "alerts": [
            one.facts() for one in reversed(alerts.recent(connection, last=30))
            if sight.model(one.model or None)
        ],
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
    prompt = run.prompt if sight.words() else None
    if prompt is not None and len(prompt) > _SHOWN:
        prompt = prompt[: _SHOWN - 1] + "…"
    found = {**{name: getattr(run, name) for name in _FIGURES}, "prompt": prompt}
    if run.error is not None and not sight.words() and has_path(run.error):
        found["error"] = run.error.partition(":")[0]
    return found


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
