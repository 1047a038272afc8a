"""What is sent to a model: system prompts, and templates where a text has holes."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers.asked import tell_of_lost
from llmrr.migrate.readers.sdk.asks import Ask, Asked
from llmrr.migrate.terms.texts import literal
from llmrr.migrate.values import Call, OneOf, Prompt, Unresolved, Value

_SYSTEM: Final = ("system", "developer")
_ROLES: Final = {"ai": "assistant", "human": "user", "model": "assistant", "developer": "system"}
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w{0,60}")


class Said(NamedTuple):
    """One message: a text, a text with holes, or None for what is not known."""

    role: str
    text: str | Prompt | None


def prompts(asked: Asked) -> None:
    """Fill in ``system`` of the models, and the templates, of a file."""
    for model, asks in asked.by_model:
        systems: list[str | None] = []
        for ask in asks:
            said = _said(ask)
            if _is_template(said):
                _template(said, ask, model, asked.findings)
                systems.append(None)
            else:
                tell_of_lost([ask.system, ask.messages], asked.findings)
                systems.append(_system(said))
        if len(set(systems)) == 1 and systems[0]:
            model.params["system"] = systems[0]
            continue
        for ask, system in zip(asks, systems, strict=True):
            if system:
                _template(_said(ask), ask, model, asked.findings)


def _said(ask: Ask) -> list[Said]:
    """The messages of a call, the system prompt first."""
    found = []
    if (system := _text(ask.system)) is not None:
        found.append(Said("system", system))
    return found + messages(ask.messages)


def messages(value: Value) -> list[Said]:
    """The messages that a value is: a text, or a list of objects with a role and content."""
    if not isinstance(value, list):
        return [] if value is None else [Said("user", _text(value))]
    found = []
    for one in value:
        fields = one.named if isinstance(one, Call) else one
        if isinstance(fields, dict) and isinstance(role := fields.get("role", "user"), str):
            content = fields.get("content", fields.get("parts", fields.get("text")))
            if role in _SYSTEM and isinstance(content, OneOf) and content.stated:
                content = content.stated[0]  # the default of a parameter
            found.append(Said(_ROLES.get(role, role), _text(content)))
        elif isinstance(one, str | Prompt):
            found.append(Said("user", one))
        else:
            found.append(Said("", None))
    return found


def _text(value: Value) -> str | Prompt | None:
    """A text; a variable with a plain name is a hole of that name."""
    if isinstance(value, str | Prompt):
        return value
    if isinstance(value, Unresolved) and _IDENTIFIER.fullmatch(value.text):
        return Prompt(f"{{{value.text}}}", (value.text,))
    if isinstance(value, list):
        parts = [one.get("text") if isinstance(one, dict) else one for one in value]
        texts = [one for one in map(_text, parts) if one is not None]
        return texts[0] if len(texts) == 1 else None
    return None


def _is_bare(text: str | Prompt | None) -> bool:
    """Whether it is nothing but one variable."""
    return isinstance(text, Prompt) and text.text == f"{{{text.holes[0]}}}"


def _is_template(said: Sequence[Said]) -> bool:
    """Whether there is a text with holes, or an example of a conversation before a question."""
    examples = any(one.role == "assistant" and isinstance(one.text, str) for one in said)
    return any(
        isinstance(one.text, Prompt) and (examples or not _is_bare(one.text)) for one in said
    )


def _system(said: Sequence[Said]) -> str | None:
    texts = [one.text for one in said if one.role == "system"]
    plain = [one for one in texts if isinstance(one, str) and one.strip()]
    return "\n\n".join(plain) if plain and len(plain) == len(texts) else None


def _template(said: Sequence[Said], ask: Ask, model: Model, findings: Findings) -> None:
    kept = [(one.role, _braced(one.text)) for one in said if one.text is not None]
    if any(one.text is None for one in said):
        findings.warn(
            "unresolved", "a part of the prompt is only known at run time", ask.call.line,
            "messages",
        )  # fmt: skip
    name = (ask.call.within or "").strip("_") or f"{model.name}-prompt"
    if len(kept) == 1 and kept[0][0] == "user":
        findings.template(name, kept[0][1], model=model)
    else:
        findings.template(name, None, kept, model=model)


def _braced(text: str | Prompt) -> str:
    if isinstance(text, Prompt):
        return text.text
    return literal(text)
