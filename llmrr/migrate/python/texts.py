"""Texts put together of known ones and holes; numbers and lists added. Pure."""

import ast
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from llmrr.migrate.terms.texts import literal
from llmrr.migrate.values import Call, Env, OneOf, Prompt, Unresolved, Value

Part = str | Prompt | None

_BRANCHES: Final = 24  # values that one thing may have; of more nothing is said
_LONGEST: Final = 1_000_000  # characters


def hole(name: str) -> Prompt:
    """A text that is nothing but a hole."""
    return Prompt(f"{{{name}}}", (name,))


def combined(parts: Sequence[Part]) -> str | Prompt | None:
    """Texts one after the other; None if one of them is not known.

    >>> combined(["a {", hole("x"), "}"])
    Prompt(text='a {{{x}}}', holes=('x',))
    >>> combined(["a", "b"]), combined(["a", None])
    ('ab', None)
    """
    plain = [one for one in parts if isinstance(one, str)]
    lengths = (len(one.text if isinstance(one, Prompt) else one) for one in parts if one)
    if sum(lengths) > _LONGEST:
        return None
    if len(plain) == len(parts):
        return "".join(plain)
    holes: list[str] = []
    text: list[str] = []
    for one in parts:
        if one is None:
            return None
        if isinstance(one, Prompt):
            holes += one.holes
            text.append(one.text)
        else:
            text.append(literal(one))
    return Prompt("".join(text), tuple(dict.fromkeys(holes)))


def formatted(
    template: str, listed: Sequence[Part], named: Mapping[str, Part]
) -> str | Prompt | None:
    """``template.format(…)``.

    >>> formatted("{a} of {}", ["b"], {"a": hole("x")})
    Prompt(text='{x} of b', holes=('x',))
    """
    parts: list[Part] = []
    at = 0
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError:
        return None
    for text, name, spec, conversion in pieces:
        parts.append(text)
        if name is None:
            continue
        if spec or conversion not in (None, "s"):
            return None
        if name == "" or name.isdecimal():
            index, at = (at, at + 1) if name == "" else (int(name), at)
            parts.append(listed[index] if index < len(listed) else None)
        else:
            parts.append(named.get(name))
    return combined(parts)


def percent(template: str, parts: Sequence[Part]) -> str | Prompt | None:
    """``template % parts`` with nothing but ``%s`` and ``%d``.

    >>> percent("%s%%", [hole("x")]).text
    '{x}%'
    """
    pieces = re.split(r"(%.)", template)
    found: list[Part] = []
    left = list(parts)
    for piece in pieces:
        if not piece.startswith("%"):
            found.append(piece)
        elif piece == "%%":
            found.append("%")
        elif piece in ("%s", "%d") and left:
            found.append(left.pop(0))
        else:
            return None
    return None if left else combined(found)


def either(values: Sequence[Value], unknown: Unresolved) -> Value:
    """``a or b or c``.

    >>> either(["", "b"], Unresolved("?")), either([Env("X"), "b"], Unresolved("?"))
    ('b', Env(name='X', default='b'))
    """
    first, rest = values[0], values[1:]
    if not rest:
        return first
    if isinstance(first, Env):
        if first.default is not None and first.default != "":
            return first
        after = either(rest, unknown)
        return Env(first.name, None if isinstance(after, Unresolved) else after)
    if isinstance(first, OneOf):
        given = tuple(one for one in first.values if one)
        after = either(rest, unknown)
        others = after.stated if isinstance(after, OneOf) else (after,)
        if (given and len(given) == len(first.values)) or not others:
            return replace(first, values=given) if given else unknown
        if any(isinstance(one, Call | Unresolved) for one in others):
            return replace(first, values=given) if given else unknown
        is_certain = isinstance(after, OneOf) and not after.assumed and first.values == (None,)
        return OneOf(unknown.text, unknown.line, (*others, *given), not is_certain)
    if isinstance(first, Call | Unresolved):
        return unknown
    if isinstance(first, Prompt):
        return first
    return first if first else either(rest, unknown)


def one_of(values: Sequence[Value], unknown: Unresolved) -> Unresolved:
    """One of several that are all known; ``unknown`` where they are not.

    >>> one_of(["a", "b", "a"], Unresolved("x")).values
    ('a', 'b')
    """
    found: list[Value] = []
    for one in values:
        if isinstance(one, OneOf) and one.values:
            found += one.values
        elif isinstance(one, str | int | float | Env):
            found.append(one)
        else:
            return unknown
        if len(found) > _BRANCHES:
            return unknown
    distinct = [one for at, one in enumerate(found) if one not in found[:at]]
    return OneOf(unknown.text, unknown.line, tuple(distinct))


def total(values: Sequence[Value]) -> Value:
    """Numbers added; None for anything else."""
    numbers = [one for one in values if isinstance(one, int | float)]
    return sum(numbers) if len(numbers) == len(values) else None


def calculated(operator: ast.operator, left: Value, right: Value) -> Value:
    """Two numbers, or a text that is repeated; None where it is not known.

    >>> calculated(ast.Mult(), 4, 1024), calculated(ast.Pow(), 2, 10_000)
    (4096, None)
    """
    if isinstance(left, str) and isinstance(right, int) and isinstance(operator, ast.Mult):
        return left * right if 0 <= right * len(left) < _LONGEST else None
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        return None
    if max(abs(left), abs(right)) > 1e12 or (isinstance(operator, ast.Pow) and abs(right) > 40):
        return None
    try:
        match operator:
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                return left / right
            case ast.FloorDiv():
                return left // right
            case ast.Pow():
                found = left**right
                return found if isinstance(found, int | float) else None
    except (ArithmeticError, ValueError):
        return None
    return None
