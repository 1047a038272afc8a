"""Calls written as Python: ``[f(a=1), g(b="x")]``, ``f(a=1)``."""

import ast
import re
from json import dumps

from llmrr.engines.calls import base
from llmrr.engines.calls.base import Said

_STRING = r"'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\""
_STRUCTURE = re.compile(rf"{_STRING}|[()\[\]{{}}'\"]", re.DOTALL)
_LOOSE = re.compile(rf"{_STRING}|(?<![\w.])0+(?=\d)", re.DOTALL)


def ending(text: str, at: int = 0) -> int | None:
    """Where the bracket that is the first one from ``at`` on is closed; None where it is not yet.

    >>> ending("f(a=')') + 1"), ending("f(a=[1)")
    (8, None)
    """
    depth = 0
    for found in _STRUCTURE.finditer(text, at):
        mark = found.group()
        if mark in "'\"":
            return None
        if mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth -= 1
            if depth <= 0:
                return found.end()
    return None


def calls(text: str) -> list[Said] | None:
    """The calls of an expression, a list of them or one; None for any other.

    >>> calls('[get(city="Paris", days=[1, 2])]')
    [Said(name='get', arguments='{"city": "Paris", "days": [1, 2]}', id=None)]
    """
    try:
        tree = ast.parse(_strict(text), mode="eval").body
        found = tree.elts if isinstance(tree, ast.List) else [tree]
        return [_call(one) for one in found] or None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _strict(text: str) -> str:
    """What models write as Python, as Python takes it: no line break in a string, no zero before a
    number."""

    def written(found: "re.Match[str]") -> str:
        if found[0][0] == "0":
            return ""
        return "".join(f"\\x{ord(one):02x}" if one < " " else one for one in found[0])

    return _LOOSE.sub(written, text.strip())


class _Constants(ast.NodeTransformer):
    """Takes the words of JSON for those of Python, and a set for a list."""

    def visit_Set(self, node: ast.Set) -> ast.expr:
        return ast.List([self.visit(one) for one in node.elts], ast.Load())

    def visit_Name(self, node: ast.Name) -> ast.expr:
        words = {"true": True, "false": False, "null": None}
        return ast.Constant(words[node.id]) if node.id in words else node


def _constant(node: ast.expr) -> ast.expr:
    found: ast.expr = _Constants().visit(node)
    return found


def call_of(text: str) -> Said | None:
    """The call that an object is which is written as Python shows one; None for none.

    >>> call_of("{'name': 'get', 'arguments': {'city': 'Paris'}}")
    Said(name='get', arguments='{"city": "Paris"}', id=None)
    """
    written = literal(text)
    return None if written is None else base.call_of(written)


def literal(text: str) -> str | None:
    """The JSON text of a value that is written as Python shows it; None for any other.

    >>> literal("['a', True, null]"), literal("a + b")
    ('["a", true, null]', None)
    """
    try:
        value = ast.literal_eval(_constant(ast.parse(_strict(text), mode="eval").body))
        return dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _call(node: ast.expr) -> Said:
    if not isinstance(node, ast.Call) or node.args:
        raise ValueError
    given = {one.arg: ast.literal_eval(_constant(one.value)) for one in node.keywords}
    if None in given:
        raise ValueError
    try:
        written = dumps(given, ensure_ascii=False, allow_nan=False)
    except TypeError as exc:
        raise ValueError from exc
    return Said(ast.unparse(node.func), written)
