"""A server that runs in this process, for tests that ask it over HTTP."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from llmrr.router import Router
from llmrr.server import hosting
from llmrr.server.service import Service

MINI = {"models": [{"name": "small", "source": "builtin:mini"}]}
ASKED = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."


class Said(NamedTuple):
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Its body as JSON."""
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """The data of its events, without the mark of the end."""
        lines = self.body.decode().split("\n")
        found = [line[6:] for line in lines if line.startswith("data: ")]
        return [json.loads(one) for one in found if one != "[DONE]"]


class Served:
    """A server that listens at ``url``."""

    def __init__(self, url: str, service: Service) -> None:
        self.url, self.service = url, service

    def ask(
        self, path: str, body: object = None, *, method: str | None = None,
        headers: dict[str, str] | None = None, raw: bytes | None = None,
    ) -> Said:  # fmt: skip
        """Send one request; what is refused is answered too."""
        data = raw if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Said(answer.status, _lower(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Said(error.code, _lower(error.headers), error.read())


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@contextmanager
def serving(
    router: Router | None = None, *, host: str = "127.0.0.1", variables: Sequence[str] = (),
    aliases: Mapping[str, str] | None = None,
) -> Iterator[Served]:  # fmt: skip
    """Serve a router, by default of ``builtin:mini``, as long as this lasts. It listens here, also
    where it takes itself for one at ``host``; ``variables`` hold keys."""
    router = router or Router(MINI)
    if aliases:
        router.update_config(serve={"aliases": dict(aliases)})
    service = Service(router)
    listener = hosting.listener("127.0.0.1", 0)
    ready = threading.Event()
    server = hosting.server(service, ready.set, host=host, variables=variables)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        assert ready.wait(30)
        yield Served(hosting.address(listener), service)
    finally:
        server.should_exit = True
        thread.join(30)
        service.close()
        listener.close()
