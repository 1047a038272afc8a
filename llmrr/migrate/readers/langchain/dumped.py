"""What LangChain writes of its objects, as the ``Call``s that would make them: ``lc`` nodes, and
the printed form of what it cannot write."""

import ast
import re
from collections.abc import Iterator
from typing import Any, Final

from llmrr.migrate.values import Call, Env, Unresolved, Value

_TYPES: Final = ("constructor", "secret", "not_implemented")
_DEEPEST: Final = 60
_LONGEST: Final = 100_000
_MODEL: Final = re.compile(
    r"\b(model|model_name|model_id|model_path|repo_id)(?:=|': )'([^'\n]{1,300})'"
)


def is_node(value: Any) -> bool:
    """Whether a table is an ``lc`` node."""
    return (
        isinstance(value, dict) and value.get("lc") in (1, 2) and value.get("type") in _TYPES
        and not isinstance(value.get("lc"), bool)
    )  # fmt: skip


def nodes(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The outermost nodes in a file, which may hold them under keys of its own."""
    if is_node(value):
        yield value
    elif depth < 8 and isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from nodes(one, depth + 1)


def value_of(data: Any, depth: int = 0) -> Value:
    """What is in a file as a value: nodes are calls, their secrets variables."""
    if depth > _DEEPEST:
        return Unresolved("nested too deeply")
    if is_node(data):
        return _node(data, depth)
    if isinstance(data, list):
        return [value_of(one, depth + 1) for one in data]
    if isinstance(data, dict):
        return {str(key): value_of(one, depth + 1) for key, one in data.items()}
    if data is None or isinstance(data, str | int | float | bool):
        return data
    return str(data)  # a date, as YAML has them


def _node(node: dict[str, Any], depth: int) -> Value:
    path = node.get("id")
    names = [str(one) for one in path] if isinstance(path, list) else []
    if node["type"] == "secret":
        return Env(names[-1]) if names else None
    if node["type"] == "constructor":
        told = node.get("kwargs")
        inner = told if isinstance(told, dict) else {}
        stated = {str(key): value_of(one, depth + 1) for key, one in inner.items()}
        return Call(".".join(names), (), stated)
    said = node.get("repr")
    text = said if isinstance(said, str) else ""
    known = printed(text)
    callee = ".".join(names) or (known.callee if known else "")
    return Call(callee, (), {**(known.fields if known else {})}, text=text or "?")


def printed(text: str) -> Call | None:
    """The call that a printed form looks like; only the model where it is none in full.

    >>> dict(printed("ChatOllama(model='llama3', num_ctx=8192, client=<x at 0x7>)").fields)
    {'model': 'llama3'}
    >>> dict(printed("ChatOllama(model='llama3', num_ctx=8192)").fields)
    {'model': 'llama3', 'num_ctx': 8192}
    """
    if not text or len(text) > _LONGEST:
        return None
    try:
        tree = ast.parse(text, mode="eval").body
        found = _of_tree(tree, 0)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = None
    if isinstance(found, Call):
        return found
    named = re.match(r"<?([\w.]+)", text)
    models = {match[1]: match[2] for match in _MODEL.finditer(text)}
    return Call(named[1] if named else "", (), dict(list(models.items())[:1]))


def _of_tree(tree: ast.expr, depth: int) -> Value:
    """Literals, and calls of what a name stands for; nothing is evaluated."""
    if depth > _DEEPEST:
        return None
    if isinstance(tree, ast.Call):
        callee = ast.unparse(tree.func)
        if callee in ("SecretStr", "re.compile"):
            return None
        told = {one.arg: _of_tree(one.value, depth + 1) for one in tree.keywords if one.arg}
        told.pop("metadata", None)
        return Call(callee, tuple(_of_tree(one, depth + 1) for one in tree.args), told)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr):
        return Call("|", (_of_tree(tree.left, depth + 1), _of_tree(tree.right, depth + 1)))
    if isinstance(tree, ast.List | ast.Tuple | ast.Set):
        return [_of_tree(one, depth + 1) for one in tree.elts]
    if isinstance(tree, ast.Dict):
        keys = [one.value if isinstance(one, ast.Constant) else None for one in tree.keys]
        pairs = zip(keys, tree.values, strict=True)
        return {str(key): _of_tree(one, depth + 1) for key, one in pairs if key is not None}
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        inner = _of_tree(tree.operand, depth + 1)
        return -inner if isinstance(inner, int | float) else None
    known = tree.value if isinstance(tree, ast.Constant) else None
    return known if isinstance(known, str | int | float | bool) else None
