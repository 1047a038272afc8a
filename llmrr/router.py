"""The facade: which model a request goes to, and the one path that it takes from there: resolve,
load, stream, record. Also the library's public face.

    >>> from llmrr import Router
    >>> with Router(models=[{"name": "small", "source": "builtin:mini"}]) as router:
    ...     result = router.generate("What is the capital of France?", temperature=0)
    >>> str(result), result.model
    ('The capital of France is Paris.', 'small')
"""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from llmrr import formats, live, stats
from llmrr.catalogue import Catalogue, Resolved, place
from llmrr.choosing import calls, starting, stating, values
from llmrr.choosing.answering import Answer
from llmrr.choosing.budgeting import Budgeting
from llmrr.choosing.dispatch import Call
from llmrr.choosing.host import Host
from llmrr.choosing.opening import Opened
from llmrr.choosing.profiles import Loading
from llmrr.choosing.results import Result, TextStream
from llmrr.choosing.selection import Selection
from llmrr.choosing.setup import Setup
from llmrr.choosing.stating import Arguments
from llmrr.choosing.turns import Prompt
from llmrr.choosing.watching import Watch
from llmrr.choosing.wishes import Wish
from llmrr.config import Config
from llmrr.errors import LlmrrError
from llmrr.pool import Held, MemoryUse, Pool
from llmrr.routing import Decision
from llmrr.routing.cache import Stated
from llmrr.strategies import strategy_warning
from llmrr.types import ModelInfo, Request

if TYPE_CHECKING:
    import sqlite3

    from llmrr.choosing.embedding import Embedded
    from llmrr.description import Description, FitLine
    from llmrr.engines.base import Text
    from llmrr.inventory import Installed

T = TypeVar("T")

__all__ = ["Answer", "Opened", "Result", "Router", "TextStream"]


