"""One model as one ``.tar``, to be carried to a machine without a network.

The first member, ``llmrr-model.json``, says what the model is and lists the files with sizes and
SHA-256; they follow under their own paths, uncompressed, so that any ``tar`` can take them out.
``unpacking`` reads it.
"""

import hashlib
import io
import json
import os
import secrets
import shlex
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from llmrr.errors import DamagedFile, DoesNotFit, LlmrrError, NotFound
from llmrr.store.processes import is_alive
from llmrr.store.records import Entry, StoredFile, recipe_text
from llmrr.types import Format

MANIFEST = "llmrr-model.json"
VERSION = 1
BLOCK = 1 << 20
_UNKNOWN = "0" * 64
_ABOVE = 3  # levels between the file to open and the model's folder

Arrived = Callable[[str, int], None]


def paths_of(entry: Entry) -> dict[Path, str]:
    """The path that each file of a model gets in its archive: where it lies in the model's folder.
    What lies elsewhere, and what has no telling name (Ollama's blobs), is called by what it is."""
    root = _root(entry)
    names: dict[Path, str] = {}
    for file in entry.files:
        path = file.path
        inside = path.is_relative_to(root)
        name = path.relative_to(root).as_posix() if inside else f"beside/{path.name}"
        if not path.suffix and entry.format is Format.GGUF:
            name = f"{name}.gguf"
        while name in names.values():
            name = f"beside/{name}"
        names[path] = name
    return names


def _root(entry: Entry) -> Path:
    """The folder of a model: that of the file to open, or one above it that more of its files lie
    in (ONNX graphs have one of their own)."""
    if entry.path.is_dir():
        return entry.path

    def count(folder: Path) -> int:
        return sum(file.path.is_relative_to(folder) for file in entry.files)

    return max((entry.path.parent, *entry.path.parent.parents[:_ABOVE]), key=count)


def write(entry: Entry, names: dict[Path, str], out: Path, arrived: Arrived) -> Path:
    """Write the archive of a model; ``names`` gives each of its files its path in it. Raises
    ``LlmrrError`` where there is a file already, ``DoesNotFit``, ``DamagedFile`` for a file that
    is not what was recorded."""
    if os.path.lexists(out):
        raise LlmrrError(f"{out} exists already", "-O with another name")
    if not out.parent.is_dir():
        folder = shlex.quote(str(out.parent))
        raise NotFound(f"there is no folder {out.parent}", f"mkdir -p {folder}")
    facts = _facts(entry, names)
    # A name of its own: that of the archive, and so much more, may be too long.
    temporary = out.with_name(f".llmrr-export.{os.getpid()}-{secrets.token_hex(4)}")
    _sweep(out.parent)
    try:
        with writing(out):
            with temporary.open("xb") as raw:
                _write(raw, entry, names, facts, arrived)
                raw.flush()
                os.fsync(raw.fileno())
            _settle(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return out


def _settle(temporary: Path, out: Path) -> None:
    """Give it its name, unless something has that by now."""
    try:
        out.hardlink_to(temporary)
        return
    except OSError:  # also a file system without links
        pass
    if os.path.lexists(out):
        raise LlmrrError(f"{out} exists already", "-O with another name")
    temporary.replace(out)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(source: BinaryIO, out: BinaryIO, size: int, arrived: Callable[[int], None]) -> str:
    """Copy ``size`` bytes; their SHA-256. Raises ``DamagedFile`` when there are fewer."""
    digest, done = hashlib.sha256(), 0
    while done < size:
        block = source.read(min(BLOCK, size - done))
        if not block:
            raise DamagedFile(f"it ends {size - done} bytes too early", "copy the file again")
        out.write(block)
        digest.update(block)
        done += len(block)
        arrived(done)
    return digest.hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate what goes wrong while ``path`` is written."""
    import errno

    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DoesNotFit(
                f"no space left to write {path}", "llmrr prune frees what nobody needs"
            ) from exc
        folder = shlex.quote(str(path.parent))
        raise LlmrrError(f"{path} cannot be written: {exc.strerror}", f"ls -ld {folder}") from exc


def _facts(entry: Entry, names: dict[Path, str]) -> dict[str, Any]:
    options = dict(entry.recipe.options)
    if "lora" in options:
        options["lora"] = tuple((Path(names[path]), scale) for path, scale in options["lora"])
    return {
        "llmrr": VERSION,
        "name": entry.name,
        "tag": entry.tag,
        "main": names.get(entry.path, ""),
        "format": entry.format,
        # No path of this machine.
        "origin": entry.origin if entry.provider == "huggingface" else "",
        "revision": entry.revision,
        "recipe": recipe_text(replace(entry.recipe, options=options)),
        "files": [[names[file.path], file.bytes, _UNKNOWN] for file in entry.files],
    }


def _write(
    raw: BinaryIO, entry: Entry, names: dict[Path, str], facts: dict[str, Any], arrived: Arrived
) -> None:
    """The manifest goes first with digests of zeros, which take as much room as the real ones that
    are put in their place at the end: each file is read once."""
    with tarfile.TarFile(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.copybufsize = BLOCK  # type: ignore[attr-defined]
        tar.addfile(_info(MANIFEST, len(_text(facts))), io.BytesIO(_text(facts)))
        for at, file in enumerate(entry.files):
            name = names[file.path]
            with _reading(file, entry) as source:
                reader = _Hashing(source, partial(arrived, name))
                tar.addfile(_info(name, file.bytes), cast(BinaryIO, reader))
                digest = reader.digest.hexdigest()
            if file.digest not in (None, digest):
                raise DamagedFile(
                    f"{file.path} is damaged: its digest is not the recorded one",
                    f"llmrr rm {entry.label}, and get it again",
                )
            facts["files"][at][2] = digest
    raw.seek(512)
    raw.write(_text(facts))


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info


def _text(facts: dict[str, Any]) -> bytes:
    return (json.dumps(facts, ensure_ascii=False, indent=1) + "\n").encode()


def _reading(file: StoredFile, entry: Entry) -> BinaryIO:
    """Open a file of the model. Raises ``NotFound``, and ``DamagedFile`` for another size."""
    again = f"llmrr rm {entry.label}, and get it again"
    try:
        source = file.path.open("rb")
    except OSError as exc:
        raise NotFound(f"{file.path} cannot be read: {exc.strerror}", again) from exc
    size = os.fstat(source.fileno()).st_size
    if size != file.bytes:
        source.close()
        raise DamagedFile(f"{file.path} has {size} bytes, and {file.bytes} are noted", again)
    return source


def _sweep(folder: Path) -> None:
    """Remove what exports that were killed left in a folder."""
    for stale in folder.glob(".llmrr-export.*-????????"):
        process = stale.name.split(".")[2].partition("-")[0]
        if process.isdecimal() and not is_alive(int(process)):
            stale.unlink(missing_ok=True)


class _Hashing:
    """A file that is being read: hashed and counted."""

    def __init__(self, raw: BinaryIO, arrived: Callable[[int], None]) -> None:
        self._raw, self._arrived = raw, arrived
        self.digest, self._count = hashlib.sha256(), 0

    def read(self, size: int) -> bytes:
        block = self._raw.read(size)
        self.digest.update(block)
        self._count += len(block)
        self._arrived(self._count)
        return block
