"""The values of a body that are Ollama's own: its options, how long a model is kept, thinking, the
shape of an answer."""

import re
from collections.abc import Mapping
from typing import Any, Final

from llmrr import modelfile, parameters
from llmrr.engines import shapes
from llmrr.errors import UsageError
from llmrr.protocols.fields import BadField, Fields
from llmrr.types import Think

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
FOREVER: Final = float("inf")
# What its numbers below one say: as it thinks best, or no limit.
_OPEN: Final = ("num_predict", "num_ctx", "num_gpu", "num_thread", "seed")
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "temperature": (0, float("inf")), "top_k": (0, float("inf")), "top_p": (0, 1),
    "min_p": (0, 1), "typical_p": (0, 1),
}  # fmt: skip


def options(given: Fields) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of a body, as (sampling, loading). What only Ollama's engine has, and what nobody
    knows, has no effect, as there. Raises ``BadField``."""
    found = given.inner("options")
    sampling: dict[str, Any] = {}
    loading: dict[str, Any] = {}
    for name, value in (found.given if found is not None else {}).items():
        if found is None or value is None or name not in modelfile.OLLAMA or _is_open(name, value):
            continue
        try:
            if name == "stop":
                sampling["stop"] = found.words("stop")
                continue
            more = parameters.read_options([(name, _text(_within(name, value)))])
        except UsageError as error:
            why = error.message.removeprefix(f"-o {name} ")
            raise BadField(f"options.{name}", f"options.{name} = {why}") from None
        sampling |= more[0]
        loading |= more[1]
    return {name: one for name, one in sampling.items() if one is not None}, loading


def unknown_options(given: Fields) -> tuple[str, ...]:
    """The options of a body that have no effect, whatever model is asked."""
    found = given.inner("options")
    return found.unread(modelfile.OLLAMA) if found is not None else ()


def _is_open(name: str, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    lowest = 0 if name in ("num_gpu", "seed") else 1
    return is_number and name in _OPEN and value < lowest  # type: ignore[operator]


def _within(name: str, value: object) -> object:
    """Ollama takes any number: one beyond its range has the effect of the range's end, and of a
    seed (those of Go have 63 bits) the last bits count.

    >>> _within("top_k", -1), _within("top_p", 1.5), _within("seed", 2**40 + 7), _within("x", -1)
    (0, 1, 7, -1)
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return value
    if name == "seed" and value == value // 1:
        return int(value) % 2**32
    low, high = _RANGES.get(name, (value, value))
    return min(max(value, low), high)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def keep_alive(given: Fields) -> float | None:
    """For how many seconds a model stays without being used; None where that is not stated.

    >>> keep_alive(Fields({"keep_alive": "1h30m"})), keep_alive(Fields({"keep_alive": -1}))
    (5400.0, inf)
    """
    value = given.get("keep_alive")
    if value is None:
        return None
    seconds = _seconds(value)
    if seconds is None:
        raise given.bad("keep_alive", "duration: seconds, or as 5m")
    return FOREVER if seconds < 0 else seconds


def _seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if value == value else None
    if not isinstance(value, str):
        return None
    sign, text = (-1, value[1:]) if value.startswith("-") else (1, value.removeprefix("+"))
    if text.isdecimal():  # a number that was written as a text, as in OLLAMA_KEEP_ALIVE
        return sign * float(text)
    if not text or _DURATION.sub("", text):
        return None
    return sign * sum(float(one) * _UNITS[unit] for one, unit in _DURATION.findall(text))


def think(given: Fields) -> Think | None:
    """How much is to be thought: true, false, or low, medium, high, max."""
    value = given.get("think")
    if value is None or isinstance(value, bool):
        return None if value is None else "medium" if value else "off"
    if value in ("low", "medium", "high"):
        found: Think = value
        return found
    if value == "max":
        return "high"
    raise given.bad("think", "word of true, false, low, medium, high, max")


def shape(given: Fields) -> Mapping[str, Any] | None:
    """The JSON Schema of the answer: that of any object for ``json``."""
    value = given.get("format")
    if value is None or value == "":
        return None
    if value == "json":
        return {"type": "object"}
    if isinstance(value, Mapping):
        return shapes.closed(value)
    raise given.bad("format", '"json", or a JSON Schema')


def logprobs(given: Fields) -> int | None:
    """How many alternatives are reported for each token."""
    top = given.whole("top_logprobs", 0, 20)
    return (top or 0) if given.flag("logprobs") or top else None
