"""LangChain's SQLiteCache, old and new, and SQLAlchemyMd5Cache.

``llm`` is either the serialized chat model, ``---`` and the printed list of what the call stated,
or that list alone; ``prompt`` the serialized messages, or a text; ``response`` a serialized
generation, or in old files the bare text. All of it is parsed, and nothing is made of it.
"""

import ast
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from llmrr.migrate.caches.answers import Answer, Left, Rows, checked, text_of
from llmrr.migrate.caches.sqlite import Database

TABLES: Final = ("full_llm_cache", "full_md5_llm_cache")
_MODEL: Final = ("model", "model_name", "model_id", "deployment_name", "repo_id", "model_path")
_LARGEST: Final = 200_000  # characters of a printed list that is parsed
_ROLES: Final = {"System": "system", "Human": "user", "AI": "assistant"}


def fits(found: Database) -> bool:
    """Whether it has one of the tables."""
    return any(found.has(name, "prompt", "llm", "idx", "response") for name in TABLES)


def rows(found: Database) -> Rows:
    """Each generation is an answer."""
    for table in TABLES:
        if found.has(table, "prompt", "llm", "idx", "response"):
            for prompt, llm, response in found.rows(table, ("prompt", "llm", "response")):
                yield _row(prompt, llm, response)


def _row(prompt: object, llm: object, response: object) -> Answer | Left:
    asked, answer = text_of(prompt), text_of(response)
    if asked is None or answer is None:
        return Left("no text")
    system, turns = _turns(asked)
    said = _generation(answer)
    if turns is None or said is None:
        return Left("no text")
    model, params = facts_of(llm if isinstance(llm, str) else "")
    return checked(Answer(turns, said, model, system=system, params=params or None))


def facts_of(llm: str) -> tuple[str | None, dict[str, Any]]:
    """The model and the parameters that a key names.

    >>> facts_of("[('_type', 'openai'), ('model_name', 'gpt-x'), ('temperature', 0.5)]")
    ('gpt-x', {'temperature': 0.5})
    """
    head, _, tail = llm.rpartition("---")
    stated: dict[str, Any] = {}
    node = _json(head) if head else _json(tail)
    if isinstance(node, dict):
        kwargs = node.get("kwargs")
        stated |= kwargs if isinstance(kwargs, dict) else _of_repr(node.get("repr"))
    stated |= _pairs(tail)
    model = next((stated[name] for name in _MODEL if text_of(stated.get(name))), None)
    plain = {
        name: one for name, one in stated.items()
        if isinstance(one, bool | int | float) or (name == "stop" and one)
    }  # fmt: skip
    return model, plain


def _pairs(text: str) -> dict[str, Any]:
    """A printed list of pairs, of literals alone."""
    found = _literal(text)
    pairs = found if isinstance(found, list | tuple) else ()
    return {
        one[0]: one[1] for one in pairs
        if isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str)
    }  # fmt: skip


def _literal(text: str) -> Any:
    if len(text) > _LARGEST:
        return None
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _of_repr(printed: object) -> dict[str, Any]:
    """The literals of a printed call."""
    if not isinstance(printed, str) or len(printed) > _LARGEST:
        return {}
    try:
        tree = ast.parse(printed.strip(), mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    found = {}
    for one in tree.keywords if isinstance(tree, ast.Call) else ():
        if one.arg and isinstance(one.value, ast.Constant):
            found[one.arg] = one.value.value
    return found


def _turns(text: str) -> tuple[str | None, str | None]:
    """The system prompt and what was asked, of serialized messages or of a plain text."""
    found = _json(text)
    if not isinstance(found, list):
        return None, text
    turns = list(_messages(found))
    if not turns:
        return None, text
    system = "\n\n".join(said for role, said in turns if role == "system") or None
    rest = [one for one in turns if one[0] != "system"]
    if len(rest) == 1:
        return system, rest[0][1]
    return system, "\n\n".join(f"{role}: {said}" for role, said in rest) or None


def _messages(found: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for node in found:
        path, kwargs = (node.get("id"), node.get("kwargs")) if isinstance(node, dict) else (0, 0)
        if not isinstance(path, list) or not path or not isinstance(kwargs, dict):
            continue
        name = str(path[-1]).removesuffix("Chunk").removesuffix("Message")
        said = _content(kwargs.get("content"))
        if said:
            yield _ROLES.get(name, name.lower()), said


def _generation(text: str) -> str | None:
    """The text of a serialized generation; a bare text is one."""
    node = _json(text)
    if not isinstance(node, dict) or not isinstance(node.get("kwargs"), dict):
        return text if not isinstance(node, dict | list) else None
    kwargs: Mapping[str, Any] = node["kwargs"]
    if text_of(kwargs.get("text")):
        return str(kwargs["text"])
    message = kwargs.get("message")
    inner = message.get("kwargs") if isinstance(message, dict) else None
    return _content(inner.get("content")) if isinstance(inner, dict) else None


def _content(value: object) -> str | None:
    if isinstance(value, list):
        parts = [one.get("text") if isinstance(one, dict) else one for one in value]
        value = "".join(one for one in parts if isinstance(one, str))
    return text_of(value)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
