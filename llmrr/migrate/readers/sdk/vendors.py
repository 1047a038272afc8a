"""Calls of the libraries of Anthropic, Google, Cohere, Mistral and Ollama."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from llmrr.migrate.readers.sdk.asks import Ask
from llmrr.migrate.readers.sdk.clients import Client, client_of, vendor_of
from llmrr.migrate.terms.roles import role_of
from llmrr.migrate.values import Call, Code, Value


class Method(NamedTuple):
    """A method that asks: of which libraries, and under which names it is told the messages and the
    system prompt. ``nested`` are tables of parameters."""

    vendors: tuple[str, ...]
    pattern: re.Pattern[str]
    messages: tuple[str, ...] = ("messages",)
    system: tuple[str, ...] = ("system",)
    nested: tuple[str, ...] = ()


_METHODS: Final = (
    Method(("anthropic", "bedrock", "vertex"), re.compile(
        r"(?:^|\.)messages\.(?:with_raw_response\.|with_streaming_response\.)?"
        r"(?:create|stream|parse)$|(?:^|\.)(?<!chat\.)completions\.create$"
    ), ("messages", "prompt")),
    Method(("mistral",), re.compile(
        r"(?:^|\.)chat\.(?:complete|stream|parse)(?:_async)?$|(?:^|\.)chat(?:_stream|Stream)?$"
    )),
    Method(("cohere",), re.compile(r"(?:^|\.)(?:chat(?:_stream|Stream)?|generate)$"),
           ("messages", "message", "prompt"), ("preamble",)),
    Method(("google", "vertex"), re.compile(
        r"(?:^|\.)models\.(?:generate_content|generateContent)(?:_stream|Stream)?$"
        r"|(?:^|\.)chats\.create$"
    ), ("contents",), ("system_instruction", "systemInstruction"), ("config",)),
    Method(("ollama",), re.compile(r"(?:^|\.)(?:chat|generate)$"), ("messages", "prompt"),
           ("system",), ("options",)),
)  # fmt: skip
_GENERATIVE: Final = re.compile(r"(?:^|\.)(?:GenerativeModel|getGenerativeModel)$")
_GENERATE: Final = re.compile(
    r"(?:generate_content(?:_async)?|generateContent(?:Stream)?|start_chat|startChat)$"
)
_CONFIGS: Final = ("generation_config", "generationConfig", "config")
_OLD_GOOGLE: Final = ("google.generativeai", "vertexai", "@google-cloud/vertexai")


def ask_of(call: Call, code: Code) -> Ask | None:
    """The ask that a call is, or None where it is none."""
    if (found := _generative(call, code)) is not None:
        return found
    if not any(one.pattern.search(call.callee) for one in _METHODS):
        return None
    client_found = _client(call, code)
    if client_found is None:
        return None
    for method in _METHODS:
        if client_found.vendor in method.vendors and method.pattern.search(call.callee):
            return _ask(call, client_found, method)
    return None


def _ask(call: Call, client: Client, method: Method) -> Ask | None:
    stated = flattened(call.named, method.nested)
    if method.vendors == ("cohere",) and "model" not in stated:
        return None
    if method.vendors == ("ollama",) and not (stated.keys() & {"model", *method.messages}):
        return None
    return Ask(
        call, client, stated.get("model"),
        {k: v for k, v in stated.items() if k not in (*method.messages, *method.system)},
        _first(stated, method.messages), _first(stated, method.system), rest=call.rest,
    )  # fmt: skip


def _client(call: Call, code: Code) -> Client | None:
    if call.receiver is not None and (found := client_of(call.receiver, code)) is not None:
        return found
    vendor = vendor_of(call.callee) if call.receiver is None else None
    if vendor is not None:
        return Client(vendor)
    if not f".{call.callee}".endswith((
        ".messages.create", ".messages.stream", ".chat.complete", ".models.generate_content",
        ".models.generateContent",
    )):  # fmt: skip
        return None
    vendors = {vendor_of(name) for name in code.imports.values()} - {None}
    return Client(str(vendors.pop())) if len(vendors) == 1 else None


def _generative(call: Call, code: Code) -> Ask | None:
    """``GenerativeModel(…)`` of Google's older libraries, and what is asked of it."""
    made = call.receiver
    if made is not None and _GENERATIVE.search(made.callee) and _GENERATE.fullmatch(call.callee):
        said: Value = call.args[0] if call.args else None
        if isinstance(said, dict):
            said = said.get("contents")
        if "chat" in call.callee.lower():
            said = call.named.get("history")
        return _of_generative(made, call, code, said)
    if _GENERATIVE.search(call.callee) and not any(
        one.receiver is call and _GENERATE.fullmatch(one.callee) for one in code.calls
    ):
        return _of_generative(call, call, code, None)
    return None


def _of_generative(made: Call, call: Call, code: Code, said: Value) -> Ask | None:
    vendor: str | None = None
    told: Mapping[str, Value] = {}
    if made.receiver is not None:
        client = client_of(made.receiver, code)
        vendor, told = (client.vendor, client.stated) if client else (None, {})
    elif made.callee.startswith(_OLD_GOOGLE):
        vendor = "google" if made.callee.startswith("google.") else "vertex"
        configured = [one for one in code.calls if one.callee == "google.generativeai.configure"]
        told = {k: v for one in configured for k, v in one.fields.items() if k == "api_key"}
    if vendor is None:
        return None
    stated = flattened(made.named, _CONFIGS)
    if call is not made:
        stated |= {k: v for k, v in flattened(call.fields, _CONFIGS).items() if k != "contents"}
    first = made.args[0] if made.args and not isinstance(made.args[0], dict) else None
    model = stated.get("model_name", stated.get("model", first))
    if isinstance(model, str) and role_of(model) == "embedding":
        return None
    system = _first(stated, ("system_instruction", "systemInstruction"))
    for name in ("safety_settings", "safetySettings", "history", "request_options",
                 "system_instruction", "systemInstruction"):  # fmt: skip
        stated.pop(name, None)
    return Ask(call, Client(vendor, told), model, stated, said, system, rest=made.rest)


def flattened(stated: Mapping[str, Value], nested: tuple[str, ...]) -> dict[str, Value]:
    """What a call is told, with what stands in its tables of parameters."""
    found: dict[str, Value] = {}
    for name, value in stated.items():
        if isinstance(value, Call) and name in nested:
            found.update(value.named)
        elif isinstance(value, dict) and name in nested:
            found.update(value)
        else:
            found[name] = value
    return found


def _first(stated: Mapping[str, Value], names: tuple[str, ...]) -> Value:
    return next((stated[one] for one in names if stated.get(one) is not None), None)
