"""What is written down of a change."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from llmrr.journal import files

State = Literal["open", "done", "undone"]

FILE = "entry.json"


class FileChange(NamedTuple):
    """One file of an entry. ``backup`` is the name of its old content inside the entry (None: it
    did not exist); the digests are SHA-256 (None: no file); ``folders`` were made for it."""

    path: Path
    backup: str | None
    before: str | None
    after: str | None
    folders: tuple[Path, ...] = ()


class Entry(NamedTuple):
    """One recorded change. ``what`` begins with its kind ("config edit"); ``open`` is one that
    never came to its end."""

    id: str
    what: str
    at: float
    state: State
    files: tuple[FileChange, ...]

    @property
    def kind(self) -> str:
        """The first word of ``what``."""
        return self.what.partition(" ")[0]


def save(folder: Path, entry: Entry) -> None:
    """Write it into its folder."""
    import json

    value = {
        **entry._asdict(),
        "files": [
            {**file._asdict(), "path": str(file.path), "folders": [str(f) for f in file.folders]}
            for file in entry.files
        ],
    }
    text = json.dumps(value, indent=1, ensure_ascii=False)
    files.replace(folder / FILE, text.encode("utf-8", "surrogateescape"), like=folder / FILE)


def read(folder: Path) -> Entry | None:
    """The one in this folder; None where it cannot be read any more."""
    import json

    try:
        text = (folder / FILE).read_bytes().decode("utf-8", "surrogateescape")
        value: dict[str, Any] = json.loads(text)
        changed = tuple(
            FileChange(
                **{
                    **file,
                    "path": Path(file["path"]),
                    "folders": tuple(map(Path, file["folders"])),
                }
            )
            for file in value.pop("files")
        )
        return Entry(**value, files=changed)
    except (ValueError, TypeError, KeyError):
        return None
