"""The facade: which model a request goes to, and the one path that it takes from there: resolve,
load, stream, record. Also the library's public face.

    >>> from llmrr import Message, Request, Router           # doctest: +SKIP
    >>> with Router() as router:                             # doctest: +SKIP
    ...     answer = router.run(Request(messages=(Message("user", "Hello"),)))
    ...     print("".join(chunk.text for chunk in answer))
"""

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llmrr import formats, stats
from llmrr.catalogue import Catalogue, Resolved, place
from llmrr.config import Config
from llmrr.engines import Picked, Reached, for_endpoint, for_format
from llmrr.engines.base import Model, Options, Stream
from llmrr.errors import BadConfig, LlmrrError, UsageError
from llmrr.settings import REMOTE_OPTIONS
from llmrr.types import (
    DEFAULT_SAMPLING,
    Chunk,
    Endpoint,
    FinishReason,
    Message,
    ModelInfo,
    Request,
    Sampling,
    Usage,
)

if TYPE_CHECKING:
    import sqlite3

    from llmrr.description import Description, FitLine
    from llmrr.inventory import Installed

T = TypeVar("T")

_PROGRESS_EVERY = 0.1  # seconds

# What a model was loaded from, the engine's name, and how.
_Key = tuple[Path | Endpoint, str, Options]


