"""What ``llmrr batch`` does, between the command line and the batch."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, Final, NamedTuple, cast

from llmrr import cluster, paths
from llmrr.batch import job, ordering
from llmrr.batch.endpoint import EndpointAsker, Place
from llmrr.batch.items import Defaults
from llmrr.batch.local import How, LocalAsker
from llmrr.cli import output, readiness
from llmrr.cli.answers import CLEAR_LINE
from llmrr.errors import UsageError
from llmrr.router import Router

EVERY_S: Final = 0.2  # between two changes of the line that counts


class Asked(NamedTuple):
    """What the command line states."""

    source: str
    target: str
    errors: str | None
    model: str | None
    system: str | None
    strategy: str | None
    cache: bool
    log: bool
    parallel: int | None
    url: str | None
    api_key_env: str | None
    ray: bool
    replicas: str | None
    force: bool
    json: bool
    params: Mapping[str, Any]


def run(router: Router, asked: Asked) -> job.Summary:
    """Answer the lines. Raises what ``job.run`` does."""
    if asked.json and asked.target == "-":
        raise UsageError("--json prints the summary where OUT - prints the answers", "name OUT")
    if asked.api_key_env and not asked.url:
        raise UsageError("--api-key-env is for --url", "options = { api_key_env = … } of a model")
    if asked.ray and asked.url:
        raise UsageError("--ray and --url exclude each other", "take one of them")
    if asked.replicas and not asked.ray:
        raise UsageError("--replicas is for --ray", "--parallel N says how many lines at once")
    stated = {name: one for name, one in asked.params.items() if one is not None}
    defaults = Defaults(asked.model, asked.system, stated)
    place = {} if asked.url is None else {"url": asked.url}
    work = job.Job(
        None if asked.source == "-" else paths.expanded(asked.source),
        None if asked.target == "-" else paths.expanded(asked.target),
        paths.expanded(asked.errors) if asked.errors else None,
        {"model": asked.model, "system": asked.system, "strategy": asked.strategy, **stated,
         **place},
        asked.force,
    )  # fmt: skip
    counting = Counting()
    with _answering(router, asked, defaults) as answering, counting:
        stdout = output.binary() if work.output is None else None
        return job.run(work, answering, stdout=stdout, told=counting.show)


def finish(summary: job.Summary, *, json: bool) -> None:
    """Tell what came of it. Raises ``CheckFailed`` where lines failed."""
    if summary.repeated:
        output.note(f"a custom_id stood on an earlier line too: {summary.repeated:,} times")
    if json:
        output.document({**asdict(summary), "lines": summary.done})
    elif not summary.failed:
        output.note(told(summary))
    job.require(summary)


def told(summary: job.Summary) -> str:
    """The summary in words.

    >>> told(job.Summary(3, answered=3, resumed=1, seconds=4.0))
    'lines answered: 3, 1 of them before (0.5 a second)'
    """
    new = summary.done - summary.resumed
    before = f", {summary.resumed:,} of them before" if summary.resumed else ""
    speed = f" ({new / summary.seconds:.1f} a second)" if new and summary.seconds else ""
    return f"lines answered: {summary.answered:,}{before}{speed}"


@contextmanager
def _answering(router: Router, asked: Asked, defaults: Defaults) -> Iterator[job.Answering]:
    """What answers lines."""
    threads = asked.parallel or cast(int, router.config.value("batching.max_batch_size"))
    if asked.ray:
        from llmrr.batch import rays

        spec = rays.Spec(cluster.portable(router.config), _how(asked), defaults, threads)
        count = cluster.replicas(asked.replicas, router.config)
        with cluster.connected():
            yield partial(rays.in_order, spec, count)
        return
    ask = _asker(router, asked)
    work = partial(job.answered, ask=ask, defaults=defaults)
    try:
        yield partial(ordering.in_order, work, threads=threads, weight=job.weight)
    finally:
        ask.close()


def _asker(router: Router, asked: Asked) -> EndpointAsker | LocalAsker:
    if asked.url is not None:
        return EndpointAsker(Place(asked.url, asked.api_key_env), router.config)
    if asked.model is not None:  # told once, and not for each line
        readiness.require(router, asked.model)
        if not router.chooses(asked.model):
            router.resolve(asked.model)
    return LocalAsker(router.watch_backends(), _how(asked))


def _how(asked: Asked) -> How:
    return How(asked.strategy, asked.cache, asked.log)


class Counting:
    """A line on a terminal's stderr that counts."""

    def __init__(self) -> None:
        self._shown, self._at = False, 0.0
        self._wanted = output.moves(sys.stderr)
        self._last: job.Summary | None = None
        self._began = time.monotonic()

    def __enter__(self) -> "Counting":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._shown:
            output.stderr(CLEAR_LINE)
        if kind is KeyboardInterrupt and self._last is not None and self._last.output != "-":
            done = self._last.done
            output.note(f"lines answered: {done:,}; the same command goes on from there")

    def show(self, summary: job.Summary) -> None:
        """So far is it."""
        self._last, now = summary, time.monotonic()
        if self._wanted and now - self._at > EVERY_S:
            self._shown, self._at = True, now
            output.stderr(CLEAR_LINE + _line(summary, now - self._began))


def _line(summary: job.Summary, seconds: float) -> str:
    """What is shown meanwhile.

    >>> _line(job.Summary(10, answered=4, failed=1, resumed=1), 2.0)
    'batch: 5 of 10 lines, 1 failed, 2.0 a second'
    """
    total = "" if summary.lines is None else f" of {summary.lines:,}"
    failed = f", {summary.failed:,} failed" if summary.failed else ""
    speed = (summary.done - summary.resumed) / seconds if seconds > 0 else 0.0
    return f"batch: {summary.done:,}{total} lines{failed}, {speed:.1f} a second"
