"""Messages over a socket: JSON objects, each behind its length in four bytes, big-endian.

Whoever listens speaks first: ``{"by": …, "environment": …, "pid": …}``. Then each message of the
client has an ``op``, and the answers are as ``asking`` and ``model`` read them. The first message,
``status`` and ``stop`` mean the same in every version.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from llmrr.errors import EngineFailed, LlmrrError, error_types

Facts = dict[str, Any]

MOST_BYTES: Final = 1 << 30  # of a message; images are in one
GREETING_S: Final = 5.0  # how long a listener may take for its first word
_PIECE: Final = 1 << 16


class Lost(Exception):
    """The other side is gone, or speaks otherwise."""


class Connection:
    """One end of a socket. One thread sends and one receives at a time."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._buffer = bytearray()

    def send(self, message: Facts) -> None:
        """Raises ``Lost``."""
        import json

        body = json.dumps(message, separators=(",", ":")).encode()
        try:
            self._socket.settimeout(None)
            self._socket.sendall(struct.pack(">I", len(body)) + body)
        except OSError as error:
            raise Lost(str(error)) from error

    def receive(self, timeout: float | None = None) -> Facts:
        """The next message. Raises ``TimeoutError``, and then nothing is lost, and ``Lost`` at the
        end."""
        import json

        while (length := self._length()) is None or len(self._buffer) < 4 + length:
            self._read(timeout)
        body = bytes(self._buffer[4 : 4 + length])
        del self._buffer[: 4 + length]
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Lost(f"no JSON: {error}") from error
        if not isinstance(message, dict):
            raise Lost("no message")
        return message

    def _length(self) -> int | None:
        if len(self._buffer) < 4:
            return None
        length: int = struct.unpack_from(">I", self._buffer)[0]
        if length > MOST_BYTES:
            raise Lost(f"a message of {length} bytes")
        return length

    def _read(self, timeout: float | None) -> None:
        try:
            self._socket.settimeout(timeout)
            piece = self._socket.recv(_PIECE)
        except (TimeoutError, BlockingIOError):
            raise TimeoutError from None
        except OSError as error:
            raise Lost(str(error)) from error
        if not piece:
            raise Lost("the other side has ended")
        self._buffer += piece

    def is_own(self) -> bool:
        """Whether the other side runs as this user."""
        return _user_of(self._socket) in (None, os.geteuid())

    def close(self) -> None:
        """Twice is allowed, from any thread."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that receives
        self._socket.close()


def connected(place: Path) -> Connection:
    """A connection to who listens there. Raises ``OSError``: what nobody listens at any more is
    taken away."""
    before = place.lstat()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(GREETING_S)
    try:
        made.connect(str(place))
    except ConnectionRefusedError:
        made.close()
        _remove(place, before.st_ino)
        raise
    except OSError:
        made.close()
        raise
    return Connection(made)


def _remove(place: Path, inode: int) -> None:
    """Take a socket away, unless another one has come in its place."""
    with suppress(OSError):
        if place.lstat().st_ino == inode:
            place.unlink()


def _user_of(connected: socket.socket) -> int | None:
    """Who is at the other end; None where this system does not say."""
    if hasattr(socket, "SO_PEERCRED"):
        found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", found)[1])
    if sys.platform == "darwin":  # struct xucred: its version, the user, groups
        return int(struct.unpack_from("2I", connected.getsockopt(0, 1, 76))[1])
    return None


def error_facts(error: BaseException) -> Facts:
    """An error as it is told; of what is none of ours, what it is."""
    if not isinstance(error, LlmrrError):
        error = EngineFailed(f"the process that holds the model failed: {error!r}")
    extra = {name: getattr(error, name) for name in _EXTRAS if getattr(error, name, None)}
    return {"type": error.type, "message": error.message, "hint": error.hint, **extra}


_EXTRAS: Final = ("retry_after", "reference")


def error_of(told: Facts) -> LlmrrError:
    """The error that was told."""
    kinds: Iterable[type[LlmrrError]] = error_types()
    kind = next((one for one in kinds if one.__name__ == told.get("type")), EngineFailed)
    error = kind(str(told.get("message", "")), str(told.get("hint", "")))
    for name in _EXTRAS:
        if name in told:
            setattr(error, name, told[name])
    return error
