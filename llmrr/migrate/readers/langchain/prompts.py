"""LangChain's prompts as templates: holes stay holes, braces of their own are doubled as there."""

import re
from collections.abc import Mapping

from llmrr.migrate.artefact import Findings
from llmrr.migrate.readers.langchain.messages import turns_of
from llmrr.migrate.readers.langchain.sketches import (
    TEXTS,
    Sketch,
    class_of,
    first,
    format_of,
    text_of,
    title,
)
from llmrr.migrate.terms import fields
from llmrr.migrate.values import Call, Prompt, Unresolved, Value


def sketch(call: Call, findings: Findings, line: int | None, otherwise: str = "") -> Sketch | None:
    """The prompt that a call makes, or None with a warning that says why there is none."""
    name = class_of(call)
    if name.startswith("FewShot"):
        findings.warn("few-shot", "a prompt with examples stays as it is", line)
        return None
    stated = call.named
    found = Sketch(title(call, otherwise or "prompt"))
    found.format = format_of(call)
    if name in TEXTS:
        text = text_of(first(call, "template", "template_str"), found, findings, line)
        if text is None:
            return None
        found.template = text
    else:
        _fill_chat(call, found, findings, line)
        if not found.messages:
            return None
    partial = stated.get("partial_variables") or stated.get("partialVariables")
    if isinstance(partial, dict):
        add_defaults(found, partial, findings, line)
    _tell_format(found, findings, line)
    return found


def add_defaults(
    found: Sketch, stated: Mapping[str, Value], findings: Findings, line: int | None
) -> None:
    """What some holes are filled with; what is only known at run time is told."""
    for name, value in stated.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            found.defaults[name] = str(value)
        elif value is not None:
            findings.warn("unresolved", f"what fills {{{name}}} is only known at run time", line)


def conversation(call: Call, value: list[Value], findings: Findings) -> Sketch | None:
    """The messages that a model is asked with, where they hold a system prompt or a hole."""
    found = Sketch(title(call))
    turns = list(turns_of(value, found, findings, call.line, literal=True))
    has_hole = any(re.search(r"(?<!\{)(?:\{\{)*\{\w", text) for _, text in turns)
    if not turns or not (has_hole or any(role == "system" for role, _ in turns)):
        return None
    found.messages = tuple(turns)
    return found


def _fill_chat(call: Call, found: Sketch, findings: Findings, line: int | None) -> None:
    value = first(call, "messages", "promptMessages", "message_templates", "messageTemplates")
    if call.name in ("from_template", "fromTemplate"):
        value = [first(call, "template")]
    if isinstance(value, Unresolved | Prompt | Call) and not isinstance(value, Prompt):
        fields.resolved(value, findings, "messages", line)
        return
    found.messages = tuple(turns_of(value, found, findings, line, literal=False))


def _tell_format(found: Sketch, findings: Findings, line: int | None) -> None:
    if found.format == "jinja2":
        findings.warn("jinja-template", f"{found.name} is written for Jinja", line)
    elif found.format != "braces":
        findings.warn("template-format", f"{found.name} is written as {found.format}", line)
