"""Where processes that keep models loaded listen: sockets in a folder that only their user can look
into."""

import os
import stat
from pathlib import Path
from typing import Final
from zlib import crc32

from llmrr import paths

LEFT: Final = "run"  # the process that a run has left behind; a server's name has its number
SUFFIX: Final = ".sock"
# sun_path has 104 bytes on macOS, 108 on Linux: https://man7.org/linux/man-pages/man7/unix.7.html
_LONGEST: Final = 103
_NAME_BYTES: Final = len("/serve-4194304.sock")


def folder() -> Path:
    """Where they listen, whether it is there or not: the user's runtime directory, or a folder of
    llmrr's data that this machine alone uses; where that is too long for a socket, a short one."""
    place = _usual()
    if len(os.fsencode(place)) + _NAME_BYTES <= _LONGEST:
        return place
    import hashlib
    import tempfile

    digest = hashlib.sha256(os.fsencode(place)).hexdigest()[:16]
    try:
        return Path(tempfile.gettempdir()) / f"llmrr-{os.geteuid()}-{digest}"
    except FileNotFoundError:  # none can be written: nobody will listen
        return place


def _usual() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and not os.environ.get("LLMRR_HOME"):
        return Path(runtime) / "llmrr"
    machine = crc32(os.fsencode(os.uname().nodename))  # a home may be that of several
    return paths.data_dir() / f"run-{machine:08x}"


def made() -> Path:
    """The folder, made if it is not there. Raises ``OSError`` where it cannot be, or is not to be
    trusted."""
    place = folder()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(place):
        raise PermissionError(f"{place} is not this user's alone")
    return place


def is_private(place: Path) -> bool:
    """Whether a folder is this user's, and nobody else can put anything there."""
    try:
        found = place.lstat()
    except OSError:
        return False
    mine = found.st_uid == os.geteuid()
    return stat.S_ISDIR(found.st_mode) and mine and not found.st_mode & 0o077


def sockets() -> list[Path]:
    """The sockets there are, also those that nobody listens at any more: servers after what a run
    has left."""
    place = folder()
    if not is_private(place):
        return []
    found = [one for one in place.iterdir() if one.suffix == SUFFIX]
    return sorted(found, key=lambda one: (one.stem != LEFT, one.name))


def of(kind: str, number: int) -> str:
    """The name of the socket of a process.

    >>> of("run", 7), of("serve", 7)
    ('run.sock', 'serve-7.sock')
    """
    return f"{kind}{SUFFIX}" if kind == LEFT else f"{kind}-{number}{SUFFIX}"
