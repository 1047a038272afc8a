"""Archives of models, taken in. They are not trusted: whatever is no plain file with a path of the
list, of the listed size, is refused before anything is written.

The reader knows what ``archive`` writes and no more of tar: headers of 512 bytes, plain files, and
GNU's long names. https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from llmrr.errors import DamagedFile, NotFound, Unsupported
from llmrr.store import content
from llmrr.store.archive import MANIFEST, VERSION, Arrived, copy, writing
from llmrr.store.records import Entry, StoredFile, read_recipe
from llmrr.types import Recipe

MAX_MANIFEST = 4 << 20
MAX_FILES = 10_000
_BLOCK = 512
_LONGEST_NAME = 1024
_LONGEST_PART = 255
_PLAIN, _LONG_NAME = (b"0", b"\0"), b"L"


class Member(NamedTuple):
    """A file in an archive: where its bytes begin, and what they must be."""

    path: str
    bytes: int
    digest: str
    offset: int


class Archive(NamedTuple):
    """What an archive says, all of it checked but for the digests. ``main`` is the path of the file
    to open, or empty for a folder."""

    path: Path
    name: str
    tag: str
    main: str
    format: str
    origin: str
    revision: str | None
    recipe: str | None
    members: tuple[Member, ...]

    @property
    def label(self) -> str:
        """What the model was called."""
        return ":".join(filter(None, (self.name, self.tag)))

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(member.bytes for member in self.members)


def is_archive(path: Path) -> bool:
    """Whether a file is a tar, of whatever."""
    try:
        with path.open("rb") as file:
            return file.read(_BLOCK)[257:262] == b"ustar"
    except OSError as exc:
        raise NotFound(f"{path} cannot be read: {exc.strerror}", f"ls -l {path}") from exc


def read(path: Path) -> Archive:
    """Look through an archive. Raises ``Unsupported`` for what ``write`` did not write, and
    ``DamagedFile`` for what is hostile or cut off."""
    with path.open("rb") as raw:
        members = _members(path, raw)
        first = next(members, None)
        if first is None or first.name != MANIFEST:
            raise Unsupported(
                f"{path} is an archive, and not one of a model that llmrr export wrote",
                "unpack it, and import the model file in it",
            )
        if first.size > MAX_MANIFEST:
            raise _hostile(path, f"its {MANIFEST} has {first.size} bytes")
        raw.seek(first.offset)
        said = _manifest(path, raw.read(first.size))
        return said._replace(members=tuple(_listed(path, said.members, members)))


def require_data(archive: Archive) -> None:
    """Raise ``Unsupported`` for an archive with files that could run code."""
    for member in archive.members:
        if content.is_pickle(member.path) or content.is_program(member.path):
            raise Unsupported(
                f"{archive.path} holds {member.path}, and an archive of a model holds only data",
                "get the model from elsewhere",
            )


def unpack(archive: Archive, folder: Path, arrived: Arrived) -> tuple[StoredFile, ...]:
    """Write the files below ``folder``, which is new. Raises ``DamagedFile`` for one whose digest
    is not what the archive says."""
    found = []
    with archive.path.open("rb") as raw:
        for member in archive.members:
            target = folder.joinpath(*PurePosixPath(member.path).parts)
            raw.seek(member.offset)
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as out:
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
    main = archive.main or archive.members[0].path
    return Entry(
        name=archive.name,
        tag=archive.tag,
        path=folder / archive.main if archive.main else folder,
        origin=origin_of(archive),
        files=files,
        bytes=archive.bytes,
        digest=next(one.digest for one in archive.members if one.path == main),
        revision=archive.revision,
        recipe=read_recipe(archive.recipe, folder),  # adapters are named by their path in it
    )


def origin_of(archive: Archive) -> str:
    """Where it came from: the hub, from where it can be had again, or else this archive."""
    if archive.origin.startswith("huggingface:"):
        return archive.origin
    return f"file:{archive.path.absolute()}"


# -- headers -----------------------------------------------------------------------------------


class _Header(NamedTuple):
    name: str
    size: int
    offset: int


def _members(path: Path, raw: BinaryIO) -> Iterator[_Header]:
    """The plain files in it. Raises ``DamagedFile`` for anything else."""
    end, at, long_name = path.stat().st_size, 0, ""
    while at < end:
        raw.seek(at)
        block = raw.read(_BLOCK)
        if not block.strip(b"\0"):
            return
        name, size, kind = _header(path, block)
        at += _BLOCK
        if size > end - at:
            raise DamagedFile(f"{path} is cut off in {name!r}", "copy it again")
        if kind == _LONG_NAME and 0 < size <= _LONGEST_NAME + 1 and not long_name:
            long_name = _text(raw.read(size))
        elif kind in _PLAIN:
            yield _Header(long_name or name, size, at)
            long_name = ""
        else:
            raise _hostile(path, f"{name!r} is a link, a folder or something else")
        at += -(-size // _BLOCK) * _BLOCK


def _header(path: Path, block: bytes) -> tuple[str, int, bytes]:
    """Name, size and kind of a member."""
    blank = block[:148] + b" " * 8 + block[156:]
    if len(block) < _BLOCK or _number(block[148:156]) != sum(blank):
        raise DamagedFile(f"{path} is no sound archive: a header is damaged", "copy it again")
    return _text(block[:100]), _number(block[124:136]), block[156:157]


def _number(field: bytes) -> int:
    """Octal digits, or what does not fit into them with the first bit set; -1 for neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if re.fullmatch(rb"[0-7]{1,12}", digits) else -1


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")


