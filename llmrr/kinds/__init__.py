"""Kinds of values in ``llmrr.toml``: what each accepts, and what it is in use.

Values leave here as the engines take them: "auto" of a size is None, true of a switch is "on", an
adapter is its path and scale.
"""

from llmrr.kinds.base import (
    FLAG,
    LAYERS,
    ON_OFF_AUTO,
    SECONDS,
    SHARE,
    Kind,
    number,
    one_of,
    whole,
)
from llmrr.kinds.files import CHAT_TEMPLATE, FILE, LORA, PATH
from llmrr.kinds.measures import (
    DURATION,
    KEEPALIVE,
    RETENTION,
    SIZE,
    parse_duration,
    parse_keepalive,
    parse_size,
)
from llmrr.kinds.sources import (
    KEYS_OF_THEIR_OWN,
    LOCAL_PROVIDERS,
    PROVIDERS,
    SOURCE,
    file_path,
    guessed_provider,
    path_of,
    placed,
    split_source,
)
from llmrr.kinds.texts import (
    ALIASES,
    COMMAND,
    HOOK,
    KEY_HASH,
    MESSAGES,
    NAME,
    RESERVED,
    REVISION,
    SITES,
    STOP,
    TEXT,
    TEXTS,
    URL,
    VARIABLE,
    VARIABLES,
    WORD,
    alias_problem,
)

__all__ = [
    "ALIASES", "CHAT_TEMPLATE", "COMMAND", "DURATION", "FILE", "FLAG", "HOOK", "KEEPALIVE",
    "KEYS_OF_THEIR_OWN", "KEY_HASH", "LAYERS", "LOCAL_PROVIDERS", "LORA", "MESSAGES", "NAME",
    "ON_OFF_AUTO", "PATH", "PROVIDERS", "RESERVED", "RETENTION", "REVISION", "SECONDS", "SHARE",
    "SITES", "SIZE", "SOURCE", "STOP", "TEXT", "TEXTS", "URL", "VARIABLE", "VARIABLES", "WORD",
    "Kind", "alias_problem", "file_path", "guessed_provider", "number", "one_of", "parse_duration",
    "parse_keepalive", "parse_size", "path_of", "placed", "split_source", "whole",
]  # fmt: skip
