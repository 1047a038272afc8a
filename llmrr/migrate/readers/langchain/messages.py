"""The messages of a prompt, in all the spellings that LangChain and LlamaIndex take."""

from collections.abc import Iterator
from typing import Final

from llmrr.migrate.artefact import Findings
from llmrr.migrate.readers.langchain.sketches import (
    MESSAGE,
    TEXTS,
    Sketch,
    Turn,
    class_of,
    first,
    format_of,
    is_prompt,
    literal_text,
    text_of,
)
from llmrr.migrate.values import Call, Prompt, Unresolved, Value

_MOST: Final = 200  # messages of one prompt
ROLES: Final = {
    "system": "system", "developer": "system", "human": "user", "user": "user",
    "ai": "assistant", "assistant": "assistant",
}  # fmt: skip


def turns_of(
    value: Value, found: Sketch, findings: Findings, line: int | None, *, literal: bool
) -> Iterator[Turn]:
    """Messages in any of their spellings. ``literal``: their texts have no holes of LangChain's."""
    for one in value[:_MOST] if isinstance(value, list) else [value]:
        turn = _turn(one, found, findings, line, literal)
        if turn and turn[1]:
            yield turn


def _turn(
    one: Value, found: Sketch, findings: Findings, line: int | None, literal: bool
) -> Turn | None:
    """One message, or None where it has no text that is known."""
    if isinstance(one, Call):
        return _of_class(one, found, findings, line, literal)
    role: Value = "user"
    content: Value = one
    if isinstance(one, list) and len(one) == 2:
        role, content = one
    elif isinstance(one, dict):
        role, content = one.get("role", one.get("type")), one.get("content")
    if role in ("placeholder", "messages_placeholder"):
        _placeholder(content, findings, line)
        return None
    if not isinstance(role, str) or role not in ROLES:
        if not isinstance(role, Call):
            findings.warn("unresolved", "a message of an unknown role is left out", line)
        return None
    return ROLES[role], _said(content, found, findings, line, literal)


def _of_class(
    call: Call, found: Sketch, findings: Findings, line: int | None, literal: bool
) -> Turn | None:
    name = class_of(call)
    if name == "MessagesPlaceholder":
        _placeholder(first(call, "variable_name", "variableName"), findings, line)
        return None
    if name.startswith("FewShot"):
        findings.warn("few-shot", "examples in a conversation are left out", line)
        return None
    if name in TEXTS:
        return "user", text_of(first(call, "template"), found, findings, line) or ""
    match = MESSAGE.fullmatch(name)
    if not match:
        findings.warn("unresolved", f"a message by {name} is left out", line)
        return None
    role = {"System": "system", "AI": "assistant", "Developer": "system"}.get(match[1], "user")
    stated = call.named.get("role")
    if isinstance(stated, Unresolved):  # MessageRole.SYSTEM
        stated = stated.text.rpartition(".")[2].lower()
    if isinstance(stated, str):
        role = ROLES.get(stated, role)
    if match[2]:
        inner = first(call, "prompt", "template")
        found.format = format_of(call) if found.format == "braces" else found.format
        return role, _said(inner, found, findings, line, literal=False)
    raw = literal or match[1] != "Chat"
    return role, _said(first(call, "content", "text"), found, findings, line, literal=raw)


def _said(
    content: Value, found: Sketch, findings: Findings, line: int | None, literal: bool
) -> str:
    """The text of a message; a part of it that is no text is told."""
    if isinstance(content, Call) and is_prompt(content):
        inner = format_of(content)
        found.format = inner if inner != "braces" else found.format
        return text_of(first(content, "template"), found, findings, line) or ""
    if isinstance(content, list):
        parts = [_part(one, found, findings, line, literal) for one in content]
        return "\n".join(one for one in parts if one)
    if literal:
        return literal_text(content, findings, line) or ""
    return text_of(content, found, findings, line) or ""


def _part(
    one: Value, found: Sketch, findings: Findings, line: int | None, literal: bool
) -> str:
    if isinstance(one, dict) and one.get("type", "text") == "text":
        return _said(one.get("text"), found, findings, line, literal)
    if isinstance(one, str | Prompt) or (isinstance(one, Call) and is_prompt(one)):
        return _said(one, found, findings, line, literal)
    findings.warn("not-applied", "a part of a message that is no text is left out", line)
    return ""


def _placeholder(name: Value, findings: Findings, line: int | None) -> None:
    said = name.strip("{}") if isinstance(name, str) else "messages"
    findings.warn(
        "framework-logic", f"earlier turns of a conversation ({said}) are put in by the code", line
    )
