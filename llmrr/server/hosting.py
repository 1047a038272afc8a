"""Listens: the application on uvicorn."""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmrr.errors import LlmrrError
from llmrr.server.app import App
from llmrr.server.service import Service

if TYPE_CHECKING:
    import uvicorn

BACKLOG = 2048


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ``LlmrrError`` for an address that is taken, or is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        found.close()
        said = getattr(error, "strerror", None) or error
        raise LlmrrError(f"{host}:{port} cannot be listened on: {said}", "--port PORT") from None
    found.setblocking(False)
    return found


def address(found: socket.socket) -> str:
    """The address of a socket as an URL."""
    host, port = found.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server(service: Service, ready: Callable[[], None] = lambda: None) -> "uvicorn.Server":
    """What serves, by ``run(sockets)``, until SIGINT, SIGTERM or ``should_exit``; ``ready`` is
    called when requests are taken."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    return Server(
        uvicorn.Config(
            App(service), loop="auto", http="httptools", ws="none", lifespan="off",
            log_config=None, access_log=False, server_header=False,
            proxy_headers=False, timeout_graceful_shutdown=30, timeout_keep_alive=75,
        )
    )  # fmt: skip