# -- the list ----------------------------------------------------------------------------------


def _manifest(path: Path, content: bytes) -> Archive:
    """The list, with every value of the kind that it must be; no member has its place yet."""
    try:
        facts = json.loads(content)
        version = facts["llmrr"]
        texts = [facts[key] for key in ("name", "tag", "main", "format", "origin")]
        revision, written = optional = [facts.get(key) for key in ("revision", "recipe")]
        files = tuple(_file(one) for one in facts["files"])
        recipe = read_recipe(written, Path())
        json.dumps([texts, optional], ensure_ascii=False).encode()
        _require_recipe(recipe)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise DamagedFile(f"{path}: its {MANIFEST} cannot be read", "export it again") from exc
    if version != VERSION:
        raise Unsupported(
            f"{path} was written by another version of llmrr", "pip install --upgrade llmrr"
        )
    names = [one.path for one in files]
    strange = not all(isinstance(one, str) for one in texts) or not all(
        one is None or isinstance(one, str) for one in optional
    )
    if strange or texts[2] not in ("", *names):
        raise _hostile(path, "its list names no model")
    _require_names(path, names)
    adapters = {str(one) for one, _ in recipe.options.get("lora", ())}
    if not adapters <= set(names):
        raise _hostile(path, "it names an adapter that is not in it")
    name, tag, main, format_, origin = texts
    return Archive(path, name, tag, main, format_, origin, revision, written, files)


def _file(said: Any) -> Member:
    name, size, digest = said
    known = isinstance(name, str) and type(size) is int and size >= 0
    if not known or not re.fullmatch(r"[0-9a-f]{64}", str(digest)):
        raise ValueError(said)
    return Member(name, size, digest, 0)


def _require_recipe(recipe: Recipe) -> None:
    """Raise ``ValueError`` unless its texts are texts."""
    texts = [recipe.system, recipe.template, recipe.license]
    spoken = [text for one in recipe.messages for text in (one.role, one.content)]
    if not all(one is None or isinstance(one, str) for one in texts):
        raise ValueError("a text is none")
    if not all(isinstance(one, str) for one in spoken):
        raise ValueError("a message is none")


def _require_names(path: Path, names: list[str]) -> None:
    """Raise ``DamagedFile`` unless each is a file of its own inside the folder."""
    if not names or len(names) > MAX_FILES or len({one.lower() for one in names}) != len(names):
        raise _hostile(path, "its list of files is empty, too long, or names one twice")
    folders = {str(folder) for one in names for folder in PurePosixPath(one).parents}
    for name in names:
        if not _stays_inside(name) or name in folders or name == MANIFEST:
            raise _hostile(path, f"{name!r} is no file that belongs into it")


def _listed(
    path: Path, expected: tuple[Member, ...], members: Iterator[_Header]
) -> Iterator[Member]:
    left = {one.path: one for one in expected}
    for name, size, offset in members:
        if (said := left.pop(name, None)) is None:
            raise _hostile(path, f"{name!r} is not on its list")
        if said.bytes != size:
            raise _hostile(path, f"{name!r} has {size} bytes, not {said.bytes}")
        yield said._replace(offset=offset)
    if left:
        raise DamagedFile(f"{path} is cut off: {min(left)} is missing", "copy it again")


def _stays_inside(name: str) -> bool:
    """A relative path without ``..`` that means the same on every system."""
    parts = name.split("/")
    odd = any(part in ("", ".", "..") or len(part.encode()) > _LONGEST_PART for part in parts)
    strange = any(one in '\\:' or not one.isprintable() for one in name)
    return not odd and not strange and len(name.encode()) <= _LONGEST_NAME


def _hostile(path: Path, why: str) -> DamagedFile:
    return DamagedFile(
        f"{path} is refused: {why}", "it was not written by llmrr export; nothing was unpacked"
    )
