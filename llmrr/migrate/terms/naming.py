"""Other tools' names of providers and models as our sources (§5 of the design). Pure."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from llmrr.engines.remote.providers import PROVIDERS as REMOTE
from llmrr.kinds import PROVIDERS, RESERVED, guessed_provider, split_source
from llmrr.migrate.terms.secrets import masked

# As LangChain, LiteLLM, Continue, aichat, LlamaIndex and others call them.
_ALIASES: Final = {
    "azure_openai": "azure", "azure-openai": "azure", "azureopenai": "azure", "azure_ai": "azure",
    "claude": "anthropic", "gemini": "google", "google_genai": "google", "google-genai": "google",
    "googlegenai": "google", "google_ai_studio": "google", "palm": "google",
    "google_vertexai": "vertex", "google-vertexai": "vertex", "vertex_ai": "vertex",
    "vertexai": "vertex", "vertex_ai_beta": "vertex",
    "mistralai": "mistral", "codestral": "mistral", "text-completion-codestral": "mistral",
    "together_ai": "together", "together-ai": "together", "togetherai": "together",
    "fireworks_ai": "fireworks", "fireworks-ai": "fireworks", "aws": "bedrock",
    "bedrock_converse": "bedrock", "aws_bedrock": "bedrock", "amazon": "bedrock",
    "cohere_chat": "cohere", "ollama_chat": "ollama", "text-completion-openai": "openai",
    "openai-chat": "openai", "openai-responses": "openai", "nvidia_nim": "nvidia", "nim": "nvidia",
    "pplx": "perplexity", "x-ai": "xai", "x_ai": "xai", "grok": "xai", "ernie": "qianfan",
    "novitaai": "novita", "hf": "huggingface", "huggingface-hub": "huggingface",
    "huggingface_hub": "huggingface", "local": "file", "lm_studio": "openai",
    "lmstudio": "openai", "lm-studio": "openai",
}  # fmt: skip
# Those that are servers of one's own, or gateways: openai: with the address that is stated.
_SPEAKS_OPENAI: Final = frozenset({
    "openai-compatible", "openai_compatible", "openai_like", "openailike", "custom_openai",
    "openai-like", "hosted_vllm", "vllm", "vllm_openai", "lm_studio", "lmstudio", "lm-studio",
    "llamafile", "litellm_proxy", "llama.cpp", "llama-cpp", "llamacpp", "llama_cpp", "localai",
    "text-gen-webui", "tgi", "sglang", "mlx", "koboldcpp", "jan", "msty",
})  # fmt: skip
_OTHER_KEYS: Final = {"huggingface": "HF_TOKEN"}
# Other hosts of the same providers.
_LOOPBACK: Final = ("localhost", "127.0.0.1", "0.0.0.0", "::1", "host.docker.internal")


class Place(NamedTuple):
    """A source, or None with the reason; ``base_url`` where it is not the provider's own."""

    source: str | None
    base_url: str | None = None
    why: str = ""
# The variables from which the clients of a provider take its address, the first before others.
ADDRESSES: Final[Mapping[str, tuple[str, ...]]] = {
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "azure": ("AZURE_OPENAI_ENDPOINT",),
    "anthropic": ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL"),
    "ollama": ("OLLAMA_HOST", "OLLAMA_BASE_URL"),
    "groq": ("GROQ_BASE_URL",),
}


def provider_of(name: str) -> str | None:
    """Our name of a provider, or None; a server of one's own is ``openai``.

    >>> provider_of("azure_openai"), provider_of("Gemini"), provider_of("vllm"), provider_of("?")
    ('azure', 'google', 'openai', None)
    """
    plain = name.strip().lower()
    found = _ALIASES.get(plain, plain)
    if found in PROVIDERS:
        return found
    return "openai" if plain in _SPEAKS_OPENAI else None


