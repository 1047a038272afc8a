"""How a model is loaded or reached, and what a request to it is completed with: what the call says,
then the configuration, the model's author and llmrr."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llmrr.catalogue import Resolved, place
from llmrr.config import Config
from llmrr.engines import for_endpoint, for_format
from llmrr.engines.base import Model, Options, Stream
from llmrr.engines.chunks import Kept
from llmrr.errors import BadConfig, UsageError
from llmrr.pool import Key, Lease, Wanted, needs
from llmrr.settings import REMOTE_OPTIONS
from llmrr.types import DEFAULT_SAMPLING, Endpoint, Message, Request, Sampling


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

    def prompt_tokens(self, request: Request) -> list[int] | None:
        """What the model is given for a request: ``engines.base.Model.prompt_tokens``."""
        asked = completed(request, self.resolved, self.model.info.sampling)
        return self.model.prompt_tokens(asked)


def wanted(
    resolved: Resolved, called: Mapping[str, object], engine: str | None, config: Config,
    most_slots: int,
) -> Wanted:  # fmt: skip
    """What the pool is to load; ``called`` are the options that the call states, ``most_slots`` how
    many requests a model of this machine computes at once. Raises ``BadConfig`` for an address that
    nobody agreed to, ``UsageError`` for an option that is none of this model."""
    engine = engine or resolved.engine
    if resolved.endpoint is not None:
        endpoint, rest = endpoint_of(resolved, resolved.endpoint, called, config)
        reached, options = for_endpoint(endpoint, engine), _options(rest)
        load = partial(reached.engine.load, endpoint, options)
        return Wanted(resolved.name, (endpoint, reached.engine.name, options), reached, load)
    stated = {**resolved.options, **called}
    _refuse_remote(resolved, stated)
    files = place(resolved)
    named = resolved.label or shlex.quote(str(files.path))
    picked = for_format(files.format, resolved.name, engine, named)
    own = config.engine_options(picked.engine.name)
    most = 1 if "slots" in stated else most_slots
    options = _options({"most_slots": most, **own, **stated})
    return Wanted(
        resolved.name, Key.of(files, picked.engine.name, options), picked,
        partial(picked.engine.load, files, options), partial(needs.bytes_of, files, options),
    )  # fmt: skip


def endpoint_of(
    resolved: Resolved, endpoint: Endpoint, called: Mapping[str, object], config: Config
) -> tuple[Endpoint, dict[str, object]]:
    """Where a remote model is asked, with the times that are configured and what is stated of
    it; and what else is stated. Raises ``BadConfig`` for an address that nobody agreed to."""
    if found := config.untrusted(resolved.name, called):
        raise BadConfig(f"{found}, and nobody agreed to that", "llmrr config trust")
    stated = {**resolved.options, **called}
    times: dict[str, object] = {
        ("timeout" if name == "total" else name): config.value(f"timeouts.{name}")
        for name in ("connect", "first_token", "between_tokens", "total")
    }
    own = {name: one for name, one in stated.items() if name in REMOTE_OPTIONS}
    rest = {name: one for name, one in stated.items() if name not in REMOTE_OPTIONS}
    times["env_file"] = config.value("env_file")
    return replace(endpoint, **{**times, **own}), rest


def _refuse_remote(resolved: Resolved, stated: Mapping[str, object]) -> None:
    for name in stated:
        if name in REMOTE_OPTIONS:
            raise UsageError(
                f"{resolved.name} runs on this machine, and has no {name}", f"leave out {name}"
            )


def _options(stated: Mapping[str, Any]) -> Options:
    return Options(**{key: value for key, value in stated.items() if value is not None})


def completed(
    request: Request, resolved: Resolved, model: Sampling, ends: float | None = None
) -> Request:
    """With the defaults of the configuration, of the model's author and of llmrr, in that order. A
    provider has defaults of its own, and is told when its answer ``ends``."""
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
    deadline = request.deadline if resolved.endpoint is None or ends is None else ends
    return replace(request, sampling=sampling, messages=messages, deadline=deadline)