class Router:
    """Models by name, loaded when they are needed, and unloaded as ``[memory]`` says. Every method
    may be called from any thread.

    Without an argument the configuration is the one that holds here. A path names a file in place
    of the project's. Keys and tables of ``llmrr.toml`` may be stated by name, or in a dict, on top
    of that and of the environment, MIGRATION_MODE and the FF_… of flags apart, which hold over it;
    with ``models`` no file is read. Raises ``BadConfig`` naming what is wrong.

    ``warn`` is told what the user should know and what does not stop the work. ``leave_model`` is
    for a process that ends with the router, after one answer: the system frees a model faster than
    we could. ``warm`` is for commands: models are used that another process of this user has
    loaded, and one that was loaded here is left to a process that lives for ``keepalive``.
    """

    def __init__(
        self,
        config: Config | str | PathLike[str] | Mapping[str, Any] | None = None,
        *,
        warn: Callable[[str], None] = lambda text: None,
        leave_model: bool = False,
        warm: bool = False,
        **stated: Any,
    ) -> None:
        self._host = Host(
            live.of(config, stated, warn), warn, leave_model=leave_model, warm=warm
        )

    def __enter__(self) -> "Router":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, LlmrrError):
            self._host.background.cancel()
        self.close()
        if kind is None and self._host.warm is not None:
            self._host.warm.leave()

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
        return self._host.setup

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
        live.change(self._host.live, stated, named)

    def require(self, check: Callable[[Config], None]) -> None:
        """From now on changed files are in use only where ``check`` raises no ``LlmrrError`` of
        what they state."""
        self._host.live.require(check)

    def reload(self) -> None:
        """Read the files of the configuration again, at once; else that happens within a second of
        their change. What cannot be used is told to ``warn``, and what held stays in use."""
        self._host.live.reload()

    @property
    def pool(self) -> Pool:
        """The models that are in memory."""
        return self._host.pool

    # -- models --------------------------------------------------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        """The models that can be named here."""
        return self.setup.catalogue

    @property
    def selection(self) -> Selection:
        """The ``[[models]]``, to choose among."""
        return self.setup.selection

    @property
    def budgeting(self) -> Budgeting:
        """``[budgets]``, and what was spent of them."""
        return self._host.budgeting

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

    @property
    def watch(self) -> Watch:
        """``[alerts]``: what follows a run."""
        return self._host.watch

    def watch_backends(self) -> "Router":
        """Look in the background, until the router is closed, whether the servers behind
        ``[[models]]`` with a ``base_url`` are up: every ``[health] interval``."""
        self._host.backends.watch()
        return self

    def gather_runs(self) -> "Router":
        """Write down runs that end together in one go, perhaps a moment after their answers: for
        who answers many, and waits until it is done ``when_recorded``."""
        self._host.gathers = True
        return self

    def when_recorded(self, then: Callable[[], None]) -> None:
        """Do something once all runs that have ended are written down: at once, or on the thread
        that is writing."""
        self._host.record.when_written(then)

    def flush(self) -> None:
        """Wait until all runs that have ended are written down."""
        self._host.record.flush()

    def for_others(self) -> "Router":
        """Write down of what is asked no words, unless ``[serve] log_requests`` wants them: they
        are those of others."""
        self._host.record.for_others = True
        return self

    def down(self) -> "Mapping[str, LlmrrError]":
        """The ``[[models]]`` whose server is known to be down, and why."""
        return self._host.backends.down(self.config.models)

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
        """Start answering; what goes wrong before the first token is recorded, unless llmrr itself
        refused, and raised where no other model is to be asked.

        ``options`` has the names of ``engines.base.Options``; ``engine`` names the one that must
        run it; ``conversation`` is the id that the run is recorded under, a new one where there is
        none: the model that has answered it goes on with it, unless a strategy is stated;
        ``progress`` is told how many tokens of the prompt are computed, and how many there are.
        ``strategy``, ``fallback`` and ``need`` stand for the flags of ``llmrr run``,
        ``fallback=False`` for no other model;
        ``deadline`` is in seconds, by default ``[timeouts] total``: after it nothing is tried
        again. ``cache`` stands for ``[cache]``: False neither takes a kept answer nor keeps this
        one, True does also where asking again could give another, as does ``{"enabled": True}``;
        ``{"ttl": 60}`` is how old it may be, in seconds. ``user`` is for whom it is asked, whoever
        that is: a flag that is on for a share of all is on or off for one user. ``models`` are
        those to choose among, all where there are none.
        """
        values.require_running(conversation, log)
        wish = Wish(
            model, strategy, tuple(fallback or ()), tuple(need), Loading.of(options, engine), user,
            tuple(models), caches=isinstance(cache, bool), alone=fallback is False,
        )  # fmt: skip
        call = Call(self.setup, options or {}, engine, conversation, log, deadline, cache)
        return starting.start(self._host, request, wish, call, progress)

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
        return starting.decided(self._host, request, calls.wish(asked), setup)

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
        if not (wanted := embedding.checked(texts)):
            return []
        found = self.embedded(wanted, model=model, options=options, engine=engine).vectors
        return found[0] if isinstance(texts, str) else found

    def embedded(
        self,
        texts: "str | Sequence[Text]",
        *,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
        engine: str | None = None,
        cuts: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> "Embedded":
        """``embed``, with the model that made the vectors, the decision and what it took; a text
        may be a tuple of its token ids. With ``cuts`` one that is too long loses its end. Raises
        ``KeyboardInterrupt`` soon after it is ``stopped``."""
        from llmrr.choosing import embedding

        return embedding.embedded(
            self._host, texts, model=model, options=options, engine=engine, cuts=cuts,
            stopped=stopped,
        )  # fmt: skip

    def open(
        self,
        model: str | None = None,
        *,
        options: Mapping[str, object] | None = None,
        engine: str | None = None,
    ) -> Opened:
        """Load a model to use it directly; it stays loaded as long as what is returned is held."""
        setup = self.setup
        resolved = setup.catalogue.for_running(setup.catalogue.wanted(model, engine))
        lease = self._host.open(resolved, options or {}, engine, setup)
        return Opened(resolved, lease.about.engine.name, lease.model, lease)

    def close(self) -> None:
        """Free the models, what they are answering too, and the database, after what answers left
        behind has ended. Twice is allowed. A call that comes later opens again what it needs, to be
        closed again."""
        self._host.close()

    # -- memory --------------------------------------------------------------------------------

    def initialize(self, options: Mapping[str, object] | None = None) -> "Router":
        """Read the configuration, open the database and, with ``[memory] loading = "preload"``,
        load the models of ``preload``, or without any all ``[[models]]``. What there is no room for
        is left to be loaded when it is asked for, with a warning. ``options`` are those of ``run``,
        which must be the same for what is loaded to be what is used. Raises ``NotFound`` for a name
        that means no model, and what loading it raises."""
        self.with_database(lambda connection: None, "nothing is recorded")
        self._host.preload(options or {})
        return self

    def unload_unused(self, idle_s: float | None = None) -> list[str]:
        """Unload the models of this machine that nobody uses, or only those that nobody has used
        for so many seconds; their names."""
        return self._host.pool.unload_unused(idle_s or 0.0)

    def cleanup(self) -> list[str]:
        """Unload what nobody uses, and forget what is older than ``[stats] retention``; the names
        of what was unloaded."""
        self._host.record.forget(self.config)
        return self.unload_unused()

    def loaded(self) -> list[Held]:
        """The models of this machine that are in memory: names, bytes, how many requests use
        them."""
        return self._host.pool.held()

    def memory(self) -> MemoryUse | None:
        """How much of the memory that this process may use is in use; None where the system does
        not say."""
        return self._host.pool.use()

    # -- the record ----------------------------------------------------------------------------

    @property
    def database(self) -> "sqlite3.Connection":
        """The open database, with all runs that have ended. Raises what ``open_database`` does.
        """
        return self._host.record.database

    def with_database(self, work: "Callable[[sqlite3.Connection], T]", loss: str) -> "T | None":
        """Use the database, with all runs that have ended; None after a warning of what is lost. It
        is then left alone for a while."""
        return self._host.with_database(work, loss)

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
            self._host.tell([warning])

        def start() -> Answer:
            answer = self.run(call.request, deadline=call.timeout, **call.choice, **call.running)
            answer.held = not streams
            return answer

        return TextStream(start, call.timeout)
