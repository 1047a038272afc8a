"""A model that is reached through a protocol."""

import math
import time
from collections.abc import Callable, Generator, Sequence

from llmrr.engines import prompting
from llmrr.engines.base import Text
from llmrr.engines.remote import hops, retry
from llmrr.engines.remote.client import Call, Client
from llmrr.engines.remote.deadlines import Deadlines
from llmrr.engines.remote.dialect import Dialect
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.exchange import Exchange
from llmrr.engines.remote.far import Far
from llmrr.engines.remote.faults import Party
from llmrr.engines.remote.keys import Headers, Key, headers_for, key_for
from llmrr.engines.remote.providers import PROVIDERS, address, host
from llmrr.engines.remote.stream import RemoteStream
from llmrr.errors import BadConfig, FeatureMissing
from llmrr.types import Chunk, Endpoint, ModelInfo, Request

TEXTS_AT_ONCE = 96  # of one call for vectors: what most providers take


class RemoteModel(Far[Client]):
    """A model over HTTP. Safe to call from several threads. ``hint`` is for when nobody answers
    there, ``absent`` for a model that the provider has not; ``at_once`` texts go into one call for
    vectors."""

    def __init__(
        self, endpoint: Endpoint, dialect: Dialect, *, hint: str = "", absent: str = "",
        at_once: int = TEXTS_AT_ONCE,
    ) -> None:  # fmt: skip
        super().__init__(endpoint)
        url = address(endpoint)
        if url is None:
            name = PROVIDERS[endpoint.provider].address_env
            hint = f"export {name}=https://…" if name else 'options = { base_url = "https://…" }'
            raise BadConfig(f"{endpoint.source} has no address", hint)
        self.info = ModelInfo(None, endpoint.provider, name=endpoint.model)
        self.where = host(url)
        self._dialect = dialect
        self._hint, self._absent, self._at_once = hint, absent, at_once
        self._client = Client(url, Party(endpoint.provider, endpoint.model))
        self._headers()  # a missing key is told before anything is asked

    def generate(
        self, request: Request, on_chunk: Callable[[Chunk], None] | None = None
    ) -> RemoteStream:
        """Start answering. ``request.sampling`` is taken as it is.

        Raises ``FeatureMissing`` for what the provider has not and ``Unreachable`` for a missing
        key; what the provider says comes with the first chunk.
        """
        self._require_open()
        prompting.require_numbers(request)
        if request.tokens:
            raise FeatureMissing(
                f"{self._endpoint.provider} takes words, and no tokens by their ids",
                "a prompt, or messages",
            )
        call = self._dialect.call(request)
        headers, party = self._headers()

        def opens(exchange: Exchange, deadlines: Deadlines) -> Generator[list[Event], None, None]:
            return self._client.answers(exchange, call, headers, deadlines, party)

        return RemoteStream(
            self._endpoint, request, party, opens,
            lambda: self._dialect.reader(request, party), on_chunk, self._client.reached,
        )  # fmt: skip

    def embed(self, texts: Sequence[Text]) -> list[list[float]]:
        """One vector of length 1 per text."""
        self._require_open()
        found: list[list[float]] = []
        for start in range(0, len(texts), self._at_once):
            part = texts[start : start + self._at_once]
            found += self._vectors(self._dialect.embedding(part), len(part))
        return found

    # -- inside --------------------------------------------------------------------------------

    def _headers(self) -> tuple[Headers, Party]:
        key: Key | None = key_for(self._endpoint)
        own = headers_for(self._endpoint)
        party = Party(
            self._endpoint.provider, self._endpoint.model, key.mend if key else None,
            tuple(filter(None, (key.secret if key else "", *own.values()))),
            self._hint, self._absent, self.where,
        )  # fmt: skip
        sent = {**hops.headers(self._endpoint), **own}
        return Headers(self._dialect.headers(key.secret if key else None), **sent), party

    def _vectors(self, call: Call, count: int) -> list[list[float]]:
        headers, party = self._headers()
        deadlines = Deadlines(self._endpoint)
        document = retry.run(
            lambda: self._client.document(call, headers, deadlines, party),
            self._endpoint.max_retries, deadlines, wait=time.sleep,
        )  # fmt: skip
        try:
            vectors = [unit(one) for one in self._dialect.vectors(document)]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise party.broken(f"is not what the protocol has: {error!r}") from error
        if len(vectors) != count:
            raise party.broken(f"has {len(vectors)} vectors for {count} texts")
        return vectors


def unit(vector: Sequence[float]) -> list[float]:
    """The vector with length 1.

    >>> unit([3.0, 4.0])
    [0.6, 0.8]
    """
    length = math.sqrt(math.fsum(one * one for one in vector))
    return [one / length for one in vector] if length else list(vector)
