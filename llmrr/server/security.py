"""Whom the server lets in, as the configuration that holds says it."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from llmrr.config import Config
from llmrr.errors import BadConfig, LlmrrError
from llmrr.server.callers import Caller
from llmrr.server.keyring import Keyring
from llmrr.server.origins import Origins, is_here

logger = logging.getLogger("llmrr.server")


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
        self._keyring, self._origins = self._read(self._seen, None)

    def keyring(self) -> Keyring:
        """The keys that hold now."""
        if self._config() is not self._seen:
            self._look()
        return self._keyring

    def origins(self) -> Origins:
        """The names that hold now."""
        if self._config() is not self._seen:
            self._look()
        return self._origins

    def _look(self) -> None:
        self._seen = self._config()
        try:
            self._keyring, self._origins = self._read(self._seen, self._keyring)
        except LlmrrError as error:
            logger.error("the keys that held before stay in use: %s", error)

    def _read(self, config: Config, before: Keyring | None) -> tuple[Keyring, Origins]:
        keyring = Keyring.of(config, self._variables, before, self._begun)
        if not keyring and not is_here(self._host):
            raise BadConfig(
                f"{self._host} can be reached by others, and there is no key that lets them in",
                "llmrr serve --api-key-env NAME, or [serve.keys.NAME]",
            )
        if not config.is_agreed("serve.origins"):
            file = config.settings["serve.origins"].where
            raise BadConfig(
                f"{file} lets pages of other sites ask, and nobody agreed to that",
                f"llmrr config trust {file}",
            )
        hosts, sites = (cast("Iterable[str]", config.value(f"serve.{name}"))
                        for name in ("hosts", "origins"))  # fmt: skip
        return keyring, Origins(self._host, hosts, sites)