def place(provider: str | None, model: str, base_url: str | None = None) -> Place:
    """The source of a model that ``provider`` (in the other tool's word) offers at ``base_url``.

    A provider that is not known, and a server of one's own, need an address.

    >>> place("openai", "gpt-4o", "https://api.openai.com/v1/")
    Place(source='openai:gpt-4o', base_url=None, why='')
    >>> place("vllm", "qwen", "http://box:8000/v1").source, place("vllm", "qwen").source
    ('openai:qwen', None)
    >>> place("watsonx", "granite").why
    "llmrr knows no provider 'watsonx'"
    """
    address = base_url.rstrip("/") if base_url else None
    if provider is None:
        ours = guessed_provider(model) if address is None else "openai"
        why = f"nothing says whose {model!r} is"
    else:
        ours = provider_of(provider) or ("openai" if address else None)
        why = f"llmrr knows no provider {provider!r}"
        if address is None and provider.strip().lower() in _SPEAKS_OPENAI:
            return Place(None, None, f"{provider!r} is a server, and no address is stated")
    if ours is None:
        return Place(None, None, why)
    if ours == "google":
        model = model.removeprefix("models/")
    return Place(f"{ours}:{model}", None if is_default(ours, address) else address)


def is_default(provider: str, base_url: str | None) -> bool:
    """Whether an address is the provider's own, or none.

    >>> is_default("anthropic", "https://api.anthropic.com"), is_default("openai", "http://x/v1")
    (True, False)
    """
    if base_url is None:
        return True
    known = REMOTE.get(provider)
    usual = known.base_url if known else None
    plain = base_url.rstrip("/")
    if provider == "ollama":
        return bool(re.fullmatch(r"https?://(localhost|127\.0\.0\.1):11434(/v1|/api)?", plain))
    return usual is not None and plain in (usual, usual.removesuffix("/v1"), f"{usual}/v1")


def is_loopback(base_url: str) -> bool:
    """Whether an address is one of this machine.

    >>> is_loopback("http://localhost:1234/v1"), is_loopback("https://api.example.org")
    (True, False)
    """
    try:
        return (urlsplit(base_url).hostname or "") in _LOOPBACK
    except ValueError:
        return False


def key_variable(provider: str) -> str | None:
    """The variable that usually holds a provider's key.

    >>> key_variable("openai"), key_variable("google"), key_variable("file")
    ('OPENAI_API_KEY', 'GEMINI_API_KEY', None)
    """
    known = REMOTE.get(provider)
    if known and known.keys:
        return known.keys[0]
    return _OTHER_KEYS.get(provider)


def is_local(source: str) -> bool:
    """Whether a source is run on this machine.

    >>> is_local("file:./a.gguf"), is_local("openai:gpt-4o")
    (True, False)
    """
    try:
        return split_source(source)[0] in ("file", "huggingface", "ollama", "lmstudio", "builtin")
    except ValueError:
        return False


def beside(folder: Path, relative: str = "") -> str:
    """The source of a folder that was found, or of what lies in it: as all paths of an artefact,
    seen from where the artefact lies.

    >>> beside(Path("a/models"), "x.gguf"), beside(Path("."))
    ('file:./models/x.gguf', 'file:.')
    """
    return "file:" + "/".join(one for one in (".", folder.name, relative) if one)


def model_name(text: str) -> str:
    """What a model may be called in ``llmrr.toml``: the last part of a source or path, or a given
    name, without spaces; none that means more than one model.

    >>> model_name("openai:gpt-4o"), model_name("file:./models/My Model.gguf")
    ('gpt-4o', 'My-Model')
    >>> model_name("huggingface:org/repo:Q4_K_M"), model_name("GPT 4 (fast)")
    ('repo', 'GPT-4-fast')
    >>> model_name("openrouter:auto"), model_name("*")
    ('model-auto', 'model')
    """
    prefix, colon, rest = text.partition(":")
    is_source = bool(colon) and prefix in PROVIDERS and bool(rest)
    name = rest if is_source else text
    if is_source and prefix in ("huggingface", "file", "lmstudio"):
        name = name.partition("@")[0].rstrip("/\\")
        name = name.replace("\\", "/").rpartition("/")[2]
        if prefix == "huggingface":
            name = name.partition(":")[0]
        name = re.sub(r"\.(gguf|safetensors|onnx|bin)$", "", name, flags=re.IGNORECASE)
    # Joined by "-", what stands for a key would no longer look like one.
    name = masked(name).replace("…", "-")
    name = re.sub(r"[\s\x00-\x1f\x7f()\[\]{}\"'`,;]+", "-", name).strip("-")
    return name_beside(name[:100] or "model")


def name_beside(name: str) -> str:
    """A name of a model or a group, or one beside it where it means more than one model."""
    return f"model-{name}".removesuffix("-*") if name in RESERVED else name
