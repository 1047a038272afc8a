"""The same application on Ray Serve: replicas on the machines of a cluster, as many as there are
requests for. Each has a queue, limits and figures of its own.
"""

import http.client
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any, Final, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from llmrr.cluster import Replicas
from llmrr.config import Config
from llmrr.server import allocating, hosting
from llmrr.server.security import Security
from llmrr.server.service import Service

NAME: Final = "llmrr"
ROUTED_S: Final = 60.0
PLACED_S: Final = 10.0
QUEUED: Final = 4  # requests that a replica is given, for each that it computes at once


class Replica:
    """The application of one replica. Its service is closed when Ray ends it."""

    def __init__(self, service: Service, host: str) -> None:
        allocating.tighten()
        self._service = service
        self._app = hosting.application(service, host)
        service.prepare()
        allocating.settle()

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


def run(
    config: Config, replicas: Replicas, variables: Sequence[str],
    ready: Callable[[str], None], waiting: Callable[[], None],
) -> None:  # fmt: skip
    """Serve until SIGINT or SIGTERM; Ray must be connected. ``variables`` hold keys that let
    somebody in; ``ready`` is told the address, and ``waiting`` called where Ray, which waits
    for room without an end, takes long to place the replicas. Raises what ``Security`` does."""
    from ray import serve

    host = cast(str, config.value("serve.host"))
    keyring = Security(lambda: config, host, variables).keyring()
    config = config._replace(keys=keyring.by_hash())
    port = cast(int, config.value("serve.port")) or _free_port(host)
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    quiet = {"log_level": "ERROR", "enable_access_log": False}
    ended, placed = threading.Event(), threading.Event()

    def end(*_: object) -> None:
        ended.set()
        if not placed.is_set():  # Ray goes on waiting for room else
            raise KeyboardInterrupt

    before = {one: signal.signal(one, end) for one in _SIGNALS}
    late = threading.Timer(PLACED_S, waiting)
    late.daemon = True
    late.start()
    try:
        serve.start(http_options={"host": host, "port": port}, logging_config=quiet)
        serve.run(_deployment(config, replicas, host), name=NAME, logging_config=quiet)
        placed.set()
        late.cancel()
        address = f"{f'[{host}]' if ':' in host else host}:{port}"
        _routed(address.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]"), ended)
        ready(f"http://{address}")
        ended.wait()
    finally:
        late.cancel()
        serve.shutdown()
        for one, handler in before.items():
            signal.signal(one, handler)


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def _routed(address: str, ended: threading.Event) -> None:
    """Wait until Ray's front passes requests on: till then it answers them 404 by itself."""
    late = time.monotonic() + ROUTED_S
    while time.monotonic() < late and not ended.is_set():
        connection = http.client.HTTPConnection(address, timeout=5)
        with suppress(OSError, http.client.HTTPException), closing(connection):
            connection.request("GET", "/health")
            if connection.getresponse().status != 404:
                return
        ended.wait(0.1)


def _deployment(config: Config, replicas: Replicas, host: str) -> Any:
    """What Ray Serve runs: the application, and how many of it."""
    from ray import serve

    def build() -> ASGIApp:
        from llmrr.router import Router

        return Replica(Service(Router(config)), host)

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
        name=NAME, ray_actor_options=replicas.resources,
        graceful_shutdown_timeout_s=config.value("serve.drain"),
        max_ongoing_requests=QUEUED * at_once, **count,
    )  # fmt: skip
    return made(serve.ingress(build)(_Front)).bind()


class _Front:
    """What Ray Serve hangs the application on."""


def _free_port(host: str) -> int:
    with closing(hosting.listener(host, 0)) as found:
        return int(found.getsockname()[1])
