"""The classes of LlamaIndex that are models, as it names them in code and in what it writes."""

import re
from typing import Final

# By their names without "_", case and "LLM".
_MODELS: Final = {
    "openai": "openai", "openaichat": "openai", "openairesponses": "openai",
    "openailike": "openai_like", "openaicompatible": "openai_like", "lmstudio": "lmstudio",
    "localai": "localai", "llamafile": "llamafile", "vllmserver": "vllm",
    "azureopenai": "azure", "azureopenaichat": "azure", "anthropic": "anthropic",
    "claude": "anthropic", "ollama": "ollama", "gemini": "google", "googlegenai": "google",
    "genai": "google", "google": "google", "palm": "google", "vertex": "vertex",
    "groq": "groq", "mistralai": "mistral", "mistral": "mistral", "cohere": "cohere",
    "deepseek": "deepseek", "perplexity": "perplexity", "together": "together",
    "fireworks": "fireworks", "openrouter": "openrouter", "litellm": "litellm",
    "bedrock": "bedrock", "bedrockconverse": "bedrock", "nvidia": "nvidia",
    "cerebras": "cerebras", "deepinfra": "deepinfra", "novitaai": "novita", "novita": "novita",
    "qianfan": "qianfan", "xai": "xai", "grok": "xai", "huggingface": "huggingface",
    "huggingfaceinferenceapi": "huggingface", "vllm": "huggingface", "mlx": "huggingface",
    "llamacpp": "file", "llamacppmodel": "file", "azure": "azure",
}  # fmt: skip
_OWN: Final = re.compile(r"@?llama[_-]?index(?:$|[\w/.-])")
EMBEDDINGS: Final = re.compile(r"\w*Embed(?:ding)?s?(?:Model)?|embed_model")
LOGIC: Final = re.compile(
    r"\w*(?:Index|Agent|Tool|Retriever|QueryEngine|ChatEngine|Reader|Splitter|Workflow|NodeParser"
    r"|Memory|ChatMemoryBuffer|VectorStore|Postprocessor|Synthesizer|Rerank)"
    r"|agent|multiAgent|tool|resolve_embed_model"
)
_IGNORED: Final = re.compile(r"mock\w*|llm|custom|function(?:calling)?|fake\w*")


def is_ours(callee: str) -> bool:
    """Whether a dotted name is one of LlamaIndex's packages.

    >>> is_ours("llama_index.llms.openai.OpenAI"), is_ours("@llamaindex/openai.openai")
    (True, True)
    >>> is_ours("llama_cpp.Llama")
    False
    """
    return bool(_OWN.match(callee))


def provider(name: str) -> str | None:
    """The provider of a class, by its name in code or its ``class_name``.

    >>> provider("OpenAILike"), provider("Ollama_llm"), provider("HuggingFaceLLM")
    ('openai_like', 'ollama', 'huggingface')
    >>> provider("TextNode") is None
    True
    """
    return _MODELS.get(_plain(name))


def is_model(name: str) -> bool:
    """Whether a ``class_name`` is that of a model, known or not.

    >>> is_model("watsonx_llm"), is_model("MockLLMWithChat"), is_model("custom_llm")
    (True, False, False)
    """
    plain = name.lower()
    return bool(provider(name)) or (
        plain.endswith("llm") and not _IGNORED.fullmatch(_plain(name))
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").removesuffix("llm")
