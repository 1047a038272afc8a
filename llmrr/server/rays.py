"""The same application on Ray Serve: replicas on the machines of a cluster, as many as there are
requests for. Each has a queue, limits and figures of its own. Where the configuration changes, they
are replaced by others.
"""

import http.client
import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing, suppress
from typing import Any, Final, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from llmrr import cluster
from llmrr.cluster import Replicas
from llmrr.config import Config
from llmrr.errors import LlmrrError
from llmrr.protocols.base import message_of
from llmrr.router import Router
from llmrr.server import aliases, allocating, hosting
from llmrr.server.security import Security
from llmrr.server.service import Service
from llmrr.tomlfile import KeyRules

NAME: Final = "llmrr"
ROUTED_S: Final = 60.0
PLACED_S: Final = 10.0
LOOK_EVERY_S: Final = 1.0
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
    router: Router, replicas: Replicas, variables: Sequence[str], note: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM; Ray must be connected. SIGHUP, or a change of the files, has
    the replicas renewed, some at a time. ``variables`` hold keys that let somebody in; ``note`` is
    told the address, and what happens. Raises what ``Security`` does."""
    from ray import serve

    value = router.config.value
    host = cast(str, value("serve.host"))
    port = cast(int, value("serve.port")) or _free_port(host)
    deployed = _Deployed(router, replicas, variables, host)
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    ended, again = threading.Event(), threading.Event()

    def end(*_: object) -> None:
        ended.set()
        if deployed.is_waiting:  # Ray goes on waiting for room else
            raise KeyboardInterrupt

    handlers: dict[int, Any] = {**dict.fromkeys((signal.SIGINT, signal.SIGTERM), end),
                                signal.SIGHUP: lambda *_: again.set()}  # fmt: skip
    before = {one: signal.signal(one, handler) for one, handler in handlers.items()}
    late = threading.Timer(PLACED_S, lambda: note(_no_room(replicas)))
    late.daemon = True
    late.start()
    try:
        serve.start(http_options={"host": host, "port": port}, logging_config=_QUIET)
        deployed.bring()
        late.cancel()
        address = f"{f'[{host}]' if ':' in host else host}:{port}"
        _routed(address.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]"), ended)
        if said := _apart(router.config.keys.values(), replicas):
            note(said)
        note(f"listening on http://{address}")
        while not ended.wait(LOOK_EVERY_S):
            if again.is_set():
                again.clear()
                router.reload()
            deployed.follow(note)
    finally:
        late.cancel()
        serve.shutdown()
        for one, handler in before.items():
            signal.signal(one, handler)


class _Deployed:
    """The replicas, with the configuration that they have."""

    def __init__(
        self, router: Router, replicas: Replicas, variables: Sequence[str], host: str
    ) -> None:
        self._router, self._replicas, self._variables = router, replicas, variables
        self._host = host
        self._seen = router.config
        aliases.hold(router)
        self._config = self._read()
        self.is_waiting = True  # for a place for them

    def bring(self) -> None:
        """Have them run; those that run already leave once others can answer."""
        from ray import serve

        made = _deployment(self._config, self._replicas, self._host)
        self.is_waiting = True
        serve.run(made, name=NAME, logging_config=_QUIET)
        self.is_waiting = False

    def follow(self, note: Callable[[str], None]) -> None:
        """Renew them where the configuration has changed. One that cannot be used is told."""
        if self._router.config is self._seen:
            return
        self._seen, before = self._router.config, self._config
        try:
            self._config = self._read()
            if self._config != before:
                note("the configuration has changed: the replicas are renewed")
                self.bring()
                note("the replicas have the new configuration")
        except LlmrrError as error:
            note(f"the last good configuration stays in use: {message_of(error)}")
        except RuntimeError as error:  # of Ray, where none of them comes up
            self.is_waiting = False
            note(f"the replicas cannot be renewed: {str(error).partition(chr(10))[0]}")

    def _read(self) -> Config:
        """The configuration as other machines can use it: each key by its hash."""
        config = cluster.portable(self._seen)
        keyring = Security(lambda: config, self._host, self._variables).keyring()
        return config._replace(keys=keyring.by_hash())


_QUIET: Final = {"log_level": "ERROR", "enable_access_log": False}


def _no_room(replicas: Replicas) -> str:
    each = f"{replicas.cpus:g} CPUs" + (f" and {replicas.gpus:g} GPUs" if replicas.gpus else "")
    return (f"waiting for the cluster: replicas of {each} each, at least {replicas.least}; "
            "`ray status` shows what it has")  # fmt: skip


def _apart(keys: Collection[KeyRules], replicas: Replicas) -> str | None:
    """What is to be known of the limits of keys: no replica knows of the others."""
    names = ("requests_per_minute", "tokens_per_minute", "concurrent")
    found = [name for name in names if any(getattr(one, name) is not None for one in keys)]
    if not found or replicas.most == 1:
        return None
    return (f"{', '.join(found)} of keys are counted by each replica alone: "
            f"{replicas.most} of them let a key have {replicas.most} times as much")  # fmt: skip


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
