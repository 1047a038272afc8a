"""The providers: which protocol each speaks, where, and which variable holds its key."""

import os
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from llmrr.types import Endpoint


class Provider(NamedTuple):
    """A provider. ``engine`` is the protocol; ``keys`` are the variables that usually hold its key,
    the first that is set counts; ``address_env`` is a variable that states another address.
    ``samples`` maps our names of sampling values beyond OpenAI's to its own; what it does not
    take of OpenAI's is in ``lacks``. ``keyless`` ones answer without a key."""

    engine: str
    base_url: str | None
    keys: tuple[str, ...] = ()
    address_env: str | None = None
    samples: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset()
    keyless: bool = False


_WIDE = (("top_k", "top_k"), ("min_p", "min_p"), ("repeat_penalty", "repetition_penalty"))
# What vLLM, llama-server, LM Studio and LocalAI take beyond OpenAI's, by their common names.
OWN_SERVER: Final = (
    ("top_k", "top_k"), ("min_p", "min_p"), ("typical_p", "typical_p"),
    ("repeat_penalty", "repeat_penalty"), ("repeat_penalty", "repetition_penalty"),
    ("ignore_eos", "ignore_eos"), ("stop_tokens", "stop_token_ids"),
    ("min_tokens", "min_tokens"),
)  # fmt: skip

PROVIDERS: Final[dict[str, Provider]] = {
    "openai": Provider("openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",),
                       "OPENAI_BASE_URL"),
    "azure": Provider("azure", None, ("AZURE_OPENAI_API_KEY",), "AZURE_OPENAI_ENDPOINT"),
    "anthropic": Provider("anthropic", "https://api.anthropic.com", ("ANTHROPIC_API_KEY",),
                          "ANTHROPIC_BASE_URL"),
    "google": Provider("google", "https://generativelanguage.googleapis.com/v1beta",
                       ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    "vertex": Provider("google", "https://aiplatform.googleapis.com/v1/publishers/google",
                       ("GOOGLE_API_KEY",)),
    "cohere": Provider("cohere", "https://api.cohere.com", ("CO_API_KEY", "COHERE_API_KEY")),
    "ollama": Provider("ollama", "http://127.0.0.1:11434", (), "OLLAMA_HOST", keyless=True),
    "bedrock": Provider("bedrock", None, keyless=True),  # boto3 finds its own keys
    "mistral": Provider("openai", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",),
                        samples=(("seed", "random_seed"),),
                        lacks=frozenset({"stream_options", "logprobs", "logit_bias", "think"})),
    "groq": Provider("openai", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    "together": Provider("openai", "https://api.together.xyz/v1", ("TOGETHER_API_KEY",),
                         samples=_WIDE),
    "fireworks": Provider("openai", "https://api.fireworks.ai/inference/v1",
                          ("FIREWORKS_API_KEY",), samples=_WIDE),
    "deepinfra": Provider("openai", "https://api.deepinfra.com/v1/openai",
                          ("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"), samples=_WIDE),
    "deepseek": Provider("openai", "https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",),
                         lacks=frozenset({"schema", "seed", "logit_bias"})),
    "openrouter": Provider("openai", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",),
                           samples=_WIDE),
    "perplexity": Provider("openai", "https://api.perplexity.ai", ("PERPLEXITY_API_KEY",),
                           samples=(("top_k", "top_k"),),
                           lacks=frozenset({"stream_options", "seed", "logit_bias", "logprobs"})),
    "novita": Provider("openai", "https://api.novita.ai/openai/v1", ("NOVITA_API_KEY",),
                       samples=_WIDE),
    "nvidia": Provider("openai", "https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY",)),
    "cerebras": Provider("openai", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    "xai": Provider("openai", "https://api.x.ai/v1", ("XAI_API_KEY",)),
    "qianfan": Provider("openai", "https://qianfan.baidubce.com/v2", ("QIANFAN_API_KEY",)),
}  # fmt: skip


def address(endpoint: Endpoint) -> str | None:
    """Where a provider is asked: what the endpoint states, else its variable, else its own
    address."""
    provider = PROVIDERS[endpoint.provider]
    stated = os.environ.get(provider.address_env, "") if provider.address_env else ""
    if provider.engine == "ollama" and stated.strip():
        stated = ollama_address(stated.strip())
    return endpoint.base_url or stated.strip() or provider.base_url


def ollama_address(host: str) -> str:
    """What OLLAMA_HOST says, as Ollama's own client reads it: the port is 11434 where nothing else
    is said, and a server that listens everywhere is asked here.

    >>> ollama_address("0.0.0.0"), ollama_address("box:80"), ollama_address("https://o.example/x/")
    ('http://127.0.0.1:11434', 'http://box:80', 'https://o.example:443/x')
    """
    scheme, colon, rest = host.rpartition("://")
    parts = urlsplit(f"{scheme if colon else 'http'}://{rest}")
    usual = {"https": 443, "http": 80 if colon else 11434}.get(parts.scheme, 11434)
    name = parts.hostname or "127.0.0.1"
    name = "127.0.0.1" if name in ("0.0.0.0", "::") else f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{name}:{parts.port or usual}{parts.path.rstrip('/')}"


def is_own(endpoint: Endpoint) -> bool:
    """Is it asked at the address that the provider is known by?

    >>> is_own(Endpoint("groq", "x")), is_own(Endpoint("groq", "x", base_url="http://proxy/v1"))
    (True, False)
    """
    usual = PROVIDERS[endpoint.provider].base_url
    return usual is not None and host(address(endpoint) or "") == host(usual)


def host(url: str) -> str:
    """The host of an address, with its port.

    >>> host("https://api.openai.com/v1"), host("http://127.0.0.1:8080")
    ('api.openai.com', '127.0.0.1:8080')
    """
    return urlsplit(url).netloc.rpartition("@")[2]
