"""Models in a file of an unknown kind, by the names of its fields; each with how sure that is."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from llmrr.migrate.guessing import lists as listed
from llmrr.migrate.guessing import records
from llmrr.migrate.guessing.lists import Guess, plain_name
from llmrr.migrate.terms import naming
from llmrr.migrate.terms.fields import NAMES
from llmrr.migrate.terms.provider_words import is_for, of_word, prefixed
from llmrr.migrate.terms.secrets import is_secret_field, reference
from llmrr.migrate.values import Env, Value

_DEEPEST: Final = 12
_MOST: Final = 8_000  # tables and lists that are looked at
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
# How much each sign says, in the order of their weight.
PROVIDER, ADDRESS, FAMILY, PATH, SAMPLING, KEY = 0.9, 0.8, 0.7, 0.75, 0.1, 0.1
_ANSWERED: Final = -0.4  # the record of an answer names its model too
_WEAK: Final = 0.4
_MAIN: Final = ("model", "modelname", "modelid", "llm")
_OTHER_TASKS: Final = frozenset({
    "embedding", "embed", "embeddings", "embedder", "rerank", "reranker", "reranking", "image",
    "tts", "stt", "asr", "audio", "speech", "whisper", "voice", "vision", "moderation",
})  # fmt: skip


class Home(NamedTuple):
    """Where a provider is asked that a file gives a name of its own: its address and its key."""

    base_url: Value = None
    key: tuple[str, Value] | None = None  # with the name of its field


class _Around(NamedTuple):
    """What is known from the fields around: a provider, an address and a key; whether it is of
    answers that were given."""

    provider: str | None = None
    base_url: Value = None
    key: tuple[str, Value] | None = None
    answered: bool = False


def guesses(shape: Any) -> Iterator[Guess]:
    """The models that a parsed file seems to name.

    >>> found = next(guesses({"llm": {"provider": "openai", "model": "gpt-4o", "temperature": 0}}))
    >>> found.provider, found.model, dict(found.stated), found.confidence
    ('openai', 'gpt-4o', {'temperature': 0}, 1.0)
    >>> [one.confidence for one in guesses({"model": "Corolla", "brand": "Toyota"})]
    [0.4]
    """
    homes = _homes(shape)
    waiting: list[tuple[str, Any, _Around, int]] = [("", shape, _Around(), 0)]
    seen = 0
    while waiting and seen < _MOST:
        name, value, around, depth = waiting.pop()
        seen += 1
        if isinstance(value, dict) and depth < _DEEPEST:
            table = {str(key): one for key, one in value.items()}
            here = _around(name, table, around)
            yield from _in_table(name, table, here, homes)
            yield from listed.models(table, here.provider, here.base_url, here.key)
            waiting += reversed([
                (key if not key.isdigit() else name, one, here, depth + 1)
                for key, one in table.items()
                if isinstance(one, dict | list) and not records.is_left(key)
            ])  # fmt: skip
        elif isinstance(value, list) and depth < _DEEPEST:
            if plain_name(name) in ("providers", "models", "llms", "targets"):
                yield from listed.prefixed_names(value)
            here = around._replace(answered=around.answered or records.are_records(value))
            waiting += reversed([
                (name, one, here, depth + 1) for one in value if isinstance(one, dict | list)
            ])  # fmt: skip


def _homes(shape: Any) -> dict[str, Home]:
    """The providers that a file describes in a table of their own; not those that it describes
    twice."""
    found: dict[str, Home | None] = {}
    waiting: list[tuple[str, Any, int]] = [("", shape, 0)]
    seen = 0
    while waiting and seen < _MOST:
        name, value, depth = waiting.pop()
        seen += 1
        if isinstance(value, dict) and depth < _DEEPEST:
            table = {str(key): one for key, one in value.items()}
            around = _around("", {**table, **listed.inner(table)}, _Around())
            if name and around.base_url is not None:
                home = Home(around.base_url, around.key)
                found[name] = home if found.get(name, home) == home else None
            waiting += [
                (key.lower(), one, depth + 1) for key, one in table.items()
                if isinstance(one, dict | list)
            ]  # fmt: skip
        elif isinstance(value, list) and depth < _DEEPEST:
            waiting += [("", one, depth + 1) for one in value if isinstance(one, dict | list)]
    return {name: one for name, one in found.items() if one is not None}


def _around(name: str, table: Mapping[str, Any], outer: _Around) -> _Around:
    provider = _stated_provider(table) or of_word(name) or outer.provider
    if outer.provider == "azure" and provider == "openai":
        provider = "azure"
    base, key = outer.base_url, outer.key
    if provider != outer.provider:
        base = key = None
    for field, value in table.items():
        plain = plain_name(field)
        if isinstance(value, str | Env) and value:
            if plain in _BASE and listed.is_address(value):
                base = value
            elif is_secret_field(field) and ("key" in plain or "token" in plain):
                key = field, value
    answered = outer.answered or plain_name(name) in records.OF_RUNS
    return _Around(provider, base, key, answered)


def _stated_provider(table: Mapping[str, Any]) -> str | None:
    return next((
        found for field, one in table.items()
        if plain_name(field) in _PROVIDER and isinstance(one, str) and (found := of_word(one))
    ), None)  # fmt: skip


def _beside(field: str, table: Mapping[str, Any]) -> str | None:
    """The provider that is stated under the same first word: ``GOOSE_MODEL``, ``GOOSE_PROVIDER``;
    or plainly, under whatever name it has in the file."""
    first = re.sub(r"(?:model|deployment)(?:name|id)?$", "", plain_name(field))
    wanted = (f"{first}provider", f"{first}modelprovider", "provider", "modelprovider")
    plain = {plain_name(one): value for one, value in table.items()}
    return next((
        said for one in wanted if isinstance(said := plain.get(one), str) and said.strip()
    ), None)  # fmt: skip


def _in_table(
    name: str, table: Mapping[str, Any], around: _Around, homes: Mapping[str, Home]
) -> Iterator[Guess]:
    stated = listed.stated(table)
    main = next((one for field, one in table.items() if plain_name(field) in _MAIN), None)
    for field, value in _fields(table):
        theirs = _named(field, value, table, around)
        is_engine = plain_name(field) == "engine" and _stated_provider(table)
        if theirs is None or (is_engine and of_word(theirs)) or records.is_label(theirs, field):
            continue
        here, theirs = _at_home(field, theirs, table, around, homes)
        judged = _judged(theirs, here, stated, field)
        if judged is None:
            continue
        shown = table.get("name") or table.get("title") or table.get("id")
        is_main = plain_name(field) in _MAIN
        label = shown if isinstance(shown, str) and is_main and shown else None
        who, model, sure = judged
        if here.answered or records.is_record(table):
            sure += _ANSWERED
        is_only = len(_model_fields(table, around)) == 1
        own = {**stated} if is_main or is_only else {}
        own = {
            key: one for key, one in own.items()
            if not is_secret_field(key) or is_for(key, who, model)
        }
        if here.key is not None and not any(is_secret_field(one) for one in own):
            field_of, key_value = here.key
            own |= {"api_key": key_value} if is_for(field_of, who, model) else {}
        after = main if plain_name(field).startswith("fallback") and main != theirs else None
        yield Guess(
            label, who, model, here.base_url, own, sure, field, _variable(value),
            after if isinstance(after, str) else None,
        )  # fmt: skip
    provider = _stated_provider(table)
    if provider and plain_name(name) == "model" and isinstance(table.get("name"), str):
        yield Guess(None, provider, table["name"], around.base_url, stated, PROVIDER)


def _fields(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of a table; each of a list of fallbacks is one."""
    for field, value in table.items():
        is_list = plain_name(field) in ("fallbackmodels", "fallbacks", "modelfallbacks")
        for one in value if is_list and isinstance(value, list) else [value]:
            yield "fallback_model" if one is not value else field, one


