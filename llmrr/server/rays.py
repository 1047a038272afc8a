"""The same application on Ray Serve: replicas on the machines of a cluster, as many as there are
requests for."""

import logging
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, Final, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from llmrr.cluster import Replicas
from llmrr.config import Config
from llmrr.errors import LlmrrError
from llmrr.server.app import App
from llmrr.server.service import Service

NAME: Final = "llmrr"
DRAIN_S: Final = 30.0  # what is under way may take so long when it ends
QUEUED: Final = 4  # requests that a replica is given, for each that it computes at once


class Replica:
    """The application of one replica. Its service is closed when Ray ends it."""

    def __init__(self, service: Service) -> None:
        self._service, self._app = service, App(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await self._app(scope, receive, send)
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.shutdown":
                self._service.close()
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return


def deployment(config: Config, replicas: Replicas) -> Any:
    """What Ray Serve runs: the application, and how many of it."""
    from ray import serve

    def build() -> ASGIApp:
        from llmrr.router import Router

        return Replica(Service(Router(config)))

    at_once = cast(int, config.value("batching.max_batch_size"))
    count: dict[str, Any] = {"num_replicas": replicas.least}
    if replicas.least != replicas.most:
        count = {
            "autoscaling_config": {
                "min_replicas": replicas.least, "max_replicas": replicas.most,
                "target_ongoing_requests": at_once,
            }
        }  # fmt: skip
    made = serve.deployment(
        name=NAME, ray_actor_options=replicas.resources, graceful_shutdown_timeout_s=DRAIN_S,
        max_ongoing_requests=QUEUED * at_once, **count,
    )  # fmt: skip
    return made(serve.ingress(build)(_Front)).bind()


class _Front:
    """What Ray Serve hangs the application on."""


def run(
    config: Config, replicas: Replicas, host: str, port: int, ready: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM; Ray must be connected. ``ready`` is told the address."""
    from ray import serve

    ended = threading.Event()
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    quiet = {"log_level": "ERROR", "enable_access_log": False}
    port = port or _free_port(host)
    try:
        serve.start(http_options={"host": host, "port": port}, logging_config=quiet)
        serve.run(deployment(config, replicas), name=NAME, logging_config=quiet)
        before = {one: signal.signal(one, lambda *_: ended.set()) for one in _SIGNALS}
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        try:
            ended.wait()
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
    finally:
        serve.shutdown()


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as found:
            found.bind((host, 0))
            return int(found.getsockname()[1])
    except OSError as error:
        said = f"{host} cannot be listened on: {error.strerror}"
        raise LlmrrError(said, "--host 127.0.0.1") from None
