"""Whom the server lets in, as the configuration that holds says it."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, cast

from llmrr.config import Config
from llmrr.config.agreeing import agree_line
from llmrr.errors import BadConfig, LlmrrError
from llmrr.protocols.base import message_of
from llmrr.server import logs
from llmrr.server.callers import Caller
from llmrr.server.keyring import Keyring
from llmrr.server.origins import Origins, is_here

logger = logging.getLogger("llmrr.server")

AGAIN_S: Final = 1.0


class Security:
    """The keys and names of a server that listens at ``host``; ``variables`` hold keys besides
    those of the configuration; ``begun`` is told of their owners. Made, it raises what is wrong
    with them; when the configuration changes and cannot be used, what held before holds on.

    A server that others can reach takes keys: raises ``BadConfig`` where there are none."""

    def __init__(
        self, config: Callable[[], Config], host: str, variables: Sequence[str] = (),
        begun: Callable[[Caller], None] = lambda caller: None,
    ) -> None:  # fmt: skip
        self._config, self._host, self._variables, self._begun = config, host, variables, begun
        self._seen = config()
        self._again_at: float | None = None  # when what was refused is looked at again
        self._said = ""  # why it was
        self._keyring, self._origins = self._read(self._seen, None)

    def keyring(self) -> Keyring:
        """The keys that hold now."""
        self._follow()
        return self._keyring

    def origins(self) -> Origins:
        """The names that hold now."""
        self._follow()
        return self._origins

    def _follow(self) -> None:
        config, now = self._config(), time.monotonic()
        is_new = config is not self._seen
        if is_new or (self._again_at is not None and now >= self._again_at):
            self._look(config, now, is_new=is_new)

    def _look(self, config: Config, now: float, *, is_new: bool) -> None:
        self._seen, was_refused, had_keys = config, self._again_at is not None, bool(self._keyring)
        try:
            self._keyring, self._origins = self._read(config, self._keyring)
        except LlmrrError as error:
            self._again_at = now + AGAIN_S  # it may be agreed to, and a variable be set
            said = message_of(error)
            if is_new or said != self._said:
                self._said = said
                logger.error("the keys that held before stay in use: %s", said)
            return
        self._again_at = None
        if was_refused:
            logs.notice("the keys of the configuration can be used, and are in use")
        if had_keys and not self._keyring:
            logger.warning("there is no key any more: everybody on this machine may ask now")

    def _read(self, config: Config, before: Keyring | None) -> tuple[Keyring, Origins]:
        require(config, self._host, self._variables)
        keyring = Keyring.of(config, self._variables, before, self._begun)
        hosts, sites = (cast("Iterable[str]", config.value(f"serve.{name}"))
                        for name in ("hosts", "origins"))  # fmt: skip
        return keyring, Origins(self._host, hosts, sites)


def require(config: Config, host: str, variables: Sequence[str] = ()) -> None:
    """Raise ``BadConfig`` for what a server at ``host`` never begins with, whatever its keys are:
    ``refused``."""
    for error in refused(config, host, variables):
        raise error


def refused(config: Config, host: str, variables: Sequence[str] = ()) -> Iterator[BadConfig]:
    """What nobody agreed to, and that there is no key where others can reach the server."""
    for file in config.untrusted_keys():
        yield _untrusted(file, "lets others into the server")
    if not config.is_agreed("serve.origins"):
        where = str(config.settings["serve.origins"].where)
        yield _untrusted(where, "lets pages of other sites ask")
    if not variables and not config.keys and not is_here(host):
        yield BadConfig(
            f"{host} can be reached by others, and there is no key that lets them in",
            "llmrr serve --api-key-env NAME, or [serve.keys.NAME]",
        )


def _untrusted(file: Path | str, does: str) -> BadConfig:
    return BadConfig(f"{file} {does}, and nobody agreed to that", agree_line(file))
