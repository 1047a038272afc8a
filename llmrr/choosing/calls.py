"""From the arguments of a call, as programs write them, to a request and what is stated of it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from llmrr.choosing import turns, values
from llmrr.choosing.profiles import Loading
from llmrr.choosing.stating import CHOOSING, LISTS, RUNNING, known, named
from llmrr.choosing.wishes import Wish
from llmrr.config import Config
from llmrr.errors import InvalidRequest
from llmrr.prompts import PromptTemplate
from llmrr.routing import cache
from llmrr.strategies import parse_strategy
from llmrr.types import Message, Request


class Understood(NamedTuple):
    """A call: its request, what chooses the model, what else ``Router.run`` takes, and within how
    many seconds the answer must be complete."""

    request: Request
    choice: dict[str, Any]
    running: dict[str, Any]
    timeout: float | None


def understood(
    prompt: object, stated: Mapping[str, object], config: Config, *, streams: bool = False
) -> Understood:
    """Understand a call. Raises ``InvalidRequest`` naming the argument, ``NotFound`` for a template
    that there is none of."""
    given = named(stated, streams=streams)
    choice = {name: given[name] for name in CHOOSING if given.get(name) is not None}
    if "model" in choice and "models" in choice:
        raise InvalidRequest("model names one, and models those to choose among", "leave one out")
    for name in LISTS:
        if name in choice and not (name == "fallback" and choice[name] is False):
            choice[name] = values.names(name, choice[name])
    for name in ("model", "strategy", "engine", "user"):
        if not isinstance(choice.get(name, "x"), str):
            raise InvalidRequest(f"{name} = {choice[name]!r} is no name", f'{name}="NAME"')
    if "strategy" in choice:
        _require_strategy(choice["strategy"])
    loading = {
        name: values.parsed(name, value)
        for name, value in given.items() if known()[name] == "loading"
    }
    if loading or "options" in choice:
        choice["options"] = {**values.options(choice.get("options", {})), **loading}
    request, model = _request(prompt, given, config)
    if model is not None and not {"model", "models"} & set(choice):
        choice["model"] = model
    running = {name: given[name] for name in RUNNING if given.get(name) is not None}
    values.require_running(running.get("conversation"), running.get("log", True))
    cache.rules(running.get("cache"), cache.Rules())
    return Understood(request, choice, running, values.timeout(given.get("timeout")))


def wish(choice: Mapping[str, Any]) -> Wish:
    """What is stated of the choice, for the selection."""
    loading = Loading.of(choice.get("options"), choice.get("engine"))
    return Wish(
        choice.get("model"), choice.get("strategy"), _tuple(choice.get("fallback")),
        _tuple(choice.get("need")), loading, choice.get("user"),
        _tuple(choice.get("models")), alone=choice.get("fallback") is False,
    )  # fmt: skip


def _tuple(value: str | Iterable[str] | bool | None) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ()
    return (value,) if isinstance(value, str) else tuple(value or ())


def _require_strategy(name: str) -> None:
    try:
        parse_strategy(name)
    except ValueError as error:
        raise InvalidRequest(f"strategy = {name!r}: {error}", 'strategy="balanced"') from None


def _request(
    prompt: object, given: Mapping[str, Any], config: Config
) -> tuple[Request, str | None]:
    """The request, and the model that its template is for."""
    sampling = values.sampling(given)
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
    elif not (asked.prompt or asked.tokens or any(map(_asks, messages))):
        raise InvalidRequest("the messages hold nothing to answer", '{"role": "user", …}')
    if given.get("tools") is not None:
        changes["tools"] = turns.tools(given["tools"])
    if given.get("tool_choice") is not None:
        changes["tool_choice"] = turns.tool_choice(given["tool_choice"])
    return replace(asked, **changes), model


def _asks(message: Message) -> bool:
    """Whether a turn is something to answer, or a part of it."""
    said = message.content.strip() or message.images or message.tool_calls
    return message.role != "system" and bool(said)


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
    filling: dict[str, object] = dict(variables or {})
    before: tuple[Message, ...] = ()
    if prompt is not None:
        before = turns.turns(prompt)
        takes = "input" in found.variables and "input" not in filling
        if takes and len(before) == 1 and not before[0].images:
            filling["input"], before = before[0].content, ()
    return (*found.format_messages(filling), *before), model


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
