"""Models in a file of an unknown kind, by the names of its fields; each with how sure that is."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from llmrr.migrate import litellm_names, naming
from llmrr.migrate.fields import NAMES
from llmrr.migrate.secrets import is_secret_field, reference
from llmrr.migrate.values import Env, Value

_DEEPEST: Final = 12
_MOST: Final = 50_000  # values that are looked at
# Compared without "-", "_", case and what stands before a dot.
_MODEL: Final = re.compile(
    r"(?:(?:default|chat|main|weak|editor|small|fast|base|primary|fallback|llm|openai|ollama|reasoning"
    r"|summary|completion|large|big|agent|smart|strategic|planner|coder|azure|anthropic|gemini|text"
    r"|opus|sonnet|haiku)*(?:model|modelname|modelid|llmmodel|basemodelid|deploymentname"
    r"|deployment|deploymentid|modelpath|modeltype|ggufpath|modelfile)|llm|engine|modelslug)"
)
_PATH: Final = re.compile(r"(?i)\S.*\.(gguf|safetensors|onnx|ggml)")
_PROVIDER: Final = frozenset({
    "provider", "modelprovider", "apitype", "vendor", "llmprovider", "service", "backend", "engine",
    "type", "platform", "api", "client", "llmservice", "clienttype", "framework", "providerid",
    "providername", "company",
})  # fmt: skip
_BASE: Final = frozenset(name for name, ours in NAMES.items() if ours == "base_url") | {
    "host", "url", "openaiapibaseurl", "openaibasepath", "ollamabaseurl", "ollamahost", "proxyurl",
    "proxy",
}  # fmt: skip
_INNER: Final = frozenset({
    "params", "options", "config", "settings", "parameters", "completionoptions", "modelparams",
    "completionparams", "generationconfig", "modelkwargs", "additionalkwargs", "kwargs", "args",
    "samplingparams", "inference", "sampling", "chatoptions", "extraparams", "modelconfig",
    "generation", "llmconfig",
})  # fmt: skip
# How much each sign says, in the order of their weight.
PROVIDER, ADDRESS, FAMILY, PATH, SAMPLING, KEY = 0.9, 0.8, 0.7, 0.75, 0.1, 0.1
_ANSWERED: Final = -0.4  # the record of an answer names its model too
_OF_ANSWERS: Final = frozenset({
    "response", "output", "answer", "completion", "score", "scores", "latency", "usage", "result",
    "results", "finishreason", "accuracy", "outputtext", "generatedtext", "prediction", "reply",
    "completiontokens", "tokensused", "rating", "winner", "elapsed", "generation", "responses",
})  # fmt: skip
_WEAK: Final = 0.4


class Guess(NamedTuple):
    """A model that fields seem to name: its place, what else they state, and how sure it is.
    ``name`` is what the file calls it, where that is something else."""

    name: str | None
    provider: str | None
    model: str
    base_url: Value
    stated: Mapping[str, Value]
    confidence: float


class _Around(NamedTuple):
    """What is known from the fields around: a provider, an address and a key."""

    provider: str | None = None
    base_url: Value = None
    key: tuple[str, Value] | None = None  # with the name of its field


def guesses(shape: Any) -> Iterator[Guess]:
    """The models that a parsed file seems to name.

    >>> found = next(guesses({"llm": {"provider": "openai", "model": "gpt-4o", "temperature": 0}}))
    >>> found.provider, found.model, dict(found.stated), found.confidence
    ('openai', 'gpt-4o', {'temperature': 0}, 1.0)
    >>> [one.confidence for one in guesses({"model": "Corolla", "brand": "Toyota"})]
    [0.4]
    """
    waiting: list[tuple[str, Any, _Around, int]] = [("", shape, _Around(), 0)]
    seen = 0
    while waiting and seen < _MOST:
        name, value, around, depth = waiting.pop()
        seen += 1
        if isinstance(value, dict) and depth < _DEEPEST:
            table = {str(key): one for key, one in value.items()}
            here = _around(name, table, around)
            yield from _in_table(name, table, here)
            waiting += reversed([
                (key if not key.isdigit() else name, one, here, depth + 1)
                for key, one in table.items() if not is_secret_field(key)
            ])  # fmt: skip
        elif isinstance(value, list) and depth < _DEEPEST:
            if _plain(name) in ("providers", "models", "llms", "targets"):
                yield from _in_list(value)
            waiting += reversed([(name, one, around, depth + 1) for one in value])


def _around(name: str, table: Mapping[str, Any], outer: _Around) -> _Around:
    provider = _of_word(name) or outer.provider
    base, key = outer.base_url, outer.key
    if provider != outer.provider:
        base = key = None
    for field, value in table.items():
        plain = _plain(field)
        if isinstance(value, str | Env) and value:
            if plain in _BASE and _is_address(value):
                base = value
            elif is_secret_field(field) and ("key" in plain or "token" in plain):
                key = field, value
    return _Around(provider, base, key)


def _in_table(name: str, table: Mapping[str, Any], around: _Around) -> Iterator[Guess]:
    provider = next((
        found for field, one in table.items()
        if _plain(field) in _PROVIDER and isinstance(one, str) and (found := _of_word(one))
    ), None)  # fmt: skip
    stated = _stated(table)
    for field, value in table.items():
        theirs = _named(field, value, table)
        if theirs is None or (provider and _plain(field) == "engine" and _of_word(theirs)):
            continue
        judged = _judged(theirs, provider or around.provider, around, stated, field)
        if judged is None:
            continue
        shown = table.get("name") or table.get("title") or table.get("id")
        is_main = _plain(field) in ("model", "modelname", "modelid", "llm")
        label = shown if isinstance(shown, str) and is_main and shown else None
        who, model, sure = judged
        if any(_plain(one) in _OF_ANSWERS for one in table):
            sure += _ANSWERED
        own = {**stated} if is_main or len(_model_fields(table)) == 1 else {}
        own = {key: one for key, one in own.items() if _is_for(key, who, model)}
        if around.key is not None and not any(is_secret_field(one) for one in own):
            field_of, key_value = around.key
            own |= {"api_key": key_value} if _is_for(field_of, who, model) else {}
        yield Guess(label, who, model, around.base_url, own, sure)
    if provider and _plain(name) == "model" and isinstance(table.get("name"), str):
        yield Guess(None, provider, table["name"], around.base_url, stated, PROVIDER)


def _is_for(field: str, provider: str | None, model: str) -> bool:
    """Whether a key may be that of a provider: ``openai_api_key`` is not one of Groq's."""
    if not is_secret_field(field):
        return True
    plain = _plain(field)
    of = next((naming.provider_of(_SPELLED.get(one, one)) for one in sorted(_WORDS, key=len)[::-1]
               if plain.startswith(_plain(one))), None)  # fmt: skip
    return of is None or of == (naming.provider_of(provider) if provider else naming.guessed(model))


