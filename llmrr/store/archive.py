"""One model as one ``.tar``, to be carried to a machine without a network.

The first member, ``llmrr-model.json``, says what the model is and lists the files with sizes and
SHA-256; they follow under their own paths, uncompressed, so that any ``tar`` can take them out. An
archive is not trusted: whatever is no plain file with a path of the list, of the listed size, is
refused before anything is written.
"""

import hashlib
import io
import json
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, cast

from llmrr.errors import DamagedFile, DoesNotFit, LlmrrError, Unsupported
from llmrr.store.records import Entry, StoredFile, read_recipe, recipe_text
from llmrr.types import Format

MANIFEST = "llmrr-model.json"
VERSION = 1
MAX_MANIFEST = 4 << 20
MAX_FILES = 10_000
BLOCK = 1 << 20
_UNKNOWN = "0" * 64

Arrived = Callable[[str, int], None]


class Member(NamedTuple):
    """A file in an archive: where its bytes begin, and what they must be."""

    path: str
    bytes: int
    digest: str
    offset: int


class Archive(NamedTuple):
    """What an archive says, all of it checked but for the digests."""

    path: Path
    facts: dict[str, Any]
    members: tuple[Member, ...]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(member.bytes for member in self.members)


def paths_of(entry: Entry) -> dict[Path, str]:
    """The path that each file of a model gets in its archive: where it lies in the model's folder.
    What lies elsewhere, and what has no telling name (Ollama's blobs), is called by what it is."""
    root = entry.path if entry.path.is_dir() else entry.path.parent
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


def write(entry: Entry, names: dict[Path, str], out: Path, arrived: Arrived) -> Path:
    """Write the archive of a model; ``names`` gives each of its files its path in it. Raises
    ``LlmrrError`` where there is a file already, ``DoesNotFit``, ``DamagedFile`` for a file that
    is not what was recorded."""
    if out.exists():
        raise LlmrrError(f"{out} exists already", "-O with another name")
    facts = _facts(entry, names)
    temporary = out.with_name(f".{out.name}.llmrr-{secrets.token_hex(4)}")
    _sweep(out)
    try:
        with writing(out), temporary.open("xb") as raw:
            _write(raw, entry, names, facts, arrived)
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return out


def is_archive(path: Path) -> bool:
    """Whether a file is a tar, of whatever."""
    with path.open("rb") as file:
        return file.read(512)[257:262] == b"ustar"


def read(path: Path) -> Archive:
    """Look through an archive. Raises ``Unsupported`` for what ``write`` did not write, and
    ``DamagedFile`` for what is hostile or cut off."""
    with path.open("rb") as raw:
        bounded = _Bounded(raw)
        try:
            with tarfile.open(fileobj=bounded, mode="r:") as tar:
                return _read(path, tar, bounded)
        except tarfile.TarError as exc:
            raise DamagedFile(f"{path} is no sound archive: {exc}", "export it again") from exc


