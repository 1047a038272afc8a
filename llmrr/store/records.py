"""The table of installed models. A model is installed when it has a name here; its files may lie
anywhere."""

import json
import re
import time
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr import database, paths
from llmrr.database import checked
from llmrr.errors import LlmrrError, UsageError
from llmrr.kinds import LOCAL_PROVIDERS, TEXT
from llmrr.store.references import hub_reference
from llmrr.types import Format, Message, Recipe, Sampling

if TYPE_CHECKING:
    import sqlite3

LONGEST_LABEL = 200
COLUMNS = (
    "name", "tag", "kind", "format", "quant", "path", "bytes", "digest", "origin", "revision",
    "added", "used", "files", "recipe", "is_made",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a model. ``digest`` is its SHA-256 in hex, where known."""

    path: Path
    bytes: int
    digest: str | None = None

    @classmethod
    def of(cls, path: Path) -> "StoredFile":
        """A file as it lies there."""
        return cls(path, path.stat().st_size)


@dataclass(frozen=True, slots=True)
class Entry:
    """An installed model. ``origin`` is the source that it came from, ``path`` the file to open
    (the first of ``files``) or a folder; ``kind`` is that of ``ModelInfo``, or embedding;
    ``is_made`` when the user made it of another one. Times are epoch seconds."""

    name: str
    tag: str
    path: Path
    origin: str
    files: tuple[StoredFile, ...]
    kind: str | None = None
    format: Format | None = None
    quant: str | None = None
    bytes: int | None = None
    digest: str | None = None
    revision: str | None = None
    added: float = 0.0
    used: float | None = None
    recipe: Recipe = field(default_factory=Recipe)
    is_made: bool = False

    @property
    def label(self) -> str:
        """What names it: NAME or NAME:TAG."""
        return f"{self.name}:{self.tag}" if self.tag else self.name

    @property
    def provider(self) -> str:
        """The first word of its origin."""
        return self.origin.partition(":")[0]

    @property
    def is_missing(self) -> bool:
        """Whether a file of it is gone, or cannot be got at."""
        return not all(paths.exists(file.path) for file in self.files)

    @property
    def latest(self) -> float:
        """When it was last used or added."""
        return max(self.added, self.used or 0.0)


def split_label(label: str) -> tuple[str, str]:
    """Name and tag; the tag is empty where there is none.

    >>> split_label("qwen3:4b"), split_label("owner/repo"), split_label("hf.co/o/r:Q4_K_M")
    (('qwen3', '4b'), ('owner/repo', ''), ('hf.co/o/r', 'Q4_K_M'))
    """
    name, colon, tag = label.rpartition(":")
    return (name, tag) if colon and name and "/" not in tag else (label, "")


def check_label(label: str) -> str:
    """The label, if it may name a model. Raises ``UsageError``.

    >>> check_label("me/mine:v2")
    'me/mine:v2'
    """
    name, _ = split_label(label)
    if len(label) > LONGEST_LABEL:
        raise UsageError(
            f"{label[:20]}… has {len(label)} characters", f"a name has at most {LONGEST_LABEL}"
        )
    if not re.fullmatch(r"[\w][\w.+-]*(/[\w][\w.+-]*)*(:[\w][\w.+-]*)?(@[\w.-]+)?", label):
        raise UsageError(
            f'"{label}" cannot name a model',
            "letters, digits and . _ - +, in parts with /, and one :TAG behind them",
        )
    if name in LOCAL_PROVIDERS and label != name:
        raise UsageError(f'"{label}" would read as a source ({name}:)', "take another name")
    return label


def sound_label(label: str) -> str:
    """A label from any text: what may not stand in one becomes a dash."""
    parts = [re.sub(r"[^\w.+-]+", "-", part).strip("-.+") for part in re.split("[/:]", label)]
    tag = f":{parts.pop()}" if ":" in label and len(parts) > 1 else ""
    return "/".join(filter(None, parts)) + tag


def add(connection: "sqlite3.Connection", entry: Entry) -> Entry:
    """Install it, in the place of one of the same label; ``added`` becomes now unless stated."""
    entry = replace(entry, added=entry.added or time.time())
    marks = ", ".join("?" * len(COLUMNS))
    with database.errors():
        connection.execute(f"INSERT OR REPLACE INTO models VALUES ({marks})", _row(entry))
    return entry


def remove(connection: "sqlite3.Connection", entry: Entry) -> None:
    """Forget it; its files stay."""
    with database.errors():
        connection.execute(
            "DELETE FROM models WHERE name = ? AND tag = ?", (entry.name, entry.tag)
        )


def entries(connection: "sqlite3.Connection") -> list[Entry]:
    """All of them, by label."""
    with database.errors():
        rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM models").fetchall()
    return sorted(map(_entry, rows), key=lambda entry: entry.label.lower())


def get(connection: "sqlite3.Connection", label: str) -> Entry | None:
    """The one of just this label, in any case."""
    with database.errors():
        row = connection.execute(
            f"SELECT {', '.join(COLUMNS)} FROM models WHERE name = ? AND tag = ?",
            split_label(label),
        ).fetchone()
    return None if row is None else _entry(row)


def of_origin(connection: "sqlite3.Connection", origin: str) -> list[Entry]:
    """Those that came from this source."""
    with database.errors():
        rows = connection.execute(
            f"SELECT {', '.join(COLUMNS)} FROM models WHERE origin = ?", (origin,)
        ).fetchall()
    return [_entry(row) for row in rows]


def matching(connection: "sqlite3.Connection", label: str) -> list[Entry]:
    """The one of this label, or all tags of this name: ``latest`` first, as in Ollama, then the one
    used or added last."""
    found = get(connection, label)
    if found is not None:
        return [found]
    name, tag = split_label(label)
    with database.errors():
        rows = connection.execute(
            f"SELECT {', '.join(COLUMNS)} FROM models WHERE name = ?",
            (name if tag.lower() == "latest" else label,),
        ).fetchall()
    return sorted(
        map(_entry, rows), key=lambda one: (one.tag.lower() == "latest", one.latest), reverse=True
    )


def latest(connection: "sqlite3.Connection") -> list[Entry]:
    """All of them, the one used or added last first."""
    return sorted(entries(connection), key=lambda entry: entry.latest, reverse=True)


def touch(connection: "sqlite3.Connection", label: str, at: float) -> None:
    """Note that it was used."""
    with database.errors():
        connection.execute(
            "UPDATE models SET used = ? WHERE name = ? AND tag = ?", (at, *split_label(label))
        )


def replaced(
    connection: "sqlite3.Connection", label: str, origin: str, hint: str
) -> Entry | None:
    """The entry whose place one from ``origin`` takes under this label: one that came from there
    too. Raises ``LlmrrError`` with ``hint`` when the label is that of another model."""
    other = get(connection, label)
    if other is None or (not other.is_made and _same_place(other.origin, origin)):
        return other
    made = "it was made here of " if other.is_made else ""
    raise LlmrrError(f'there is a model "{other.label}" already ({made}{other.origin})', hint)


def _same_place(one: str, other: str) -> bool:
    """Whether two origins are the same, or name parts of one repository."""
    if one == other:
        return True
    found = [hub_reference(each) for each in (one, other) if each.startswith("huggingface:")]
    return len({each and (each.repo.lower(), each.revision) for each in found}) == 1 < len(found)


class Checked:
    """Which files were found to have their digest, by place, size, time and inode."""

    def __init__(self, connection: "sqlite3.Connection") -> None:
        self._connection = connection

    def holds(self, path: Path, digest: str) -> bool:
        """Whether this very file was checked, and not changed since."""
        found = checked.verdict(self._connection, path, path.stat(), by="digest")
        return found == digest

    def note(self, path: Path, digest: str) -> None:
        """It was checked now."""
        checked.record(self._connection, path, path.stat(), by="digest", found=digest)


def _row(entry: Entry) -> tuple[Any, ...]:
    stored = [[str(one.path), one.bytes, one.digest] for one in entry.files]
    return (
        entry.name, entry.tag, entry.kind, entry.format, entry.quant, str(entry.path), entry.bytes,
        entry.digest, entry.origin, entry.revision, entry.added, entry.used,
        json.dumps(stored, ensure_ascii=False), recipe_text(entry.recipe), entry.is_made,
    )  # fmt: skip


def _entry(row: tuple[Any, ...]) -> Entry:
    values = dict(zip(COLUMNS, row, strict=True))
    stored = json.loads(values.pop("files"))
    return Entry(
        **{
            **values,
            "path": Path(values["path"]),
            "format": Format(values["format"]) if values["format"] else None,
            "files": tuple(StoredFile(Path(path), size, digest) for path, size, digest in stored),
            "recipe": read_recipe(values["recipe"]),
            "is_made": bool(values["is_made"]),
        }
    )


def recipe_text(recipe: Recipe) -> str | None:
    """A recipe as JSON, its values as ``llmrr.toml`` has them; None for an empty one."""
    if recipe == Recipe():
        return None
    params = {one.name: getattr(recipe.params, one.name) for one in fields(Sampling)}
    value = {
        "system": recipe.system,
        "params": {name: one for name, one in params.items() if one is not None},
        "options": {name: _written(one) for name, one in recipe.options.items()},
        "messages": [[message.role, message.content] for message in recipe.messages],
        "template": recipe.template,
        "license": recipe.license,
    }
    stated = {key: one for key, one in value.items() if one not in (None, {}, [])}
    return json.dumps(stated, ensure_ascii=False)


def read_recipe(text: str | None, folder: Path = Path("/")) -> Recipe:
    """What ``recipe_text`` wrote; relative paths in it start at ``folder``. ``ValueError`` and its
    kin for another text."""
    if text is None:
        return Recipe()
    from llmrr import parameters

    value = json.loads(text)
    kinds = parameters.fields_of("params")
    params = {name: kinds[name].parse(one, folder) for name, one in value.get("params", {}).items()}
    # A template is its own text here, whatever it begins with: no file is read.
    kinds = {**parameters.fields_of("options"), "chat_template": TEXT}
    return Recipe(
        system=value.get("system"),
        params=Sampling(**params),  # type: ignore[arg-type]
        options={
            name: kinds[name].parse(one, folder) for name, one in value.get("options", {}).items()
        },
        messages=tuple(Message(role, content) for role, content in value.get("messages", [])),
        template=value.get("template"),
        license=value.get("license"),
    )


def _written(value: object) -> object:
    """A value in use as it is written: the reverse of what the kinds of settings do."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):  # adapters
        return [{"path": str(path), "scale": scale} for path, scale in value]
    return {"on": True, "off": False, None: "auto"}.get(value, value)  # type: ignore[call-overload]
