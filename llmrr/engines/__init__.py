"""The engines, and which of them runs a format."""

from typing import Final, NamedTuple

from llmrr.engines import llamacpp, onnx, remote
from llmrr.engines.base import Engine, Named, RemoteEngine
from llmrr.errors import FeatureMissing, UsageError, nearest
from llmrr.types import Endpoint, Format

ENGINES: Final[tuple[Engine, ...]] = (llamacpp.ENGINE, onnx.ENGINE)
REMOTE: Final[tuple[RemoteEngine, ...]] = remote.REMOTE


class Picked(NamedTuple):
    """The engine that runs a model, with the reason."""

    engine: Engine
    why: str


class Reached(NamedTuple):
    """The protocol that a remote model is asked by, with the reason."""

    engine: RemoteEngine
    why: str


def for_format(format_: Format, name: str, wanted: str | None = None) -> Picked:
    """The engine for models of this format: the one that is ``wanted``, else the first that runs on
    this machine. ``name`` is that of the model, for errors.

    Raises ``UsageError`` for an engine that does not exist, and ``FeatureMissing`` where none, or
    not the one that is wanted, runs the format.
    """
    fitting = [engine for engine in ENGINES if format_ in engine.formats]
    if wanted is not None:
        return _wanted(format_, name, named(wanted), fitting)
    if not fitting:
        known = ", ".join(sorted(one for engine in ENGINES for one in engine.formats))
        raise FeatureMissing(
            f"no engine here runs {name}: its format is {format_}",
            f"llmrr convert {name} --to gguf; llmrr search TEXT finds models in {known}",
        )
    if len(fitting) == 1:
        return Picked(fitting[0], f"it runs {format_}")
    absent = {engine.name: engine.missing() for engine in fitting}
    ready = next((engine for engine in fitting if absent[engine.name] is None), None)
    if ready is None:
        return Picked(fitting[0], f"it runs {format_}, once it is installed")
    others = [f"{one} is not installed" for one, command in absent.items() if command]
    return Picked(ready, "; ".join((f"it runs {format_} here", *others)))


def for_endpoint(endpoint: Endpoint, wanted: str | None = None) -> Reached:
    """The protocol for a provider: the one that is ``wanted``, else its own.

    Raises ``UsageError`` for an engine that does not exist, and ``FeatureMissing`` for one that the
    provider does not speak.
    """
    usual = remote.of_provider(endpoint.provider)
    assert usual is not None, endpoint.provider  # the catalogue has looked
    if wanted is None or wanted == usual.name:
        return Reached(usual, f"{endpoint.provider} speaks it")
    engine = named(wanted)
    for one in REMOTE:
        if one is engine and one.name in remote.also_spoken(endpoint.provider):
            return Reached(one, "it was asked for")
    raise FeatureMissing(
        f"{endpoint.provider} does not speak {wanted}, but {usual.name}", "leave out --engine"
    )


def named(name: str) -> Named:
    """The engine of that name. Raises ``UsageError`` with the nearest."""
    known: dict[str, Named] = {engine.name: engine for engine in (*ENGINES, *REMOTE)}
    if name in known:
        return known[name]
    near = nearest(name, known)
    raise UsageError(
        f'there is no engine "{name}"',
        f"--engine {near}" if near else f"the engines are {', '.join(known)}",
    )


def runnable() -> frozenset[Format]:
    """The formats that an engine here runs. What every installation of llmrr has is not looked for:
    where it is broken, loading a model says so."""
    return frozenset(
        one for engine in ENGINES if not engine.optional or engine.missing() is None
        for one in engine.formats
    )  # fmt: skip


def _wanted(format_: Format, name: str, engine: Named, fitting: list[Engine]) -> Picked:
    for one in fitting:
        if one is engine:
            return Picked(one, "it was asked for")
    runs = ", ".join(sorted(getattr(engine, "formats", ()))) or "no files"
    others = " or ".join(f"--engine {one.name}" for one in fitting)
    raise FeatureMissing(
        f"the {engine.name} engine runs {runs}, and {name} is {format_}",
        others or "llmrr convert makes what it runs, where that can be done",
    )
