"""What the bodies of messages ask. https://docs.anthropic.com/en/api/messages

What llama-server takes besides (``min_p``, ``seed``) is taken too; unknown fields, which betas add,
are left alone.
"""

from collections.abc import Mapping
from typing import Any, Final

from llmrr.engines import shapes
from llmrr.protocols import hosted
from llmrr.protocols.anthropic import blocks, tools
from llmrr.protocols.base import Asked
from llmrr.protocols.fields import BadField, Fields
from llmrr.types import Request, Sampling, Think, Tool

_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
_EFFORTS: Final[dict[str, Think]] = {
    "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high",
}  # fmt: skip
# Up to how many tokens of thought are little, and how many are no more than usual.
_LITTLE, _USUAL = 2048, 8192


def messages(body: Mapping[str, Any]) -> Asked:
    """The body of ``/v1/messages``. Raises ``InvalidRequest`` naming what is wrong."""
    given = Fields(body)
    limit = given.whole("max_tokens", 1)
    if limit is None:
        raise BadField("max_tokens", "max_tokens is missing", "a whole number, as 1024")
    return _asked(given, limit)


def counted(body: Mapping[str, Any]) -> Asked:
    """The body of ``/v1/messages/count_tokens``, which is the same without ``max_tokens``."""
    return _asked(Fields(body), None)


def _asked(given: Fields, limit: int | None) -> Asked:
    if given.get("thread") is not None:  # told in Anthropic's words, clients send all themselves
        why = "thread: no conversations are kept here"
        raise BadField("thread", why, "send it whole", code="thread_unsupported_request")
    if (model := given.text("model")) is None:
        raise BadField("model", "model is missing", "GET /v1/models lists them")
    said, begun = blocks.conversation(given.listed("messages"))
    offered = tools.offered(given)
    request = Request(
        messages=(*blocks.system(given.get("system")), *said),
        sampling=_sampling(given, limit),
        tools=offered,
        tool_choice=_tool_choice(given, offered),
        begun=begun,
        firm=_firm(given),
    )
    choice: dict[str, Any] = {}
    metadata = given.inner("metadata")
    if metadata is not None and (user := metadata.text("user_id")) is not None:
        choice["user"] = user
    stream, found = bool(given.flag("stream")), _left_out(given)
    return Asked(
        request, model, stream=stream, usage=True, choice=choice, body=given.given,
        left_out=(*found, *given.unread()),
    )  # fmt: skip


def _sampling(given: Fields, limit: int | None) -> Sampling:
    seed = given.whole("seed", -1, 2**32 - 1)
    return Sampling(
        temperature=given.number("temperature", 0, 2),
        top_k=given.whole("top_k", 0),
        top_p=given.number("top_p", 0, 1),
        min_p=given.number("min_p", 0, 1),
        seed=None if seed == -1 else seed,
        stop=given.words("stop_sequences"),
        max_tokens=limit,
        schema=_schema(given),
        think=_think(given),
    )


def _schema(given: Fields) -> Mapping[str, Any] | None:
    config = given.inner("output_config")
    wanted = (config and config.inner("format")) or given.inner("output_format")
    if wanted is None:
        return None
    wanted.one_of("type", "json_schema")
    if (schema := wanted.inner("schema")) is None:
        raise wanted.bad("schema", "JSON Schema")
    return shapes.closed(schema.given)


def _think(given: Fields) -> Think | None:
    config, thinking = given.inner("output_config"), given.inner("thinking")
    effort = config.one_of("effort", *_EFFORTS) if config is not None else None
    if thinking is None:
        return None  # as the model does by itself
    kind = thinking.one_of("type", "enabled", "disabled", "adaptive", "between_tools")
    if kind is None:
        raise thinking.bad("type", "word of enabled, disabled, adaptive")
    if kind == "disabled":
        return "off"
    if effort is not None:
        return _EFFORTS[effort]
    budget = thinking.whole("budget_tokens", 1)
    if kind == "enabled" and budget is None:
        raise thinking.bad("budget_tokens", "whole number of 1 or more")
    if budget is None:
        return "medium"
    return "low" if budget <= _LITTLE else "medium" if budget <= _USUAL else "high"


def _firm(given: Fields) -> str:
    """What asks for thoughts that must come: ``adaptive`` alone leaves it to the model."""
    config, thinking = given.inner("output_config"), given.inner("thinking")
    if thinking is None or thinking.get("type") == "disabled":
        return ""
    if thinking.get("type") == "enabled":
        return "thinking"
    return "output_config.effort" if config is not None and "effort" in config else ""


def _left_out(given: Fields) -> tuple[str, ...]:
    """What of the body nobody here does. An effort without thoughts is one of words."""
    found = hosted.left_out(tools.listed(given), hosted.of_anthropic)
    if given.get("mcp_servers"):
        found += ("mcp_servers",)
    config = given.inner("output_config")
    is_thought = given.get("thinking") is not None
    has_effort = config is not None and "effort" in config and not is_thought
    return (*found, "output_config.effort") if has_effort else found


def _tool_choice(given: Fields, offered: tuple[Tool, ...]) -> str | None:
    if (choice := given.inner("tool_choice")) is None:
        return None
    kind = choice.one_of("type", *_CHOICES, "tool")
    if kind is None:
        raise choice.bad("type", f"word of {', '.join(_CHOICES)}, tool")
    if not offered and kind in ("any", "tool"):
        said = f"tool_choice is {kind}, and there are no tools"
        raise BadField("tool_choice", said, "give tools")
    if kind != "tool":
        return _CHOICES[kind]
    if not (name := choice.text("name")):
        raise choice.bad("name", "name of a tool")
    if name not in {one.name for one in offered}:
        said = f"tool_choice names {name!r}, which is none of the tools that can be called here"
        raise BadField("tool_choice.name", said, "the name of a tool with an input_schema")
    return name


def one_call(asked: Asked) -> bool:
    """Whether the client takes one call of a tool at most."""
    choice = asked.body.get("tool_choice")
    return isinstance(choice, Mapping) and choice.get("disable_parallel_tool_use") is True
