"""The keys of the server: whose is the one that a request brings."""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, cast

from llmrr.config import Config
from llmrr.engines.remote.keys import keep_line, lookup
from llmrr.errors import LlmrrError, Unreachable, UsageError
from llmrr.keys import is_sendable
from llmrr.server.callers import Caller
from llmrr.server.refusals import Unauthorized
from llmrr.tomlfile import KeyRules

SHORTEST: Final = 16  # characters of a key: its hash is made fast, and so would be guesses
PREFIX: Final = "sha256:"
HEADERS: Final = (b"authorization", b"x-api-key", b"api-key")  # OpenAI's, Anthropic's, Azure's


def hashed(key: str) -> str:
    """A key as ``[serve.keys.NAME] hash`` has it. Raises ``UsageError`` for what can be none, and
    does not repeat it."""
    if not is_sendable(key) or len(key) < SHORTEST:
        raise UsageError(
            f"that is no key for a server: {SHORTEST} letters, digits and signs at least",
            'python -c "import secrets; print(secrets.token_urlsafe(32))"',
        )
    return PREFIX + _digest(key.encode())


class Keyring:
    """The keys that let somebody in, by their hashes, each with its owner. Empty, it lets in
    everybody."""

    def __init__(self, entries: Iterable[tuple[str, Caller]] = ()) -> None:
        self._entries = tuple(entries)

    def __bool__(self) -> bool:
        return bool(self._entries)

    @classmethod
    def of(
        cls, config: Config, variables: Sequence[str], before: "Keyring | None" = None,
        begun: Callable[[Caller], None] = lambda caller: None,
    ) -> "Keyring":  # fmt: skip
        """The keys of a configuration, and of ``variables`` besides. Who is unchanged since
        ``before`` goes on with what he has used; ``begun`` is told of the others. Raises
        ``Unreachable`` for a variable without a key."""
        known = {caller.name: caller for _, caller in before._entries} if before else {}
        entries: list[tuple[str, Caller]] = []
        new: list[Caller] = []
        stated = {name: KeyRules(env=name) for name in variables} | dict(config.keys)
        for name, rules in stated.items():
            caller = known.get(name)
            if caller is None or caller.rules != rules:
                caller = Caller(name, rules)
                new.append(caller)
            entries += ((one, caller) for one in _hashes(rules, config))
        for caller in new:
            begun(caller)
        return cls(entries)

    def by_hash(self) -> dict[str, KeyRules]:
        """The same keys for a machine that has none of the variables: each by its hash alone, a
        second one of its owner under a name of its own."""
        found: dict[str, KeyRules] = {}
        for known, caller in self._entries:
            name = caller.name if caller.name not in found else f"{caller.name}-2"
            found[name] = caller.rules._replace(env=None, hash=PREFIX + known, file=None)
        return found

    def owner(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Who asks with these headers. Raises ``Unauthorized``, which says nothing of the keys
        there are; every key is compared, and takes as long."""
        found: Caller | None = None
        said = "this server takes a key, and none came with the request"
        for name, value in headers:
            if name not in HEADERS:
                continue
            if name == b"authorization":
                scheme, _, value = value.partition(b" ")
                if scheme.lower() != b"bearer":
                    continue
            given = _digest(value.strip())
            if value.strip():
                said = "the key that came with the request is none of this server's"
            for known, caller in self._entries:
                if hmac.compare_digest(given, known):
                    found = caller
        if found is None:
            raise Unauthorized(said, "Authorization: Bearer KEY, or x-api-key")
        return found


def _hashes(rules: KeyRules, config: Config) -> Iterable[str]:
    if rules.hash is not None:
        yield rules.hash.removeprefix(PREFIX)
    if rules.env is not None:
        key = lookup(rules.env, cast("Path | None", config.value("env_file")))
        if key is None:
            raise Unreachable(f"{rules.env} holds no key for the server", keep_line(rules.env))
        try:
            yield hashed(key.secret).removeprefix(PREFIX)
        except LlmrrError as error:
            error.add(rules.env)
            raise


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()
