"""LangChain's prompts as templates: holes stay holes, braces of their own are doubled as there."""

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from llmrr.migrate import fields
from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.values import Call, Prompt, Unresolved, Value

ROLES: Final = {
    "system": "system", "developer": "system", "human": "user", "user": "user",
    "ai": "assistant", "assistant": "assistant",
}  # fmt: skip
_TEXTS: Final = frozenset({
    "PromptTemplate", "Prompt", "StringPromptTemplate", "RichPromptTemplate",
})  # fmt: skip
_CHATS: Final = frozenset({"ChatPromptTemplate", "StructuredPrompt"})
_MESSAGE: Final = re.compile(
    r"(System|Human|AI|Chat|Developer)Message(PromptTemplate|Prompt)?(?:Chunk)?"
)
_MAKERS: Final = (
    "from_template", "fromTemplate", "from_messages", "fromMessages", "from_role_strings",
    "fromPromptMessages", "from_strings",
)  # fmt: skip
_FORMATS: Final = {"f-string": "braces", "jinja2": "jinja2", "mustache": "mustache"}
Turn = tuple[str, str]


@dataclass(slots=True, eq=False)
class Sketch:
    """A prompt before its models are known."""

    name: str
    template: str | None = None
    messages: tuple[Turn, ...] = ()
    format: str = "braces"
    defaults: dict[str, str] = field(default_factory=dict)
    models: list[Model] = field(default_factory=list)

    def register(self, findings: Findings) -> None:
        """Enter it, once for each model that it is used with."""
        linked: list[Model | None] = list({id(one): one for one in self.models}.values()) or [None]
        for model in linked:
            findings.template(
                self.name, self.template, self.messages, format=self.format, model=model,
                defaults=self.defaults,
            )  # fmt: skip


def class_of(call: Call) -> str:
    """The class that a constructor, or a class method of it, makes."""
    parts = call.callee.split(".")
    return parts[-2] if len(parts) > 1 and parts[-1] in _MAKERS else parts[-1]


def is_message(call: Call) -> bool:
    """Whether a call makes a message, or a template of one."""
    return bool(_MESSAGE.fullmatch(class_of(call)))


def is_prompt(call: Call) -> bool:
    """Whether a call makes a prompt."""
    name = class_of(call)
    return name in _TEXTS or name in _CHATS or name.startswith("FewShot")


def title(call: Call, otherwise: str = "prompt") -> str:
    """What a prompt is called: as the variable that holds it, or the function around it."""
    target = next(iter(call.targets), "").rpartition(".")[2]
    within = (call.within or "").rpartition(".")[2]
    return target.strip("_#") or within.strip("_<>") or otherwise


def sketch(call: Call, findings: Findings, line: int | None, otherwise: str = "") -> Sketch | None:
    """The prompt that a call makes, or None with a warning that says why there is none."""
    name = class_of(call)
    if name.startswith("FewShot"):
        findings.warn("few-shot", "a prompt with examples stays as it is", line)
        return None
    stated = call.named
    found = Sketch(title(call, otherwise or "prompt"))
    found.format = _format(call)
    if name in _TEXTS:
        text = _text(_first(call, "template", "template_str"), found, findings, line)
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


def turns_of(
    value: Value, found: Sketch, findings: Findings, line: int | None, *, literal: bool
) -> Iterator[Turn]:
    """Messages in any of their spellings. ``literal``: their texts have no holes of LangChain's."""
    for one in value if isinstance(value, list) else [value]:
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
        _placeholder(_first(call, "variable_name", "variableName"), findings, line)
        return None
    if name.startswith("FewShot"):
        findings.warn("few-shot", "examples in a conversation are left out", line)
        return None
    if name in _TEXTS:
        return "user", _text(_first(call, "template"), found, findings, line) or ""
    match = _MESSAGE.fullmatch(name)
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
        inner = _first(call, "prompt", "template")
        found.format = _format(call) if found.format == "braces" else found.format
        return role, _said(inner, found, findings, line, literal=False)
    raw = literal or match[1] != "Chat"
    return role, _said(_first(call, "content", "text"), found, findings, line, literal=raw)


def _said(
    content: Value, found: Sketch, findings: Findings, line: int | None, literal: bool
) -> str:
    """The text of a message; a part of it that is no text is told."""
    if isinstance(content, Call) and is_prompt(content):
        inner = _format(content)
        found.format = inner if inner != "braces" else found.format
        return _text(_first(content, "template"), found, findings, line) or ""
    if isinstance(content, list):
        parts = [_part(one, found, findings, line, literal) for one in content]
        return "\n".join(one for one in parts if one)
    if literal:
        return literal_text(content, findings, line) or ""
    return _text(content, found, findings, line) or ""


