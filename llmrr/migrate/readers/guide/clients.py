"""Real files called ``openai.config.js``: they export a client, or its key, and name no model."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.terms import fields, secrets
from llmrr.migrate.values import Call, Code, Env, Value

_CLIENTS: Final = frozenset({
    "openai", "openai.default", "openai.OpenAI", "openai.OpenAIApi", "openai.Configuration",
    "openai.AzureOpenAI", "openai.default.OpenAI",
})  # fmt: skip
_ASKS: Final = frozenset({
    "create", "parse", "stream", "createChatCompletion", "createCompletion", "generate",
    "createEmbedding", "createImage", "createEdit", "invoke",
})  # fmt: skip
_SETTINGS: Final = frozenset({
    "organization", "organizationId", "orgId", "baseURL", "basePath", "project", "projectId",
    "timeout", "maxRetries",
})  # fmt: skip


def is_config(code: Code) -> bool:
    """Whether a file does no more than export a client of OpenAI, or the key of one."""
    return next(_stated(code), None) is not None


def read(path: Path, code: Code) -> Iterator[Artefact]:
    """The artefact of a file that exports a client of OpenAI, or the key of one."""
    found = list(_stated(code))
    if not found:
        return
    findings, variables = Findings(path, "openai-config-js"), dict[str, None]()
    for name, value, line in found:
        client = Model("openai-default", "openai:")
        fields.api_key(client, value, findings, at=name, line=line)
        if variable := client.options.get("api_key_env"):
            variables[variable] = None
    key = f" with the key in {' and '.join(variables)}" if variables else ""
    findings.warn(
        "client-only",
        f"no model named: a client of OpenAI is set up{key}; the calls that use it name one",
        found[0][2],
    )
    yield findings.artefact()


def _stated(code: Code) -> Iterator[tuple[str, Value, int | None]]:
    if code.language == "javascript" and all(one.name not in _ASKS for one in code.calls):
        yield from _keys(code)


def _keys(code: Code) -> Iterator[tuple[str, Value, int | None]]:
    """The keys that are exported, or of exported clients: field, value and line."""
    exported = [*code.exports.items()]
    for _, value in code.exports.items():
        if isinstance(value, dict):
            exported += value.items()
    seen = set[int]()
    for name, value in exported:
        client = _client(value)
        if client is not None:
            if id(client) not in seen:
                seen.add(id(client))
                stated = {**client.named}
                yield "apiKey", stated.get("apiKey", Env("OPENAI_API_KEY")), client.line
        elif secrets.is_secret_field(name) and _of_openai(name, value):
            yield name, value, None
    if not seen:
        tables = [one for one in code.exports.values() if isinstance(one, dict)]
        for table in (code.exports, *tables):
            if _is_bare_key(table):
                yield from (
                    (name, one, None) for name, one in table.items()
                    if secrets.is_secret_field(name) and not _of_openai(name, one)
                    and _looks_openai(one)
                )  # fmt: skip


def _client(value: Value) -> Call | None:
    """The construction of a client, also of v3's, which is given a ``Configuration``."""
    if not isinstance(value, Call) or value.callee not in _CLIENTS:
        return None
    first = value.args[0] if value.args else None
    return _client(first) or value if isinstance(first, Call) else value


def _of_openai(name: str, value: Value) -> bool:
    said = f"{name} {value.name}" if isinstance(value, Env) else name
    return "openai" in said.lower() and isinstance(value, Env | str)


def _is_bare_key(table: Mapping[str, Value]) -> bool:
    """Whether a table holds a key and nothing but what goes with a client."""
    return all(secrets.is_secret_field(name) or name in _SETTINGS for name in table)


def _looks_openai(value: Value) -> bool:
    return isinstance(value, str) and value.startswith("sk-") and not value.startswith("sk-ant-")
