"""What ``llmrr batch`` does, between the command line and the batch."""

import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, Final, NamedTuple, cast

from llmrr import cluster, parameters, paths
from llmrr.batch import job, ordering
from llmrr.batch.endpoint import EndpointAsker, Place
from llmrr.batch.items import Defaults, shown
from llmrr.batch.local import How, LocalAsker
from llmrr.cli import output, readiness
from llmrr.cli.answers import CLEAR_LINE
from llmrr.errors import UsageError
from llmrr.router import Router

_IN_BODIES: Final = frozenset((
    "temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_penalty", "frequency_penalty",
    "presence_penalty", "seed", "stop", "max_tokens", "ignore_eos",
))  # fmt: skip
MOST_SLOTS: Final = 256
EVERY_S: Final = 0.2  # between two changes of the line that counts


class Asked(NamedTuple):
    """What the command line states."""

    source: str
    target: str
    errors: str | None
    model: str | None
    system: str | None
    options: Sequence[Sequence[str]]
    engine: str | None
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


def tables(parallel: int | None) -> dict[str, Any]:
    """What ``--parallel`` states of the configuration: a model of this machine takes as many."""
    return {} if parallel is None else {"batching": {"max_batch_size": min(parallel, MOST_SLOTS)}}


def run(router: Router, asked: Asked) -> job.Summary:
    """Answer the lines. Raises what ``job.run`` does."""
    _require(asked)
    sampling, loading = parameters.read_options(asked.options)
    stated = _stated(sampling, asked.params)
    if asked.url and (loading or asked.engine):
        raise UsageError(
            "how a model is loaded is the business of the server of --url",
            "leave out --engine, and -o of what it is loaded with",
        )
    work = _job(asked, {**stated, "loading": loading})
    how = How(asked.strategy, asked.cache, asked.log, loading, asked.engine)
    counting = Counting(resumes=work.output is not None)
    defaults = Defaults(asked.model, asked.system, stated)
    try:
        with counting, _terminated(), _answering(router, asked, how, defaults) as answering:
            stdout = output.binary() if work.output is None else None
            return job.run(work, answering, stdout=stdout, told=counting.show)
    except _Terminated:
        raise SystemExit(128 + signal.SIGTERM) from None


def _require(asked: Asked) -> None:
    if asked.json and asked.target == "-":
        raise UsageError("--json prints the summary where OUT - prints the answers", "name OUT")
    if asked.api_key_env and not asked.url:
        raise UsageError("--api-key-env is for --url", "options = { api_key_env = … } of a model")
    if asked.ray and asked.url:
        raise UsageError("--ray and --url exclude each other", "take one of them")
    if asked.replicas and not asked.ray:
        raise UsageError("--replicas is for --ray", "--parallel N says how many lines at once")


def _stated(sampling: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """What bodies that do not state it are given, by OpenAI's names and those of llama-server."""
    for name in sampling:
        if name not in _IN_BODIES:
            raise UsageError(f"-o {name} is stated by the lines", f"{name} in their bodies")
    found = {**sampling, **{name: one for name, one in flags.items() if one is not None}}
    return {name: list(one) if isinstance(one, tuple) else one for name, one in found.items()}


def _job(asked: Asked, stated: Mapping[str, Any]) -> job.Job:
    names = ("model", "system", "strategy", "engine")
    same = {name: getattr(asked, name) for name in names}
    return job.Job(
        None if asked.source == "-" else paths.expanded(asked.source),
        None if asked.target == "-" else paths.expanded(asked.target),
        paths.expanded(asked.errors) if asked.errors else None,
        {**same, "served": asked.url is not None, **stated},  # wherever that is by now
        asked.force,
    )


def finish(summary: job.Summary, *, json: bool) -> None:
    """Tell what came of it. Raises ``CheckFailed`` where lines failed."""
    if summary.repeat:
        output.note(repeated(summary.repeat, summary.repeated))
    if json:
        output.document({**asdict(summary), "lines": summary.done})
    elif not summary.failed:
        output.note(told(summary))
    job.require(summary)


def repeated(first: job.Repeat, count: int) -> str:
    """What is told of ids that come again.

    >>> repeated(job.Repeat("a", 1, 3), 1)
    'line 3 has the custom_id of line 1, "a"'
    >>> repeated(job.Repeat("a", 1, 3), 2000)
    'line 3 has the custom_id of line 1, "a"; 2,000 lines have that of an earlier one'
    """
    said = f"line {first.second} has the custom_id of line {first.first}, {shown(first.custom_id)}"
    return said if count == 1 else f"{said}; {count:,} lines have that of an earlier one"


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
def _answering(
    router: Router, asked: Asked, how: How, defaults: Defaults
) -> Iterator[job.Answering]:
    """What answers lines."""
    threads = asked.parallel or cast(int, router.config.value("batching.max_batch_size"))
    if asked.ray:
        from llmrr.batch import rays

        spec = rays.Spec(cluster.portable(router.config), how, defaults, threads)
        count = cluster.replicas(asked.replicas, router.config)
        with cluster.connected():
            yield partial(rays.in_order, spec, count)
        return
    ask = _asker(router, asked, how)
    work = partial(job.answered, ask=ask, defaults=defaults)
    try:
        yield partial(ordering.in_order, work, threads=threads, weight=job.weight)
    finally:
        ask.close()


def _asker(router: Router, asked: Asked, how: How) -> EndpointAsker | LocalAsker:
    if asked.url is not None:
        return EndpointAsker(Place(asked.url, asked.api_key_env), router.config)
    if asked.model is not None:  # told once, and not for each line
        readiness.require(router, asked.model)
        if not router.chooses(asked.model):
            router.resolve(asked.model)
    return LocalAsker(router.watch_backends(), how, output.note)


class _Terminated(KeyboardInterrupt):
    """SIGTERM."""


@contextmanager
def _terminated() -> Iterator[None]:
    """Have SIGTERM end what is done as Ctrl-C does; a second one ends it at once."""
    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Counting:
    """A line on a terminal's stderr that counts. ``resumes``: what is ended can be gone on with."""

    def __init__(self, *, resumes: bool) -> None:
        self._resumes = resumes
        self._shown, self._at = False, 0.0
        self._wanted = output.moves(sys.stderr)
        self._last: job.Summary | None = None
        self._began = time.monotonic()

    def __enter__(self) -> "Counting":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._shown:
            output.stderr(CLEAR_LINE)
        if self._resumes and kind is not None and issubclass(kind, KeyboardInterrupt):
            done = f"lines answered: {self._last.done:,}" if self._last else "no line was answered"
            output.note(f"{done}; the same command goes on from there")

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
