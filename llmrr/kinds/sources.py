"""Where a model comes from: ``provider:the rest``, an address of the hub, or a path."""

import re
from pathlib import Path
from urllib.parse import unquote

from llmrr.errors import nearest
from llmrr.kinds.base import Kind
from llmrr.kinds.texts import TEXT
from llmrr.paths import user_path

# Every provider that a source may name, whether or not this version acts on it.
PROVIDERS = (
    "huggingface", "file", "builtin", "ollama", "lmstudio", "openai", "azure", "anthropic",
    "google", "vertex", "cohere", "bedrock", "mistral", "groq", "together", "fireworks",
    "deepinfra", "deepseek", "openrouter", "perplexity", "novita", "nvidia", "cerebras", "xai",
    "qianfan",
)  # fmt: skip
# Those whose models lie on this machine or are fetched to it.
LOCAL_PROVIDERS = frozenset({"huggingface", "hf", "file", "local", "builtin", "ollama", "lmstudio"})
# Those that are signed for with secrets which no setting names, and what these are.
KEYS_OF_THEIR_OWN = {"bedrock": "the keys of AWS that boto3 finds"}
_PROVIDER_ALIASES = {"hf": "huggingface", "local": "file", "gemini": "google"}
_HUB_ADDRESSES = tuple(
    f"{scheme}{host}/"
    for scheme in ("https://", "http://", "")
    for host in ("huggingface.co", "www.huggingface.co", "hf.co")
)
_HUB_SCHEMES = ("hf://", "huggingface://")
# Whose models begin so, as LangChain's ``init_chat_model`` has it.
_FAMILIES = (
    (r"(gpt-|o[134](-|$)|chatgpt|text-davinci|davinci|babbage|ada$|curie)", "openai"),
    (r"claude", "anthropic"), (r"gemini", "google"), (r"command", "cohere"),
    (r"(mistral|mixtral|codestral)", "mistral"), (r"deepseek", "deepseek"), (r"grok", "xai"),
    (r"sonar", "perplexity"),
)  # fmt: skip
# owner/repo:quant@revision, as a text: compiled when first used, not at every start.
_HUB_NAME = r"[\w.-]+/[\w.-]+(:[\w.+-]+)?(@[\w./-]+)?"


def split_source(text: str) -> tuple[str, str]:
    """The provider and the rest of a source; ``ValueError`` says what is wrong with it.

    A path is ``file``; a plain ``owner/repo``, with what may follow it, and an address of the hub
    are ``huggingface``.

    >>> split_source("local:./x.gguf"), split_source("~/models/a:b.gguf")
    (('file', './x.gguf'), ('file', '~/models/a:b.gguf'))
    >>> split_source("file:///models/my%20model.gguf")
    ('file', '/models/my model.gguf')
    >>> split_source("HF:owner/repo")
    ('huggingface', 'owner/repo')
    >>> split_source("builtin:mini"), split_source("hf.co/owner/repo:Q4_K_M")
    (('builtin', 'mini'), ('huggingface', 'owner/repo:Q4_K_M'))
    >>> split_source("owner/repo:Q4_K_M@v1.0")
    ('huggingface', 'owner/repo:Q4_K_M@v1.0')
    """
    if text.startswith(("/", "./", "../", "~")):
        return "file", text
    for address in (*_HUB_SCHEMES, *_HUB_ADDRESSES):
        if text.startswith(address) and len(text) > len(address):
            return "huggingface", text.removeprefix(address)
    prefix, colon, rest = text.partition(":")
    provider = _PROVIDER_ALIASES.get(prefix.lower(), prefix.lower())
    if colon and provider in PROVIDERS:
        if not rest:
            raise ValueError(f"the source {text!r} names no model after {prefix}:")
        if provider == "file" and rest.startswith("///"):  # an address, as RFC 8089 has it
            return provider, unquote(rest[2:])
        return provider, rest
    if prefix == "mock" and colon:
        raise ValueError("there is no mock model: mock: is not a provider")
    if rest.startswith("//"):
        raise ValueError(f"the address {text!r} is not one that a model can be had from")
    if text.lower().endswith(".gguf"):
        return "file", text
    if re.fullmatch(_HUB_NAME, text):
        return "huggingface", text
    if not colon:
        raise ValueError(f"the source {text!r} has no provider, as in file:./model.gguf")
    near = nearest(prefix, (*PROVIDERS, *_PROVIDER_ALIASES))
    raise ValueError(
        f"{prefix!r} is not a known provider" + (f"; did you mean {near}:?" if near else "")
    )


def placed(source: str, file: str | None, revision: str | None) -> str:
    """A source with the file and the revision that are stated beside it; ``ValueError`` says why
    they cannot be.

    >>> placed("huggingface:o/r", "sub/a.gguf", "v1"), placed("file:./models", "a.gguf", None)
    ('huggingface:o/r/sub/a.gguf@v1', 'file:./models/a.gguf')
    """
    provider, rest = split_source(source)
    for name, value, those in (
        ("file", file, ("huggingface", "file", "lmstudio")),
        ("revision", revision, ("huggingface",)),
    ):
        if value is not None and provider not in those:
            raise ValueError(f"a source of {provider}: has no {name}")
    if file is not None:
        parts = file.split("/")
        if file.startswith(("/", "~")) or {"", ".", ".."} & set(parts):
            raise ValueError(f"{file!r} is no path inside the folder")
        if provider == "huggingface" and (":" in rest or "://" in source or rest.count("/") > 1):
            raise ValueError(f"the source {source!r} names a part already")
        name, at, pinned = rest.partition("@")
        source = f"{provider}:{name.rstrip('/')}/{file}{at}{pinned}"
    if revision is not None:
        if "@" in rest or "://" in source:
            raise ValueError(f"the source {source!r} names a revision already")
        source = f"{source}@{revision}"
    return source


def path_of(text: str) -> str | None:
    """The path that a source can mean and nothing else, or None.

    >>> path_of("file:a.gguf"), path_of("~/models"), path_of("owner/repo")
    ('a.gguf', '~/models', None)
    """
    try:
        provider, rest = split_source(text)
    except ValueError:
        return None
    return rest if provider == "file" else None


def file_path(text: str, folder: Path) -> Path:
    """The path that a text or a ``file:`` source means, seen from ``folder``."""
    text = text.removeprefix("file:").removeprefix("local:")
    return folder / user_path(text)


def _source(value: object, folder: Path) -> object:
    split_source(str(TEXT.parse(value, folder)))
    return value


SOURCE = Kind("a source such as file:./model.gguf", _source)


def guessed_provider(model: str) -> str | None:
    """Whose a model is by how its name begins, None where nobody's.

    >>> guessed_provider("gpt-4o"), guessed_provider("o3-mini"), guessed_provider("llama3:8b")
    ('openai', 'openai', None)
    """
    plain = model.strip().lower()
    return next((name for pattern, name in _FAMILIES if re.match(pattern, plain)), None)
