"""Kept beginnings of prompts in files, which outlive the process.

llmrr's own cache directory holds them, readable by the user alone, in a folder for each model file,
version of llama.cpp and type of cache. llama.cpp believes what it is given, so that a file counts
only if its owner, its sizes and the digests of its two parts are right; any other is deleted.

A file is a header (magic, key of the folder, kind, count of tokens, size of the state, tokens), the
header's SHA-256, the state, and the state's.
"""

import ctypes
import hashlib
import os
import stat
import struct
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from io import BufferedReader
from pathlib import Path
from typing import Final, NamedTuple

from llmrr import paths
from llmrr.engines.base import Options
from llmrr.engines.llamacpp.context import State
from llmrr.engines.llamacpp.prefixes import Kind, Prefix

_MAGIC: Final = b"llmrr prefix 1\n\0"
_HEAD: Final = struct.Struct("<16s32sBBIQ")
_DIGEST: Final = 32
_SUFFIX: Final = ".prefix"


class _Header(NamedTuple):
    kind: Kind
    tokens: list[int]
    state_at: int
    state_bytes: int


class Saved:
    """The files of one model; all models together take at most ``limit`` bytes."""

    def __init__(self, model: Path, options: Options, limit: int) -> None:
        self._limit = limit
        self._key = _key(model, options)
        self._root = paths.cache_dir() / "prefixes"
        self._folder = self._root / self._key.hex()[:32]

    def find(self) -> Iterator[Prefix]:
        """What is there, the last saved last; a state is read when it is needed."""
        for _, _, path in sorted(_files(self._folder)):
            header = self._header(path)
            if header is None:
                _delete(path)
            elif header.state_bytes <= self._limit:
                yield Prefix(header.tokens, header.kind, None, path)

    def read(self, prefix: Prefix) -> State | None:
        """The state of a saved one; None, and its file is deleted, where it is not whole."""
        path = prefix.file
        if path is None:
            return prefix.state
        header = self._header(path)
        if header is not None and (state := _state(path, header)) is not None:
            return state
        _delete(path)
        return None

    def save(self, prefixes: Iterable[Prefix]) -> None:
        """Write those that are in no file, and delete the oldest files beyond the limit. What
        cannot be written is left out: it can be computed again."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for one in prefixes:
                if one.file is None and one.state is not None and min(one.tokens) >= 0:
                    self._write(one.tokens, one.kind, one.state)
        self._shrink()

    def _write(self, tokens: list[int], kind: Kind, state: State) -> None:
        ids = array("i", tokens).tobytes()
        head = _HEAD.pack(_MAGIC, self._key, *kind, len(tokens), len(state)) + ids
        name = hashlib.sha256(head).hexdigest()[:32] + _SUFFIX
        handle, temporary = tempfile.mkstemp(dir=self._folder)  # 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(head + hashlib.sha256(head).digest())
                file.write(memoryview(state))
                file.write(hashlib.sha256(memoryview(state)).digest())
            Path(temporary).replace(self._folder / name)
        except BaseException:
            _delete(Path(temporary))
            raise

    def _shrink(self) -> None:
        found = [one for folder in _folders(self._root) for one in _files(folder, every=True)]
        total = sum(size for _, size, _ in found)  # of all models
        for _, size, path in sorted(found):
            if total <= self._limit:
                return
            _delete(path)
            total -= size

    def _header(self, path: Path) -> _Header | None:
        try:
            with _opened(path) as file:
                head = file.read(_HEAD.size)
                magic, key, flash, cut, count, size = _HEAD.unpack(head)
                state_at = len(head) + 4 * count + _DIGEST
                whole = os.fstat(file.fileno()).st_size == state_at + size + _DIGEST
                if magic != _MAGIC or key != self._key or not whole or not count:
                    return None
                ids = file.read(4 * count)
                if file.read(_DIGEST) != hashlib.sha256(head + ids).digest():
                    return None
        except (OSError, struct.error):
            return None
        tokens = array("i")
        tokens.frombytes(ids)
        return _Header(Kind(bool(flash), bool(cut)), tokens.tolist(), state_at, size)


def _state(path: Path, header: _Header) -> State | None:
    with suppress(OSError), _opened(path) as file:
        file.seek(header.state_at)
        state = (ctypes.c_uint8 * header.state_bytes)()
        read = file.readinto(memoryview(state).cast("B"))
        digest = file.read(_DIGEST)
        if read == len(state) and hashlib.sha256(memoryview(state)).digest() == digest:
            return state
    return None


def _opened(path: Path) -> BufferedReader:
    """A regular file of this user; never what a link points to, or a pipe that would be waited for.
    """
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, os.O_RDONLY | flags)
    status = os.fstat(handle)
    own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    if not (own and stat.S_ISREG(status.st_mode)):
        os.close(handle)
        raise PermissionError(f"{path} is no file of this user")
    return os.fdopen(handle, "rb")


def _key(model: Path, options: Options) -> bytes:
    """What a state depends on: the files, by name, size and time, and how they are computed."""
    used = [paths.real(one) for one in (model, *(file for file, _ in options.lora))]
    stats = [(str(one), one.stat().st_size, one.stat().st_mtime_ns) for one in used]
    scales = [scale for _, scale in options.lora]
    facts = (stats, scales, options.kv_type, version("llama-cpp-python"))
    return hashlib.sha256(repr(facts).encode()).digest()


def _folders(root: Path) -> list[Path]:
    with suppress(OSError):
        return [one for one in root.iterdir() if one.is_dir() and not one.is_symlink()]
    return []


def _files(folder: Path, *, every: bool = False) -> list[tuple[int, int, Path]]:
    """Time, size and path of what is in a folder: the prefixes, or every file."""
    found = []
    with suppress(OSError):
        for one in folder.iterdir():
            if every or one.suffix == _SUFFIX:
                status = one.lstat()
                found.append((status.st_mtime_ns, status.st_size, one))
    return found


def _delete(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
