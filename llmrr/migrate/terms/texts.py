"""Prompts in other tools' spellings as templates of ours, where that is simple. Pure."""

import re
from typing import NamedTuple


class Text(NamedTuple):
    """The text of a template and its format."""

    text: str
    format: str


def literal(text: str) -> str:
    """A text without holes.

    >>> literal('{"a": 1}')
    '{{"a": 1}}'
    """
    return text.replace("{", "{{").replace("}", "}}")


def template_of(text: str, language: str) -> Text:
    """A prompt in another language: with plain holes alone it becomes one of ours, otherwise it is
    kept raw.

    >>> template_of("Sum up {{{ input }}}", "mustache")
    Text(text='Sum up {input}', format='braces')
    >>> template_of("{{#if a}}x", "mustache").format
    'mustache'
    """
    holes = r"\{\{\{?\s*([A-Za-z_]\w*)\s*\}\}\}?"
    parts = re.split(holes, text)
    if any("{{" in part or "{%" in part for part in parts[::2]):
        return Text(text, language)
    return Text("".join(
        f"{{{part}}}" if at % 2 else literal(part) for at, part in enumerate(parts)
    ), "braces")  # fmt: skip


def of_dollars(text: str) -> str:
    """A text with ``$name`` or ``${name}``, and ``$$`` for a dollar, as one of ours.

    >>> of_dollars("Cost of $item: $$5, {x} ${b}")
    'Cost of {item}: $5, {{x}} {b}'
    """
    found = re.split(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", text)
    parts = [literal(found[0])]
    for at in range(1, len(found), 4):
        dollar, plain, braced, rest = found[at : at + 4]
        parts += ["$" if dollar else f"{{{plain or braced}}}", literal(rest)]
    return "".join(parts)


def of_word(text: str, word: str, name: str) -> str:
    """A text in which one word is a hole.

    >>> of_word("Say __INPUT__ {now}", "__INPUT__", "input")
    'Say {input} {{now}}'
    """
    return f"{{{name}}}".join(literal(part) for part in text.split(word))
