"""How ``--think`` reaches a chat template: which variables of the templates in use switch
reasoning, and the values that each of them understands; and how one is given what was thought."""

import re
from collections.abc import Collection, Iterator
from typing import Any

from llmrr.engines.markers import COMMON, markers_for
from llmrr.types import Message, Think

LEVELS: tuple[Think, ...] = ("off", "low", "medium", "high")

# Yes or no.
_FLAGS = ("enable_thinking", "thinking", "reasoning")

# A word, out of those that the template compares with: the first that it quotes.
_WORDS: dict[str, dict[Think, tuple[str, ...]]] = {
    name: {
        "off": ("none", "no_think", "minimal", "low"),
        "low": ("low", "minimal"),
        "medium": ("medium", "high"),
        "high": ("high",),
    }
    for name in ("reasoning_effort", "thinking_effort", "reasoning_strength")
}
_WORDS["thinking_mode"] = {
    "off": ("disabled", "chat", "off"),
    "low": ("enabled", "thinking", "on"),
    "medium": ("enabled", "thinking", "on"),
    "high": ("enabled", "thinking", "on"),
}

_OFF = (False, 0, "none", "no_think", "disabled", "chat", "off")

# A text, or the beginning of one that does not end: no template makes this take long.
_QUOTED = r"(?s)'(?:[^'\\]|\\.)*(?:'|\\?\Z)|\"(?:[^\"\\]|\\.)*(?:\"|\\?\Z)"
_CLOSED = r"</(?:[a-z]+:)?(?:think|thinking|thought|reasoning)(?::\w+)?>"

# A number of tokens; -1 for no bound (Seed-OSS).
_BUDGET: dict[Think, int] = {"off": 0, "low": 512, "medium": 4096, "high": -1}


def thought(message: Message) -> dict[str, str]:
    """What was thought before a turn, under the names that templates have for it; they show it, or
    leave it out. That of gpt-oss refuses it beside both a text and calls.

    >>> thought(Message("assistant", "Yes", reasoning="Hm"))
    {'reasoning_content': 'Hm', 'thinking': 'Hm'}
    """
    if not message.reasoning:
        return {}
    found = {"reasoning_content": message.reasoning}
    is_short = not (message.content and message.tool_calls)
    return found | ({"thinking": message.reasoning} if is_short else {})


def switches(template: str, names: Collection[str], think: Think) -> dict[str, Any]:
    """The variables to render with, of those ``names`` that the template reads.

    >>> switches("{% if enable_thinking %}", {"enable_thinking"}, "off")
    {'enable_thinking': False}
    """
    found: dict[str, Any] = {name: think != "off" for name in _FLAGS if name in names}
    for name, words in _WORDS.items():
        # Where a flag says off, no effort is a value that the template need know.
        if name in names and not (think == "off" and found and name != "thinking_mode"):
            found[name] = _quoted(template, words[think])
    if "thinking_budget" in names:
        found["thinking_budget"] = _BUDGET[think]
    return found


def thinks(template: str) -> bool:
    """Whether a chat template says that its model thinks: it has the marks around a thought, reads
    a value that is named for it, or looks for the command. A sentence with the word says nothing.

    >>> thinks("{{ '[THINK]' }}"), thinks("{% if m.reasoning_content %}…"), thinks("Let's think.")
    (True, True, False)
    """
    if markers_for(template) is not COMMON or re.search(_CLOSED, template):
        return True
    is_named = any(re.search("thinking|reasoning", one) for one in _code(template))
    return is_named or command(template, "off") is not None


def _code(template: str) -> Iterator[str]:
    """What a template computes with, without its texts and comments."""
    first, *rest = template.split("{#")
    read = first + "".join(one.partition("#}")[2] for one in rest)
    for one in re.split(r"\{[{%]", read)[1:]:
        yield re.sub(_QUOTED, "", re.split(r"[}%]\}", one, maxsplit=1)[0])


def can_switch_off(chosen: dict[str, Any]) -> bool:
    """Did one of the variables say that there shall be no reasoning at all?"""
    return any(value in _OFF for value in chosen.values())


def command(template: str, think: Think) -> str | None:
    """The word in the system prompt that some templates look for, where this one does."""
    if not re.search(r"['\"]/no_think['\"]", template):
        return None
    return "/no_think" if think == "off" else "/think"


def _quoted(template: str, words: tuple[str, ...]) -> str:
    """The first of the words that stands in quotes in the template, else the last resort."""
    for word in words:
        if re.search(rf"['\"]{word}['\"]", template):
            return word
    return words[-1] if len(words) > 2 else words[0]
