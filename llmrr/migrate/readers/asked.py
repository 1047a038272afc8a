"""What models are asked in code: texts with holes, and lists of messages."""

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.terms import code_keys
from llmrr.migrate.terms.texts import literal
from llmrr.migrate.values import Call, OneOf, Prompt, Unresolved, Value, inside

_ROLES = ("system", "user", "assistant", "developer")


def put(model: Model, value: Value, findings: Findings, name: str = "prompt") -> None:
    """A prompt with holes as a template of the model; the system prompt of constant messages."""
    if isinstance(value, Call) and value.name == "apply_chat_template":
        value = value.args[0] if value.args else value.fields.get("conversation")
    if isinstance(value, Prompt):
        if value.holes:
            findings.template(f"{model.name}-{name}", value.text, model=model)
        return
    turns = _turns(value)
    if not any(isinstance(text, Prompt) for _, text in turns):
        tell_of_lost(value, findings)
    if not turns:
        return
    if any(isinstance(text, Prompt) and text.holes for _, text in turns):
        findings.template(f"{model.name}-{name}", messages=[
            (role, text.text if isinstance(text, Prompt) else literal(text))
            for role, text in turns
        ], model=model)  # fmt: skip
    elif isinstance(system := turns[0][1], str) and turns[0][0] in ("system", "developer"):
        model.params.setdefault("system", system)


def tell_of_lost(value: Value, findings: Findings) -> None:
    """Say which texts of a prompt are not carried: their holes are more than plain names."""
    for one in inside(value):
        if isinstance(one, Unresolved) and one.is_text and not isinstance(one, OneOf):
            text = code_keys.shown(one.text)[:60]
            said = f"the prompt {text!r} has holes that are no plain names"
            findings.warn("unresolved", f"{said}: it is not carried", one.line, "prompt")


def _turns(value: Value) -> list[tuple[str, str | Prompt]]:
    """The messages that are known; none where the first is not."""
    found: list[tuple[str, str | Prompt]] = []
    for one in value if isinstance(value, list) else []:
        if isinstance(one, list):  # a batch of conversations
            return found or _turns(one)
        if not isinstance(one, dict):
            return found
        role, text = one.get("role"), one.get("content")
        if role == "system" and isinstance(text, OneOf) and text.stated:
            text = text.stated[0]  # the default of a parameter
        if not (isinstance(role, str) and role in _ROLES and isinstance(text, str | Prompt)):
            return found
        found.append((role, text))
    return found
