"""Brings the server up, and says where it is."""

from typing import cast

from llmrr.cli import output
from llmrr.router import Router
from llmrr.server import hosting
from llmrr.server.service import Service


def serve(router: Router, *, host: str | None, port: int | None) -> None:
    """Serve until it is interrupted."""
    value = router.config.value
    host = cast(str, value("serve.host")) if host is None else host
    port = cast(int, value("serve.port")) if port is None else port
    listener = hosting.listener(host, port)
    service = Service(router)
    try:
        where = hosting.address(listener)
        hosting.server(service, lambda: output.note(f"listening on {where}")).run([listener])
    finally:
        service.close()
        listener.close()