def _part(
    one: Value, found: Sketch, findings: Findings, line: int | None, literal: bool
) -> str:
    if isinstance(one, dict) and one.get("type", "text") == "text":
        return _said(one.get("text"), found, findings, line, literal)
    if isinstance(one, str | Prompt) or (isinstance(one, Call) and is_prompt(one)):
        return _said(one, found, findings, line, literal)
    findings.warn("not-applied", "a part of a message that is no text is left out", line)
    return ""


def literal_text(value: Value, findings: Findings, line: int | None) -> str | None:
    """A text that is sent as it stands: its braces are doubled; an unknown value is a hole."""
    if isinstance(value, Prompt):
        return value.text
    if isinstance(value, Unresolved):
        return "{" + _hole(value.text) + "}"
    if isinstance(value, Call) or value is None:
        return "{input}" if value is not None else None
    known = fields.resolved(value, findings, "content", line)
    if not isinstance(known, str):
        return None
    return known.replace("{", "{{").replace("}", "}}")


def _hole(source: str) -> str:
    """A name for what an expression stands for.

    >>> _hole('state["question"]'), _hole("req.body.text"), _hole("f(x) + 1")
    ('question', 'text', 'input')
    """
    match = re.fullmatch(r"""[\w.\[\]'"]*?([A-Za-z_]\w*)['"]?\]?""", source.strip())
    return match[1] if match else "input"


def _text(
    value: Value, found: Sketch, findings: Findings, line: int | None
) -> str | None:
    """A template's text, with what an f-string of the code leaves of it."""
    if isinstance(value, Prompt):
        value = _undoubled(value)
    known = fields.resolved(value, findings, "template", line)
    if not isinstance(known, str):
        return None
    if found.format == "braces" and not _is_plain(known):
        found.format = "f-string"
    return known


def _undoubled(value: Prompt) -> str:
    """What the code's own f-string leaves of doubled braces; its holes stay."""
    return value.text.replace("{{", "{").replace("}}", "}")


def _is_plain(text: str) -> bool:
    """Whether all holes of an f-string are plain names.

    >>> _is_plain("{a} {{b.c}}"), _is_plain("{a.b}"), _is_plain("{a:>10}"), _is_plain("}")
    (True, False, False, True)
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        return True
    return all(name is None or (name.isidentifier() and not spec and not conversion)
               for _, name, spec, conversion in parts)  # fmt: skip


def _fill_chat(call: Call, found: Sketch, findings: Findings, line: int | None) -> None:
    value = _first(call, "messages", "promptMessages", "message_templates", "messageTemplates")
    if call.name in ("from_template", "fromTemplate"):
        value = [_first(call, "template")]
    if isinstance(value, Unresolved | Prompt | Call) and not isinstance(value, Prompt):
        fields.resolved(value, findings, "messages", line)
        return
    found.messages = tuple(turns_of(value, found, findings, line, literal=False))


def _first(call: Call, *names: str) -> Value:
    """An argument by one of its names, else the first one by position."""
    stated = call.named
    known = next((stated[name] for name in names if stated.get(name) is not None), None)
    if known is not None:
        return known
    first = call.args[0] if call.args else None
    return None if isinstance(first, dict) and "role" not in first else first


def _format(call: Call) -> str:
    stated = call.named
    for one in call.args[1:2]:
        stated = {**stated, **one} if isinstance(one, dict) else stated
    word = stated.get("template_format") or stated.get("templateFormat") or "f-string"
    if call.name == "RichPromptTemplate":
        word = "jinja2"
    return _FORMATS.get(word, word) if isinstance(word, str) else "unknown"


def _tell_format(found: Sketch, findings: Findings, line: int | None) -> None:
    if found.format == "jinja2":
        findings.warn("jinja-template", f"{found.name} is written for Jinja", line)
    elif found.format != "braces":
        findings.warn("template-format", f"{found.name} is written as {found.format}", line)


def _placeholder(name: Value, findings: Findings, line: int | None) -> None:
    said = name.strip("{}") if isinstance(name, str) else "messages"
    findings.warn(
        "framework-logic", f"earlier turns of a conversation ({said}) are put in by the code", line
    )
