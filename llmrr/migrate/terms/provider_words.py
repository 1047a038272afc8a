"""Words that are providers, wherever they stand in a file."""

import re
from functools import lru_cache
from typing import Final

from llmrr.kinds import guessed_provider
from llmrr.migrate.terms import litellm_names, naming

_WORDS: Final = frozenset({
    "openai", "azure", "anthropic", "google", "gemini", "vertex", "cohere", "bedrock", "mistral",
    "groq", "together", "fireworks", "deepinfra", "deepseek", "openrouter", "perplexity", "ollama",
    "novita", "nvidia", "cerebras", "xai", "qianfan", "huggingface", "azureopenai", "azure-openai",
    "azure_openai", "openai-compatible", "openai_compatible", "lmstudio", "lm-studio", "lm_studio",
    "llamacpp", "llama.cpp", "vllm", "localai", "mistralai", "vertexai", "vertex_ai", "claude",
    "openaicompatible", "google-genai", "google_genai", "together_ai", "chatopenai",
    "chatanthropic", "chatollama", "open-ai", "open_ai", "openai-chat", "nim", "google-ai",
    "google_ai", "azure-ai", "amazon-bedrock", "amazon_bedrock", "openai_conversation",
    "huggingfaceinference",
})  # fmt: skip
_SPELLED: Final = {
    "azureopenai": "azure", "openaicompatible": "openai-compatible", "chatopenai": "openai",
    "chatanthropic": "anthropic", "chatollama": "ollama", "open-ai": "openai", "open_ai": "openai",
    "openai-chat": "openai", "nim": "nvidia", "google-ai": "google", "google_ai": "google",
    "huggingfaceinference": "huggingface",
    "amazon-bedrock": "bedrock", "amazon_bedrock": "bedrock", "openai_conversation": "openai",
}  # fmt: skip
# Classes and nodes of LangChain, Flowise and n8n, by what stands behind "chat" or "lm".
_CLASS: Final = re.compile(r"(?:.*\.)?(?:lm)?(azure)?(?:chat|lm)_?([a-z]+?)(?:cloud|chat)?")
_CLASSES: Final = {
    "openai": "openai", "anthropic": "anthropic", "ollama": "ollama", "groq": "groq",
    "mistralai": "mistral", "mistral": "mistral", "googlegenerativeai": "google",
    "googlegemini": "google", "googlevertex": "vertex", "vertexai": "vertex",
    "googlevertexai": "vertex", "bedrock": "bedrock", "awsbedrock": "bedrock", "cohere": "cohere",
    "deepseek": "deepseek", "openrouter": "openrouter", "fireworks": "fireworks",
    "togetherai": "together", "xaigrok": "xai", "xai": "xai", "perplexity": "perplexity",
    "azureopenai": "azure", "cerebras": "cerebras", "nvidia": "nvidia", "localai": "localai",
}  # fmt: skip
_WAYS: Final = ("chat", "responses", "completion", "messages", "text", "assistant")


@lru_cache(maxsize=8192)
def of_word(text: str) -> str | None:
    """The provider that a word is, perhaps as the end of a path (``langgenius/openai/openai``).

    >>> of_word("AzureOpenAI"), of_word("langgenius/openai/openai"), of_word("model")
    ('azure', 'openai', None)
    >>> of_word("@n8n/n8n-nodes-langchain.lmChatOllama"), of_word("chatTrigger")
    ('ollama', None)
    """
    plain = text.strip().lower().rpartition("/")[2]
    if plain in _WORDS:
        return _SPELLED.get(plain, plain)
    match = _CLASS.fullmatch(plain) if len(plain) < 100 else None
    if match is None:
        return None
    return "azure" if match[1] and match[2] == "openai" else _CLASSES.get(match[2])


def prefixed(text: str) -> tuple[str, str] | None:
    """``provider:model``, ``provider:chat:model`` and ``provider/model``, for providers of ours.

    >>> prefixed("openai:chat:gpt-4o"), prefixed("groq/x/y"), prefixed("llama3:8b")
    (('openai', 'gpt-4o'), ('groq', 'x/y'), None)
    """
    prefix, colon, rest = text.partition(":")
    if colon and rest and prefix.lower() in _WORDS:
        way, more, inner = rest.partition(":")
        if more and way in _WAYS:
            rest = inner
        return prefix, rest
    theirs, name = litellm_names.named(text)
    return (theirs, name) if theirs and naming.provider_of(theirs) else None


def is_for(field: str, provider: str | None, model: str) -> bool:
    """Whether the field of a key may be that of a provider: ``openai_api_key`` is not one of
    Groq's."""
    plain = re.sub(r"[-_\s]", "", field.rpartition(".")[2]).lower()
    of = next((naming.provider_of(_SPELLED.get(one, one)) for one in _BY_LENGTH
               if plain.startswith(re.sub(r"[-_]", "", one))), None)  # fmt: skip
    given = naming.provider_of(provider) if provider else guessed_provider(model)
    return of is None or of == given


_BY_LENGTH: Final = tuple(sorted(_WORDS, key=lambda one: (-len(one), one)))
