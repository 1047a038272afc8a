"""From the arguments of a call, as programs write them, to a request and what is stated of it."""

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path, PurePath
from typing import Any, Final, NamedTuple, TypedDict

from llmrr import guide, parameters
from llmrr.choosing import turns
from llmrr.choosing.profiles import Loading
from llmrr.choosing.selection import Wish
from llmrr.config import Config
from llmrr.errors import InvalidRequest, nearest
from llmrr.kinds import Kind
from llmrr.prompts import PromptTemplate
from llmrr.strategies import parse_strategy
from llmrr.tomltext import is_secret
from llmrr.types import Message, Request, Sampling


class Stated(TypedDict, total=False):
    """What a call may state, also in camelCase. The names of loading (``context_size``,
    ``gpu_layers``, …) and of sampling that stand in ``llmrr.toml`` are taken besides."""

    model: str | None
    models: str | Iterable[str] | None
    strategy: str | None
    fallback: str | Iterable[str] | None
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
    options: Mapping[str, Any] | None
    conversation: str | None
    user: str | None
    log: bool | None
    stream: bool | None


class Understood(NamedTuple):
    """A call: its request, what chooses the model, what else ``Router.run`` takes, and within how
    many seconds the answer must be complete."""

    request: Request
    choice: dict[str, Any]
    running: dict[str, Any]
    timeout: float | None


CHOOSING: Final = (
    "model", "models", "strategy", "fallback", "need", "engine", "options", "user",
)  # fmt: skip
RUNNING: Final = ("conversation", "log", "cache")
_ASKING: Final = ("system", "template", "variables", "tools", "tool_choice", "raw", "timeout")
_SHAPING: Final = ("schema", "grammar", "logprobs", "logit_bias")
_LISTS: Final = ("models", "fallback", "need")


@cache
def _known() -> dict[str, str]:
    """All names that a call may state, with what they are for."""
    found = dict.fromkeys(parameters.known_options(), "sampling")
    found |= dict.fromkeys(parameters.fields_of("options"), "loading")
    found |= dict.fromkeys(_SHAPING, "shaping")
    found |= dict.fromkeys((*CHOOSING, *RUNNING, *_ASKING), "call")
    return found


@cache
def _kinds(table: str = "") -> Mapping[str, Kind]:
    return parameters.fields_of(table) if table else parameters.known_options()


def understood(
    prompt: object, stated: Mapping[str, object], config: Config, *, streams: bool = False
) -> Understood:
    """Understand a call. Raises ``InvalidRequest`` naming the argument, ``NotFound`` for a template
    that there is none of."""
    given = named(stated, streams=streams)
    choice = {name: given[name] for name in CHOOSING if given.get(name) is not None}
    if "model" in choice and "models" in choice:
        raise InvalidRequest("model names one, and models those to choose among", "leave one out")
    for name in _LISTS:
        if name in choice:
            choice[name] = _names(name, choice[name])
    for name in ("model", "strategy", "engine", "user"):
        if not isinstance(choice.get(name, "x"), str):
            raise InvalidRequest(f"{name} = {choice[name]!r} is no name", f'{name}="NAME"')
    if "strategy" in choice:
        _require_strategy(choice["strategy"])
    loading = {
        name: _parsed(name, value) for name, value in given.items() if _known()[name] == "loading"
    }
    if loading or "options" in choice:
        choice["options"] = {**_options(choice.get("options", {})), **loading}
    request, model = _request(prompt, given, config)
    if model is not None and not {"model", "models"} & set(choice):
        choice["model"] = model
    running = {name: given[name] for name in RUNNING if given.get(name) is not None}
    return Understood(request, choice, running, _timeout(given.get("timeout")))


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


def wish(choice: Mapping[str, Any]) -> Wish:
    """What is stated of the choice, for the selection."""
    options = choice.get("options") or {}
    context = options.get("context_size")
    loading = Loading(choice.get("engine"), context if isinstance(context, int) else None)
    return Wish(
        choice.get("model"), choice.get("strategy"), _tuple(choice.get("fallback")),
        _tuple(choice.get("need")), loading, choice.get("user"),
        _tuple(choice.get("models")),
    )  # fmt: skip


