"""Keys that the user gave into keeping: in the system's keyring through ``keyring``, else in a file
that only he can read.

``keys.json`` in the data directory maps every name to its secret, or to null where that lies in the
keyring: no keyring lists what it holds. It never goes through the journal, which would copy it.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from llmrr import paths
from llmrr.errors import LlmrrError, NotFound, Unreachable, UsageError, by_system

LONGEST = 16_384  # characters of a secret
KEYRING = "keyring"

_Signature = tuple[int, int, int]

_seen: tuple[Path, _Signature, Mapping[str, str | None]] | None = None
_fetched: dict[tuple[Path, _Signature, str], str | None] = {}  # asking a keyring takes milliseconds


class Kept(NamedTuple):
    """A key that is kept: ``where`` is "keyring", or the path of the file."""

    name: str
    where: str


def kept() -> list[Kept]:
    """The keys that are kept, by name. Raises what ``stored`` does of the file."""
    entries = _entries()
    return [Kept(name, _where(entries[name])) for name in sorted(entries)]


def stored(name: str) -> str | None:
    """The secret of that name; None where none is kept. Raises ``Unreachable`` where it cannot be
    got at, or others could have read it."""
    entries = _entries()
    if name not in entries or entries[name] is not None:
        return entries.get(name)
    assert _seen is not None
    key = (*_seen[:2], name)
    if key in (fetched := _fetched.copy()):  # another thread may be emptying it
        return fetched[key]
    backend = _needed(name)
    with _keyring_errors(name):
        found: str | None = backend.get_password(_service(), name)
    _fetched[key] = found
    return found


def keep(name: str, secret: str) -> Kept:
    """Keep a secret in the place of the one of that name. Raises ``UsageError`` for what can be no
    name or no key, and does not repeat it."""
    require_name(name)
    if not is_sendable(secret) or len(secret) > LONGEST:
        raise UsageError(
            f"what was given for {name} is no key: one line of letters, digits and signs",
            f"llmrr keys set {name}",
        )
    backend = _backend()
    with _locked():
        entries = dict(_entries())
        if backend is not None:
            with _keyring_errors(name):
                backend.set_password(_service(), name, secret)
        entries[name] = secret if backend is None else None
        _write(entries)
    return Kept(name, _where(entries[name]))


def remove(name: str) -> Kept:
    """Forget a key. Raises ``NotFound``."""
    require_name(name)
    with _locked():
        entries = dict(_entries())
        if name not in entries:
            raise NotFound(f"no key is kept for {name}", "llmrr keys list")
        where = _where(entries[name])
        if where == KEYRING:
            backend = _needed(name)
            with _keyring_errors(name):
                if backend.get_password(_service(), name) is not None:
                    backend.delete_password(_service(), name)
        del entries[name]
        _write(entries)
    return Kept(name, where)


def require_name(name: str) -> None:
    """Raise ``UsageError`` for what is no name; it may be a key, and is not repeated."""
    from llmrr.tomltext import is_secret

    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or is_secret("", name):
        raise UsageError(
            "the name of a key is that of an environment variable: letters, digits and _",
            "llmrr keys set OPENAI_API_KEY",
        )


def is_sendable(secret: str) -> bool:
    """Whether a header can hold it.

    >>> is_sendable("sk-1"), is_sendable("two words"), is_sendable("")
    (True, False, False)
    """
    return bool(secret) and secret.isascii() and secret.isprintable() and " " not in secret


def _file() -> Path:
    return paths.data_dir() / "keys.json"


def _where(entry: str | None) -> str:
    return KEYRING if entry is None else str(_file())


def _service() -> str:
    # Another home has keys of its own, and removing one there must not take it away here.
    return f"llmrr {paths.data_dir()}" if os.environ.get("LLMRR_HOME") else "llmrr"


# -- the file ----------------------------------------------------------------------------------


def _entries() -> Mapping[str, str | None]:
    global _seen
    path = _file()
    shown = quote(str(path))
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            signature = _checked(path, os.fstat(file.fileno()))
            if _seen is None or _seen[:2] != (path, signature):
                _fetched.clear()
                _seen = path, signature, _parsed(path, file.read())
    except FileNotFoundError:
        return {}
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Unreachable(
                f"{path} is a symbolic link, which is not followed", f"rm {shown}"
            ) from None
        raise Unreachable(f"cannot read {path}: {error.strerror}", f"ls -ld {shown}") from None
    return _seen[2]


def _checked(path: Path, found: os.stat_result) -> _Signature:
    shown = quote(str(path))
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise Unreachable(f"{path} is no file of yours", f"ls -ld {shown}")
    if found.st_mode & 0o077:
        raise Unreachable(
            f"others may read the keys in {path}",
            f"chmod 600 {shown}\nreplace keys that others could have read",
        )
    return found.st_ino, found.st_mtime_ns, found.st_size


def _parsed(path: Path, content: bytes) -> Mapping[str, str | None]:
    import json

    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(
        value is None or isinstance(value, str) for value in found.values()
    ):
        raise Unreachable(
            f"{path} is damaged", f"rm {quote(str(path))}\nllmrr keys set NAME, for each key"
        )
    return found


def _write(entries: Mapping[str, str | None]) -> None:
    import json

    from llmrr.journal import files

    try:
        files.replace(_file(), f"{json.dumps(entries, indent=1)}\n".encode(), like=None)
    except OSError as error:
        raise by_system(error) or error from None


@contextmanager
def _locked() -> Iterator[None]:
    """One change at a time, among all processes of this user; the lock dies with its process."""
    import fcntl

    folder = paths.data_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(folder / "keys.lock", flags, 0o600), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# -- the keyring -------------------------------------------------------------------------------


def _backend() -> Any:
    """The keyring of this system; None where there is none that keeps a secret."""
    if not _is_installed():
        return None
    try:
        import keyring

        found: Any = keyring.get_keyring()
        return next(filter(_is_real, getattr(found, "backends", (found,))), None)
    except Exception as error:  # whatever a backend that was asked for by its name raises
        raise Unreachable(
            f"the system's keyring cannot be used: {type(error).__name__}", "keyring diagnose"
        ) from None


def _is_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("keyring") is not None


def _is_real(backend: object) -> bool:
    kind = type(backend)
    empty = kind.__module__ in ("keyring.backends.fail", "keyring.backends.null")
    return not empty and "plaintext" not in kind.__name__.lower()


def _needed(name: str) -> Any:
    backend = _backend()
    if backend is None:
        hint = "" if _is_installed() else "pip install 'llmrr[keyring]'\n"
        raise Unreachable(
            f"{name} lies in the system's keyring, which cannot be reached here",
            f"{hint}llmrr keys set {name}",
        )
    return backend


@contextmanager
def _keyring_errors(name: str) -> Iterator[None]:
    """Translate what a backend raises; its words may hold the secret, and are left out."""
    try:
        yield
    except LlmrrError:
        raise
    except Exception as error:
        raise Unreachable(
            f"the system's keyring refused {name}: {type(error).__name__}",
            "unlock it, and try again\nwithout it, into a file: "
            f"PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring llmrr keys set {name}",
        ) from None
