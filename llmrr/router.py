"""The facade: which model a request goes to, and the one path that it takes from there: resolve,
load, stream, record. Also the library's public face.

    >>> from llmrr import Message, Request, Router           # doctest: +SKIP
    >>> with Router() as router:                             # doctest: +SKIP
    ...     answer = router.run(Request(messages=(Message("user", "Hello"),)))
    ...     print("".join(chunk.text for chunk in answer))
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llmrr import paths, stats
from llmrr.config import Config
from llmrr.engines import for_format
from llmrr.engines.base import Engine, Model, Options, Stream
from llmrr.errors import LlmrrError, NotFound, Unsupported
from llmrr.kinds import nearest, split_source
from llmrr.types import (
    DEFAULT_SAMPLING,
    Chunk,
    FinishReason,
    Message,
    ModelFiles,
    ModelInfo,
    Request,
    Sampling,
    Usage,
)

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

BUILTIN = "builtin:mini"
_PROGRESS_EVERY = 0.1  # seconds
_READABLE = ("file", "builtin")  # providers of sources that this version runs


@dataclass(frozen=True, slots=True)
class Resolved:
    """Which model answers, and why. ``stated`` is False when nobody named it."""

    name: str
    source: str
    path: Path
    stated: bool
    why: str
    params: Sampling = field(default_factory=Sampling)
    system: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Installed:
    """A line of ``list``. Bytes are those of all its files; times are epoch seconds; unknown is
    None."""

    name: str
    format: str | None
    quant: str | None
    bytes: int | None
    origin: str
    path: Path
    added: float | None
    last_used: float | None


class Answer(Iterator[Chunk]):
    """An answer under way: iterate its chunks. It is recorded when it ends, however it ends."""

    def __init__(
        self,
        stream: Stream,
        model: Resolved,
        engine: str,
        record: Callable[["Answer", BaseException | None], None],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.model, self.engine, self.notes = model, engine, stream.notes
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
        self._loaded: tuple[tuple[Path, Options], Model, Engine] | None = None
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

    # -- names ---------------------------------------------------------------------------------

    def resolve(self, name: str | None) -> Resolved:
        """Which model a name means; without one, the one that answers by default.

        Raises ``NotFound`` with the nearest name, ``Unsupported`` for a source that nothing here
        reads.
        """
        if name is not None:
            return self._named(name, "it was named")
        if self.config.models:
            first = self.config.models[0].name
            return replace(self._named(first, "it is the first of [[models]]"), stated=False)
        if default := self.config.value("default_model"):
            return replace(self._named(str(default), "it is default_model"), stated=False)
        return replace(self._named(BUILTIN, "nothing else is configured"), stated=False)

    def is_model(self, word: str) -> bool:
        """May this word of a command line be a model's name?"""
        if not word or any(character.isspace() for character in word):
            return False
        if any(model.name == word for model in self.config.models) or word.endswith(".gguf"):
            return True
        prefixed = ":" in word or word.startswith("hf.co/")  # a plain owner/repo only by -m
        return (prefixed and _split(word) is not None) or _is_model_file(Path(word).expanduser())

    def models(self) -> list[Installed]:
        """The models that can be named, ``builtin:mini`` last. Weights are not read."""
        used = self._with_database(stats.last_used, "when each was last used is not known") or {}
        return [self._installed(name, used) for name in self._names()]

    def info(self, name: str | None = None) -> ModelInfo:
        """What a model's own files say about it."""
        from llmrr.formats import gguf

        return gguf.inspect(self._files(self.resolve(name)).path)

    # -- work ----------------------------------------------------------------------------------

    def run(
        self,
        request: Request,
        *,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
        conversation: str | None = None,
        log: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Answer:
        """Start answering; what goes wrong before the first token is recorded and raised.

        ``options`` has the names of ``engines.base.Options``; ``conversation`` is the id that the
        run is recorded under, a new one where there is none; ``progress`` is told how many tokens
        of the prompt are computed, and how many there are.
        """
        resolved = self.resolve(model)
        record = self._recorder(request, conversation, log)
        try:
            loaded, engine = self._open(resolved, options or {})
            request = _completed(request, resolved, loaded.info.sampling)
            stream = loaded.generate(request)
        except (LlmrrError, KeyboardInterrupt) as error:
            record(resolved, None, error)
            raise
        return Answer(
            stream,
            resolved,
            engine.name,
            lambda answer, error: record(resolved, answer, error),
            progress,
        )

    def embed(
        self,
        texts: Sequence[str],
        *,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
    ) -> list[list[float]]:
        """One vector of length 1 per text."""
        loaded, _ = self._open(self.resolve(model), options or {})
        return loaded.embed(texts)

    def close(self) -> None:
        """Free the model and the database. Twice is allowed."""
        if self._loaded is not None and not self._leave_model:
            self._loaded[1].close()
        self._loaded = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- inside --------------------------------------------------------------------------------

    def _named(self, name: str, why: str) -> Resolved:
        if configured := self._configured(name):
            return replace(configured, why=why)
        if name == BUILTIN:
            return Resolved(name, BUILTIN, paths.builtin_model(), True, why)
        provider, rest = _split(name) or (None, name)
        path = Path(rest).expanduser()
        if provider == "file" or (provider in (None, "huggingface") and path.exists()):
            return Resolved(path.name, f"file:{path.absolute()}", path, True, why)
        if provider == "builtin":
            raise NotFound(f'there is no model "{name}"', f"llmrr run -m {BUILTIN}")
        if provider is not None:
            raise _not_read(name)
        raise NotFound(f'there is no model "{name}"{_refused(name)}', self._nearest(name))

    def _configured(self, name: str) -> Resolved | None:
        """A model of ``[[models]]``; its path is seen from the file that names it."""
        for model in self.config.models:
            if model.name == name:
                path = paths.builtin_model() if model.source == BUILTIN else model.path
                if path is None:
                    raise _not_read(model.source)
                return Resolved(
                    name=name,
                    source=model.source,
                    path=path,
                    stated=True,
                    why="",
                    params=model.params,
                    system=model.system,
                    options=model.options,
                )
        return None

    def _nearest(self, name: str) -> str:
        near = nearest(name, self._names())
        return f"llmrr run -m {near}" if near else "llmrr list shows those that there are"

    def _names(self) -> list[str]:
        readable = [model for model in self.config.models if model.provider in _READABLE]
        return [*(model.name for model in readable), BUILTIN]

    def _files(self, resolved: Resolved) -> ModelFiles:
        from llmrr import formats

        return formats.locate(resolved.path)

    def _open(self, resolved: Resolved, stated: Mapping[str, object]) -> tuple[Model, Engine]:
        place = self._files(resolved)
        engine = for_format(place.format)
        options = _options(
            {**self.config.engine_options(engine.name), **resolved.options, **stated}
        )
        key = (place.path, options)
        if self._loaded is not None:
            if self._loaded[0] == key:
                return self._loaded[1:]
            self._loaded[1].close()
            self._loaded = None
        model = engine.load(place, options)
        self._loaded = (key, model, engine)
        return model, engine

    def _installed(self, name: str, used: Mapping[str, float]) -> Installed:
        """A line of the list; what is missing or damaged is shown and not an error."""
        resolved = self._named(name, "")
        origin = resolved.source.partition(":")[0]
        last_used = used.get(resolved.source)
        try:
            info = self.info(name)
            added = None if origin == "builtin" else resolved.path.stat().st_mtime
        except (LlmrrError, OSError):
            return Installed(name, None, None, None, origin, resolved.path, None, last_used)
        return Installed(
            name, info.format, info.quant, info.bytes, origin, resolved.path, added, last_used
        )

    # -- the record ----------------------------------------------------------------------------

    def _with_database(self, work: "Callable[[sqlite3.Connection], T]", loss: str) -> "T | None":
        """Use the database; None after one warning of what is lost: an answer is worth more."""
        from llmrr import database

        if self._unrecorded:
            return None
        try:
            if self._connection is None:
                self._connection = database.open_database()
            return work(self._connection)
        except LlmrrError as error:
            self._unrecorded = True
            self._warn(f"{loss}: {error.message}")
            return None

    def _recorder(
        self, request: Request, conversation: str | None, log: bool
    ) -> Callable[[Resolved, Answer | None, BaseException | None], None]:
        began = time.time()

        def record(resolved: Resolved, answer: Answer | None, error: BaseException | None) -> None:
            self._record(_run_of(request, resolved, answer, error, began, conversation), log)

        return record

    def _record(self, run: stats.Run, log: bool) -> None:
        if not log or not self.config.value("log_prompts"):
            run = replace(run, system=None, prompt=None, answer=None)
        retention = cast("float | None", self.config.value("stats.retention"))

        def write(connection: "sqlite3.Connection") -> None:
            stats.record(connection, run)
            stats.prune(connection, retention)

        self._with_database(write, "nothing is recorded")


def _completed(request: Request, resolved: Resolved, model: Sampling) -> Request:
    """With the defaults of the configuration, of the model's author and of llmrr, in that order."""
    sampling = request.sampling.over(resolved.params).over(model).over(DEFAULT_SAMPLING)
    messages = request.messages
    if resolved.system and messages and messages[0].role != "system":
        messages = (Message("system", resolved.system), *messages)
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


def _not_read(source: str) -> Unsupported:
    return Unsupported(
        f'this version runs no model from the source "{source}"',
        "get a GGUF file of it, and name that: llmrr run -m ./model.gguf",
    )


def _refused(name: str) -> str:
    """Why a name with a prefix is no source."""
    try:
        split_source(name)
    except ValueError as error:
        return f": {error}" if ":" in name else ""
    return ""


def _split(name: str) -> tuple[str, str] | None:
    """Provider and rest of a source; None for what is none."""
    try:
        return split_source(name)
    except ValueError:
        return None


def _is_model_file(path: Path) -> bool:
    """A file or folder that exists and holds a model, by its content."""
    from llmrr import formats

    if not path.exists():
        return False
    try:
        formats.locate(path)
    except LlmrrError:
        return False
    return True
