"""JSON that somebody else wrote: bounded, and with an error that says what is wrong with it."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from llmrr.formats.messages import damaged
from llmrr.formats.source import Files, Source

MAX_CONFIG = 8 << 20  # the longest tokenizer_config.json is a mebibyte
MAX_ITEMS = 200_000  # what an item takes in memory is many times what it takes in the file


def read_object(source: Source, limit: int = MAX_CONFIG) -> dict[str, Any]:
    """The object in the file ``source`` of at most ``limit`` bytes.

    Raises ``DamagedFile`` for anything else.
    """
    if source.size > limit:
        raise damaged(source, f"it has {source.size} bytes, where {limit} are allowed")
    return parse_object(source.read(0, limit), source)


def read_beside(files: Files, name: str) -> dict[str, Any]:
    """The object in the file called ``name``, an empty one where there is no such file."""
    return read_object(files.source(name)) if name in files.sizes else {}


def parse_object(
    raw: bytes, where: object, *, distinct: bool = False, items: int = MAX_ITEMS
) -> dict[str, Any]:
    """The object of at most ``items`` that ``raw`` is; with ``distinct``, no key stands twice.

    NaN and infinite numbers pass, as Python writes them. Raises ``DamagedFile``.
    """
    if sum(map(raw.count, (b",", b"{", b"["))) > items:
        raise damaged(where, f"it has more than {items} items")
    hook = _distinct if distinct else None
    try:
        value = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=hook)
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except RecursionError as exc:
        raise damaged(where, "it is nested too deeply") from exc
    except ValueError as exc:  # not UTF-8, not JSON, a number of more than 4,300 digits
        raise damaged(where, f"it is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise damaged(where, "it holds no JSON object")
    return value


def text(table: Mapping[str, Any], key: str) -> str | None:
    """The text under ``key``; None where there is none, or something else."""
    value = table.get(key)
    return value if isinstance(value, str) else None


def table(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object under ``key``; an empty one where there is none, or something else."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise ValueError(f"the key {twice[0][:99]!r} stands twice")
    return found
