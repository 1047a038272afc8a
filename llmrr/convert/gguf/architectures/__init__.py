"""The table of architectures, by family."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmrr.convert.gguf.architectures import bert, gemma, gpt, granite, llama, olmo, phi, qwen
from llmrr.convert.gguf.entry import Entry
from llmrr.errors import Unsupported

ENTRIES: tuple[Entry, ...] = (
    *llama.ENTRIES,
    *qwen.ENTRIES,
    *gemma.ENTRIES,
    *phi.ENTRIES,
    *granite.ENTRIES,
    *olmo.ENTRIES,
    *gpt.ENTRIES,
    *bert.ENTRIES,
)


def find(raw: Mapping[str, Any], where: str) -> Entry:
    """The entry for a configuration: by its class, else by its ``model_type``; of a model of
    several parts that is not known as a whole, by those of its text part.

    Raises ``Unsupported``, which names the architecture.
    """
    inside = raw.get("text_config")
    tables = (raw, inside) if isinstance(inside, dict) else (raw,)
    for table in tables:
        for entry in ENTRIES:
            if _class(table) in entry.classes:
                return entry
        if _class(table):  # a class that is not known is not what its model_type says
            continue
        for entry in ENTRIES:
            if table.get("model_type") in entry.model_types:
                return entry
    named = _class(raw) or raw.get("model_type")
    if not isinstance(named, str):
        raise Unsupported(
            f"{where} names no architecture", "it needs the key architectures, as transformers has"
        )
    raise Unsupported(
        f"{where} is of the architecture {named[:99]!r}, which cannot be converted to GGUF here",
        "known are: " + ", ".join(sorted(_classes())),
    )


def _class(table: Mapping[str, Any]) -> str | None:
    found = table.get("architectures")
    first = found[0] if isinstance(found, list) and found else None
    return first if isinstance(first, str) else None


def _classes() -> Iterator[str]:
    yield from (entry.classes[0] for entry in ENTRIES)
