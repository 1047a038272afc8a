"""Which syntax a text is in, so that none is tried that cannot be meant; and whether it mentions
anything that a reader could want, so that most files are never parsed."""

import re
from typing import Final

_DATA: Final = {
    ".json": "json", ".jsonc": "json", ".json5": "json", ".rmodel": "json", ".ipynb": None,
    ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".ini": "ini",
    ".properties": "properties",
    ".jsonl": None, ".ndjson": None,
}  # fmt: skip
_LANGUAGES: Final = {
    ".py": "python", ".pyw": "python", ".ipynb": "notebook",
    ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
    ".vue": "component", ".svelte": "component", ".astro": "component",
}  # fmt: skip
_PROSE: Final = frozenset({
    ".md", ".mdx", ".rst", ".adoc", ".tex", ".html", ".htm", ".xml", ".svg", ".css", ".scss",
    ".less", ".csv", ".tsv", ".log", ".sql", ".sh", ".bash", ".zsh", ".fish", ".ps1", ".bat",
    ".lock", ".diff", ".patch", ".po", ".srt", ".vtt",
})  # fmt: skip
_SHEBANG: Final = re.compile(r"#![^\n]*?\b(python|node|deno|bun|tsx|ts-node)")
_HEAD: Final = 16_000  # characters that are looked at
_SHOWN: Final = 60  # lines that are looked at
# A line of a YAML file: a key (in quotes, it may hold blanks), an item, a mark, an indented one.
_YAML: Final = re.compile(
    r"[ \t]+\S|-(?:\s|$)|---|\.\.\.|%YAML"
    r"|(?:[\w.$*/@+<-]+|\"[^\"]*\"|'[^']*')[ \t]*:(?:\s|$)"
)
_YAML_KEY: Final = re.compile(r"(?:- +)?(?:[\w.$*/@+<-]+|\"[^\"]*\"|'[^']*')[ \t]*:(?:\s|$)")
_SECTION: Final = re.compile(r"\[{1,2}[^\]\[{}\n]+\]{1,2}\s*(?:[;#].*)?$")
_NOT_TOML: Final = re.compile(r"\[{1,2}[^\]\"']*[*/:]")  # in a name without quotes
_ENTRY: Final = re.compile(r"\s*[\w.\"'-]+\s*=")
_TOML_VALUE: Final = re.compile(r"\s*[\w.\"'-]+\s*=\s*(?:[\"'\[{]|true\b|false\b|[+-]?\d)")

# Lower case. What code that uses a model mentions: an import, a class, a key of a configuration.
_TOOLS: Final = (
    "openai", "langchain", "llama", "anthropic", "transformers", "huggingface", "mlx", "litellm",
    "gpt4all", "mistral", "genai", "vertexai", "bedrock", "cohere", "groq", "vllm", "gguf",
    "init_chat_model", "initchatmodel", "llmrr", "llm-runner", "modelname", "modelpath",
    "contextsize", "fallbackchain", "ai-sdk", "completions", "from_pretrained", "withfallbacks",
    "apikey", "api_key", "gpt-", "hf:", "mock:", "claude", "gemini", "unsloth", "gptq", "autoawq",
    "import together", "from together", "replicate", "fireworks", "cerebras", "xai_sdk", "aisuite",
    "deepseek", "diffusers", "11434", "/api/generate", "flagembedding",
    "openrouter", "perplexity", "together-ai", "togetherai", "model_name", "model_path", "modelid",
    "model_id", "generativeai",
)  # fmt: skip
# In Python an import tells more than a word, which may stand in a comment: one of these, or a call
# on what another module made.
_PYTHON: Final = re.compile(
    r"^[ \t]*(?:from|import)[ \t]+(?:[\w. \t]+,)*[ \t]*(?:openai|azure|langchain|langgraph|llama"
    r"|transformers|mlx|ollama|litellm|anthropic|gpt4all|ctransformers|huggingface_hub|vllm"
    r"|google\.gen|google import gen|vertexai|cohere|groq|mistralai|peft|auto_?gptq|gptqmodel"
    r"|optimum|instructor|dspy|awq|unsloth|sentence_transformers|diffusers|trl|FlagEmbedding|boto3"
    r"|together|replicate|fireworks|cerebras|xai_sdk|aisuite|pydantic_ai|crewai|autogen)"
    r"|mlx_\w+\.|llama-server|api\.(?:openai|anthropic|groq|mistral|cohere)|/v1/messages|/api/(?:chat|generate)"
    r"|completions|responses\.(?:create|parse|stream)|ChatCompletion|from_pretrained|pipeline\("
    r"|init_chat_model|with_fallbacks|PromptTemplate|\bChat\w+\(|\bAzure\w*OpenAI|import_module"
    r"|\b(?:Llama|OpenAI|Ollama|LlamaCpp|OllamaLLM)\(",
    re.MULTILINE,
)
# Besides them, what data says of a model.
_WORDS: Final = (
    "model", "gpt", "_type", '"lc"', "lc:", "prompt", "template", "backend", "temperature",
    "api_key", "apikey", "class_name", "provider", "from ", "from\t", "responses", "aliases",
    "systemmessage", "ctx", "clients", "api_base", "qwen", "llm", "claude", "deepseek", "grok",
)  # fmt: skip
# Presets of llama-server need no other word: a section for all, one that is a repository, or a key
# that names one.
_PRESET: Final = re.compile(
    rb"(?m)^[ \t]*(?:\[(?:\*|[\w.-]+/[\w.-]+(?::[\w.-]+)?)\]|(?:hf|hfr|hf-repo)[ \t]*=)"
)


