"""What ``llmrr convert`` prints: lines of text. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmrr.cli.layout import Page, size

Facts = Mapping[str, Any]


def plan(page: Page, found: Facts) -> Iterator[str]:
    """``llmrr convert --dry-run``."""
    rows = [
        (
            step["title"], size(step["bytes"]), size(step["memory_bytes"]),
            _seconds(step["seconds"]),
        )
        for step in found["steps"]
    ]  # fmt: skip
    yield from page.table(("STEP", "RESULT", "MEMORY", "TIME"), rows)
    for step in found["steps"]:
        yield from (note for note in step["notes"])
        if step["asks"]:
            yield step["asks"]
    yield ""
    yield f"to {found['path']}" if found["path"] else f"to be installed as {found['name']}"


def done(page: Page, found: Facts) -> Iterator[str]:
    """What a conversion did, and how it was checked."""
    for step in found["steps"]:
        yield f"{step['title']}: {_seconds(step['seconds'])}"
        for check in step["checks"]:
            yield f"  {check['name']}: {check['detail']}"
            yield from (f"    {line}" for line in _rows(page, check["table"]))
        if not step["checks"]:
            yield "  not verified; its metadata says so"
    yield f"{found['path']} ({size(found['bytes'])})"
    if found["kind"] == "adapter":
        yield f"give it to its model: llmrr run -m MODEL -o lora {found['path']}"
    elif found["name"]:
        yield f"run it with: llmrr run -m {found['name']}"


def _rows(page: Page, table: list[Facts]) -> Iterator[str]:
    if table:
        heads = tuple(table[0])
        rows = [tuple(_cell(row.get(head)) for head in heads) for row in table]
        yield from page.table(tuple(head.upper().replace("_", " ") for head in heads), rows)


def _cell(value: Any) -> str | None:
    """A cell of one line.

    >>> _cell(0.123456), _cell("user\\nHi"), _cell([1, 2]), _cell(None)
    ('0.1235', 'user\\\\nHi', '[1, 2]', None)
    """
    if value is None:
        return None
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("\n", "\\n")


def _seconds(count: float | None) -> str | None:
    """A time as people read it.

    >>> _seconds(0.034), _seconds(12.6), _seconds(191)
    ('0.03 s', '13 s', '3 min')
    """
    if count is None:
        return None
    if count < 1:
        return f"{count:.2f} s"
    return f"{count:.0f} s" if count < 120 else f"{count / 60:.0f} min"
