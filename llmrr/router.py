"""The facade: which model a request goes to, and the one path that it takes from there: resolve,
load, stream, record. Also the library's public face.

    >>> from llmrr import Router
    >>> with Router(models=[{"name": "small", "source": "builtin:mini"}]) as router:
    ...     result = router.generate("What is the capital of France?", temperature=0)
    >>> str(result), result.model
    ('The capital of France is Paris.', 'small')
"""

import os
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, Unpack, cast, overload

from llmrr import formats, live, spending, stats
from llmrr.catalogue import Catalogue, Resolved, place
from llmrr.choosing import calls, stating
from llmrr.choosing.answering import Answer
from llmrr.choosing.background import Background
from llmrr.choosing.budgeting import Budgeting
from llmrr.choosing.dispatch import Call, Dispatch, completed
from llmrr.choosing.lookup import Cache
from llmrr.choosing.profiles import Loading
from llmrr.choosing.results import Result, TextStream
from llmrr.choosing.selection import Moment, Selection, Wish
from llmrr.choosing.setup import Setup
from llmrr.choosing.stating import Arguments
from llmrr.choosing.turns import Prompt
from llmrr.choosing.watching import Watch
from llmrr.config import Config
from llmrr.engines import for_endpoint, for_format
from llmrr.engines.base import Model, Options, Stream
from llmrr.engines.chunks import Kept
from llmrr.errors import BadConfig, DoesNotFit, LlmrrError, UsageError
from llmrr.pool import Held, Lease, MemoryUse, Pool, Rules, Wanted, needs
from llmrr.routing import Decision
from llmrr.routing.cache import Stated
from llmrr.settings import REMOTE_OPTIONS
from llmrr.strategies import strategy_warning
from llmrr.types import Endpoint, ModelInfo, Request

if TYPE_CHECKING:
    import sqlite3

    from llmrr.choosing.embedding import Embedded
    from llmrr.description import Description, FitLine
    from llmrr.inventory import Installed

    Work = Callable[[sqlite3.Connection], object]

T = TypeVar("T")

__all__ = ["Answer", "Opened", "Result", "Router", "TextStream"]


