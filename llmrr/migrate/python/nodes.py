"""Nodes of a tree of Python: names, places, parts. Pure."""

import ast
from collections.abc import Iterable, Iterator

Place = tuple[int, int]  # line, column

Function = ast.FunctionDef | ast.AsyncFunctionDef


def dotted_name(node: ast.expr) -> str | None:
    """``a`` and ``a.b.c`` as a text; None for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join((node.id, *reversed(parts)))


def unwrapped(node: ast.expr) -> ast.expr:
    """What ``await`` and ``:=`` are about."""
    while isinstance(node, ast.Await | ast.NamedExpr):
        node = node.value
    return node


def span_of(node: ast.expr) -> tuple[int, int, int, int]:
    """Where a node stands: line, column in bytes, and the same of its end."""
    end_line, end = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return node.lineno, node.col_offset, end_line, end


def children(node: ast.AST) -> list[ast.AST]:
    """The parts of a node, the last first."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [one for one in value if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    found.reverse()
    return found


def start(node: ast.stmt) -> Place:
    """Where a node begins."""
    return node.lineno, node.col_offset


def end(node: ast.stmt | ast.expr | ast.pattern) -> Place:
    """Where a node ends."""
    return node.end_lineno or 0, node.end_col_offset or 0


def parameters(args: ast.arguments) -> Iterator[ast.arg]:
    """The parameters of a function."""
    for one in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
        if one is not None:
            yield one


def outer(body: Iterable[ast.stmt]) -> set[str]:
    """The names that a function takes from around it."""
    return {
        name for one in body if isinstance(one, ast.Global | ast.Nonlocal) for name in one.names
    }


def is_static(node: Function) -> bool:
    """Whether a method has no object."""
    return any(dotted_name(one) == "staticmethod" for one in node.decorator_list)
