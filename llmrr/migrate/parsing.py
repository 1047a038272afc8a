"""Texts to trees: JSON with comments, YAML, TOML, INI; Python, JavaScript and TypeScript."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from llmrr.migrate.values import Code

SCRIPTS: Final = {
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
}  # fmt: skip


class Several(list[Any]):
    """The documents of one YAML file that holds more than one."""


def decoded(data: bytes) -> str | None:
    """A text of bytes: UTF-8, or UTF-16 with its mark; None for binary."""
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return data.decode(encoding, errors="replace")


def parsed(text: str, suffix: str) -> Any:
    """A dict or a list of a data file, or None. Raises ``DamagedFile``."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        pass
    import yaml

    if suffix in (".yaml", ".yml"):
        return yaml.load(text, yaml.CSafeLoader)
    return None


def duplicates(text: str, suffix: str) -> list[tuple[str, int]]:
    """Keys that stand twice in one table, with the line of the second."""
    return []


def evaluated(text: str, suffix: str, path: Path) -> "Code | None":
    """The calls and names of a file of code, or None. Raises ``DamagedFile``."""
    if dialect := SCRIPTS.get(suffix):
        from llmrr.migrate import javascript

        return javascript.evaluate(text, path, dialect)
    return None