def _at_home(
    field: str, model: str, table: Mapping[str, Any], around: _Around, homes: Mapping[str, Home]
) -> tuple[_Around, str]:
    """What is around a model, with the address that the file states for its provider elsewhere."""
    said = _beside(field, table)
    provider = of_word(said) if said else around.provider
    prefix, slash, rest = model.partition("/")
    if said is None and slash and prefix.lower() in homes and rest:
        said, model = prefix, rest
        provider = of_word(prefix)
    home = homes.get((said or provider or "").lower())
    if home is None or (around.base_url is not None and provider == around.provider):
        if provider is not None and provider != around.provider:
            around = around._replace(provider=provider, base_url=None, key=None)
        return around, model
    around = around._replace(base_url=home.base_url, key=home.key)
    return around._replace(provider=provider or "openai-compatible"), model


def _model_fields(table: Mapping[str, Any], around: _Around) -> list[str]:
    return [field for field, one in table.items() if _named(field, one, table, around) is not None]


def _judged(
    text: str, around: _Around, stated: Mapping[str, Value], field: str
) -> tuple[str | None, str, float] | None:
    """The provider and the model that a text names, and how sure that is; None for none."""
    provider = around.provider
    extra = SAMPLING * any(
        NAMES.get(plain_name(one)) in ("temperature", "max_tokens", "top_p", "context_size")
        for one in stated
    ) + KEY * (around.key is not None)  # fmt: skip
    if _PATH.fullmatch(text):
        return "file", text, min(1.0, PATH + extra)
    if not re.fullmatch(r"[\w./:@+-]{2,120}", text) or text.startswith(("http", "/", ".")):
        return None
    if provider is not None:
        own = prefixed(text)
        is_said_twice = own and naming.provider_of(own[0]) == naming.provider_of(provider)
        return provider, own[1] if own and is_said_twice else text, min(1.0, PROVIDER + extra)
    own = None if text.startswith("openai/gpt-oss") else prefixed(text)
    if around.base_url is not None:
        who, model = own or ("openai-compatible", text)
        return who, model, min(1.0, ADDRESS + extra)
    if own is not None:
        return own[0], own[1], min(1.0, FAMILY + extra)
    if re.match(r"(?:gpt-|o[134](?:-|$)|chatgpt|claude-|gemini-|text-davinci|mi[sx]tral-|command-r"
                r"|deepseek-|grok-|sonar)", text):  # fmt: skip
        return None, text, min(1.0, FAMILY + extra)
    weak = _WEAK + extra if plain_name(field) in ("model", "modelname", "llm", "modelid") else 0
    return (None, text, weak) if weak else None


def _named(field: str, value: Any, table: Mapping[str, Any], around: _Around) -> str | None:
    """The text of a field that may name a model."""
    plain = plain_name(field)
    if len(plain) > 60 or not (_MODEL.fullmatch(plain) or _is_model(plain, field, table, around)):
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


def _variable(value: Any) -> str | None:
    """The variable that a value is the default of."""
    found = reference(value) if isinstance(value, str) else value
    return found.name if isinstance(found, Env) else None


def _is_model(plain: str, field: str, table: Mapping[str, Any], around: _Around) -> bool:
    """Whether a field names a model by what is around: a deployment of Azure's, or one with its
    provider beside it."""
    if around.provider == "azure" and re.fullmatch(r"\w+deployment(?:name|id)?", plain):
        return True
    match = re.fullmatch(r"([a-z]{2,12})model(?:name|id)?", plain)
    if match is None or match[1] in _OTHER_TASKS:
        return False
    said = _beside(field, table)
    named = {plain_name(one) for one in table}
    return said is not None and of_word(said) is not None and f"{match[1]}provider" in named


def _model_besides(table: Mapping[str, Any]) -> bool:
    return any(plain_name(one) in ("model", "modelname", "modelid") for one in table)
