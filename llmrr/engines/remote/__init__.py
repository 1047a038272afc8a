"""The remote engines: one protocol each, over HTTP.

``providers`` says which protocol a provider speaks, where, and which variable holds its key; a
``dialect`` is a protocol, one file each. ``model`` takes requests, ``stream`` is an answer under
way, read by ``client`` and ``events``; ``faults`` has what its errors mean.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from llmrr.errors import FeatureMissing
from llmrr.types import Endpoint, Feature

if TYPE_CHECKING:
    from llmrr.engines.base import Model, Options
    from llmrr.engines.remote.model import RemoteModel

Opens = Callable[[Endpoint, "Options"], "Model"]


class Remote:
    """A protocol, as an engine. ``takes`` are the options of an endpoint beside those that all
    take; ``loading`` those of a local model that it hands on; ``needs`` are packages."""

    def __init__(
        self,
        name: str,
        can: frozenset[Feature],
        opens: Opens,
        takes: frozenset[str] = frozenset(),
        loading: tuple[str, ...] = (),
        needs: tuple[str, ...] = (),
    ) -> None:
        self.name, self.can = name, can
        self._opens, self._takes, self._loading, self._needs = opens, takes, loading, needs

    def missing(self) -> str | None:
        """The command that installs a client that it needs and that does not come with llmrr."""
        from importlib.util import find_spec

        absent = [name for name in self._needs if find_spec(name) is None]
        return f"pip install {' '.join(absent)}" if absent else None

    def load(self, place: Endpoint, options: "Options") -> "Model":
        """Be ready to ask. Nothing is sent yet.

        Raises ``Unreachable`` for a missing key, ``BadConfig`` for an address that is none,
        ``FeatureMissing`` for an option that means nothing to this protocol.
        """
        from llmrr.engines.remote.dialect import refuse_options

        refuse_options(place.provider, options, self._loading)
        for name in ("api_version", "organization"):
            if getattr(place, name) is not None and name not in self._takes:
                raise FeatureMissing(f"{place.provider} has no {name}", f"leave out {name}")
        return self._opens(place, options)


def _openai(endpoint: Endpoint, options: "Options") -> "RemoteModel":
    from llmrr.engines.remote.model import RemoteModel
    from llmrr.engines.remote.openai import OpenAI

    return RemoteModel(endpoint, OpenAI(endpoint))


def _anthropic(endpoint: Endpoint, options: "Options") -> "RemoteModel":
    from llmrr.engines.remote.anthropic import Anthropic
    from llmrr.engines.remote.model import RemoteModel

    return RemoteModel(endpoint, Anthropic(endpoint))


def _ollama(endpoint: Endpoint, options: "Options") -> "RemoteModel":
    from llmrr.engines.remote.model import RemoteModel
    from llmrr.engines.remote.ollama import Ollama

    pull = f"ollama pull {endpoint.model}"
    hint = f"ollama serve, and then: {pull}"
    return RemoteModel(endpoint, Ollama(endpoint, options), hint=hint, absent=pull)


def _google(endpoint: Endpoint, options: "Options") -> "RemoteModel":
    from llmrr.engines.remote.google import Google, texts_at_once
    from llmrr.engines.remote.model import RemoteModel

    return RemoteModel(endpoint, Google(endpoint), at_once=texts_at_once(endpoint))


def _azure(endpoint: Endpoint, options: "Options") -> "RemoteModel":
    from llmrr.engines.remote.azure import Azure
    from llmrr.engines.remote.model import RemoteModel

    return RemoteModel(endpoint, Azure(endpoint))


def _responses(endpoint: Endpoint, options: "Options") -> "RemoteModel":
    from llmrr.engines.remote.model import RemoteModel
    from llmrr.engines.remote.openai import OpenAI
    from llmrr.engines.remote.responses import Responses

    return RemoteModel(endpoint, Responses(OpenAI(endpoint), endpoint.model))


def _cohere(endpoint: Endpoint, options: "Options") -> "RemoteModel":
    from llmrr.engines.remote.cohere import Cohere
    from llmrr.engines.remote.model import RemoteModel

    return RemoteModel(endpoint, Cohere(endpoint))


def _bedrock(endpoint: Endpoint, options: "Options") -> "Model":
    from llmrr.engines.remote.bedrock import BedrockModel

    return BedrockModel(endpoint)


_ALL: Final = frozenset(
    {Feature.SCHEMA, Feature.LOGPROBS, Feature.EMBEDDINGS, Feature.IMAGES, Feature.TOOLS,
     Feature.THINKING}
)  # fmt: skip

REMOTE: Final = (
    Remote("openai", _ALL, _openai, frozenset({"organization"})),
    Remote("openai-responses", _ALL, _responses, frozenset({"organization"})),
    Remote("anthropic", _ALL - {Feature.LOGPROBS, Feature.EMBEDDINGS}, _anthropic,
           frozenset({"api_version"})),
    Remote("google", _ALL, _google),
    Remote("azure", _ALL, _azure, frozenset({"api_version"})),
    Remote("cohere", _ALL - {Feature.LOGPROBS}, _cohere),
    Remote("bedrock", _ALL - {Feature.LOGPROBS, Feature.THINKING}, _bedrock, needs=("boto3",)),
    Remote("ollama", _ALL, _ollama, loading=("context_size", "gpu_layers", "threads")),
)  # fmt: skip


def named(name: str) -> Remote | None:
    """The protocol of that name."""
    return next((one for one in REMOTE if one.name == name), None)


def makes_vectors(endpoint: Endpoint) -> bool | None:
    """Whether a model makes vectors and nothing else; None where only its provider knows."""
    if endpoint.provider != "bedrock":
        return None
    from llmrr.engines.remote import vectors

    return vectors.family(endpoint.model) is not None


def also_spoken(provider: str) -> frozenset[str]:
    """Further protocols of a provider, by their names."""
    return frozenset({"openai-responses"}) if provider == "openai" else frozenset()


def of_provider(provider: str) -> Remote | None:
    """The protocol that a provider is asked by; None where this version has none."""
    from llmrr.engines.remote.providers import PROVIDERS

    found = PROVIDERS.get(provider)
    return None if found is None else named(found.engine)
