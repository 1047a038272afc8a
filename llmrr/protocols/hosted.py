"""Tools that only a provider's own servers have. Agents offer them beside their functions, whoever
answers: a model that may call them need not, so they are left out, and whoever asks is told. Alone,
or as the choice, they cannot be."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Knows = Callable[[str], bool]

# Of some there is a name with a date.
_OPENAIS: Final = (
    "web_search", "file_search", "computer", "code_interpreter", "image_generation", "mcp",
    "local_shell", "shell", "apply_patch", "custom", "namespace", "tool_search",
)  # fmt: skip


# Each version has a date.
ANTHROPICS: Final = r"[a-z_]+_20[0-9]{6}|mcp_toolset"


def of_openai(kind: str) -> bool:
    """Whether a tool's type is one of OpenAI's own.

    >>> of_openai("web_search_preview_2025_03_11"), of_openai("function")
    (True, False)
    """
    return kind.startswith(_OPENAIS)


def of_anthropic(kind: str) -> bool:
    """Whether a tool's type is one of Anthropic's own.

    >>> of_anthropic("web_search_20250305"), of_anthropic("custom")
    (True, False)
    """
    return re.fullmatch(ANTHROPICS, kind) is not None


def is_hosted(tool: object, knows: Knows) -> bool:
    """Whether a tool is of a type that is one of a provider's own."""
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    return isinstance(kind, str) and knows(kind)


def left_out(tools: Sequence[Any], knows: Knows) -> tuple[str, ...]:
    """The types of the tools that are left out: the hosted ones, where there are others.

    >>> left_out([{"type": "web_search"}, {"type": "function"}], of_openai)
    ('web_search',)
    >>> left_out([{"type": "web_search"}], of_openai)
    ()
    """
    found = [one["type"] for one in tools if is_hosted(one, knows)]
    return tuple(dict.fromkeys(found)) if len(found) < len(tools) else ()
