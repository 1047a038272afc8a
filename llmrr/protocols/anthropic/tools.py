"""The tools that a conversation may call: those of the request, and what system messages in the
middle change of them. https://docs.anthropic.com/en/api/messages"""

from collections.abc import Iterator, Mapping
from typing import Any

from llmrr.choosing import turns
from llmrr.protocols import hosted
from llmrr.protocols.fields import BadField, Fields
from llmrr.types import Tool


def offered(given: Fields) -> tuple[Tool, ...]:
    """The tools, without those that Anthropic's servers run where there are others besides."""
    found = _placed(given)
    if not found:
        given.refuse("mcp_servers", "nothing here asks another server for tools", "own tools")
    skips = bool(hosted.left_out([one for _, one in found], hosted.of_anthropic))
    own = []
    for place, one in found:
        if not (skips and hosted.is_hosted(one, hosted.of_anthropic)):
            _require_own(one, place)
            own.append(one)
    return turns.tools(own)


def listed(given: Fields) -> list[Any]:
    """All that there is at the end of the conversation, as it was sent."""
    return [one for _, one in _placed(given)]


def is_change(block: object) -> bool:
    """Whether a block of a system message changes what tools there are."""
    kinds = ("tool_addition", "tool_removal")
    return isinstance(block, Mapping) and block.get("type") in kinds


def _placed(given: Fields) -> list[tuple[str, Any]]:
    """Those with their places in the request."""
    found = [(f"tools[{at}]", one) for at, one in enumerate(given.listed("tools") or ())]
    gone: set[str] = set()
    for kind, tool, place in _changes(given):
        if tool.get("type") == "tool_definition":
            tool = tool.get("definition")
            found = [each for each in found if _name(each[1]) != _name(tool)] + [(place, tool)]
        if name := _name(tool):
            (gone.add if kind == "tool_removal" else gone.discard)(name)
    return [each for each in found if _name(each[1]) not in gone]


def _changes(given: Fields) -> Iterator[tuple[str, Any, str]]:
    """The kind, the tool and the place of each change in a system message."""
    for at, message in enumerate(given.listed("messages") or ()):
        is_system = isinstance(message, Mapping) and message.get("role") == "system"
        content = message.get("content") if is_system else None
        for number, one in enumerate(content if isinstance(content, list) else ()):
            if not is_change(one):
                continue
            place, tool = f"messages[{at}].content[{number}].tool", one.get("tool")
            if not isinstance(tool, Mapping):
                raise BadField(place, f"{place} is no object", '{"type": "tool_reference", …}')
            yield str(one["type"]), tool, place


def _name(tool: object) -> str | None:
    name = tool.get("name") if isinstance(tool, Mapping) else None
    return name if isinstance(name, str) else None


def _require_own(tool: object, place: str) -> None:
    if not isinstance(tool, Mapping):
        return
    if (kind := tool.get("type")) not in (None, "custom"):
        said = f"{place} is {kind!r}, which only Anthropic's own servers have"
        raise BadField(f"{place}.type", said, "a tool with name and input_schema")
    if not tool.get("name"):
        raise BadField(f"{place}.name", f"{place}.name is missing", "a name")
    if not isinstance(tool.get("input_schema"), Mapping):
        said = f"{place}.input_schema is no JSON Schema"
        raise BadField(f"{place}.input_schema", said, '{"type": "object"}')
