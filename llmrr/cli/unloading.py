"""What ``llmrr stop`` does."""

from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any

from llmrr.cli import output
from llmrr.engines.resident import asking
from llmrr.errors import LlmrrError, NotFound, UsageError
from llmrr.router import Router


def stop(names: Sequence[str], *, servers: bool) -> dict[str, Any]:
    """Unload these, or end the processes that keep models. Raises ``NotFound`` for a model that is
    not loaded, and ``LlmrrError`` where nothing is there to end."""
    if names and servers:
        raise UsageError("--all ends what has models, whichever those are", "leave out the models")
    if names:
        found = [_loaded(name) for name in names]
        for one in found:
            asking.unload(one["path"])
        return {"unloaded": [one["name"] for one in found], "ended": []}
    there = asking.known()
    loaded = [one["name"] for process in there for one in process["models"]
              if not one["loading"] and (servers or process["kind"] == "run")]  # fmt: skip
    ended = asking.stop(servers=servers)
    for one in there:
        if one["kind"] == "serve" and one["pid"] in ended:
            output.note(f"the server at {one['address']} was ended (process {one['pid']})")
    if not ended:
        if servers:
            raise LlmrrError("nothing runs that holds models", "llmrr ps")
        raise LlmrrError("no run has left a model loaded", "llmrr ps; --all ends servers, too")
    return {"unloaded": loaded, "ended": ended}


def _loaded(name: str) -> dict[str, Any]:
    models: list[dict[str, Any]] = [
        one for process in asking.known() for one in process["models"] if not one["loading"]
    ]
    path = _path(name)
    for one in models:
        if name == one["name"] or path == one["path"]:
            return one
    raise NotFound(f'no model "{name}" is loaded', "llmrr ps")


def _path(name: str) -> str | None:
    """Where the model of that name lies."""
    with suppress(LlmrrError), closing(Router(warn=output.note)) as router:
        return str(router.resolve(name).path.absolute())
    return None
