"""The names of the guide, and of the JavaScript world, for the keys of ``llmrr.toml``: what stands
for what. Pure.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

Convert = Callable[[Any], Any]


class Rule(NamedTuple):
    """What stands for a key: ``key`` is ours, None where it changes nothing, with the reason."""

    key: str | None
    convert: Convert = lambda value: value
    why: str = ""


def seconds(value: Any) -> Any:
    """Seconds of milliseconds; what is no number stays for the validation to complain of."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value / 1000 if is_number else value


def _loading(value: Any) -> Any:
    words = {True: "preload", False: "lazy", "lazy-loading": "lazy", "preloading": "preload"}
    return words.get(value, value) if isinstance(value, bool | str) else value


def _chain(value: Any) -> Any:
    """``fallbackEnabled``: only False says something."""
    return False if value is False else None if value is True else value


def _attempts(value: Any) -> Any:
    return value + 1 if type(value) is int else value


STREAMS: Final = Rule(None, why="generate_stream streams, generate does not")
PIECES: Final = Rule(None, why="an answer is handed on as its tokens come")
# Keys as the guide has them, in snake_case, and ours.
RULES: Final[dict[str, Rule]] = {
    "performance.caching.enabled": Rule("cache.enabled"),
    "performance.caching.ttl": Rule("cache.ttl"),
    "performance.preloading.enabled": Rule("memory.loading", _loading),
    "performance.preloading.models": Rule("preload"),
    "performance.batching.enabled": Rule("batching.enabled"),
    "performance.batching.max_batch_size": Rule("batching.max_batch_size"),
    "performance.streaming.enabled": STREAMS,
    "performance.streaming.chunk_size": PIECES,
    "memory.gc_strategy": Rule(None, why="models are unloaded by [memory]"),
    "memory.model_unload_threshold": Rule("memory.unload_after", seconds),
    "loading.strategy": Rule("memory.loading", _loading),
    "loading.preload_models": Rule("preload"),
    "cleanup.interval": Rule("memory.interval", seconds),
    "cleanup.memory_threshold": Rule("memory.threshold"),
    "cleanup.auto_unload": Rule("memory.auto_unload"),
    "caching.enabled": Rule("cache.enabled"),
    "caching.ttl": Rule("cache.ttl"),
    "caching": Rule("cache.enabled"),
    "warming.enabled": Rule("memory.loading", _loading),
    "warming.models": Rule("preload"),
    "warming": Rule("memory.loading", _loading),
    "fallback_models": Rule("fallback_chain"),
    "fallback_enabled": Rule("fallback_chain", _chain),
    "selection_weights.quality": Rule("weights.quality"),
    "selection_weights.cost": Rule("weights.cost"),
    "selection_weights.speed": Rule("weights.speed"),
    "selection_weights.latency": Rule("weights.speed"),
    "circuit_breaker.enabled": Rule(None, why="the breaker is always on"),
    "circuit_breaker.threshold": Rule("breaker.failures"),
    "circuit_breaker.failure_threshold": Rule("breaker.failures"),
    "circuit_breaker.timeout": Rule("breaker.cooldown", seconds),
    "circuit_breaker.reset_timeout": Rule("breaker.cooldown", seconds),
    "circuit_breaker": Rule(None, why="the breaker is always on"),
    "retries": Rule("retry.attempts", _attempts),
    "timeout": Rule("timeouts.total", seconds),
    "max_models": Rule(None, why="models are unloaded by the memory that they take"),
}  # fmt: skip
# Not ours: what is in them is only known by RULES.
BLOCKS: Final = (
    "performance", "loading", "cleanup", "caching", "warming", "selection_weights",
    "circuit_breaker",
)  # fmt: skip
_WHOLE: Final = ("templates", "flags")  # a new one of these replaces the one before


def snake(name: str) -> str:
    """A name as ``llmrr.toml`` writes it.

    >>> snake("fallbackChain"), snake("baseURL"), snake("topK"), snake("max_tokens")
    ('fallback_chain', 'base_url', 'top_k', 'max_tokens')
    """
    return re.sub(r"(?<=[a-z0-9])[A-Z]+", lambda found: f"_{found[0]}", name).lower()


def without(table: dict[str, Any]) -> dict[str, Any]:
    """A table without what is None.

    >>> without({"a": None, "b": {"c": None, "d": 1}})
    {'b': {'d': 1}}
    """
    return {
        key: without(value) if isinstance(value, dict) else value
        for key, value in table.items() if value is not None
    }  # fmt: skip


def merged(
    below: Mapping[str, Any], above: Mapping[str, Any], *, whole: bool = False
) -> dict[str, Any]:
    """Two tables; what is None above takes back what is below. With ``whole`` their tables are not
    mixed with each other.

    >>> merged({"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"y": None, "z": 4}, "b": None})
    {'a': {'x': 1, 'z': 4}}
    """
    found = dict(below)
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict) and not whole:
            found[key] = merged(found[key], value, whole=key in _WHOLE)
        else:
            found[key] = value
    return without(found)


def in_their_words(message: str, names: Mapping[str, str]) -> str:
    """A complaint about a key of ours, with the name that it was stated under.

    >>> in_their_words("cache.ttl = -1 is not …", {"cache.ttl": "performance.caching.ttl"})
    'performance.caching.ttl (cache.ttl) = -1 is not …'
    """
    for key, name in _longest_first(names):
        pattern = rf"(?<![\w.]){re.escape(key)}(?![\w.\[])"
        if re.search(pattern, message):
            before, after = re.split(pattern, message, maxsplit=1)
            return f"{before}{name} ({key}){after}"
    return message


def _longest_first(names: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return sorted(names.items(), key=lambda one: -len(one[0]))
