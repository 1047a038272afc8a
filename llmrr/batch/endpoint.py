"""Lines that are answered by a server that speaks OpenAI's protocol: what they say is sent as it
stands, and what it answers is kept as it came."""

import json
import os
import re
import threading
import time
import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

from llmrr.batch.items import Item
from llmrr.batch.replies import OK, Reply
from llmrr.config import Config
from llmrr.engines.remote import checking, faults
from llmrr.engines.remote.client import Call, Client, Whole
from llmrr.engines.remote.deadlines import Deadlines
from llmrr.engines.remote.faults import Party
from llmrr.engines.remote.keys import Headers, key_for
from llmrr.errors import (
    BrokenStream,
    LlmrrError,
    Overloaded,
    RateLimited,
    TimedOut,
    Unreachable,
    UsageError,
    masked,
)
from llmrr.routing.chain import RetryRules, delay
from llmrr.types import Endpoint

# Headers under which servers say which request it was.
_IDS: Final = ("x-request-id", "request-id")
# What a line fails with by itself, or because a proxy has nobody behind it any more.
_UNCLEAR: Final = (BrokenStream, Overloaded, TimedOut)


class Place(NamedTuple):
    """Where lines are sent: an address, and the variable that holds its key."""

    url: str
    api_key_env: str | None = None


class EndpointAsker:
    """Asks a server. Safe to use from several threads."""

    def __init__(self, place: Place, config: Config) -> None:
        value: Any = config.value
        self._base = base_of(place.url)
        self._endpoint = Endpoint(
            "openai", "batch", self._base, place.api_key_env,
            connect=value("timeouts.connect"), first_token=None, between_tokens=None,
            timeout=value("timeouts.total"), env_file=value("env_file"),
        )  # fmt: skip
        key = key_for(self._endpoint)
        self._party = Party(
            urlsplit(self._base).netloc, "", key.mend if key else "--api-key-env NAME",
            (key.secret,) if key else (), "look at the server, or at --url",
        )  # fmt: skip
        self._headers = Headers(authorization=f"Bearer {key.secret}") if key else Headers()
        self._patience = cast(float, value("health.timeout"))
        self._rules = RetryRules(**{name: value(f"retry.{name}") for name in RetryRules._fields})
        self._client = Client(self._base, self._party)
        self._stopped = threading.Event()

    def __call__(self, item: Item) -> Reply:
        """What the server answers, asked again where that may help."""
        body = {name: one for name, one in item.body.items() if name not in _STREAMING}
        call = Call(item.url.removeprefix("/v1"), body)
        began, seed = time.monotonic(), int.from_bytes(os.urandom(8))
        failures: list[LlmrrError] = []
        while True:
            whole, error = self._asked(call)
            if error is None:
                return self._reply(whole, None)
            failures.append(error)
            seconds = self._pause(failures, seed, time.monotonic() - began)
            if seconds is None or self._stopped.wait(seconds):
                return self._reply(whole, error)

    def close(self) -> None:
        """Ask nothing more, and close its connections."""
        self._stopped.set()
        self._client.close()

    def _asked(self, call: Call) -> tuple[Whole | None, LlmrrError | None]:
        whole = None
        try:
            whole = self._client.whole(
                call, self._headers, Deadlines(self._endpoint), self._party
            )
            if whole.status == OK:
                return whole, None
            return whole, faults.of_status(
                self._party, whole.status, whole.body, whole.headers
            )
        except LlmrrError as error:
            return whole, error

    def _pause(
        self, failures: Sequence[LlmrrError], seed: int, passed: float
    ) -> float | None:
        """Seconds until it is asked again; None where it is not. What is too much for a server is
        waited out, and no failed attempt: a batch has time."""
        error = failures[-1]
        counted = sum(not isinstance(one, RateLimited) for one in failures)
        if not error.transient or counted >= self._rules.attempts:
            return None
        asked: float | None = getattr(error, "retry_after", None)
        seconds = delay(self._rules, len(failures), seed, asked)
        most = self._endpoint.timeout
        return None if most is not None and passed + seconds > most else seconds

    def _reply(self, whole: Whole | None, error: LlmrrError | None) -> Reply:
        if whole is None:
            assert error is not None
            said = error.message
            return Reply(None, code=_code(error), message=said, is_lost=self._is_away(error))
        named = (whole.headers[name] for name in _IDS if name in whole.headers)
        given = next(named, "") or f"req_{uuid.uuid4().hex}"
        document = _object(whole.body)
        if error is None and document is None:
            said = "the answer is no JSON object"
            return Reply(None, request_id=given, code="invalid_response", message=said)
        if error is not None:
            told = {"error": {"message": error.message, "type": _code(error)}}
            document = told if document is None else self._clean(document)
        is_refused = isinstance(error, Unreachable)
        is_lost = error is not None and not is_refused and self._is_away(error)
        return Reply(whole.status, document, given, is_lost=is_lost, is_refused=is_refused)

    def _is_away(self, error: LlmrrError) -> bool:
        """Whether nobody is there to be asked, whatever the line is; the server is asked where the
        error does not say."""
        if not isinstance(error, _UNCLEAR):
            return isinstance(error, Unreachable)
        return not self._stopped.is_set() and bool(
            checking.check(self._endpoint, self._patience).why
        )

    def _clean(self, value: Any) -> Any:
        """What a server complains of, without the key that it may repeat."""
        if isinstance(value, dict):
            return {name: self._clean(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._clean(one) for one in value]
        if not isinstance(value, str):
            return value
        for secret in self._party.secrets:
            value = value.replace(secret, faults.HIDDEN)
        return masked(value)


_STREAMING: Final = ("stream", "stream_options")  # a line has one answer, whole


def base_of(url: str) -> str:
    """The address that what follows ``/v1`` of a line's url is put behind.

    >>> base_of("http://127.0.0.1:8313"), base_of("https://api.example/openai/v1/")
    ('http://127.0.0.1:8313/v1', 'https://api.example/openai/v1')
    """
    found = urlsplit(url)
    if found.scheme not in ("http", "https") or not found.hostname:
        raise UsageError(f'--url "{masked(url)}" is no address', "--url http://HOST:PORT/v1")
    if found.query or found.fragment or found.username or found.password:
        said = f'--url "{masked(url)}" holds more than an address'
        raise UsageError(said, "--api-key-env NAME says which variable holds the key")
    return url.rstrip("/") + ("/v1" if not found.path.strip("/") else "")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _code(error: LlmrrError) -> str:
    """The name of an error as servers write them.

    >>> _code(RateLimited(""))
    'rate_limited'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error.type).lower()
