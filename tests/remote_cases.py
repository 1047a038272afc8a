"""The protocols side by side: a server, and what of llmrr talks to it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import openai_servers
import other_servers
import provider_servers as servers

from llmrr.engines import remote
from llmrr.engines.base import Options
from llmrr.types import Chunk, Endpoint, Message, Request, Sampling

KEY_ENV = "LOOPBACK_KEY"


@dataclass(frozen=True)
class Case:
    """A protocol. ``suffix`` follows the server's address."""

    engine: str
    provider: str
    server: Callable[[], servers.Server]
    suffix: str = ""

    def __str__(self) -> str:
        return self.engine

    def endpoint(self, served: servers.Server, **more: Any) -> Endpoint:
        known = {"base_url": served.address + self.suffix, "api_key_env": KEY_ENV}
        return Endpoint(self.provider, servers.MODEL, **{**known, **more})

    def model(self, served: servers.Server, **more: Any) -> Any:
        engine = remote.named(self.engine)
        assert engine is not None
        return engine.load(self.endpoint(served, **more), Options())

    @contextmanager
    def talking(self, **more: Any) -> Iterator[tuple[Any, Any]]:
        """A server, and a model of it."""
        with self.server() as served:
            model = self.model(served, **more)
            try:
                yield served, model
            finally:
                model.close()


OPENAI = Case("openai", "openai", openai_servers.OpenAIServer, "/v1")
ANTHROPIC = Case("anthropic", "anthropic", other_servers.AnthropicServer)
OLLAMA = Case("ollama", "ollama", other_servers.OllamaServer)
GOOGLE = Case("google", "google", other_servers.GoogleServer, "/v1beta")
AZURE = Case("azure", "azure", openai_servers.AzureServer)
COHERE = Case("cohere", "cohere", other_servers.CohereServer)
RESPONSES = Case("openai-responses", "openai", openai_servers.ResponsesServer, "/v1")
CASES = (OPENAI, RESPONSES, ANTHROPIC, GOOGLE, AZURE, COHERE, OLLAMA)


def asked(text: str = "hi", **sampling: Any) -> Request:
    return Request(messages=(Message("user", text),), sampling=Sampling(**sampling))


def text_of(chunks: Sequence[Chunk], index: int = 0) -> str:
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


def answer(model: Any, request: Request | None = None) -> str:
    """The text of an answer, whose form is checked on the way."""
    chunks = list(model.generate(request or asked()))
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert [chunk.finish_reason for chunk in chunks[:-1]].count(None) == len(chunks) - 1
    assert chunks[-1].finish_reason is not None
    return text_of(chunks)
