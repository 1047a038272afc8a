"""What well-known short names mean on the hub: the repositories that a name which is not installed
is answered with. The names are those of Ollama's library; a bare name is its default there. The
author's own GGUF files where there are some, else those of people who are known for them.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from llmrr.store.references import HubReference
from llmrr.store.variants import quant_label

_QUANTIZED = re.compile(r"(?P<name>.+?)[-:](?P<quant>i?q\d\w*|b?f16|fp16|f32|fp32)")
_VARIANT = re.compile(r"-(instruct|it|chat|text)$")

SHORT_NAMES: Mapping[str, str] = {
    "llama3": "bartowski/Meta-Llama-3-8B-Instruct-GGUF",
    "llama3:8b": "bartowski/Meta-Llama-3-8B-Instruct-GGUF",
    "llama3.1": "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
    "llama3.1:8b": "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
    "llama3.1:70b": "bartowski/Meta-Llama-3.1-70B-Instruct-GGUF",
    "llama3.2": "bartowski/Llama-3.2-3B-Instruct-GGUF",
    "llama3.2:1b": "bartowski/Llama-3.2-1B-Instruct-GGUF",
    "llama3.2:3b": "bartowski/Llama-3.2-3B-Instruct-GGUF",
    "llama3.3": "bartowski/Llama-3.3-70B-Instruct-GGUF",
    "llama3.3:70b": "bartowski/Llama-3.3-70B-Instruct-GGUF",
    "qwen2.5": "Qwen/Qwen2.5-7B-Instruct-GGUF",
    "qwen2.5:0.5b": "Qwen/Qwen2.5-0.5B-Instruct-GGUF",
    "qwen2.5:1.5b": "Qwen/Qwen2.5-1.5B-Instruct-GGUF",
    "qwen2.5:3b": "Qwen/Qwen2.5-3B-Instruct-GGUF",
    "qwen2.5:7b": "Qwen/Qwen2.5-7B-Instruct-GGUF",
    "qwen2.5:14b": "Qwen/Qwen2.5-14B-Instruct-GGUF",
    "qwen2.5:32b": "Qwen/Qwen2.5-32B-Instruct-GGUF",
    "qwen2.5:72b": "Qwen/Qwen2.5-72B-Instruct-GGUF",
    "qwen2.5-coder": "Qwen/Qwen2.5-Coder-7B-Instruct-GGUF",
    "qwen2.5-coder:0.5b": "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
    "qwen2.5-coder:1.5b": "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
    "qwen2.5-coder:3b": "Qwen/Qwen2.5-Coder-3B-Instruct-GGUF",
    "qwen2.5-coder:7b": "Qwen/Qwen2.5-Coder-7B-Instruct-GGUF",
    "qwen2.5-coder:14b": "Qwen/Qwen2.5-Coder-14B-Instruct-GGUF",
    "qwen2.5-coder:32b": "Qwen/Qwen2.5-Coder-32B-Instruct-GGUF",
    "qwen3": "Qwen/Qwen3-8B-GGUF",
    "qwen3:0.6b": "Qwen/Qwen3-0.6B-GGUF",
    "qwen3:1.7b": "Qwen/Qwen3-1.7B-GGUF",
    "qwen3:4b": "Qwen/Qwen3-4B-GGUF",
    "qwen3:8b": "Qwen/Qwen3-8B-GGUF",
    "qwen3:14b": "Qwen/Qwen3-14B-GGUF",
    "qwen3:32b": "Qwen/Qwen3-32B-GGUF",
    "qwen3:30b-a3b": "Qwen/Qwen3-30B-A3B-GGUF",
    "qwen3:30b": "Qwen/Qwen3-30B-A3B-GGUF",
    "qwen3-coder": "unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF",
    "qwen3-coder:30b": "unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF",
    "qwq": "Qwen/QwQ-32B-GGUF",
    "qwq:32b": "Qwen/QwQ-32B-GGUF",
    "gemma2": "bartowski/gemma-2-9b-it-GGUF",
    "gemma2:2b": "bartowski/gemma-2-2b-it-GGUF",
    "gemma2:9b": "bartowski/gemma-2-9b-it-GGUF",
    "gemma2:27b": "bartowski/gemma-2-27b-it-GGUF",
    "gemma3": "ggml-org/gemma-3-4b-it-GGUF",
    "gemma3:270m": "ggml-org/gemma-3-270m-it-GGUF",
    "gemma3:1b": "ggml-org/gemma-3-1b-it-GGUF",
    "gemma3:4b": "ggml-org/gemma-3-4b-it-GGUF",
    "gemma3:12b": "ggml-org/gemma-3-12b-it-GGUF",
    "gemma3:27b": "ggml-org/gemma-3-27b-it-GGUF",
    "gemma3n": "ggml-org/gemma-3n-E4B-it-GGUF",
    "gemma3n:e4b": "ggml-org/gemma-3n-E4B-it-GGUF",
    "phi3": "microsoft/Phi-3-mini-4k-instruct-gguf",
    "phi3:3.8b": "microsoft/Phi-3-mini-4k-instruct-gguf",
    "phi3.5": "bartowski/Phi-3.5-mini-instruct-GGUF",
    "phi3.5:3.8b": "bartowski/Phi-3.5-mini-instruct-GGUF",
    "phi4": "microsoft/phi-4-gguf",
    "phi4:14b": "microsoft/phi-4-gguf",
    "phi4-mini": "unsloth/Phi-4-mini-instruct-GGUF",
    "phi4-mini:3.8b": "unsloth/Phi-4-mini-instruct-GGUF",
    "mistral": "bartowski/Mistral-7B-Instruct-v0.3-GGUF",
    "mistral:7b": "bartowski/Mistral-7B-Instruct-v0.3-GGUF",
    "mistral-nemo": "bartowski/Mistral-Nemo-Instruct-2407-GGUF",
    "mistral-nemo:12b": "bartowski/Mistral-Nemo-Instruct-2407-GGUF",
    "mistral-small": "bartowski/Mistral-Small-24B-Instruct-2501-GGUF",
    "mistral-small:24b": "bartowski/Mistral-Small-24B-Instruct-2501-GGUF",
    "mistral-small3.2": "unsloth/Mistral-Small-3.2-24B-Instruct-2506-GGUF",
    "mistral-small3.2:24b": "unsloth/Mistral-Small-3.2-24B-Instruct-2506-GGUF",
    "mixtral": "TheBloke/Mixtral-8x7B-Instruct-v0.1-GGUF",
    "mixtral:8x7b": "TheBloke/Mixtral-8x7B-Instruct-v0.1-GGUF",
    "devstral": "mistralai/Devstral-Small-2507_gguf",
    "devstral:24b": "mistralai/Devstral-Small-2507_gguf",
    "deepseek-r1": "unsloth/DeepSeek-R1-0528-Qwen3-8B-GGUF",
    "deepseek-r1:1.5b": "bartowski/DeepSeek-R1-Distill-Qwen-1.5B-GGUF",
    "deepseek-r1:7b": "bartowski/DeepSeek-R1-Distill-Qwen-7B-GGUF",
    "deepseek-r1:8b": "unsloth/DeepSeek-R1-0528-Qwen3-8B-GGUF",
    "deepseek-r1:14b": "bartowski/DeepSeek-R1-Distill-Qwen-14B-GGUF",
    "deepseek-r1:32b": "bartowski/DeepSeek-R1-Distill-Qwen-32B-GGUF",
    "deepseek-r1:70b": "bartowski/DeepSeek-R1-Distill-Llama-70B-GGUF",
    "smollm2": "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF",
    "smollm2:135m": "bartowski/SmolLM2-135M-Instruct-GGUF",
    "smollm2:360m": "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF",
    "smollm2:1.7b": "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF",
    "smollm3": "ggml-org/SmolLM3-3B-GGUF",
    "smollm3:3b": "ggml-org/SmolLM3-3B-GGUF",
    "gpt-oss": "ggml-org/gpt-oss-20b-GGUF",
    "gpt-oss:20b": "ggml-org/gpt-oss-20b-GGUF",
    "gpt-oss:120b": "ggml-org/gpt-oss-120b-GGUF",
    "granite3.3": "ibm-granite/granite-3.3-8b-instruct-GGUF",
    "granite3.3:2b": "ibm-granite/granite-3.3-2b-instruct-GGUF",
    "granite3.3:8b": "ibm-granite/granite-3.3-8b-instruct-GGUF",
    "olmo2": "allenai/OLMo-2-1124-7B-Instruct-GGUF",
    "olmo2:7b": "allenai/OLMo-2-1124-7B-Instruct-GGUF",
    "olmo2:13b": "allenai/OLMo-2-1124-13B-Instruct-GGUF",
    "tinyllama": "TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF",
    "tinyllama:1.1b": "TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF",
    "codellama": "TheBloke/CodeLlama-7B-Instruct-GGUF",
    "codellama:7b": "TheBloke/CodeLlama-7B-Instruct-GGUF",
    "codellama:13b": "TheBloke/CodeLlama-13B-Instruct-GGUF",
    "starcoder2": "second-state/StarCoder2-3B-GGUF",
    "starcoder2:3b": "second-state/StarCoder2-3B-GGUF",
    "starcoder2:7b": "second-state/StarCoder2-7B-GGUF",
    "nomic-embed-text": "nomic-ai/nomic-embed-text-v1.5-GGUF",
    "nomic-embed-text:v1.5": "nomic-ai/nomic-embed-text-v1.5-GGUF",
    "bge-m3": "gpustack/bge-m3-GGUF",
    "bge-m3:567m": "gpustack/bge-m3-GGUF",
    "all-minilm": "second-state/All-MiniLM-L6-v2-Embedding-GGUF",
    "all-minilm:22m": "second-state/All-MiniLM-L6-v2-Embedding-GGUF",
    "mxbai-embed-large": "ChristianAzinn/mxbai-embed-large-v1-gguf",
    "mxbai-embed-large:335m": "ChristianAzinn/mxbai-embed-large-v1-gguf",
    "embeddinggemma": "ggml-org/embeddinggemma-300M-GGUF",
    "embeddinggemma:300m": "ggml-org/embeddinggemma-300M-GGUF",
}


class ShortName(NamedTuple):
    """A short name, with what it means on the hub."""

    label: str
    reference: HubReference


def short_name(text: str) -> ShortName | None:
    """What a short name means, in capitals or not; None for an unknown one. As in Ollama's tags a
    quantization may follow it, and here a revision.

    >>> short_name("llama3.2:1B-instruct-q4_K_M@v2")
    ShortName(label='llama3.2:1b-Q4_K_M', reference=HubReference(\
repo='bartowski/Llama-3.2-1B-Instruct-GGUF', tag='Q4_K_M', file=None, revision='v2'))
    >>> short_name("Qwen3:latest").reference.repo, short_name("unheard-of")
    ('Qwen/Qwen3-8B-GGUF', None)
    """
    word, _, revision = text.strip().partition("@")
    word = word.lower().removesuffix(":latest")
    name, quant = word, None
    if word not in SHORT_NAMES and (match := _QUANTIZED.fullmatch(word)):
        name, quant = match["name"], quant_label(match["quant"])
        name = name if name in SHORT_NAMES else _VARIANT.sub("", name)
    if name not in SHORT_NAMES:
        return None
    label = "-".join(filter(None, (name, quant))) if ":" in name or not quant else f"{name}:{quant}"
    return ShortName(label, HubReference(SHORT_NAMES[name], quant, None, revision or None))
