"""The tables that a file states: what a script exports, or what a data file holds."""

from collections.abc import Iterator, Mapping
from typing import Final

from llmrr.migrate.documents import Document
from llmrr.migrate.guessing.foreign import is_about_files
from llmrr.migrate.values import Call, Value

_MOST: Final = 100  # tables of one file


def tables(document: Document) -> Iterator[Mapping[str, Value]]:
    """Each table that stands for itself, the outer ones first; one that is taken by a shape may
    come again as a part of another only where the outer one was none."""
    code = document.code
    if code is not None:
        if code.language != "javascript":
            return
        exports = dict(code.exports)
        whole = _table(exports.pop("default", None))
        stated = [whole] if whole else []
        rest = {name: one for name, one in exports.items() if one != whole}  # exported twice
        stated += [rest] if rest else []
    else:
        whole = None if is_about_files(document.shape) else _table(document.shape)
        stated = [whole] if whole else []
    yield from _with_inner(stated)


def _with_inner(stated: list[Mapping[str, Value]]) -> Iterator[Mapping[str, Value]]:
    seen = 0
    for table in stated:
        yield table
        if is_whole(table):
            continue
        for value in table.values():
            inner = _table(value)
            seen += 1
            if inner is not None and seen < _MOST:
                yield inner


def is_whole(table: Mapping[str, Value]) -> bool:
    """Whether a table says itself which models there are, so that its parts are parts."""
    return any(name in table for name in ("models", "model", "modelPath", "modelName"))


def _table(value: object) -> Mapping[str, Value] | None:
    """A table, also one that is handed through a function; a list is one of models."""
    if isinstance(value, Call):
        return None if _is_of_library(value) else value.named or None
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return value
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return {"models": list(value)}
    return None


def _is_of_library(call: Call) -> bool:
    """Whether a call makes something of another library, whose reader knows what is stated."""
    module, _, name = call.callee.rpartition(".")
    own = not module or module.startswith(".") or "llm-runner-router" in module
    return name[:1].isupper() and not own


def in_milliseconds(stated: Mapping[str, Value]) -> tuple[str, ...]:
    """The times whose figure tells that they are in milliseconds: nobody waits a thousand seconds
    for an answer, nor a thousandth of one.

    >>> in_milliseconds({"timeout": 30_000, "requestTimeout": 60, "maxTokens": 4096})
    ('timeout',)
    """
    return tuple(
        name for name, value in stated.items()
        if "timeout" in name.lower() and isinstance(value, int | float) and value >= 1000
    )  # fmt: skip


def part(table: Mapping[str, Value], *names: str) -> Value:
    """The first of several fields that is stated."""
    return next((table[name] for name in names if table.get(name) not in (None, "")), None)


def nested(table: Mapping[str, Value], *names: str) -> dict[str, Value]:
    """What stands in tables of further settings, as one."""
    found: dict[str, Value] = {}
    for name in names:
        inner = table.get(name)
        if isinstance(inner, dict):
            found.update(inner)
    return found
