"""Requests that code sends itself, without a provider's library: ``fetch``, ``axios``, ``got``,
``requests``, ``httpx``."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from llmrr.migrate.readers.sdk.asks import Ask
from llmrr.migrate.readers.sdk.clients import Client
from llmrr.migrate.values import Call, Env, OneOf, Unresolved, Value

_SENDS: Final = re.compile(r"(?:^|[.$])(?:fetch|\$fetch|ofetch|post|axios|got|ky|request)$")
# What is behind the address of each protocol, and what is sent there.
_ENDS: Final = (
    ("openai", re.compile(r"(https?://[^\s/?#]+/.*?)/chat/completions/?"), ("messages",)),
    ("openai", re.compile(r"(https?://[^\s/?#]+/.*?v1)/completions/?"), ("prompt",)),
    ("openai", re.compile(r"(https?://[^\s/?#]+/.*?v1)/responses/?"), ("input",)),
    ("anthropic", re.compile(r"(https?://[^\s/?#]+).*/v1/messages/?"), ("messages",)),
    ("ollama", re.compile(r"(https?://[^\s/?#]+)/api/(?:chat|generate)/?"), ("messages", "prompt")),
)  # fmt: skip
_VARIABLE: Final = re.compile(r"(?:process\.env|import\.meta\.env|Deno\.env\.get)\W+(\w+)")
_WRITES: Final = ("JSON.stringify", "json.dumps")
_BODIES: Final = ("json", "data", "body", "payload", "content")


def ask_of(call: Call) -> Ask | None:
    """The ask that a request is, or None where it is none."""
    if not _SENDS.search(call.callee) or call.receiver is not None:
        return None
    address = _text(call.args[0] if call.args else call.named.get("url"))
    if address is None:
        return None
    for vendor, pattern, said in _ENDS:
        found = pattern.fullmatch(address.partition("?")[0])
        body = _body(call) if found else None
        if found is not None and body is not None and "model" in body:
            stated = {**body, **_options(body)}
            client = Client(vendor, {"base_url": found[1], **_key(call)})
            messages = next((stated[one] for one in said if one in stated), None)
            left = {name: one for name, one in stated.items() if name not in (*said, "options")}
            return Ask(call, client, left.pop("model"), left, messages, left.pop("system", None))
    return None


def _text(value: Value) -> str | None:
    while isinstance(value, Env):
        value = value.default
    if isinstance(value, OneOf) and value.assumed and value.values:
        return _text(value.values[0])
    return value if isinstance(value, str) else None


def _body(call: Call) -> Mapping[str, Value] | None:
    """What is sent, as a table."""
    tables = [call.fields, *(one for one in call.args[:2] if isinstance(one, dict))]
    for table in tables:
        for name in _BODIES:
            value = table.get(name)
            if isinstance(value, Call) and value.callee in _WRITES and value.args:
                value = value.args[0]
            if isinstance(value, dict):
                return value
    second = call.args[1] if len(call.args) > 1 else None
    return second if isinstance(second, dict) and "model" in second else None


def _options(body: Mapping[str, Value]) -> Mapping[str, Value]:
    """Ollama's, which are in a table of their own."""
    found = body.get("options")
    return found if isinstance(found, dict) else {}


def _key(call: Call) -> dict[str, Value]:
    """The key among the headers: its variable, or what stands there."""
    for headers in _headers(call):
        for name, value in headers.items():
            if name.lower() not in ("authorization", "x-api-key", "api-key"):
                continue
            if isinstance(value, Unresolved) and (found := _VARIABLE.search(value.text)):
                return {"api_key": Env(found[1])}
            if isinstance(value, str):
                return {"api_key": value.removeprefix("Bearer ").strip()}
            if isinstance(value, Env):
                return {"api_key": value}
    return {}


def _headers(call: Call) -> Iterator[Mapping[str, Value]]:
    for table in (call.fields, *call.args):
        found = table.get("headers") if isinstance(table, Mapping) else None
        if isinstance(found, dict):
            yield found