def _needed(words: tuple[str, ...]) -> tuple[bytes, ...]:
    """The words without those that hold another: where they stand, it does."""
    return tuple(
        one.encode() for one in dict.fromkeys(words)
        if not any(other in one for other in words if other != one)
    )  # fmt: skip


_TOOL_BYTES: Final = _needed(_TOOLS)
_DATA_BYTES: Final = _needed((*_WORDS, *_TOOLS))


def syntax(text: str, suffix: str) -> str | None:
    """``json``, ``yaml``, ``toml`` or ``ini``; None for code, prose and plain text. The ending is a
    hint, and the beginning decides.

    >>> syntax("FROM llama3", ""), syntax("model: x", ".example"), syntax("[*]\\nc = 1", "")
    (None, 'yaml', 'ini')
    """
    if suffix in _LANGUAGES or suffix in _PROSE or _SHEBANG.match(text):
        return None
    known = _DATA.get(suffix, "")
    if known is None:
        return None
    lines = _significant(text[:_HEAD])
    if not known and lines and lines[0].lstrip().startswith("//"):
        lines = [one for one in lines if not one.lstrip().startswith("//")]
    if not lines:
        return None
    if known in ("toml", "ini", "properties"):
        return known
    if lines[0].lstrip().startswith(("{{", "{%")):
        return "yaml" if known else None  # which says that it is a template
    is_section = known != "json" and _SECTION.match(lines[0]) and "[{" not in lines[0]
    if lines[0].lstrip()[0] in "{[" and not is_section:
        return "yaml" if known == "yaml" and not _is_json(text) else "json"
    if known == "yaml" or _is_yaml(lines):
        return "yaml"
    if known == "json" and lines[0].lstrip().startswith(("/", '"')):
        return "json"
    return _of_sections(lines)


def is_data(suffix: str) -> bool:
    """Whether a file of this ending means to be data."""
    return bool(_DATA.get(suffix))


def language(text: str, suffix: str) -> str | None:
    """``python``, ``notebook``, ``javascript``, ``typescript``, ``tsx`` or ``component`` (whose
    scripts are code); None for no code.

    >>> language("", ".mts"), language("#!/usr/bin/env python3\\n", ""), language("a", ".md")
    ('typescript', 'python', None)
    """
    if suffix in _LANGUAGES:
        return _LANGUAGES[suffix]
    found = _SHEBANG.match(text) if suffix not in _PROSE else None
    if found is None:
        return None
    return "python" if found[1] == "python" else "typescript"


def mentions_model(text: str, spoken: str) -> bool:
    """Whether there is something in code that stands wherever a model is used.

    >>> mentions_model("import os, openai", "python"), mentions_model("# like openai", "python")
    (True, False)
    """
    plain = text.lower()
    if not any(word in plain for word in _TOOLS):
        return False
    return spoken != "python" or _PYTHON.search(text) is not None


def may_mention_model(data: bytes, suffix: str) -> bool:
    """The same of the bytes of any file, as far as it is quickly told; UTF-16, whose words are
    spread out, may.

    >>> may_mention_model(b"[o/r:Q4]\\nc = 5", ".ini"), may_mention_model(b"[db]\\nc = 5", ".ini")
    (True, False)
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:64]:
        return True
    plain = data.lower()
    words = _TOOL_BYTES if suffix in _LANGUAGES else _DATA_BYTES
    for word in words:  # any() takes twice as long
        if word in plain:
            return True
    return words is _DATA_BYTES and _PRESET.search(plain, 0, _HEAD) is not None


def is_minified(data: bytes, suffix: str) -> bool:
    """Whether code is what a bundler made: lines of more than 1,000 characters, on average."""
    if suffix not in _LANGUAGES or suffix == ".ipynb" or len(data) < 5_000:
        return False
    return data.count(b"\n") < len(data) / 1000


def _significant(head: str) -> list[str]:
    """The first lines that are neither blank nor comments."""
    lines = (line.rstrip() for line in head.split("\n"))
    return [
        line for line in lines if line.strip() and line.lstrip()[0] not in "#;" and line != "\f"
    ][:_SHOWN]


def _is_json(text: str) -> bool:
    """Whether a table or list in brackets is JSON rather than YAML in its flow style."""
    return bool(re.match(r"\s*[\[{]\s*[\"\[{\]}]", text))


def _is_yaml(lines: list[str]) -> bool:
    """Whether all that is seen looks so; in a text block, which is indented, anything may stand.
    Some files are indented as a whole."""
    margin = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    lines = [line.removeprefix(margin) for line in lines]
    return all(_YAML.match(line) for line in lines) and any(_YAML_KEY.match(one) for one in lines)


def _of_sections(lines: list[str]) -> str | None:
    """INI or TOML: there is a section, and the rest are entries or go on with one."""
    headers = [line for line in lines if _SECTION.match(line)]
    entries = [line for line in lines if _ENTRY.match(line)]
    if not headers or not entries or not (_SECTION.match(lines[0]) or _ENTRY.match(lines[0])):
        return None
    if any(_NOT_TOML.match(line) for line in headers):
        return "ini"
    return "toml" if all(_TOML_VALUE.match(line) for line in entries) else "ini"
