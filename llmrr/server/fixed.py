"""What of the configuration a server has from its start to its end."""

from collections.abc import Iterator
from typing import Final

from llmrr.config import Config
from llmrr.tomltext import toml_text

KEYS: Final = (
    "serve.host", "serve.port", "serve.ollama", "serve.max_connections", "serve.drain",
    "memory.loading", "preload",
)  # fmt: skip


def changed(began: Config, before: Config, now: Config) -> Iterator[str]:
    """What is to be told of a change: which values are not those that it began with."""
    for key in KEYS:
        value = now.value(key)
        if value not in (before.value(key), began.value(key)):
            stated = now.settings[key].stated
            yield f"{key} = {toml_text(stated)} takes effect at the next start"