def _tuple(value: str | Iterable[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


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
        key = key if key in _known() else guide.ALIASES.get(key, key)
        if key == "stream":
            _require_stream(value, streams)
            continue
        if key not in _known():
            raise _unknown(str(name), value)
        if found.get(key) is not None and value is not None and found[key] != value:
            raise InvalidRequest(
                f"{by[key]} = {found[key]!r} and {name} = {value!r} are the same argument, "
                "and differ", f"leave out {name}",
            )  # fmt: skip
        if value is not None or key not in found:
            found[key], by[key] = value, str(name)
    return found


def _require_strategy(name: str) -> None:
    try:
        parse_strategy(name)
    except ValueError as error:
        raise InvalidRequest(f"strategy = {name!r}: {error}", 'strategy="balanced"') from None


def _require_stream(value: object, streams: bool) -> None:
    if value not in (None, streams):
        other = "generate" if streams else "generate_stream"
        raise InvalidRequest(f"stream = {value!r} is another method", f"router.{other}(…)")


def _unknown(name: str, value: object) -> InvalidRequest:
    if is_secret(name, value):
        return InvalidRequest(
            f"{name} holds a key, which no call takes: it would be kept with what is said",
            'api_key_env="NAME" names the variable that has it; llmrr keys set NAME keeps it',
        )
    near = nearest(guide.snake(name), _known())
    hint = f"did you mean {near}?" if near else "help(llmrr.choosing.calls.Stated) lists them"
    return InvalidRequest(f"there is no argument {name!r}", hint)


def _names(name: str, value: object) -> tuple[str, ...]:
    """One name, or several."""
    found = (value,) if isinstance(value, str) else value
    if isinstance(found, Iterable) and not isinstance(found, Mapping | bytes):
        found = tuple(found)
        if all(isinstance(one, str) and one for one in found) and (found or name != "models"):
            return found
    raise InvalidRequest(f"{name} = {value!r} is no name, and no list of names", f'{name}=["…"]')


def _options(value: object) -> dict[str, object]:
    """How a model is loaded or reached, checked as ``llmrr.toml`` is."""
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"options = {value!r} is no dict", 'options={"context_size": 8192}')
    found: dict[str, object] = {}
    for name, one in value.items():
        key = guide.snake(str(name))
        key = guide.ALIASES.get(key, key)
        if _known().get(key) != "loading" and key != "timeout":
            if is_secret(str(name), one):
                raise _unknown(str(name), one)
            near = nearest(key, _kinds("options"))
            raise InvalidRequest(
                f"options have no {name!r}", f"did you mean {near}?" if near else "see llmrr.toml"
            )
        if one is not None:
            found[key] = _parsed(key, one, "options")
    return found


def _parsed(name: str, value: object, table: str = "") -> object:
    """A value as engines take it. Raises ``InvalidRequest``."""
    if value is None:
        return None
    kind = _kinds(table)[name]
    plain = _plain(value)
    if name in ("max_tokens", "seed") and plain in (-1, -2) and not isinstance(plain, bool):
        return None  # what others call no limit, or a random seed
    try:
        return kind.parse(plain, Path())
    except (ValueError, TypeError) as error:
        why = f": {error}" if str(error) else f" is not {kind.expected}"
        raise InvalidRequest(f"{name} = {value!r}{why}", f"for example: {_example(name)}") from None


def _example(name: str) -> str:
    from llmrr.settings import SETTINGS

    return next(
        (f"{name}={spec.example}" for spec in SETTINGS if spec.leaf == name), f"{name}=…"
    )


def _plain(value: object) -> object:
    """Numbers of other kinds (numpy's) as Python's, tuples as lists."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, PurePath):
        return str(value)
    return list(value) if isinstance(value, tuple | set | frozenset) else value


def _timeout(value: object) -> float | None:
    if value is None:
        return None
    plain = _plain(value)
    if type(plain) not in (int, float) or not 0 < plain < math.inf:  # type: ignore[operator]
        raise InvalidRequest(f"timeout = {value!r} is not a number above 0", "timeout=30, seconds")
    return float(plain)  # type: ignore[arg-type]


def _request(
    prompt: object, given: Mapping[str, Any], config: Config
) -> tuple[Request, str | None]:
    """The request, and the model that its template is for."""
    sampling = _sampling(given)
    if isinstance(prompt, Request):
        asked, model = prompt, None
        if not (asked.messages or asked.prompt or asked.tokens):
            raise InvalidRequest("the request has neither messages nor a prompt", "messages=(…)")
        if given.get("template") is not None:
            raise InvalidRequest("a template makes a request, and there is one", "a text for it")
        messages = asked.messages
        sampling = sampling.over(asked.sampling)
    else:
        asked, model = Request(), None
        messages, model = _messages(prompt, given, config)
    if (system := given.get("system")) is not None:
        if not isinstance(system, str) or not system.strip():
            raise InvalidRequest(f"system = {system!r} is no text", 'system="Be brief."')
        rest = (one for one in messages if one.role != "system")
        messages = (Message("system", system), *rest)
    changes: dict[str, Any] = {"messages": messages, "sampling": sampling}
    if given.get("raw"):
        changes |= _raw(messages)
    elif not messages and not (asked.prompt or asked.tokens):
        raise InvalidRequest("there are no messages", "a text, or messages")
    if given.get("tools") is not None:
        changes["tools"] = turns.tools(given["tools"])
    if given.get("tool_choice") is not None:
        changes["tool_choice"] = turns.tool_choice(given["tool_choice"])
    return replace(asked, **changes), model


def _raw(messages: tuple[Message, ...]) -> dict[str, Any]:
    if len(messages) != 1 or messages[0].role != "user" or messages[0].images:
        raise InvalidRequest("raw sends one text: no messages, no system prompt", "leave out raw")
    return {"messages": (), "prompt": messages[0].content}


def _messages(
    prompt: object, given: Mapping[str, Any], config: Config
) -> tuple[tuple[Message, ...], str | None]:
    template, variables = given.get("template"), given.get("variables")
    if variables is not None and not isinstance(variables, Mapping):
        raise InvalidRequest(f"variables = {variables!r} is no dict", 'variables={"name": "…"}')
    if template is None:
        if variables:
            raise InvalidRequest("variables need a template", 'template="NAME"')
        return turns.turns(prompt), None
    found, model = _template(template, config)
    values: dict[str, object] = dict(variables or {})
    before: tuple[Message, ...] = ()
    if prompt is not None:
        before = turns.turns(prompt)
        if "input" in found.variables and "input" not in values and len(before) == 1:
            values["input"], before = before[0].content, ()
    return (*found.format_messages(values), *before), model


def _template(given: object, config: Config) -> tuple[PromptTemplate, str | None]:
    """A template by its name, with the model that it is for; or one that is written where its name
    would stand."""
    if isinstance(given, PromptTemplate):
        return given, None
    if not isinstance(given, str) or not given.strip():
        raise InvalidRequest(f"template = {given!r} is no template", 'template="NAME"')
    if given not in config.templates and (written := PromptTemplate(given)).variables:
        return written, None
    found = config.template(given)
    return found.prompt, found.model


def _sampling(given: Mapping[str, Any]) -> Sampling:
    names = {one.name for one in fields(Sampling)}
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or name not in names:
            continue
        shape = _SHAPES.get(name)
        found[name] = shape(value) if shape else _parsed(name, value)
    if "grammar" in found and "schema" in found:
        raise InvalidRequest("a grammar and a schema exclude each other", "leave one of them out")
    return Sampling(**found)


def _grammar(given: object) -> object:
    if not isinstance(given, str) or not given.strip():
        raise InvalidRequest(f"grammar = {given!r} is no text", "grammar='root ::= …'")
    return given


def _logprobs(given: object) -> object:
    plain = _plain(given)
    if type(plain) is not int or plain < 0:
        raise InvalidRequest(f"logprobs = {given!r} is no number of tokens", "logprobs=5")
    return plain


def _biases(given: object) -> object:
    """What is added to the logits of tokens, by their ids, which may be written as texts."""
    try:
        found = {int(token): float(_plain(bias)) for token, bias in given.items()}  # type: ignore
    except (AttributeError, TypeError, ValueError):
        found = {-1: 0.0}
    if any(token < 0 or not math.isfinite(bias) for token, bias in found.items()):
        raise InvalidRequest(f"logit_bias = {given!r} is no dict of biases", "logit_bias={15: 1.5}")
    return found


def _schema(given: object) -> object:
    """A JSON Schema: a dict, True for any JSON, a class of pydantic's, or llmrr's short form."""
    from llmrr.engines import schema

    if isinstance(given, str):
        return schema.load(given)
    if hasattr(given, "model_json_schema"):
        given = given.model_json_schema()
    if isinstance(given, Mapping):
        given = dict(given)
        schema.check(given)
        return given
    if isinstance(given, bool):
        return given
    raise InvalidRequest(f"schema = {given!r} is none", 'schema={"type": "object", …}')


_SHAPES: Final = {
    "schema": _schema, "grammar": _grammar, "logprobs": _logprobs, "logit_bias": _biases,
}  # fmt: skip
