"""LocalAI as a command or a container: the models that it is to have when it starts."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from llmrr.migrate.artefact import Findings
from llmrr.migrate.launching.commands import Launch
from llmrr.migrate.readers.localai_source import located
from llmrr.migrate.terms.fields import settle


def put(started: Launch, environment: Mapping[str, str], findings: Findings, line: int) -> None:
    """The models of ``local-ai run NAME…``, of ``MODELS`` and of ``PRELOAD_MODELS``: addresses of
    the hub are models, names are entries of a gallery."""
    stated = {
        "context_size": started.flag("context-size") or environment.get("CONTEXT_SIZE")
        or environment.get("LOCALAI_CONTEXT_SIZE"),
        "threads": started.flag("threads") or environment.get("THREADS")
        or environment.get("LOCALAI_THREADS"),
    }  # fmt: skip
    words = [one for one in started.words if one not in ("run", "models", "install")]
    for address, name in [*((one, None) for one in words), *_listed(environment)]:
        if not ("://" in address or ":" in address):
            if "/" not in address and address.isprintable():
                said = f"{address[:120]} is an entry of a gallery of LocalAI"
                findings.warn("hub-reference", said, line)
            continue
        place = located(address, (), Path())
        if place.source is None or place.source.startswith("file:") or address.endswith(
            (".yaml", ".yml")
        ):  # fmt: skip
            said = f"{address[:120]} describes a model at another place, and is not fetched"
            findings.warn("hub-reference", said, line)
            continue
        model = findings.model(place.source, name, line)
        model.options |= place.options
        if str(place.options.get("file", "")).lower().endswith(".gguf"):
            model.format = "gguf"
        settle(model, {key: one for key, one in stated.items() if one}, findings, line=line)


def _listed(environment: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """What variables list: addresses, some with a name."""
    for name in ("MODELS", "LOCALAI_MODELS"):
        yield from ((one.strip(), None) for one in environment.get(name, "").split(",")
                    if one.strip())  # fmt: skip
    for name in ("PRELOAD_MODELS", "LOCALAI_PRELOAD_MODELS"):
        try:
            entries = json.loads(environment.get(name) or "[]")
        except (ValueError, RecursionError):
            continue
        for one in entries if isinstance(entries, list) else []:
            if isinstance(one, dict):
                address, called = one.get("url") or one.get("id"), one.get("name")
                if isinstance(address, str):
                    yield address, called if isinstance(called, str) else None
