"""Brings the server up, and says where it is."""

from typing import cast

from llmrr import cluster
from llmrr.cli import output
from llmrr.errors import UsageError
from llmrr.router import Router
from llmrr.server import hosting
from llmrr.server.service import Service


def serve(router: Router, *, host: str | None, port: int | None) -> None:
    """Serve until it is interrupted."""
    host, port = _place(router, host, port)
    listener = hosting.listener(host, port)
    service = Service(router)
    try:
        where = hosting.address(listener)
        hosting.server(service, lambda: output.note(f"listening on {where}")).run([listener])
    finally:
        service.close()
        listener.close()


def on_ray(
    router: Router, *, host: str | None, port: int | None, replicas: str | None, ray: bool
) -> None:
    """Serve from replicas on a Ray cluster until it is interrupted."""
    if not ray:
        raise UsageError("--replicas is for --ray", "llmrr serve --ray --replicas 1:4")
    count = cluster.replicas(replicas, router.config)
    host, port = _place(router, host, port)
    with cluster.connected():
        from llmrr.server import rays

        config = cluster.portable(router.config)
        rays.run(config, count, host, port, lambda url: output.note(f"listening on {url}"))


def _place(router: Router, host: str | None, port: int | None) -> tuple[str, int]:
    value = router.config.value
    host = cast(str, value("serve.host")) if host is None else host
    return host, cast(int, value("serve.port")) if port is None else port
