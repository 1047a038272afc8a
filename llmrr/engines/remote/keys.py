"""Keys of providers, and other secrets that are sent to them: looked up when they are needed, never
kept with what is printed or recorded."""

import os
import shlex
from collections.abc import Iterable
from typing import NamedTuple

from llmrr.engines.remote.providers import PROVIDERS
from llmrr.errors import Unreachable
from llmrr.types import Endpoint


class Key(NamedTuple):
    """A key, and the variable that it was found under."""

    name: str
    secret: str

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


def lookup(name: str) -> str | None:
    """A secret by its name: an environment variable that is not empty."""
    return os.environ.get(name, "").strip() or None


def export_line(name: str) -> str:
    """The command that states a key.

    >>> export_line("OPENAI_API_KEY")
    'export OPENAI_API_KEY=…'
    """
    return f"export {shlex.quote(name)}=…"


def _required(endpoint: Endpoint, names: Iterable[str]) -> Key:
    names = tuple(names)
    for name in names:
        secret = lookup(name)
        if secret is None:
            continue
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise Unreachable(
                f"the key in {name} cannot be sent to {endpoint.provider}: it holds characters "
                "that no key has",
                export_line(name),
            )
        return Key(name, secret)
    either = " or ".join(names)
    raise Unreachable(
        f"{endpoint.source} needs a key, and {either} is not set", export_line(names[0])
    )
