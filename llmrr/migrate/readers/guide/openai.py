"""``openai.config.js``: a key, a model and what it is asked with."""

import re
from collections.abc import Mapping
from typing import Final

from llmrr.kinds import guessed_provider
from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers.guide.tables import in_milliseconds, nested, part
from llmrr.migrate.terms import fields, naming, secrets
from llmrr.migrate.values import Env, Value, default_text

NAME: Final = "openai-default"  # the guide's
_MODEL: Final = ("model", "modelName", "model_name", "defaultModel", "chatModel", "engine")
_ADDRESS: Final = ("baseURL", "baseUrl", "base_url", "basePath", "apiBase", "endpoint")
_NESTED: Final = ("defaults", "config", "options", "params", "parameters", "settings",
                  "defaultParams", "configuration")  # fmt: skip
_OTHER: Final = re.compile(
    r"(?i).*(?:embedding|whisper|dall-e|tts|moderation|gpt-image|realtime).*"
)


def fits(table: Mapping[str, Value]) -> bool:
    """Whether a table names a model that is asked with a key of OpenAI's, or at an address."""
    models = _models(table)
    if not models or "provider" in table or ("models" in table and not _names(table["models"])):
        return False
    if any("-" in name for name in table) or any(
        (default_text(one) or "").startswith("openai/") for one in models.values()
    ):
        return False  # the words of another tool
    known = [guessed_provider(default_text(one) or "") for one in models.values()]
    if any(one not in (None, "openai") for one in known):
        return False
    key = _key(table)
    if "openai" in known:
        return key is not None or part(table, *_ADDRESS) is not None or _says_openai(table)
    return key is not None and _is_openai(key)


def _says_openai(table: Mapping[str, Value]) -> bool:
    words = {"temperature", "maxtokens", "organization", "topp", "systemprompt"}
    return any(re.sub(r"[-_]", "", name).lower() in words for name in table)


def _is_openai(key: tuple[str, Value]) -> bool:
    name, value = key
    found = secrets.reference(value) or value if isinstance(value, str) else value
    said = f"{name} {found.name}" if isinstance(found, Env) else name
    return "openai" in said.lower() or (isinstance(found, str) and found.startswith("sk-"))


def read(table: Mapping[str, Value], findings: Findings) -> None:
    """The models of such a table."""
    models = _models(table)
    address = fields.resolved(part(table, *_ADDRESS), findings, "baseURL")
    for field, value in models.items():
        name = fields.resolved(value, findings, field)
        if not isinstance(name, str) or not name.strip():
            continue
        if _OTHER.fullmatch(name):
            is_embedding = "embed" in name.lower()
            findings.warn("embedding-model" if is_embedding else "other-role",
                          f"{name} does not answer prompts", None, field)  # fmt: skip
            continue
        is_only = len(models) == 1
        place = naming.place("openai", name.strip(), address if isinstance(address, str) else None)
        model = findings.model(place.source or f"openai:{name}", NAME if is_only else name)
        if place.base_url:
            model.options["base_url"] = place.base_url
        _fill(model, table, findings)


def _fill(model: Model, table: Mapping[str, Value], findings: Findings) -> None:
    stated = {**nested(table, *_NESTED), **table}
    drop = {*_MODEL, *_ADDRESS, *_NESTED, "models", "embeddingModel", "fallbackModel"}
    fields.settle(model, stated, findings, drop=drop, milliseconds=in_milliseconds(stated))


def _models(table: Mapping[str, Value]) -> dict[str, Value]:
    """The fields that name models, and what they say."""
    found = {name: table[name] for name in _MODEL if _may_name(table.get(name))}
    found = dict(list(found.items())[:1])
    if not found and isinstance(table.get("models"), dict | list):
        found = {f"models.{name}": one for name, one in _names(table["models"]).items()}
    embedding = table.get("embeddingModel")
    return found | ({"embeddingModel": embedding} if found and isinstance(embedding, str) else {})


def _names(models: Value) -> dict[str, Value]:
    """``models: {chat: "gpt-4o"}`` or ``models: ["gpt-4o"]``."""
    stated = dict(enumerate(models)) if isinstance(models, list) else models
    if not isinstance(stated, dict):
        return {}
    found = {str(name): one for name, one in stated.items() if _may_name(one)}
    return found if len(found) == len(stated) else {}


def _may_name(value: Value) -> bool:
    return isinstance(value, Env) or (isinstance(value, str) and bool(value))


def _key(table: Mapping[str, Value]) -> tuple[str, Value] | None:
    return next(((name, one) for name, one in table.items() if secrets.is_secret_field(name)), None)