def unpack(archive: Archive, folder: Path, arrived: Arrived) -> tuple[StoredFile, ...]:
    """Write the files below ``folder``, which is new. Raises ``DamagedFile`` for one whose digest
    is not what the archive says."""
    found = []
    with archive.path.open("rb") as raw:
        for member in archive.members:
            target = folder.joinpath(*PurePosixPath(member.path).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            raw.seek(member.offset)
            with writing(target), target.open("xb") as out:
                digest = copy(raw, out, member.bytes, partial(arrived, member.path))
            if digest != member.digest:
                raise DamagedFile(
                    f"{member.path} in {archive.path} is damaged: its digest is another",
                    "copy the archive again, or export it again",
                )
            found.append(StoredFile(target, member.bytes, digest))
    return tuple(found)


def entry_of(archive: Archive, files: tuple[StoredFile, ...], folder: Path) -> Entry:
    """The model that was unpacked to ``folder``, as it was where it was exported."""
    facts = archive.facts
    return Entry(
        name=str(facts["name"]),
        tag=str(facts["tag"]),
        path=folder / facts["main"] if facts["main"] else folder,
        origin=str(facts["origin"]),
        files=files,
        bytes=archive.bytes,
        digest=facts.get("digest"),
        revision=facts.get("revision"),
        recipe=read_recipe(facts.get("recipe"), folder),  # adapters are named by their path in it
    )


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
        "origin": entry.origin,
        "revision": entry.revision,
        "digest": entry.digest,
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
            with file.path.open("rb") as source:
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


def _read(path: Path, tar: tarfile.TarFile, raw: "_Bounded") -> Archive:
    first = tar.next()
    if first is None or first.name != MANIFEST or not _is_plain(first):
        raise Unsupported(
            f"{path} is an archive, and not one of a model that llmrr export wrote",
            "unpack it, and import the model file in it",
        )
    if first.size > MAX_MANIFEST:
        raise _hostile(path, f"its {MANIFEST} has {first.size} bytes")
    raw.seek(first.offset_data)
    facts = _manifest(path, raw.read(first.size))
    expected = {name: (size, digest) for name, size, digest in facts["files"]}
    members = tuple(_members(path, tar, expected))
    if len(members) != len(expected):
        missing = sorted(set(expected) - {member.path for member in members})
        raise DamagedFile(f"{path} is cut off: {missing[0]} is missing", "copy it again")
    return Archive(path, facts, members)


def _manifest(path: Path, content: bytes) -> dict[str, Any]:
    """The list, with every value of the kind that it must be."""
    try:
        facts = json.loads(content)
        files = [(str(n), int(size), str(digest)) for n, size, digest in facts["files"]]
        texts = [facts[key] for key in ("name", "tag", "main", "origin")]
        recipe = read_recipe(facts.get("recipe"), Path())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise DamagedFile(f"{path}: its {MANIFEST} cannot be read", "export it again") from exc
    if facts.get("llmrr") != VERSION:
        raise Unsupported(
            f"{path} was written by another version of llmrr", "pip install --upgrade llmrr"
        )
    names = [name for name, _, _ in files]
    if not files or len(files) > MAX_FILES or len(set(names)) != len(names):
        raise _hostile(path, "its list of files is empty, too long, or names one twice")
    if not all(isinstance(text, str) for text in texts) or texts[2] not in ("", *names):
        raise _hostile(path, "its list names no model")
    adapters = [str(path) for path, _ in recipe.options.get("lora", ())]
    if not set(adapters) <= set(names):
        raise _hostile(path, "it names an adapter that is not in it")
    for name, size, digest in files:
        if not _stays_inside(name) or size < 0 or len(digest) != 64:
            raise _hostile(path, f"{name!r} is no file that belongs into it")
    return {**facts, "files": files}


def _members(
    path: Path, tar: tarfile.TarFile, expected: dict[str, tuple[int, str]]
) -> Iterator[Member]:
    seen: set[str] = set()
    while (member := tar.next()) is not None:
        if not _is_plain(member):
            raise _hostile(path, f"{member.name!r} is a link, a folder or something else")
        if member.name not in expected or member.name in seen:
            raise _hostile(path, f"{member.name!r} is not on its list")
        size, digest = expected[member.name]
        if member.size != size:
            raise _hostile(path, f"{member.name!r} has {member.size} bytes, not {size}")
        if member.offset_data + size > path.stat().st_size:
            raise DamagedFile(f"{path} is cut off in {member.name}", "copy it again")
        seen.add(member.name)
        yield Member(member.name, size, digest, member.offset_data)


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()


def _stays_inside(name: str) -> bool:
    """A relative path without ``..`` that means the same on every system."""
    parts = name.split("/")
    odd = any(part in ("", ".", "..") for part in parts) or any(c in name for c in '\\:\0\n')
    return not odd and len(name) < 1024


def _hostile(path: Path, why: str) -> DamagedFile:
    return DamagedFile(
        f"{path} is refused: {why}", "it was not written by llmrr export; nothing was unpacked"
    )


def _sweep(out: Path) -> None:
    """Remove what an export that was killed left beside the file."""
    from glob import escape

    for stale in out.parent.glob(f".{escape(out.name)}.llmrr-????????"):
        stale.unlink(missing_ok=True)


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
        raise LlmrrError(f"{exc.filename or path} cannot be written: {exc.strerror}") from exc


class _Bounded(io.RawIOBase):
    """A file of which no more than a mebibyte is read at once: the headers of a tar that claim more
    are not believed."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_MANIFEST:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._raw.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()


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