def _model_fields(table: Mapping[str, Any]) -> list[str]:
    return [field for field, one in table.items() if _named(field, one, table) is not None]


def _in_list(values: list[Any]) -> Iterator[Guess]:
    """Names with their provider before them, alone in a list or as the ``id`` of an entry."""
    for one in values:
        text = one.get("id") if isinstance(one, dict) else one
        if isinstance(text, str) and ":" in text and (found := _prefixed(text)) is not None:
            stated = _stated(one) if isinstance(one, dict) else {}
            yield Guess(None, found[0], found[1], stated.pop("base_url", None), stated, 0.8)


def _judged(
    text: str, provider: str | None, around: _Around, stated: Mapping[str, Value], field: str
) -> tuple[str | None, str, float] | None:
    """The provider and the model that a text names, and how sure that is; None for none."""
    extra = SAMPLING * any(
        NAMES.get(_plain(one)) in ("temperature", "max_tokens", "top_p", "context_size")
        for one in stated
    ) + KEY * (around.key is not None)  # fmt: skip
    if _PATH.fullmatch(text):
        return "file", text, min(1.0, PATH + extra)
    if not re.fullmatch(r"[\w./:@+-]{2,120}", text) or text.startswith(("http", "/", ".")):
        return None
    if provider is not None:
        own = _prefixed(text)
        is_said_twice = own and naming.provider_of(own[0]) == naming.provider_of(provider)
        return provider, own[1] if own and is_said_twice else text, min(1.0, PROVIDER + extra)
    own = None if text.startswith("openai/gpt-oss") else _prefixed(text)
    if around.base_url is not None:
        who, model = own or ("openai", text)
        return who, model, min(1.0, ADDRESS + extra)
    if own is not None:
        return own[0], own[1], min(1.0, FAMILY + extra)
    if re.match(r"(?:gpt-|o[134](?:-|$)|chatgpt|claude-|gemini-|text-davinci|mi[sx]tral-|command-r"
                r"|deepseek-|grok-|sonar)", text):  # fmt: skip
        return None, text, min(1.0, FAMILY + extra)
    weak = _WEAK + extra if _plain(field) in ("model", "modelname", "llm", "modelid") else 0
    return (None, text, weak) if weak else None


