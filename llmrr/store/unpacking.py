"""Archives of models, taken in. They are not trusted: whatever is no plain file with a path of the
list, of the listed size, is refused before anything is written."""

import io
import json
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from llmrr.errors import DamagedFile, Unsupported
from llmrr.store.archive import MANIFEST, VERSION, Arrived, copy, writing
from llmrr.store.records import Entry, StoredFile, read_recipe

MAX_MANIFEST = 4 << 20
MAX_FILES = 10_000


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
