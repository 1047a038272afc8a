"""The directory of a zip archive, and single members of it. Read here and not by ``zipfile``, as
what must be found is what ``torch.load`` finds, in archives made to look different to others.

Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT. A directory that is not sound
(members that overlap, stand twice or reach outside) is an error.
"""

import struct
from typing import NamedTuple

from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.messages import damaged
from llmrr.formats.source import Bytes, Slice, Source

MAX_MEMBERS = 50_000
MAX_DIRECTORY = 8 << 20
MAX_UNPACKED = 16 << 20  # of a compressed member; torch.save compresses nothing
END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64 = struct.Struct("<4sLQL")
ENTRY = struct.Struct("<4s6H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
MAX_COMMENT = 65_535
BEYOND_16, BEYOND_32 = 2**16 - 1, 2**32 - 1


class Member(NamedTuple):
    """A row of the directory. ``offset`` is where its local header begins."""

    name: str
    method: int
    packed: int
    size: int
    offset: int


def is_torch(source: Source) -> bool:
    """Whether a zip archive is one of ``torch.save`` or TorchScript: NAME/data.pkl is in it."""
    try:
        return any(is_data(member.name) for member in read_directory(source))
    except DamagedFile:  # one that was cut off still begins like it
        start = source.read(0, 512)
        length = int.from_bytes(start[26:28], "little")
        return start[30 : 30 + length].endswith((b"/data.pkl", b"/.format_version", b"/byteorder"))


def is_data(name: str) -> bool:
    """Whether a member is the pickle that is loaded; its name is compared as miniz does."""
    return name.lower() == "data.pkl" or name.lower().endswith("/data.pkl")


def read_directory(source: Source) -> tuple[Member, ...]:
    """All members of the zip archive ``source``. Raises ``DamagedFile``."""
    count, size, offset = _end(source)
    if count > MAX_MEMBERS or size > MAX_DIRECTORY or count * ENTRY.size > size:
        raise damaged(source, f"its directory claims {count} members in {size} bytes")
    if offset + size > source.size:
        raise damaged(source, "its directory reaches beyond its end")
    raw = source.read(offset, size)
    members, position = [], 0
    for _ in range(count):
        member, position = _entry(source, raw, position)
        members.append(member)
    _check(source, members, offset)
    return tuple(members)


def open_member(source: Source, member: Member) -> Source:
    """What ``member`` holds, unpacked. Raises ``DamagedFile``; ``Unsupported`` for what is packed
    in another way than deflate, or too large."""
    header = source.read(member.offset, LOCAL.size)
    if len(header) < LOCAL.size or header[:4] != b"PK\x03\x04":
        raise damaged(source, f"{member.name!r} is not where its directory says")
    *_, method, _, _, _, _, _, name, extra = LOCAL.unpack(header)
    start = member.offset + LOCAL.size + name + extra
    if _text(source.read(member.offset + LOCAL.size, name)) != member.name:
        raise damaged(source, f"{member.name!r} has another name where it lies")
    if method != member.method or start + member.packed > source.size:
        raise damaged(source, f"{member.name!r} is not what its directory says")
    where = f"{source}: {member.name}"
    if method == 0:
        return Slice(source, start, member.packed, where)
    if method != 8:
        raise Unsupported(f"{where} is packed in a way that is not read", "save it again")
    if max(member.size, member.packed) > MAX_UNPACKED:
        raise Unsupported(f"{where} unpacks to more than {MAX_UNPACKED} bytes", "save it again")
    return Bytes(_inflate(source.read(start, member.packed), where), where)


def _end(source: Source) -> tuple[int, int, int]:
    """How many members the directory has, its bytes, and where it begins."""
    tail_size = min(source.size, END.size + MAX_COMMENT)
    tail = source.read(source.size - tail_size, tail_size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < END.size:
        raise damaged(source, "the directory at its end is missing; it was cut off")
    _, disk, _, _, count, size, offset, comment = END.unpack_from(tail, at)
    if at + END.size + comment != len(tail) or disk not in (0, BEYOND_16):
        raise damaged(source, "something follows its end")
    end = source.size - len(tail) + at
    if BEYOND_16 in (count,) or BEYOND_32 in (size, offset):
        return _end_64(source, end)
    return count, size, offset


def _end_64(source: Source, end: int) -> tuple[int, int, int]:
    raw = source.read(max(0, end - LOCATOR_64.size), LOCATOR_64.size)
    if len(raw) == LOCATOR_64.size and raw[:4] == b"PK\x06\x07":
        where = LOCATOR_64.unpack(raw)[2]
        record = source.read(where, END_64.size) if where < end else b""
        if len(record) == END_64.size and record[:4] == b"PK\x06\x06":
            *_, count, size, offset = END_64.unpack(record)
            return count, size, offset
    raise damaged(source, "the directory at its end is not sound")


def _entry(source: Source, raw: bytes, position: int) -> tuple[Member, int]:
    if position + ENTRY.size > len(raw) or raw[position : position + 4] != b"PK\x01\x02":
        raise damaged(source, "its directory breaks off")
    values = ENTRY.unpack_from(raw, position)
    method, packed, size, name, extra, comment, offset = (
        values[4], *values[8:10], *values[10:13], values[16],
    )  # fmt: skip
    start = position + ENTRY.size
    end = start + name + extra + comment
    if end > len(raw):
        raise damaged(source, "its directory breaks off")
    size, packed, offset = _wide(raw[start + name : start + name + extra], size, packed, offset)
    return Member(_text(raw[start : start + name]), method, packed, size, offset), end


def _wide(extra: bytes, *sizes: int) -> tuple[int, ...]:
    """``sizes``, each that is too large for 32 bits taken from the extra field of zip64."""
    position, found = 0, list(sizes)
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        position += 4
        if kind == 1:
            count = min(length, len(extra) - position) // 8
            wide = iter(struct.unpack_from(f"<{count}Q", extra, position))
            return tuple(next(wide, size) if size == BEYOND_32 else size for size in found)
        position += length
    return tuple(found)


def _check(source: Source, members: list[Member], directory: int) -> None:
    if len({member.name.lower() for member in members}) != len(members):
        raise damaged(source, "two of its members have one name")
    end, last = 0, ""
    for member in sorted(members, key=lambda member: member.offset):
        if member.offset < end:
            raise damaged(source, f"its members {last!r} and {member.name!r} overlap")
        end, last = member.offset + LOCAL.size + member.packed, member.name
    if end > directory:
        raise damaged(source, f"its member {last!r} reaches into its directory")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _inflate(raw: bytes, where: str) -> bytes:
    import zlib

    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = unpacker.decompress(raw, MAX_UNPACKED)
    except zlib.error as exc:
        raise damaged(where, "it cannot be unpacked") from exc
    if unpacker.unconsumed_tail:
        raise Unsupported(f"{where} unpacks to more than {MAX_UNPACKED} bytes", "save it again")
    return found
