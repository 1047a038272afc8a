"""The logs of simonw's llm: ``responses`` of older releases, ``turns`` with their messages of newer
ones; a database that was upgraded has both, for different requests."""

import json
from collections.abc import Iterator
from typing import Any, Final

from llmrr.migrate.caches.answers import (
    Answer,
    Left,
    Row,
    Rows,
    checked,
    count_of,
    moment_of,
    text_of,
)
from llmrr.migrate.caches.sqlite import Database

_RESPONSE: Final = (
    "model", "prompt", "system", "options_json", "response", "duration_ms", "datetime_utc",
    "input_tokens", "output_tokens", "id",
)  # fmt: skip
_TURN: Final = (
    "model", "parent_message_hash", "tip_message_hash", "options_json", "duration_ms",
    "datetime_utc", "input_tokens", "output_tokens",
)  # fmt: skip
_LONGEST_CHAIN: Final = 200  # messages
_OLD: Final = ("model", "prompt", "response", "datetime_utc")


def fits(found: Database) -> bool:
    """Whether it has either form."""
    return found.has("responses", *_OLD) or _has_turns(found)


def rows(found: Database) -> Rows:
    """The answers of both forms."""
    if found.has("responses", *_OLD):
        fragments = _Fragments(found)
        for row in found.rows("responses", _RESPONSE):
            yield _response(row, fragments)
    if _has_turns(found):
        for row in found.rows("turns", _TURN):
            yield _turn(found, row)


def _has_turns(found: Database) -> bool:
    return (
        found.has("turns", "model", "parent_message_hash", "tip_message_hash")
        and found.has("messages", "hash", "parent_hash", "role")
        and found.has("parts", "message_hash", "position", "type", "text")
    )


class _Fragments:
    """Texts that stood before a prompt, and are kept apart from it."""

    def __init__(self, found: Database) -> None:
        self._found = found
        self._has = found.has("fragments", "id", "content")

    def of(self, table: str, response: object) -> list[str]:
        """Those of a response, in their order."""
        if not self._has or not self._found.has(table, "response_id", "fragment_id", "order"):
            return []
        where = 'WHERE response_id = ? ORDER BY "order"'
        numbers = [row[0] for row in self._found.rows(table, ("fragment_id",), where, (response,))]
        return [text for one in numbers if (text := _fragment(self._found, one))]


def _response(row: tuple[Any, ...], fragments: _Fragments) -> Row:
    model, prompt, system, options, response, took, at, read, written, number = row
    asked = "\n\n".join([*fragments.of("prompt_fragments", number), text_of(prompt) or ""]).strip()
    told = "\n\n".join([*fragments.of("system_fragments", number), text_of(system) or ""]).strip()
    return _answer(model, asked, told, response, options, took, at, read, written)


def _turn(found: Database, row: tuple[Any, ...]) -> Row:
    model, parent, tip, options, took, at, read, written = row
    said = [text for role, text in _chain(found, tip, parent) if role == "assistant"]
    before = list(_chain(found, parent, None))
    asked: list[str] = []
    for role, text in before:  # the newest first
        if role not in ("user", "tool"):
            break
        asked += [text] if role == "user" else []
    system = next((text for role, text in reversed(before) if role == "system"), "")
    return _answer(
        model, "\n\n".join(reversed(asked)), system, "".join(reversed(said)), options, took, at,
        read, written,
    )  # fmt: skip


def _answer(
    model: object, asked: str, system: str, response: object, options: object, took: object,
    at: object, read: object, written: object,
) -> Row:  # fmt: skip
    said = text_of(response)
    if not asked.strip() or said is None:
        return Left("no text")
    milliseconds = count_of(took)
    return checked(
        Answer(
            asked, said, text_of(model), moment_of(at), system or None, count_of(read),
            count_of(written), None if milliseconds is None else milliseconds / 1000,
            _options(options),
        )
    )  # fmt: skip


def _chain(found: Database, tip: object, end: object) -> Iterator[tuple[str, str]]:
    """Role and text of the messages from ``tip`` back, without ``end``."""
    here, seen = tip, set()
    while isinstance(here, str) and here != end and here not in seen:
        seen.add(here)
        rows = found.rows("messages", ("parent_hash", "role"), "WHERE hash = ?", (here,))
        parent, role = next(rows, (None, None))
        yield str(role), _text(found, here)
        here = parent if len(seen) < _LONGEST_CHAIN else None


def _text(found: Database, message: str) -> str:
    where = "WHERE message_hash = ? AND type = 'text' ORDER BY position"
    parts = found.rows("parts", ("text", "payload"), where, (message,))
    return "".join(text_of(text) or _referred(found, payload) for text, payload in parts)


def _referred(found: Database, payload: object) -> str:
    """A text of which pieces lie among the fragments."""
    pieces = _object(payload).get("text_ref")
    texts = []
    for one in pieces if isinstance(pieces, list) else ():
        if isinstance(one, dict):
            text = one.get("literal")
            texts.append(text if isinstance(text, str) else _fragment(found, one.get("fragment")))
    return "".join(texts)


def _fragment(found: Database, number: object) -> str:
    if not isinstance(number, int) or not found.has("fragments", "id", "content"):
        return ""
    rows = found.rows("fragments", ("content",), "WHERE id = ?", (number,))
    return text_of(next(rows, (None,))[0]) or ""


def _options(text: object) -> dict[str, Any] | None:
    found = _object(text)
    return {name: one for name, one in found.items() if isinstance(one, bool | int | float | str)} \
        or None  # fmt: skip


def _object(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
