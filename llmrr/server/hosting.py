"""Listens: the application on uvicorn."""

import errno
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llmrr.errors import LlmrrError
from llmrr.server.app import App
from llmrr.server.front import Front
from llmrr.server.security import Security
from llmrr.server.service import Service

if TYPE_CHECKING:
    from llmrr.server.lifecycle import Server

BACKLOG = 2048
OLLAMA_PORT = 11434
_OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)


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
        of_the_port = isinstance(error, OverflowError) or error.errno in _OF_THE_PORT
        raise LlmrrError(
            f"{host}:{port} cannot be listened on: {said}",
            "--port N; llmrr ps shows your servers" if of_the_port else "--host ADDRESS",
        ) from None
    found.setblocking(False)
    return found


def ollamas() -> socket.socket:
    """A socket where clients of Ollama look for it. Raises ``LlmrrError`` where it is taken, mostly
    by Ollama or by another server like this one."""
    try:
        return listener("127.0.0.1", OLLAMA_PORT)
    except LlmrrError as error:
        raise LlmrrError(
            f"{error.message}: another llmrr serve or Ollama may listen there",
            "llmrr ps shows your servers; systemctl stop ollama, or quit the application of "
            "Ollama; or leave out --ollama",
        ) from None


def allow_descriptors(count: int) -> None:
    """Let the process open so many files and connections, as far as the system lets it."""
    import resource
    from contextlib import suppress

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def address(found: socket.socket) -> str:
    """The address of a socket as an URL."""
    host, port = found.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def application(service: Service, host: str, variables: Sequence[str] = ()) -> Front:
    """The ASGI application of a service that is reached at ``host``, and what stands before it.
    Raises what ``Security`` does."""
    app = App(service)
    security = Security(lambda: service.router.config, host, variables, service.days.begin)
    return Front(app, security, app.paths, service.metrics.request, lambda: service.is_draining)


def server(
    service: Service, ready: Callable[[], None] = lambda: None, *,
    host: str = "127.0.0.1", variables: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> "Server":  # fmt: skip
    """What serves, by ``run(sockets)``, until SIGINT, SIGTERM or ``should_exit``; ``ready`` is
    called when requests are taken. ``host`` is the address that is listened on; ``variables`` hold
    keys that let somebody in; ``tell`` is told what the end waits for. Raises what ``Security``
    does."""
    from llmrr.server.lifecycle import Server

    config, front = service.router.config, application(service, host, variables)
    return Server(service, front, ready, {
        "limit_concurrency": config.value("serve.max_connections"),
        "timeout_graceful_shutdown": config.value("serve.drain"),
    }, tell)  # fmt: skip
