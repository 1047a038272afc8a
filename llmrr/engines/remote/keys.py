"""Keys of providers, and other secrets that are sent to them: looked up when they are needed, never
kept with what is printed or recorded."""

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from llmrr.engines.remote.providers import PROVIDERS
from llmrr.errors import Unreachable
from llmrr.types import Endpoint


class Key(NamedTuple):
    """A key, the variable that it was found under, and what puts another in its place."""

    name: str
    secret: str
    mend: str

    def __repr__(self) -> str:
        return f"Key(name={self.name!r})"


class Headers(dict[str, str]):
    """Headers, whose values nobody sees who prints them."""

    def __repr__(self) -> str:
        return f"Headers({', '.join(self)})"


def key_for(endpoint: Endpoint) -> Key | None:
    """The key that is sent to an endpoint; None where none is needed.

    The variable that ``api_key_env`` names, else those that the provider usually has. Where a
    ``base_url`` was stated, only the former: a provider's key goes nowhere else by itself. Raises
    ``Unreachable`` with the variable where the key is missing.
    """
    provider = PROVIDERS[endpoint.provider]
    if endpoint.api_key_env:
        return _required(endpoint, (endpoint.api_key_env,))
    if endpoint.base_url is not None or provider.keyless:
        return None
    return _required(endpoint, provider.keys)


def headers_for(endpoint: Endpoint) -> dict[str, str]:
    """What ``headers_env`` says, with its values. Raises ``Unreachable`` for one that is not set.
    """
    return {
        header: _required(endpoint, (name,)).secret
        for header, name in endpoint.headers_env.items()
    }


def lookup(name: str, env_file: Path | None = None) -> Key | None:
    """A secret by its name: an environment variable that is not empty, else what ``env_file`` says,
    else what the user gave into keeping. Raises what reading these does."""
    if secret := os.environ.get(name, "").strip():
        return Key(name, secret, export_line(name))
    if env_file is not None:
        from llmrr import envfile

        if secret := envfile.read(env_file).get(name, "").strip():
            return Key(name, secret, f"edit {env_file}")
    from llmrr import keys

    kept = keys.stored(name)
    return Key(name, kept, keep_line(name)) if kept else None


def export_line(name: str) -> str:
    """The command that states a key for one shell.

    >>> export_line("OPENAI_API_KEY")
    'export OPENAI_API_KEY=…'
    """
    return f"export {shlex.quote(name)}=…"


def keep_line(name: str) -> str:
    """The command that keeps a key.

    >>> keep_line("OPENAI_API_KEY")
    'llmrr keys set OPENAI_API_KEY'
    """
    return f"llmrr keys set {shlex.quote(name)}"


def _required(endpoint: Endpoint, names: Iterable[str]) -> Key:
    from llmrr.keys import is_sendable

    names = tuple(names)
    for name in names:
        key = lookup(name, endpoint.env_file)
        if key is None:
            continue
        if not is_sendable(key.secret):
            raise Unreachable(
                f"the key in {name} cannot be sent to {endpoint.provider}: it holds characters "
                "that no key has",
                key.mend,
            )
        return key
    either = " or ".join(names)
    raise Unreachable(
        f"{endpoint.source} needs a key, and {either} is not set",
        f"{keep_line(names[0])}\n{export_line(names[0])}",
    )
