"""Whether a server that speaks OpenAI's protocol is up, and how many requests it is busy with.

``/health`` is asked first, as llmrr, llama-server, vLLM and their kin have it; where it says
nothing, ``/models``. The requests stand in ``/health`` of llmrr and of older llama-servers, and in
``/metrics`` of llama-server and vLLM.
"""

import json
import re
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions

from llmrr.engines.remote import faults
from llmrr.engines.remote.connections import manager
from llmrr.engines.remote.faults import Party
from llmrr.engines.remote.keys import Headers, headers_for, key_for
from llmrr.engines.remote.providers import PROVIDERS, address, is_own
from llmrr.types import Endpoint

LARGEST: Final = 1 << 20  # bytes of what a check reads

# What servers count as under way, or waiting, in the JSON of /health and in Prometheus's text.
_COUNTS: Final = ("requests", "slots_processing")
_METRICS: Final = re.compile(
    r"^(?:llamacpp:requests_(?:processing|deferred)|vllm:num_requests_(?:running|waiting))"
    r"(?:\{[^}\n]*\})? ([0-9.eE+]+)", re.MULTILINE,
)  # fmt: skip


class Condition(NamedTuple):
    """What a check found: ``why`` it is down, empty where it is up; ``is_late`` where it only did
    not answer in time; ``busy`` requests, None where it does not say."""

    why: str = ""
    is_late: bool = False
    busy: int | None = None


class Said(NamedTuple):
    """An answer to a check."""

    status: int
    body: bytes


def can_check(endpoint: Endpoint) -> bool:
    """Whether it is a server of someone's own that speaks OpenAI's protocol: a provider's is not
    asked how it is.

    >>> can_check(Endpoint("openai", "x")), can_check(Endpoint("openai", "x", "http://box/v1"))
    (False, True)
    """
    provider = PROVIDERS.get(endpoint.provider)
    speaks = provider is not None and provider.engine == "openai"
    return speaks and endpoint.base_url is not None and not is_own(endpoint)


def check(endpoint: Endpoint, seconds: float) -> Condition:
    """Ask a server how it is; each question may take so many seconds. Raises ``Unreachable`` for a
    key that is missing."""
    base = (address(endpoint) or "").rstrip("/")
    key = key_for(endpoint)
    party = Party(endpoint.provider, "", secrets=(key.secret,) if key else ())
    headers = Headers({"authorization": f"Bearer {key.secret}"} if key else {})
    headers.update(headers_for(endpoint))
    parts = urlsplit(base)
    with manager(parts.scheme, parts.hostname or "") as connections:
        asker = _Asker(connections, headers, seconds)
        try:
            return _condition(asker, base, party)
        except exceptions.NewConnectionError:  # which is a TimeoutError too
            return Condition("it refuses connections")
        except exceptions.TimeoutError:
            return Condition(f"it did not answer within {seconds:g} s", is_late=True)
        except exceptions.HTTPError as error:
            return Condition(_words(error, party))


class _Asker:
    def __init__(
        self, connections: urllib3.PoolManager, headers: Headers, seconds: float
    ) -> None:
        self._connections, self._headers, self._seconds = connections, headers, seconds

    def get(self, url: str) -> Said:
        """Raises urllib3's errors."""
        response = self._connections.request(
            "GET", url, headers=self._headers, timeout=self._seconds, retries=False,
            redirect=False, preload_content=False,
        )  # fmt: skip
        try:
            return Said(response.status, response.read(LARGEST))
        finally:
            response.close()


def _condition(asker: _Asker, base: str, party: Party) -> Condition:
    root = base.removesuffix("/v1")
    health = asker.get(f"{root}/health")
    if health.status in (500, 502, 503, 504):
        return Condition(_said("/health", health, party))
    if health.status != 200:
        models = asker.get(f"{base}/models")
        if models.status in (401, 403, 500, 502, 503, 504):
            return Condition(_said("/models", models, party))
    busy = counted(health.body) if health.status == 200 else None
    if busy is None:
        metrics = asker.get(f"{root}/metrics")
        busy = measured(metrics.body) if metrics.status == 200 else None
    return Condition(busy=busy)


def counted(body: bytes) -> int | None:
    """The requests that ``/health`` says.

    >>> counted(b'{"status": "ok", "requests": 3}'), counted(b"")
    (3, None)
    """
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    counts = (found.get(name) for name in _COUNTS) if isinstance(found, dict) else ()
    return next((one for one in counts if type(one) is int and one >= 0), None)


def measured(body: bytes) -> int | None:
    """The requests that ``/metrics`` says.

    >>> measured(b"llamacpp:requests_processing 2\\nllamacpp:requests_deferred 1\\n")
    3
    >>> measured(b'vllm:num_requests_running{engine="0",model_name="x"} 4.0\\n')
    4
    >>> measured(b"# nothing of it\\n") is None
    True
    """
    found = _METRICS.findall(body.decode(errors="replace"))
    try:
        return int(sum(map(float, found))) if found else None
    except (ValueError, OverflowError):
        return None


def _said(path: str, said: Said, party: Party) -> str:
    try:
        text = faults.said(json.loads(said.body))
    except (ValueError, RecursionError):
        text = ""
    return f"{path} says {said.status}" + (f": {party.clean(text)}" if text else "")


def _words(error: Exception, party: Party) -> str:
    inner = error.args[-1] if error.args else error
    return f"the connection broke: {party.clean(str(inner))}"