class Answer(Iterator[Chunk]):
    """An answer under way: iterate its chunks. It is recorded when it ends, however it ends.
    ``runs`` says why this engine, and what computes."""

    def __init__(
        self,
        stream: Stream,
        model: Resolved,
        engine: str,
        runs: str,
        record: Callable[["Answer", BaseException | None], None],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.model, self.engine, self.runs, self.notes = model, engine, runs, stream.notes
        self.usage: Usage | None = None
        self.finish_reason: FinishReason | None = None
        self.text = ""
        self._stream, self._progress = stream, progress
        self._record: Callable[[Answer, BaseException | None], None] | None = record
        self._parts: list[str] = []

    def __next__(self) -> Chunk:
        try:
            if self._progress is not None and not self._parts:
                self._watch(self._progress)
            chunk = next(self._stream)
        except StopIteration:
            self._end(None)
            raise
        except KeyboardInterrupt:
            self.close()
            raise
        except BaseException as error:
            self.cancel()
            self._end(error)
            raise
        self._note(chunk)
        if chunk.usage is not None:
            self._end(None)
        return chunk

    @property
    def context_size(self) -> int | None:
        """Tokens of context that the engine took for it."""
        return self._stream.context_size

    def cancel(self) -> None:
        """Stop it, from any thread; what has come remains."""
        self._stream.cancel()

    def close(self) -> None:
        """Stop it if it still runs, and record it. For the thread that iterates; never raises."""
        if self._record is None:
            return
        self.cancel()
        try:
            for rest in self._stream:  # it comes to its end within a step, and says what it took
                self._note(rest)
        except Exception as error:
            self._end(error)
        self._end(None)

    def _note(self, chunk: Chunk) -> None:
        if chunk.index == 0:
            self._parts.append(chunk.text)
            self.finish_reason = chunk.finish_reason or self.finish_reason
        self.usage = chunk.usage or self.usage

    def _watch(self, progress: Callable[[int, int], None]) -> None:
        while not self._stream.ready(_PROGRESS_EVERY):
            progress(*self._stream.progress)

    def _end(self, error: BaseException | None) -> None:
        record, self._record = self._record, None
        if record is not None:
            self.text = "".join(self._parts)
            record(self, error)


@dataclass(frozen=True, slots=True)
class Opened:
    """A loaded model to be used directly. What it answers is not recorded."""

    resolved: Resolved
    engine: str
    model: Model

    def generate(self, request: Request) -> Stream:
        """Start answering, with the defaults of its recipe, of its author and of llmrr."""
        return self.model.generate(
            _completed(request, self.resolved, self.model.info.sampling)
        )


class Router:
    """Models by name, loaded when they are needed; one stays loaded until another one is asked for.

    ``warn`` is told what the user should know and what does not stop the work. ``leave_model`` is
    for a process that ends with the router: the system frees a model faster than we could.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        warn: Callable[[str], None] = lambda text: None,
        leave_model: bool = False,
    ) -> None:
        self._given, self._warn, self._leave_model = config, warn, leave_model
        self._loaded: tuple[_Key, Model, Picked | Reached] | None = None
        self._connection: sqlite3.Connection | None = None
        self._unrecorded = False  # the database could not be used

    def __enter__(self) -> "Router":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def config(self) -> Config:
        """The configuration that holds here."""
        if self._given is not None:
            return self._given
        from llmrr import config

        loaded = config.load()
        for warning in loaded.warnings:
            self._warn(warning)
        return loaded

    # -- models --------------------------------------------------------------------------------

    @cached_property
    def catalogue(self) -> Catalogue:
        """The models that can be named here."""
        return Catalogue(lambda: self.config, self.with_database)

    def resolve(self, name: str | None) -> Resolved:
        """Which model a name means; without one, the one that answers by default. Raises what
        ``Catalogue.resolve`` does."""
        return self.catalogue.resolve(name)

    def is_model(self, word: str) -> bool:
        """May this word of a command line be a model's name?"""
        return self.catalogue.is_model(word)

    def models(self, *, others: bool = False) -> "list[Installed]":
        """The models that can be named, ``builtin:mini`` last; with ``others`` also those that only
        other tools have."""
        from llmrr import inventory

        loss = "installed models are not known"
        used = self.with_database(stats.last_used, loss) or {}
        return inventory.models(self.catalogue, self.config, used, others=others)

    def info(self, name: str | None = None) -> ModelInfo:
        """What a model's own files say about it. Raises ``Unsupported`` for a remote one."""
        return formats.inspect(place(self.resolve(name)).path)

    def describe(self, name: str | None = None) -> "Description":
        """Everything that is known of a model, also of one that nothing here runs."""
        from llmrr import description

        return description.describe(self.catalogue, name)

    def fit(
        self,
        name: str | None = None,
        *,
        context: int | None = None,
        kv_type: str = "f16",
        token: str | None = None,
    ) -> "list[FitLine]":
        """What a model takes on this machine; of a repository that is not here, each quantization.
        """
        from llmrr import description

        return description.fit(
            self.catalogue, name, context=context, kv_type=kv_type, token=token
        )

    # -- work ----------------------------------------------------------------------------------

    def run(
        self,
        request: Request,
        *,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
        engine: str | None = None,
        conversation: str | None = None,
        log: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Answer:
        """Start answering; what goes wrong before the first token is recorded and raised.

        ``options`` has the names of ``engines.base.Options``; ``engine`` names the one that must
        run it; ``conversation`` is the id that the
        run is recorded under, a new one where there is none; ``progress`` is told how many tokens
        of the prompt are computed, and how many there are.
        """
        resolved = self.catalogue.for_running(self._found(model, engine))
        record = self._recorder(request, conversation, log)
        try:
            loaded, picked = self._open(resolved, options or {}, engine)
            request = _completed(request, resolved, loaded.info.sampling)
            stream = loaded.generate(request)
        except (LlmrrError, KeyboardInterrupt) as error:
            record(resolved, None, error)
            raise
        return Answer(
            stream,
            resolved,
            picked.engine.name,
            "; on ".join(filter(None, (picked.why, loaded.where))),
            lambda answer, error: record(resolved, answer, error),
            progress,
        )

    def embed(
        self,
        texts: Sequence[str],
        *,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
        engine: str | None = None,
    ) -> list[list[float]]:
        """One vector of length 1 per text."""
        found = self.catalogue.for_running(self._found(model, engine))
        loaded, _ = self._open(found, options or {}, engine)
        return loaded.embed(texts)

    def open(
        self,
        model: str | None = None,
        *,
        options: Mapping[str, object] | None = None,
        engine: str | None = None,
    ) -> Opened:
        """Load a model to use it directly; it stays loaded until another one is asked for."""
        resolved = self._found(model, engine)
        loaded, picked = self._open(resolved, options or {}, engine)
        return Opened(resolved, picked.engine.name, loaded)

    def close(self) -> None:
        """Free the model and the database. Twice is allowed."""
        if self._loaded is not None and not self._leave_model:
            self._loaded[1].close()
        self._loaded = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- inside --------------------------------------------------------------------------------

    def _found(self, model: str | None, engine: str | None) -> Resolved:
        found = self.resolve(model)
        return self.catalogue.served(found) if engine == "ollama" else found

    def _open(
        self, resolved: Resolved, stated: Mapping[str, object], wanted: str | None
    ) -> tuple[Model, Picked | Reached]:
        wanted = wanted or resolved.engine
        called, stated = stated, {**resolved.recipe.options, **stated}
        picked: Picked | Reached
        load: Callable[[], Model]
        if resolved.endpoint is not None:
            if found := self.config.untrusted(resolved.name, called):
                raise BadConfig(f"{found}, and nobody agreed to that", "llmrr config trust")
            endpoint, stated = self._endpoint(resolved.endpoint, stated)
            picked = reached = for_endpoint(endpoint, wanted)
            options = _options(stated)
            key: _Key = (endpoint, picked.engine.name, options)
            load = partial(reached.engine.load, endpoint, options)
        else:
            _refuse_remote(resolved, stated)
            files = place(resolved)
            named = resolved.label or shlex.quote(str(files.path))
            picked = local = for_format(files.format, resolved.name, wanted, named)
            options = _options({**self.config.engine_options(picked.engine.name), **stated})
            key = (files.path, picked.engine.name, options)
            load = partial(local.engine.load, files, options)
        if self._loaded is not None:
            if self._loaded[0] == key:
                return self._loaded[1:]
            self._loaded[1].close()
            self._loaded = None
        model = load()
        self._loaded = (key, model, picked)
        return model, picked

    def _endpoint(
        self, endpoint: Endpoint, stated: Mapping[str, object]
    ) -> tuple[Endpoint, dict[str, object]]:
        """Where a remote model is asked, with the times that are configured and what is stated of
        it; and what else is stated."""
        times: dict[str, object] = {
            ("timeout" if name == "total" else name): self.config.value(f"timeouts.{name}")
            for name in ("connect", "first_token", "between_tokens", "total")
        }
        own = {name: one for name, one in stated.items() if name in REMOTE_OPTIONS}
        rest = {name: one for name, one in stated.items() if name not in REMOTE_OPTIONS}
        return replace(endpoint, **{**times, **own}), rest  # type: ignore[arg-type]

    # -- the record ----------------------------------------------------------------------------

    @property
    def database(self) -> "sqlite3.Connection":
        """The open database. Raises what ``open_database`` does."""
        from llmrr import database

        if self._connection is None:
            self._connection = database.open_database()
        return self._connection

    def with_database(self, work: "Callable[[sqlite3.Connection], T]", loss: str) -> "T | None":
        """Use the database; None after one warning of what is lost: an answer is worth more."""
        if self._unrecorded:
            return None
        try:
            return work(self.database)
        except LlmrrError as error:
            self._unrecorded = True
            self._warn(f"{loss}: {error.message}")
            return None

    def _recorder(
        self, request: Request, conversation: str | None, log: bool
    ) -> Callable[[Resolved, Answer | None, BaseException | None], None]:
        began = time.time()

        def record(resolved: Resolved, answer: Answer | None, error: BaseException | None) -> None:
            run = _run_of(request, resolved, answer, error, began, conversation)
            self._record(run, log, resolved.label)

        return record

    def _record(self, run: stats.Run, log: bool, label: str | None) -> None:
        if not log or not self.config.value("log_prompts"):
            run = replace(run, system=None, prompt=None, answer=None)
        retention = cast("float | None", self.config.value("stats.retention"))

        def write(connection: "sqlite3.Connection") -> None:
            stats.record(connection, run)
            stats.prune(connection, retention)
            if label is not None:
                from llmrr.store import records

                records.touch(connection, label, run.at)

        self.with_database(write, "nothing is recorded")


def _refuse_remote(resolved: Resolved, stated: Mapping[str, object]) -> None:
    for name in stated:
        if name in REMOTE_OPTIONS:
            raise UsageError(
                f"{resolved.name} runs on this machine, and has no {name}", f"leave out {name}"
            )


def _completed(request: Request, resolved: Resolved, model: Sampling) -> Request:
    """With the defaults of the configuration, of the model's author and of llmrr, in that order. A
    provider has defaults of its own."""
    recipe = resolved.recipe
    sampling = request.sampling.over(recipe.params).over(model)
    if resolved.endpoint is None:
        sampling = sampling.over(DEFAULT_SAMPLING)
    messages = request.messages
    if messages and messages[0].role == "system":
        messages = (messages[0], *recipe.messages, *messages[1:])
    elif messages:
        system = (Message("system", recipe.system),) if recipe.system else ()
        messages = (*system, *recipe.messages, *messages)
    return replace(request, sampling=sampling, messages=messages)


def _options(stated: Mapping[str, Any]) -> Options:
    return Options(**{key: value for key, value in stated.items() if value is not None})


def _run_of(
    request: Request,
    resolved: Resolved,
    answer: Answer | None,
    error: BaseException | None,
    began: float,
    conversation: str | None,
) -> stats.Run:
    usage = (answer.usage if answer else None) or Usage(total_s=time.time() - began)
    system = next((one.content for one in request.messages if one.role == "system"), None)
    said = request.messages[-1].content if request.messages else request.prompt
    return stats.Run(
        id=None,
        at=began,
        model=resolved.name,
        source=resolved.source,
        engine=answer.engine if answer else "",
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        load_s=usage.load_s,
        first_token_s=usage.first_token_s,
        total_s=usage.total_s,
        finish_reason=answer.finish_reason if answer else _interrupted(error),
        error=f"{type(error).__name__}: {error}" if isinstance(error, Exception) else None,
        conversation=conversation or _new_conversation(began),
        system=system,
        prompt=said,
        answer=answer.text if answer else None,
    )


def _interrupted(error: BaseException | None) -> str | None:
    return "cancelled" if isinstance(error, KeyboardInterrupt) else None


def _new_conversation(began: float) -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(began))}-{os.urandom(2).hex()}"
