"""Servers of one's own behind the models: looked at in the background, so that one that is down is
left out before a request has to find that out, and comes back by itself.

Nothing here runs before ``watch``: a process that answers once looks at nothing.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from llmrr.choosing import opening
from llmrr.choosing.behind import plain_address
from llmrr.config import Config, ConfiguredModel
from llmrr.errors import ConnectionFailed, LlmrrError
from llmrr.routing.candidate import UNKNOWN, Health
from llmrr.types import Endpoint

if TYPE_CHECKING:
    from llmrr.choosing.setup import Setup
    from llmrr.engines.remote.checking import Condition

LATE: Final = 2  # times in a row that a server may be too busy to say how it is


@dataclass(slots=True)
class _Known:
    """What is known of a server: ``why`` it is down since ``at``, how often it was late, and the
    requests of others that it is busy with."""

    why: str = ""
    at: float = 0.0
    late: int = 0
    others: int = 0


class Backends:
    """What is known of the servers. Safe to use from several threads."""

    def __init__(self, setup: "Callable[[], Setup]", tell: Callable[[str], None]) -> None:
        self._setup, self._tell = setup, tell
        self._known: dict[str, _Known] = {}
        self._thread: threading.Thread | None = None
        self._wake, self._over = threading.Event(), False
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Look at them from now on, every ``[health] interval``. Twice is allowed."""
        with self._lock:
            if self._thread is None and not self._over:
                self._thread = threading.Thread(
                    target=self._run, name="llmrr-health", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Look no longer. Twice is allowed."""
        self._over = True
        self._wake.set()

    def down(self, models: Iterable[ConfiguredModel]) -> Mapping[str, LlmrrError]:
        """Why models are left out, by name."""
        if not self._known:
            return {}
        found = {one.name: self._known.get(_address(one)) for one in models}
        return {name: _refusal(name, one) for name, one in found.items() if one and one.why}

    def add_others(
        self, models: Iterable[ConfiguredModel], health: dict[str, Health]
    ) -> None:
        """Count what servers are busy with that is not ours."""
        for model in models if self._known else ():
            if (known := self._known.get(_address(model))) and known.others:
                before = health.get(model.name, UNKNOWN)
                health[model.name] = replace(before, busy=before.busy + known.others)

    def failed(self, model: ConfiguredModel, error: BaseException | None) -> None:
        """A request came to no answer. Where nobody was there, the server is left out at once."""
        known = self._known.get(_address(model)) if self._known else None
        if known is None or known.why or not isinstance(error, ConnectionFailed):
            return
        from llmrr.engines.remote.checking import Condition

        self._note(_address(model), [model.name], Condition(error.message), 0)
        self._wake.set()

    def look(self) -> None:
        """Look at all of them once, at the same time."""
        setup = self._setup()
        seconds = cast(float, setup.config.value("health.timeout"))
        if not (places := _places(setup.config)):
            self._known.clear()
            return
        ours = setup.selection.profiles.busy(one for found in places.values() for one in found)
        threads = [
            threading.Thread(target=self._look, args=(setup, at, found, ours, seconds), daemon=True)
            for at, found in places.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(4 * seconds)
        for gone in self._known.keys() - places.keys():
            self._known.pop(gone, None)

    # -- inside --------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over:
            interval = cast(float, self._setup().config.value("health.interval"))
            self._wake.clear()
            if interval:
                self.look()
            if not self._over:
                self._wake.wait(interval or 5.0)

    def _look(
        self, setup: "Setup", at: str, models: list[ConfiguredModel],
        ours: Mapping[str, int], seconds: float,
    ) -> None:  # fmt: skip
        from llmrr.engines.remote import checking

        endpoint = _endpoint(setup, models[0])
        if endpoint is None:
            return
        try:
            found = checking.check(endpoint, seconds)
        except LlmrrError as error:
            found = checking.Condition(error.message)
        names = [one.name for one in models]
        self._note(at, names, found, sum(ours.get(name, 0) for name in names))

    def _note(self, at: str, names: list[str], found: "Condition", ours: int) -> None:
        with self._lock:
            known = self._known.setdefault(at, _Known())
            known.late = known.late + 1 if found.is_late else 0
            if found.is_late and known.late < LATE and not known.why:
                return
            before, known.why, known.at = known.why, found.why, time.monotonic()
            known.others = max(0, found.busy - ours) if found.busy is not None else 0
        if bool(before) != bool(found.why):
            said = f"is down: {found.why}" if found.why else "is up again"
            self._tell(f"{', '.join(names)} {said} ({at})")


def _places(config: Config) -> dict[str, list[ConfiguredModel]]:
    """The models by the address of the server that is behind them."""
    from llmrr.engines.remote import checking

    found: dict[str, list[ConfiguredModel]] = {}
    for model in config.models:
        base_url = model.options.get("base_url")
        if not isinstance(base_url, str):
            continue
        provider, _, name = model.source.partition(":")
        if checking.can_check(Endpoint(provider, name, base_url)):
            found.setdefault(_address(model), []).append(model)
    return found


def _address(model: ConfiguredModel) -> str:
    base_url = model.options.get("base_url")
    return plain_address(base_url) if isinstance(base_url, str) else ""


def _endpoint(setup: "Setup", model: ConfiguredModel) -> Endpoint | None:
    """Where it is asked; None where that may not be."""
    try:
        resolved = setup.catalogue.configured(model)
        if resolved.endpoint is None:
            return None
        return opening.endpoint_of(resolved, resolved.endpoint, {}, setup.config)[0]
    except LlmrrError:
        return None


def _refusal(name: str, known: _Known) -> LlmrrError:
    return ConnectionFailed(
        f"the server of {name} is down: {known.why}",
        "start it, or name another model; it is looked at every [health] interval",
    )
