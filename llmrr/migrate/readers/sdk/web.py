"""Requests that code sends to a provider's or a server's address itself, without a library."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

from llmrr.migrate.readers.sdk.asks import Ask
from llmrr.migrate.readers.sdk.clients import Client
from llmrr.migrate.readers.sdk.vendors import flattened
from llmrr.migrate.values import Call, Code, Env, Prompt, Unresolved, Value

_SENDS: Final = (
    "post", "request", "stream", "fetch", "apost", "urlopen", "Request", "$fetch", "ofetch",
    "axios", "got", "ky",
)  # fmt: skip
_PATH: Final = re.compile(
    r"(?P<base>.*?)(?P<path>/chat/completions|/completions|/responses|/v1/messages|/api/chat"
    r"|/api/generate)/?(?:\?(?P<query>.*))?"
)
_BODIES: Final = ("json", "data", "content", "body")
_KEYS: Final = ("authorization", "x-api-key", "api-key")
_VARIABLE: Final = re.compile(
    r"(?:environ(?:\.get)?[\[(]|getenv\()\s*['\"](\w+)['\"]"
    r"|(?:process\.env|import\.meta\.env|Deno\.env\.get)\W+(\w+)"
)
_HOLE: Final = re.compile(r"\{\w+\}")


def ask_of(call: Call, code: Code) -> Ask | None:
    """The ask that a request is, or None where it is none."""
    if call.name not in _SENDS:
        return None
    at = next((n for n, one in enumerate(call.args[:2]) if _address(one)), None)
    url = _address(call.args[at] if at is not None else call.named.get("url"))
    found = _PATH.fullmatch(url) if url else None
    body = _body(call, at)
    if found is None or body is None:
        return None
    told = _client(found["base"], found["query"] or "", call, at, code)
    native = found["path"].startswith("/api/")
    anthropic = found["path"] == "/v1/messages"
    vendor = "ollama" if native else "anthropic" if anthropic else "openai"
    if not (body.get("model") or ".azure.com" in found["base"]):
        return None
    stated = flattened(body, ("options",) if native else ())
    said = next((stated[one] for one in ("messages", "input", "prompt") if one in stated), None)
    system = stated.get("system", stated.get("instructions"))
    client = Client(vendor, told, line=call.line, sends_key=False)
    return Ask(call, client, body.get("model"), stated, said, system)


def _address(value: Value) -> str | None:
    """An address; of one that begins with a variable, what follows it."""
    if isinstance(value, Env):
        value = value.default
    if isinstance(value, Prompt):
        return value.text if _HOLE.match(value.text) and "/" in value.text else None
    is_address = isinstance(value, str) and value.startswith(("http://", "https://"))
    return value if is_address and isinstance(value, str) else None


def _body(call: Call, at: int | None) -> Mapping[str, Value] | None:
    """What is sent: a table, or one that is written as JSON."""
    options = [one for one in call.args if isinstance(one, dict)]
    given = [call.fields[one] for one in _BODIES if one in call.fields]
    inner = [one[name] for one in options for name in _BODIES if name in one]
    for one in (*given, *inner, *call.args[(at or 0) + 1 :]):
        while isinstance(one, Call) and one.name in ("dumps", "stringify", "encode", "str"):
            one = one.receiver or (one.args[0] if one.args else None)
        if isinstance(one, dict) and one.keys() & {"model", "messages", "prompt", "input"}:
            return one
    return None


def _client(
    base: str, query: str, call: Call, at: int | None, code: Code
) -> dict[str, Value]:
    """Where it is sent, and with which key."""
    told: dict[str, Value] = {}
    if _HOLE.match(base):
        known = code.names.get(base[1 : base.index("}")])
        rest = base[base.index("}") + 1 :]
        base_url = _joined(known, rest)
        if base_url is not None:
            told["base_url"] = base_url
        elif isinstance(known, Env):
            told["base_url"] = known
        else:
            told["base_url"] = Unresolved(base, call.line)
    elif urlsplit(base).hostname:
        told["base_url"] = base
    version = parse_qs(query).get("api-version")
    if version:
        told["api_version"] = version[0]
    headers = [call.fields.get("headers")]
    headers += [one.get("headers") for one in call.args[(at or 0) + 1 :] if isinstance(one, dict)]
    for table in headers:
        if isinstance(table, Unresolved | Call):
            told["api_key"] = Unresolved("headers", call.line)
        for name, value in table.items() if isinstance(table, dict) else ():
            if name.lower() in _KEYS and value is not None:
                key = _key(value, code)
                told["api_key"] = Unresolved(name, call.line) if key is None else key
    return told


def _joined(known: Value, rest: str) -> Value:
    if isinstance(known, Env) and isinstance(known.default, str):
        return Env(known.name, f"{known.default.rstrip('/')}{rest}")
    return f"{known.rstrip('/')}{rest}" if isinstance(known, str) else None


def _key(value: Value, code: Code) -> Value:
    """The key in a header: a variable, or a literal one."""
    if isinstance(value, Prompt) and len(value.holes) == 1:
        return code.names.get(value.holes[0])
    if isinstance(value, Unresolved) and (found := _VARIABLE.search(value.text)):
        return Env(found[1] or found[2])
    if isinstance(value, str):
        return value.partition(" ")[2] or value
    return value if isinstance(value, Env) else None
