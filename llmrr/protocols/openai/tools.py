"""What a model may call, as OpenAI's bodies state it; the older ``functions`` too."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from llmrr.choosing import turns
from llmrr.errors import InvalidRequest
from llmrr.protocols import hosted
from llmrr.protocols.fields import BadField, Fields
from llmrr.types import Tool


class Offered(NamedTuple):
    """The tools, and which of them must be called, as ``Request.tool_choice`` has it; the types of
    those that are left out."""

    tools: tuple[Tool, ...] = ()
    choice: str | None = None
    left_out: tuple[str, ...] = ()


def offered(given: Fields) -> Offered:
    """The tools of a body. Raises ``BadField``."""
    if "tools" in given or "functions" not in given:
        listed, choice = given.listed("tools") or (), given.get("tool_choice")
        names = "tools", "tool_choice"
    else:
        listed, choice = given.listed("functions") or (), given.get("function_call")
        names = "functions", "function_call"
    left_out = hosted.left_out(listed, hosted.of_openai)
    tools = tuple(
        _tool(one, f"{names[0]}[{at}]") for at, one in enumerate(listed)
        if not (left_out and hosted.is_hosted(one, hosted.of_openai))
    )  # fmt: skip
    found = _chosen(tools, choice, names[1])
    return found._replace(left_out=left_out) if left_out else found


def _tool(given: object, place: str) -> Tool:
    kind = given.get("type", "function") if isinstance(given, Mapping) else "function"
    if kind != "function":
        said = f"{place} has the type {kind!r}: only functions are called here"
        raise BadField(f"{place}.type", said, '{"type": "function", …}', code="unsupported_value")
    try:
        (tool,) = turns.tools([given])
    except InvalidRequest as error:
        raise BadField(place, error.message.replace("tools[0]", place), error.hint) from None
    if not tool.name:
        raise BadField(f"{place}.name", f"{place} has no name")
    return tool


def _chosen(tools: tuple[Tool, ...], choice: Any, name: str) -> Offered:
    """Which tools may be called, by what is stated of that."""
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        return _allowed(tools, choice.get("allowed_tools") or choice, name)
    if isinstance(choice, Mapping):
        inner = choice.get("function", choice)
        called = inner.get("name") if isinstance(inner, Mapping) else None
        if not isinstance(called, str):
            raise BadField(name, f"{name} names no function", '"auto", or a function\'s name')
        if called not in {one.name for one in tools}:
            raise BadField(name, f"{name} names {called!r}, which is none of the tools")
        return Offered(tools, called)
    if choice is None or choice in [one.name for one in tools]:  # as TGI takes a name
        return Offered(tools, choice)
    if choice not in ("auto", "none", "required", "any"):
        raise BadField(name, f"{name} = {choice!r} is no choice", "auto, none or required")
    if not tools and choice in ("required", "any"):
        raise BadField(name, f"{name} = {choice!r}, and there are no tools")
    return Offered(tools, turns.tool_choice(choice) if tools else None)


def _allowed(tools: tuple[Tool, ...], given: object, name: str) -> Offered:
    """Only some of the tools."""
    listed = given.get("tools") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(listed, list):
        raise BadField(name, f"{name} has no list of allowed tools")
    allowed = {_name(one) for one in listed}
    left = tuple(one for one in tools if one.name in allowed)
    return _chosen(left, given.get("mode", "auto"), name)


def _name(given: object) -> object:
    inner = given.get("function", given) if isinstance(given, Mapping) else None
    return inner.get("name") if isinstance(inner, Mapping) else None
