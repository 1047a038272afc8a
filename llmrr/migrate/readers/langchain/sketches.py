"""Prompts before their models are known, and the texts in them."""

import re
import string
from dataclasses import dataclass, field
from typing import Final

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers.asked import tell_of_lost
from llmrr.migrate.terms import fields
from llmrr.migrate.terms.texts import literal
from llmrr.migrate.values import Call, Prompt, Unresolved, Value

Turn = tuple[str, str]
TEXTS: Final = frozenset({
    "PromptTemplate", "Prompt", "StringPromptTemplate", "RichPromptTemplate",
})  # fmt: skip
CHATS: Final = frozenset({"ChatPromptTemplate", "StructuredPrompt"})
MESSAGE: Final = re.compile(
    r"(System|Human|AI|Chat|Developer)Message(PromptTemplate|Prompt)?(?:Chunk)?"
)
_MAKERS: Final = (
    "from_template", "fromTemplate", "from_messages", "fromMessages", "from_role_strings",
    "fromPromptMessages", "from_strings", "from_examples", "fromExamples",
)  # fmt: skip
_FORMATS: Final = {"f-string": "braces", "jinja2": "jinja2", "mustache": "mustache"}


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
    return bool(MESSAGE.fullmatch(class_of(call)))


def is_prompt(call: Call) -> bool:
    """Whether a call makes a prompt."""
    name = class_of(call)
    return name in TEXTS or name in CHATS or name.startswith("FewShot")


def title(call: Call, otherwise: str = "prompt") -> str:
    """What a prompt is called: as the variable that holds it, or the function around it."""
    target = next(iter(call.targets), "").rpartition(".")[2]
    within = (call.within or "").rpartition(".")[2]
    return target.strip("_#") or within.strip("_<>") or otherwise


def literal_text(value: Value, findings: Findings, line: int | None) -> str | None:
    """A text that is sent as it stands: its braces are doubled; an unknown value is a hole."""
    if isinstance(value, Prompt):
        return value.text
    if isinstance(value, Unresolved):
        tell_of_lost(value, findings)
        return "{" + _hole(value.text) + "}"
    if isinstance(value, Call) or value is None:
        return "{input}" if value is not None else None
    known = fields.resolved(value, findings, "content", line)
    if not isinstance(known, str):
        return None
    return literal(known)


def _hole(source: str) -> str:
    """A name for what an expression stands for.

    >>> _hole('state["question"]'), _hole("req.body.text"), _hole("f(x) + 1")
    ('question', 'text', 'input')
    """
    match = re.fullmatch(r"""[\w.\[\]'"]*?([A-Za-z_]\w*)['"]?\]?""", source.strip())
    return match[1] if match else "input"


def text_of(
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


def first(call: Call, *names: str) -> Value:
    """An argument by one of its names, else the first one by position."""
    stated = call.named
    known = next((stated[name] for name in names if stated.get(name) is not None), None)
    if known is not None:
        return known
    first = call.args[0] if call.args else None
    return None if isinstance(first, dict) and "role" not in first else first


def format_of(call: Call) -> str:
    stated = call.named
    for one in call.args[1:2]:
        stated = {**stated, **one} if isinstance(one, dict) else stated
    word = stated.get("template_format") or stated.get("templateFormat") or "f-string"
    if call.name == "RichPromptTemplate":
        word = "jinja2"
    return _FORMATS.get(word, word) if isinstance(word, str) else "unknown"
