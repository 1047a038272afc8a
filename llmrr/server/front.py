"""What every request passes: is it for this server, who asks, and how did it end."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmrr.engines.remote import hops
from llmrr.errors import LlmrrError
from llmrr.protocols.base import status_of
from llmrr.server import callers, crossing, faults, ids
from llmrr.server.callers import ANYONE, STRANGER, Caller, Visit
from llmrr.server.page.files import TABLE
from llmrr.server.refusals import Draining
from llmrr.server.security import Security

logger = logging.getLogger("llmrr.access")

# What is told without a key: that the server is there, the page, what its protocols are.
OPEN: Final = frozenset(("/health", "/v1/health", "/openapi.json", "/favicon.ico", *TABLE))
LEFT: Final = 499  # nginx's status for a client that left before its answer
Ended = Callable[[str, str, int, float], None]


class Front:
    """An ASGI application before another one. ``ended`` is told path, model, status and seconds of
    each request; ``paths`` are those that are known, by themselves and by what answers them."""

    def __init__(
        self, app: ASGIApp, security: Security, paths: Mapping[object, str], ended: Ended,
        is_draining: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._app, self._security, self._paths, self._ended = app, security, paths, ended
        self._is_draining, self._id = is_draining, ids.new()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, status, visit = time.perf_counter(), LEFT, Visit()
        has_left = is_whole = False
        site: str | None = None

        async def heard() -> Message:
            nonlocal has_left
            message = await receive()
            has_left = has_left or (message["type"] == "http.disconnect" and not is_whole)
            return message

        def noted(message: Message) -> Awaitable[None]:
            nonlocal status, is_whole
            is_whole = message["type"] == "http.response.body" and not message.get("more_body")
            if message["type"] == "http.response.start":
                status = LEFT if has_left else message["status"]
                if site is not None:
                    message["headers"] = [*message["headers"], *crossing.granted(site)]
            return send(message)

        try:
            try:
                hops.enter(crossing.first(scope, hops.HEADER.encode()), self._id)
                site = self._security.origins().require(
                    scope["method"], scope["headers"], scope["http_version"]
                )
                if site is not None and crossing.is_preflight(scope):
                    return await crossing.preflight(scope)(scope, receive, noted)
                visit.caller = self._admitted(scope)
            except LlmrrError as error:
                response = faults.response(scope["path"], error, status_of(error))
                await response(scope, receive, noted)
            else:
                callers.enter(visit)
                await self._app(scope, heard, noted)
        except Exception:
            status = 500
            raise
        finally:
            seconds = time.perf_counter() - began
            self._note(scope, visit, status, seconds, ", the client left" if has_left else "")

    def tick(self) -> None:
        """Follow the configuration, also where nobody asks."""
        self._security.keyring()

    def _admitted(self, scope: Scope) -> Caller:
        """Who asks. Raises what keeps him out."""
        path, security = scope["path"], self._security
        if self._is_draining() and path not in ("/health", "/v1/health", "/metrics"):
            raise Draining("the server is about to end", "ask again in a while")
        keyring = security.keyring()
        if not keyring:
            return ANYONE
        if path in OPEN:
            return STRANGER
        return keyring.owner(scope["headers"])

    def _note(
        self, scope: Scope, visit: Visit, status: int, seconds: float, more: str
    ) -> None:
        known = self._paths
        path = known.get(scope["path"]) or known.get(scope.get("endpoint")) or "other"
        self._ended(path, visit.model, status, seconds)
        if logger.isEnabledFor(logging.INFO):
            shown = scope.get("raw_path", b"").decode("ascii", "backslashreplace")
            client = scope["client"][0] if scope.get("client") else "-"
            name = visit.caller.name or "-"
            logger.info(
                "%s %s %s %s %d %.3f s%s",
                client, name, scope["method"], shown, status, seconds, more,
            )  # fmt: skip