def _prefixed(text: str) -> tuple[str, str] | None:
    """``provider:model``, ``provider:chat:model`` and ``provider/model``, for providers of ours."""
    prefix, colon, rest = text.partition(":")
    if colon and rest and prefix.lower() in _WORDS:
        way, more, inner = rest.partition(":")
        if more and way in ("chat", "responses", "completion", "messages", "text", "assistant"):
            rest = inner
        return prefix, rest
    theirs, name = litellm_names.named(text)
    return (theirs, name) if theirs and naming.provider_of(theirs) else None


# Words that are providers by themselves, wherever they stand.
_WORDS: Final = frozenset({
    "openai", "azure", "anthropic", "google", "gemini", "vertex", "cohere", "bedrock", "mistral",
    "groq", "together", "fireworks", "deepinfra", "deepseek", "openrouter", "perplexity", "ollama",
    "novita", "nvidia", "cerebras", "xai", "qianfan", "huggingface", "azureopenai", "azure-openai",
    "azure_openai", "openai-compatible", "openai_compatible", "lmstudio", "lm-studio", "lm_studio",
    "llamacpp", "llama.cpp", "vllm", "localai", "mistralai", "vertexai", "vertex_ai", "claude",
    "openaicompatible", "google-genai", "google_genai", "together_ai", "chatopenai",
    "chatanthropic", "chatollama", "open-ai", "open_ai", "openai-chat",
})  # fmt: skip
_SPELLED: Final = {
    "azureopenai": "azure", "openaicompatible": "openai-compatible", "chatopenai": "openai",
    "chatanthropic": "anthropic", "chatollama": "ollama", "open-ai": "openai", "open_ai": "openai",
    "openai-chat": "openai",
}  # fmt: skip


def _of_word(text: str) -> str | None:
    """The provider that a word is, perhaps as the end of a path (``langgenius/openai/openai``).

    >>> _of_word("AzureOpenAI"), _of_word("langgenius/openai/openai"), _of_word("model")
    ('azure', 'openai', None)
    """
    plain = text.strip().lower().rpartition("/")[2]
    return _SPELLED.get(plain, plain) if plain in _WORDS else None


def _named(field: str, value: Any, table: Mapping[str, Any]) -> str | None:
    """The text of a field that may name a model."""
    plain = _plain(field)
    if len(plain) > 60 or not _MODEL.fullmatch(plain):
        return None
    if isinstance(value, dict) and isinstance(value.get("value"), str) and "__rl" in value:
        value = value["value"]  # as n8n has it
    if isinstance(value, Env):
        value = value.default
    if isinstance(value, str) and (found := reference(value)) is not None:
        value = found.default
    if not isinstance(value, str) or not value.strip() or "*" in value:
        return None
    if plain in ("engine", "deployment", "modeltype") and _model_besides(table):
        return None
    return value.strip()


def _model_besides(table: Mapping[str, Any]) -> bool:
    return any(_plain(one) in ("model", "modelname", "modelid") for one in table)


def _stated(table: Mapping[str, Any]) -> dict[str, Value]:
    """What is said of sampling and loading in a table, and in one that is inside for that."""
    found: dict[str, Value] = {}
    for field, value in table.items():
        plain = _plain(field)
        if isinstance(value, dict) and plain in _INNER:
            flat = {str(key): one for key, one in value.items() if not isinstance(one, dict)}
            found |= _stated(flat)
        elif is_secret_field(field) and isinstance(value, str | Env):
            if "key" in plain or "token" in plain:
                found[field] = value
        elif plain in NAMES and plain not in ("system", "lora", "revision", "endpoint"):
            if NAMES[plain] != "base_url" and not isinstance(value, dict):
                found[field] = value
            elif NAMES[plain] == "base_url" and isinstance(value, str):
                found["base_url"] = value
    return {key: one for key, one in found.items() if key != "base_url" or _is_address(one)}


def _is_address(value: Value) -> bool:
    if isinstance(value, Env):
        return True
    return isinstance(value, str) and (
        value.startswith(("http://", "https://")) or reference(value) is not None
    )


def _plain(name: str) -> str:
    return re.sub(r"[-_\s]", "", name.rpartition(".")[2]).lower()
