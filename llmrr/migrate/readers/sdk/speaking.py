"""Calls of OpenAI's library, of every generation, and of the libraries that are built like it."""

import re
from collections.abc import Mapping
from typing import Final

from llmrr.migrate.artefact import Findings
from llmrr.migrate.readers.sdk.asks import MODELS, Ask
from llmrr.migrate.readers.sdk.clients import Client, client_of, module_client, vendor_of
from llmrr.migrate.values import Call, Code, Value

_RAW: Final = r"(?:with_raw_response\.|with_streaming_response\.)?"
_CHAT: Final = re.compile(
    rf"(?:^|\.)(?:chat\.completions\.{_RAW}(?:create\w*|parse|stream|run_?[tT]ools|runFunctions)"
    r"|ChatCompletion\.a?create|createChatCompletion)$"
)
_TEXT: Final = re.compile(
    rf"(?:^|(?<!chat)\.)completions\.{_RAW}create$|(?:^|\.)(?:Completion\.a?create|createCompletion)$"
)
_RESPONSES: Final = re.compile(rf"(?:^|\.)responses\.{_RAW}(?:create|parse|stream)$")
_ASSISTANT: Final = re.compile(
    r"(?:^|\.)(?:assistants\.(?:create|update)|threads\.runs\.(?:create|stream|createAndPoll"
    r"|create_and_poll)|threads\.(?:create_and_run\w*|createAndRun\w*))$"
)
_OLD_AZURE: Final = re.compile(
    r"(?:^|\.)(?:get|list|stream)(Chat)?Completions$"
)
_EMBEDDING: Final = re.compile(
    r"(?:^|\.)(?:embeddings\.create|Embedding\.a?create|createEmbedding|getEmbeddings)$"
)
_OTHER: Final = re.compile(
    r"(?:^|\.)(?:images\.(?:generate|edit|create_variation|createVariation)"
    rf"|audio\.(?:speech|transcriptions|translations)\.{_RAW}create|moderations\.create"
    r"|(?:beta\.)?realtime\.(?:connect|sessions\.create)|videos\.(?:create|create_and_poll)"
    r"|(?:Image|Moderation)\.a?create|Audio\.a?(?:transcribe|translate)|getImages"
    r"|create(?:Image|Transcription|Translation|Moderation))$"
)  # fmt: skip
_LIKE_IT: Final = ("openai", "azure", "groq", "together", "cerebras", "fireworks")
_DEFAULTS: Final = re.compile(r"(?:^|\.)(?:embeddings|moderations|images)\.")


def ask_of(call: Call, code: Code) -> Ask | None:
    """The ask that a call is, or None where it is none."""
    if call.receiver is not None and call.receiver.callee == "instructor.from_provider":
        return _instructor(call)
    kind = _kind(call.callee)
    if kind is None:
        return None
    client = _client(call, code)
    if client is None or client.vendor not in _LIKE_IT:
        return None
    if kind == "old-azure":
        return _old_azure(call, client)
    stated = _stated(call)
    field = next((one for one in MODELS if stated.get(one) not in (None, "")), "model")
    if kind == "assistant" and stated.get(field) is None:
        return None
    system = stated.get("instructions")
    said = stated.get({"chat": "messages", "responses": "input", "text": "prompt"}.get(kind, ""))
    return Ask(call, client, stated.get(field), stated, said, system, field, call.rest)


def other_role(call: Call, code: Code, findings: Findings) -> bool:
    """Whether a call asks a model with another task; it is told then."""
    embeds = _EMBEDDING.search(call.callee) is not None
    if not embeds and not _OTHER.search(call.callee):
        return False
    client = _client(call, code)
    if client is None or client.vendor not in _LIKE_IT:
        return False
    model = _stated(call).get("model", _stated(call).get("engine"))
    named = f" ({model})" if isinstance(model, str) else ""
    findings.warn(
        "embedding-model" if embeds else "other-role",
        f"{call.name} asks a model with another task{named}, which is not configured", call.line,
    )  # fmt: skip
    return True


def _kind(callee: str) -> str | None:
    for kind, pattern in (
        ("chat", _CHAT), ("responses", _RESPONSES), ("text", _TEXT), ("assistant", _ASSISTANT),
        ("old-azure", _OLD_AZURE),
    ):  # fmt: skip
        if pattern.search(callee):
            return kind
    return None


def _client(call: Call, code: Code) -> Client | None:
    """The client that is asked. One that comes from elsewhere is OpenAI's, unless the file imports
    another library that is built like it."""
    if call.receiver is not None:
        found = client_of(call.receiver, code)
        if found is not None or not _CHAT.search(call.callee) or call.receiver.receiver is not None:
            return found
    elif (vendor := vendor_of(call.callee)) is not None:
        return module_client(vendor, code)
    stated = _stated(call)
    if not (stated.keys() & {"model", "engine", "messages", "prompt", "input"} or call.rest):
        return None
    vendors = {vendor_of(name) for name in code.imports.values()} - {None}
    said = f"{call.receiver.callee if call.receiver else ''} {call.callee}".lower()
    named = next((one for one in _LIKE_IT if one in said), None)
    likely = [one for one in _LIKE_IT if one in vendors]
    if named is None and len(likely) == 1:
        named = likely[0]
    if named is None and not (_CHAT.search(call.callee) and not vendors - set(_LIKE_IT)):
        return None
    return Client(named or "openai", is_known=False)


def _stated(call: Call) -> dict[str, Value]:
    """What a call is told; of JavaScript's second object, how long it may take."""
    stated = dict(call.named)
    if len(call.args) > 1 and isinstance(options := call.args[1], dict):
        stated |= {k: v for k, v in options.items() if k in ("timeout", "maxRetries")}
    return stated


def _old_azure(call: Call, client: Client) -> Ask | None:
    """``client.getChatCompletions(deployment, messages, options)``."""
    if len(call.args) < 2:
        return None
    options = call.args[2] if len(call.args) > 2 else {}
    stated: Mapping[str, Value] = options if isinstance(options, dict) else {}
    return Ask(call, client, call.args[0], stated, call.args[1], field="deployment")


def _instructor(call: Call) -> Ask | None:
    """``instructor.from_provider("openai/gpt-4o")``: the model is the client's."""
    made = call.receiver
    if made is None or not re.search(r"(?:^|\.)create\w*$", call.callee):
        return None
    model = made.args[0] if made.args else made.fields.get("model")
    stated = {k: v for k, v in call.named.items() if k != "response_model"} | {"tools": True}
    client = Client("litellm", {k: v for k, v in made.fields.items() if k == "api_key"})
    return Ask(call, client, model, stated, stated.get("messages"), rest=call.rest)
