"""Where functions of a file are called in it, and with what."""

import ast
from functools import cached_property
from typing import Final

from llmrr.migrate.python.scopes import Block, Function, Walk

_MOST: Final = 12  # calls of one function that are looked at


class Callers:
    """The calls of a file by what they may call: a function by its name, a method by its name on
    any object, a constructor by its class."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    def of(self, function: Function) -> list[tuple[ast.Call, Block]]:
        """The calls of a function; none where there are very many."""
        block = self._walk.functions[id(function)]
        parent = block.scope.parent
        of_class = parent is not None and parent.kind == "class"
        name = function.name
        if of_class and name == "__init__":
            assert parent is not None
            name = parent.name or ""
        found = self._by_name.get((name, of_class and function.name != "__init__"), [])
        return found if len(found) <= _MOST else []

    @cached_property
    def _by_name(self) -> dict[tuple[str, bool], list[tuple[ast.Call, Block]]]:
        found: dict[tuple[str, bool], list[tuple[ast.Call, Block]]] = {}
        for node, block in self._walk.found:
            if isinstance(node, ast.Call):
                is_method = isinstance(node.func, ast.Attribute)
                if isinstance(node.func, ast.Name | ast.Attribute):
                    name = node.func.attr if is_method else node.func.id  # type: ignore[union-attr]
                    found.setdefault((name, is_method), []).append((node, block))
        return found


def passed(function: Function, name: str, call: ast.Call) -> ast.expr | None:
    """What a call gives a parameter; None where that is not stated plainly."""
    for key in call.keywords:
        if key.arg == name:
            return key.value
    listed = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    if name not in listed or any(isinstance(one, ast.Starred) for one in call.args):
        return None
    first = listed[0] in ("self", "cls")
    at = listed.index(name) - first
    return call.args[at] if 0 <= at < len(call.args) else None
