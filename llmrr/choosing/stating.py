"""What a call may state, under which names."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, Literal, TypedDict

from llmrr import guide, parameters, translating
from llmrr.errors import InvalidRequest, nearest
from llmrr.tomltext import is_secret


class Arguments(TypedDict, total=False):
    """What a call may state, also in camelCase. The names of loading (``context_size``,
    ``gpu_layers``, …) and of sampling that stand in ``llmrr.toml`` are taken besides."""

    model: str | None
    models: str | Iterable[str] | None
    strategy: str | None
    fallback: str | Iterable[str] | Literal[False] | None
    need: str | Iterable[str] | None
    cache: Mapping[str, Any] | bool | None
    max_tokens: int | None
    maxTokens: int | None
    temperature: float | None
    top_p: float | None
    topP: float | None
    top_k: int | None
    topK: int | None
    min_p: float | None
    typical_p: float | None
    repeat_penalty: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    stop: str | Iterable[str] | None
    stopTokens: str | Iterable[str] | None
    seed: int | None
    think: str | None
    system: str | None
    systemPrompt: str | None
    template: Any
    variables: Mapping[str, str] | None
    tools: Iterable[Any] | None
    tool_choice: Any
    schema: Any
    grammar: str | None
    logprobs: int | None
    logit_bias: Mapping[int, float] | None
    raw: bool | None
    timeout: float | None
    engine: str | None
    context_size: int | None
    contextSize: int | None
    base_url: str | None
    api_key_env: str | None
    options: Mapping[str, Any] | None
    conversation: str | None
    user: str | None
    log: bool | None
    stream: bool | None


CHOOSING: Final = (
    "model", "models", "strategy", "fallback", "need", "engine", "options", "user",
)  # fmt: skip
RUNNING: Final = ("conversation", "log", "cache")
_ASKING: Final = ("system", "template", "variables", "tools", "tool_choice", "raw", "timeout")
SHAPING: Final = ("schema", "grammar", "logprobs", "logit_bias")
LISTS: Final = ("models", "fallback", "need")


@cache
def known() -> dict[str, str]:
    """All names that a call may state, with what they are for."""
    found = dict.fromkeys(parameters.known_options(), "sampling")
    found |= dict.fromkeys(parameters.fields_of("options"), "loading")
    found |= dict.fromkeys(SHAPING, "shaping")
    found |= dict.fromkeys((*CHOOSING, *RUNNING, *_ASKING), "call")
    return found


def together(
    options: Mapping[str, Any] | None, stated: Mapping[str, Any]
) -> Mapping[str, Any]:
    """What a call states in a dict and by name. Raises ``InvalidRequest`` where both differ."""
    if options is None:
        return stated
    if not isinstance(options, Mapping):
        raise InvalidRequest(
            f"the second argument is of the type {type(options).__name__}", "max_tokens=100, …"
        )
    for name in options.keys() & stated.keys():
        if options[name] != stated[name]:
            raise InvalidRequest(f"{name} is stated twice, and differs", f"leave out one {name}")
    return {**options, **stated}


def named(stated: Mapping[str, object], *, streams: bool = False) -> dict[str, Any]:
    """The arguments under our names. Raises ``InvalidRequest`` for an unknown one, and for one that
    is stated twice with different values.

    >>> named({"maxTokens": 5, "topP": 0.9, "seed": None})
    {'max_tokens': 5, 'top_p': 0.9, 'seed': None}
    """
    found: dict[str, Any] = {}
    by: dict[str, str] = {}
    for name, value in stated.items():
        key = guide.snake(str(name))
        key = key if key in known() else translating.ALIASES.get(key, key)
        if key == "stream":
            _require_stream(value, streams)
            continue
        if key not in known():
            raise unknown(str(name), value)
        if found.get(key) is not None and value is not None and found[key] != value:
            raise InvalidRequest(
                f"{by[key]} = {found[key]!r} and {name} = {value!r} are the same argument, "
                "and differ", f"leave out {name}",
            )  # fmt: skip
        if value is not None or key not in found:
            found[key], by[key] = value, str(name)
    return found


def _require_stream(value: object, streams: bool) -> None:
    if value not in (None, streams):
        other = "generate" if streams else "generate_stream"
        raise InvalidRequest(f"stream = {value!r} is another method", f"router.{other}(…)")


def unknown(name: str, value: object) -> InvalidRequest:
    """The error for a name that nothing here has; a key is not repeated."""
    if is_secret(name, value):
        return InvalidRequest(
            f"{name} holds a key, which no call takes: it would be kept with what is said",
            'api_key_env="NAME" names the variable that has it; llmrr keys set NAME keeps it',
        )
    near = nearest(guide.snake(name), known())
    hint = f"did you mean {near}?" if near else "help(llmrr.choosing.stating.Arguments) lists them"
    return InvalidRequest(f"there is no argument {name!r}", hint)