UNRECORDED_S: Final = 60.0  # how long a database that could not be used is left alone
_PRUNE_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A loaded model to be used directly. What it answers is not recorded. It stays loaded as long
    as this, or an answer of it, is held and the router is open."""

    resolved: Resolved
    engine: str
    model: Model
    lease: Lease | None = None

    def generate(self, request: Request) -> Stream:
        """Start answering, with the defaults of its recipe, of its author and of llmrr."""
        asked = completed(request, self.resolved, self.model.info.sampling)
        return Kept(self.model.generate(asked), self.lease)


class Router:
    """Models by name, loaded when they are needed, and unloaded as ``[memory]`` says. Every method
    may be called from any thread.

    Without an argument the configuration is the one that holds here. A path names a file in place
    of the project's. Keys and tables of ``llmrr.toml`` may be stated by name, or in a dict, on top
    of that; with ``models`` no file is read. Raises ``BadConfig`` naming what is wrong.

    ``warn`` is told what the user should know and what does not stop the work. ``leave_model`` is
    for a process that ends with the router, after one answer: the system frees a model faster than
    we could.
    """

    def __init__(
        self,
        config: Config | str | PathLike[str] | Mapping[str, Any] | None = None,
        *,
        warn: Callable[[str], None] = lambda text: None,
        leave_model: bool = False,
        **stated: Any,
    ) -> None:
        self._warn, self._leave_model = warn, leave_model
        self._live, self._setup = live.of(config, stated, warn), cast("Setup | None", None)
        self.pool = Pool(self._rules, lives=not leave_model)
        self._connection: sqlite3.Connection | None = None
        self._unrecorded_until = 0.0  # the database could not be used: by ``time.monotonic``
        self._database_lock = threading.RLock()
        self._prunes = 0.0  # when old runs are looked for next
        self._kept: dict[str, str] = {}  # who has answered a conversation
        self._cache = Cache()
        self._background = Background()
        self._told: set[str] = set()

    def __enter__(self) -> "Router":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, LlmrrError):
            self._background.cancel()
        self.close()

    @classmethod
    def from_file(cls, path: str | PathLike[str], **named: Any) -> "Router":
        """With this file in place of the project's ``llmrr.toml``. Raises ``NotFound`` and
        ``BadConfig``."""
        return cls(Path(path), **named)

    @property
    def config(self) -> Config:
        """The configuration that holds now."""
        return self.setup.config

    @property
    def setup(self) -> Setup:
        """The configuration that holds now, with what follows from it; a request keeps the one
        that it began with."""
        config, setup = self._live.current(), self._setup
        if setup is None or setup.config is not config:
            self._setup = setup = Setup(
                config, self.with_database, self.pool.idle_bytes, self.budgeting.now
            )
        return setup

    def update_config(
        self, stated: str | PathLike[str] | Mapping[str, Any] | None = None, /, **named: Any
    ) -> None:
        """Change the configuration of this process, all at once: tables and keys of ``llmrr.toml``,
        or a file in place of the one that holds. The guide's names, blocks and milliseconds are
        understood; None takes back what an earlier call stated. Requests that are under way keep
        what they began with; with ``initialize`` what is to be preloaded is.

        Raises ``BadConfig`` naming the key, and then nothing has changed.

        >>> router = Router(models=[{"name": "small", "source": "builtin:mini"}])
        >>> router.update_config(strategy="random", retry={"attempts": 2})
        >>> router.config.value("strategy"), router.config.value("retry.attempts")
        ('random', 2)
        """
        live.change(self._live, stated, named)

    # -- models --------------------------------------------------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        """The models that can be named here."""
        return self.setup.catalogue

    @property
    def selection(self) -> Selection:
        """The ``[[models]]``, to choose among."""
        return self.setup.selection

    @cached_property
    def budgeting(self) -> Budgeting:
        """``[budgets]``, and what was spent of them."""
        return Budgeting(lambda: self.config, self.with_database, self._warn)

    def resolve(self, name: str | None) -> Resolved:
        """Which model a name means; without one, the one that answers by default. Raises what
        ``Catalogue.resolve`` does."""
        return self.catalogue.resolve(name)

    def chooses(self, name: str | None) -> bool:
        """Whether a name, or none, leaves several models to choose among."""
        return len(self.selection.members(name)) > 1

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

    @cached_property
    def watch(self) -> Watch:
        """``[alerts]``: what follows a run."""
        return Watch(lambda: self.config, self.with_database, self._warn, self.memory)

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
        strategy: str | None = None,
        fallback: Sequence[str] | Literal[False] = (),
        need: Sequence[str] = (),
        deadline: float | None = None,
        user: str | None = None,
        cache: Stated = None,
        models: Sequence[str] = (),
    ) -> Answer:
        """Start answering; what goes wrong before the first token is recorded, and raised where no
        other model is to be asked.

        ``options`` has the names of ``engines.base.Options``; ``engine`` names the one that must
        run it; ``conversation`` is the id that the run is recorded under, a new one where there is
        none; ``progress`` is told how many tokens of the prompt are computed, and how many there
        are. ``strategy``, ``fallback`` and ``need`` stand for the flags of ``llmrr run``,
        ``fallback=False`` for no other model;
        ``deadline`` is in seconds, by default ``[timeouts] total``: after it nothing is tried
        again. ``cache`` stands for ``[cache]``: False neither takes a kept answer nor keeps this
        one, True does also where asking again could give another, as does ``{"enabled": True}``;
        ``{"ttl": 60}`` is how old it may be, in seconds. ``user`` is for whom it is asked, whoever
        that is: a flag that is on for a share of all is on or off for one user. ``models`` are
        those to choose among, all where there are none.
        """
        loading, setup = _loading(options, engine), self.setup
        wish = Wish(
            model, strategy, tuple(fallback or ()), tuple(need), loading, user, tuple(models),
            caches=isinstance(cache, bool), alone=fallback is False,
        )  # fmt: skip
        call = Call(setup, options or {}, engine, conversation, log, deadline, cache)
        moment = self._moment(conversation)
        if sides := setup.selection.sides(wish):
            from llmrr.choosing.sides import ask

            return ask(self, sides, request, wish, call, moment, progress)
        chosen = setup.selection.choose(request, wish, moment)
        self._tell(chosen.flags.notes)
        dispatch = Dispatch(self, chosen, request, call)
        decision = chosen.decision
        if decision is None or decision.strategy != "ensemble":
            return Answer(dispatch.attempts(), progress, decision)
        from llmrr.choosing.ensemble import Ensemble

        judge = cast("str | None", setup.config.value("ensemble.judge"))
        return Ensemble(dispatch, request, decision, chosen.names, judge, progress)

    def route(
        self,
        request: Prompt,
        *,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
        engine: str | None = None,
        strategy: str | None = None,
        fallback: str | Sequence[str] | Literal[False] = (),
        need: str | Sequence[str] = (),
        models: str | Sequence[str] = (),
        user: str | None = None,
        **stated: Any,
    ) -> Decision:
        """The decision that ``run`` would obey, and what it rests on; nothing is run. What else is
        ``stated`` is as ``generate`` takes it.

        >>> with Router(models=[{"name": "small", "source": "builtin:mini"}]) as router:
        ...     router.route("Hello").chosen
        'small'
        """
        setup = self.setup
        asked: dict[str, Any] = dict(
            model=model, options=options, engine=engine, strategy=strategy,
            fallback=fallback if fallback is False else fallback or None,
            need=need or None, models=models or None, user=user,
        )  # fmt: skip
        if not isinstance(request, Request) or stated:
            call = calls.understood(request, {**asked, **stated}, setup.config)
            request, asked = call.request, call.choice
        wish = calls.wish(asked)
        decision: Decision
        if sides := setup.selection.sides(wish):
            from llmrr.choosing.sides import decide

            decision = decide(setup.selection, sides, request, wish, self._moment(None))
        else:
            decision = setup.selection.decide(request, wish, self._moment(None))
        self._tell(decision.flags.notes)
        return decision

    def diagnose(
        self,
        include_metrics: bool = True,
        include_models: bool = True,
        include_cache: bool = True,
        *,
        since: float | str | None = None,
        **camel: bool,
    ) -> dict[str, Any]:
        """How it all is doing, over the runs at or after ``since`` (epoch seconds, or ``"7d"``;
        None is all that are recorded): ``metrics``, ``models`` and ``cache``, as
        ``choosing.diagnosis`` says. The guide's ``includeMetrics``, ``includeModels`` and
        ``includeCache`` are understood too."""
        from llmrr.choosing import diagnosis

        stated = dict(metrics=include_metrics, models=include_models, cache=include_cache)
        return diagnosis.diagnose(self, diagnosis.wanted(stated, camel), since)

    def generate(
        self,
        prompt: Prompt | None = None,
        options: Mapping[str, Any] | None = None,
        /,
        **stated: Unpack[Arguments],
    ) -> Result:
        """The answer to a prompt: a text, or messages with role and content; a template may do
        without. What is stated, by name or in a dict, comes before the configuration.

        Raises ``InvalidRequest`` naming an argument that is wrong, and what ``run`` does;
        ``TimedOut`` where the answer is not complete within ``timeout`` seconds.

        >>> asked = [{"role": "user", "content": "What is the capital of Italy?"}]
        >>> with Router(models=[{"name": "small", "source": "builtin:mini"}]) as router:
        ...     result = router.generate(asked, max_tokens=20, temperature=0)
        >>> result.text, result.metadata.finish_reason
        ('The capital of Italy is Rome.', 'stop')
        """
        return self._stream(prompt, options, stated, streams=False).result

    def generate_stream(
        self,
        prompt: Prompt | None = None,
        options: Mapping[str, Any] | None = None,
        /,
        **stated: Unpack[Arguments],
    ) -> TextStream:
        """The same answer in pieces of text, as they come; the whole of it is its ``result``.

        >>> with Router(models=[{"name": "small", "source": "builtin:mini"}]) as router:
        ...     stream = router.generate_stream("What is the capital of Spain?", temperature=0)
        ...     text = "".join(stream)
        >>> text == stream.result.text
        True
        """
        return self._stream(prompt, options, stated, streams=True)

    @overload
    def embed(  # type: ignore[overload-overlap]
        self, texts: str, *, model: str | None = ..., options: Mapping[str, object] | None = ...,
        engine: str | None = ...,
    ) -> list[float]: ...  # fmt: skip

    @overload
    def embed(
        self, texts: Sequence[str], *, model: str | None = ...,
        options: Mapping[str, object] | None = ..., engine: str | None = ...,
    ) -> list[list[float]]: ...  # fmt: skip

    def embed(
        self,
        texts: str | Sequence[str],
        *,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
        engine: str | None = None,
        **unknown: object,
    ) -> list[float] | list[list[float]]:
        """A vector of length 1 for a text, one per text for several. Without a ``model`` one of the
        configured ones that make vectors is chosen, as for an answer, and another one is asked
        where it fails; the one that is named is tried again, and no other is asked.

        >>> with Router(models=[{"name": "small", "source": "builtin:mini"}]) as router:
        ...     len(router.embed("Hello")), len(router.embed(["Hello", "world"]))
        (256, 2)
        """
        from llmrr.choosing import embedding

        embedding.refuse(unknown)
        if not isinstance(texts, str) and not (texts := embedding.checked(texts)):
            return []
        found = self.embedded(texts, model=model, options=options, engine=engine).vectors
        return found[0] if isinstance(texts, str) else found

    def embedded(
        self,
        texts: str | Sequence[str],
        *,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
        engine: str | None = None,
    ) -> "Embedded":
        """``embed``, with the model that made the vectors and the decision."""
        from llmrr.choosing import embedding

        wanted, setup = embedding.checked(texts), self.setup
        request = embedding.request_of(wanted)
        need = (embedding.NEED,) if setup.selection.members(model) else ()
        wish = Wish(model, None, (), need, _loading(options, engine))
        chosen = setup.selection.choose(request, wish, self._moment(None))
        if model is not None and not need:  # vectors of another one cannot be compared with its own
            chosen = chosen._replace(names=chosen.names[:1])
        call = Call(setup, options or {}, engine, None, True, None, False)
        return embedding.Embedding(Dispatch(self, chosen, request, call), wanted).run()

    def _vectors(self, texts: Sequence[str], model: str, setup: Setup) -> list[list[float]]:
        """One vector per text from a model that is needed besides; nothing of it is recorded."""
        found = setup.catalogue.for_running(setup.catalogue.wanted(model, None))
        with self._open(found, {}, None, setup) as lease:
            return lease.model.embed(texts)

    def open(
        self,
        model: str | None = None,
        *,
        options: Mapping[str, object] | None = None,
        engine: str | None = None,
    ) -> Opened:
        """Load a model to use it directly; it stays loaded as long as what is returned is held."""
        setup = self.setup
        resolved = setup.catalogue.wanted(model, engine)
        lease = self._open(resolved, options or {}, engine, setup)
        return Opened(resolved, lease.about.engine.name, lease.model, lease)

    def close(self) -> None:
        """Free the models, what they are answering too, and the database, after what answers left
        behind has ended. Twice is allowed. A call that comes later opens again what it needs, to be
        closed again."""
        self._background.wait(self._warn)
        self._cache.close()
        self.pool.close(leave=self._leave_model)
        with self._database_lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # -- memory --------------------------------------------------------------------------------

    def initialize(self, options: Mapping[str, object] | None = None) -> "Router":
        """Read the configuration, open the database and, with ``[memory] loading = "preload"``,
        load the models of ``preload``, or without any all ``[[models]]``. What there is no room for
        is left to be loaded when it is asked for, with a warning. ``options`` are those of ``run``,
        which must be the same for what is loaded to be what is used. Raises ``NotFound`` for a name
        that means no model, and what loading it raises."""
        self.with_database(lambda connection: None, "nothing is recorded")
        if self.config.value("memory.loading") == "preload":
            named = cast("tuple[str, ...]", self.config.value("preload"))
            for name in named or [one.name for one in self.config.models]:
                self._preload(name, options or {})
        return self

    def unload_unused(self, idle_s: float | None = None) -> list[str]:
        """Unload the models of this machine that nobody uses, or only those that nobody has used
        for so many seconds; their names."""
        return self.pool.unload_unused(idle_s or 0.0)

    def cleanup(self) -> list[str]:
        """Unload what nobody uses, and forget what is older than ``[stats] retention``; the names
        of what was unloaded."""
        retention = cast("float | None", self.config.value("stats.retention"))
        self.with_database(
            lambda connection: stats.prune(connection, retention, at_once=True),
            "nothing is forgotten",
        )
        return self.unload_unused()

    def loaded(self) -> list[Held]:
        """The models of this machine that are in memory: names, bytes, how many requests use
        them."""
        return self.pool.held()

    def memory(self) -> MemoryUse | None:
        """How much of the memory that this process may use is in use; None where the system does
        not say."""
        return self.pool.use()

    # -- inside --------------------------------------------------------------------------------

    def _stream(
        self,
        prompt: Prompt | None,
        options: Mapping[str, Any] | None,
        stated: Mapping[str, Any],
        *,
        streams: bool,
    ) -> TextStream:
        call = calls.understood(
            prompt, stating.together(options, stated), self.config, streams=streams
        )
        if warning := strategy_warning(call.choice.get("strategy")):
            self._warn(warning)

        def start() -> Answer:
            answer = self.run(call.request, deadline=call.timeout, **call.choice, **call.running)
            answer.held = not streams
            return answer

        return TextStream(start, call.timeout)

    def _open(
        self,
        resolved: Resolved,
        stated: Mapping[str, object],
        wanted: str | None,
        setup: Setup,
        until: float | None = None,
    ) -> Lease:
        """A model to be used; room for it is waited for ``until``, by default as long as for an
        answer."""
        total = cast("float | None", setup.config.value("timeouts.total"))
        if until is None and total is not None:
            until = time.monotonic() + total
        return self.pool.lease(self._wanted(resolved, stated, wanted, setup.config), until)

    def _wanted(
        self, resolved: Resolved, stated: Mapping[str, object], wanted: str | None, config: Config
    ) -> Wanted:
        wanted = wanted or resolved.engine
        called, stated = stated, {**resolved.options, **stated}
        if resolved.endpoint is not None:
            if found := config.untrusted(resolved.name, called):
                raise BadConfig(f"{found}, and nobody agreed to that", "llmrr config trust")
            endpoint, stated = _endpoint(resolved.endpoint, stated, config)
            reached = for_endpoint(endpoint, wanted)
            options = _options(stated)
            load = partial(reached.engine.load, endpoint, options)
            return Wanted(resolved.name, (endpoint, reached.engine.name, options), reached, load)
        _refuse_remote(resolved, stated)
        files = place(resolved)
        named = resolved.label or shlex.quote(str(files.path))
        picked = for_format(files.format, resolved.name, wanted, named)
        own = config.engine_options(picked.engine.name)
        most = 1 if "slots" in stated else self._most_slots(config)
        options = _options({"most_slots": most, **own, **stated})
        return Wanted(
            resolved.name, (files, picked.engine.name, options), picked,
            partial(picked.engine.load, files, options), partial(needs.bytes_of, files, options),
        )  # fmt: skip

    def _most_slots(self, config: Config) -> int:
        """How many requests a model of this machine computes at once."""
        if self._leave_model or not config.value("batching.enabled"):
            return 1
        return cast(int, config.value("batching.max_batch_size"))

    def _rules(self) -> Rules:
        return Rules(**{name: self.config.value(f"memory.{name}") for name in Rules._fields})  # type: ignore[arg-type]

    def _preload(self, name: str, options: Mapping[str, object]) -> None:
        setup = self.setup
        found = setup.catalogue.for_running(setup.catalogue.wanted(name, None))
        try:
            self._open(found, options, None, setup).release()
        except DoesNotFit as error:
            self._warn(f"{name} is not preloaded: {error.message}")

    def _tell(self, notes: Sequence[str]) -> None:
        """Warn of each once."""
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                self._warn(note)

    # -- the record ----------------------------------------------------------------------------

    @property
    def database(self) -> "sqlite3.Connection":
        """The open database. Raises what ``open_database`` does."""
        from llmrr import database

        if self._connection is None:
            self._connection = database.open_database()
        return self._connection

    def with_database(self, work: "Callable[[sqlite3.Connection], T]", loss: str) -> "T | None":
        """Use the database; None after a warning of what is lost: an answer is worth more. It is
        then left alone for a while, as waiting for a lock at every request is no use."""
        if time.monotonic() < self._unrecorded_until:
            return None
        try:
            with self._database_lock:  # transactions of several threads would meet
                if time.monotonic() < self._unrecorded_until:  # who came before waited in vain
                    return None
                return work(self.database)
        except LlmrrError as error:
            self._unrecorded_until = time.monotonic() + UNRECORDED_S
            self._warn(f"{loss}: {error.message}")
            return None

    def _moment(self, conversation: str | None) -> Moment:
        kept = None if conversation is None else self._kept.get(conversation)
        return Moment(int.from_bytes(os.urandom(8)), self.pool.names, self.pool.busy(), kept)

    def _record(
        self, run: stats.Run, log: bool, label: str | None, config: Config,
        outcome: "Work | None" = None,
    ) -> None:  # fmt: skip
        if not log or not config.value("log_prompts"):
            run = replace(run, system=None, prompt=None, answer=None)
        retention = cast("float | None", config.value("stats.retention"))

        def write(connection: "sqlite3.Connection") -> None:
            from llmrr import database

            with database.errors(), database.transaction(connection):
                stats.record(connection, run)
                tokens = run.prompt_tokens + run.completion_tokens
                spending.add(connection, run.at, run.model, run.cost, tokens)
                if outcome is not None:
                    outcome(connection)
                if label is not None:
                    from llmrr.store import records

                    records.touch(connection, label, run.at)
            if time.monotonic() >= self._prunes:
                self._prunes = time.monotonic() + _PRUNE_EVERY_S
                stats.prune(connection, retention)

        self.with_database(write, "nothing is recorded")
        self.watch.after(run)


def _endpoint(
    endpoint: Endpoint, stated: Mapping[str, object], config: Config
) -> tuple[Endpoint, dict[str, object]]:
    """Where a remote model is asked, with the times that are configured and what is stated of
    it; and what else is stated."""
    times: dict[str, object] = {
        ("timeout" if name == "total" else name): config.value(f"timeouts.{name}")
        for name in ("connect", "first_token", "between_tokens", "total")
    }
    own = {name: one for name, one in stated.items() if name in REMOTE_OPTIONS}
    rest = {name: one for name, one in stated.items() if name not in REMOTE_OPTIONS}
    times["env_file"] = config.value("env_file")
    return replace(endpoint, **{**times, **own}), rest  # type: ignore[arg-type]


def _refuse_remote(resolved: Resolved, stated: Mapping[str, object]) -> None:
    for name in stated:
        if name in REMOTE_OPTIONS:
            raise UsageError(
                f"{resolved.name} runs on this machine, and has no {name}", f"leave out {name}"
            )


def _loading(options: Mapping[str, object] | None, engine: str | None) -> Loading:
    context = (options or {}).get("context_size")
    return Loading(engine, context if isinstance(context, int) else None)


def _options(stated: Mapping[str, Any]) -> Options:
    return Options(**{key: value for key, value in stated.items() if value is not None})
