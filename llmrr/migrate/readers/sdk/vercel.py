"""Calls of Vercel's AI SDK: ``generateText({model: openai("gpt-4o"), …})``."""

from collections.abc import Iterator
from typing import Final

from llmrr.migrate.artefact import Findings
from llmrr.migrate.readers.sdk.asks import Ask
from llmrr.migrate.readers.sdk.clients import Client
from llmrr.migrate.values import Call, Code, Value

_PROVIDERS: Final = {
    "@ai-sdk/openai": "openai", "@ai-sdk/azure": "azure", "@ai-sdk/anthropic": "anthropic",
    "@ai-sdk/google": "google", "@ai-sdk/google-vertex": "vertex", "@ai-sdk/mistral": "mistral",
    "@ai-sdk/groq": "groq", "@ai-sdk/xai": "xai", "@ai-sdk/deepseek": "deepseek",
    "@ai-sdk/togetherai": "together", "@ai-sdk/fireworks": "fireworks",
    "@ai-sdk/perplexity": "perplexity", "@ai-sdk/cohere": "cohere",
    "@ai-sdk/cerebras": "cerebras", "@ai-sdk/deepinfra": "deepinfra",
    "@ai-sdk/amazon-bedrock": "bedrock", "@ai-sdk/openai-compatible": "openai-compatible",
    "@openrouter/ai-sdk-provider": "openrouter", "ollama-ai-provider": "ollama",
    "ollama-ai-provider-v2": "ollama", "@ai-sdk/gateway": "gateway",
}  # fmt: skip
_ASKS: Final = frozenset({
    "ai.generateText", "ai.streamText", "ai.generateObject", "ai.streamObject",
    "ai.experimental_generateText", "ai.ToolLoopAgent", "ai.Agent", "ai.Experimental_Agent",
})  # fmt: skip
_TEXT: Final = ("", "chat", "responses", "completion", "languageModel", "chatModel",
                "completionModel")  # fmt: skip
_EMBEDS: Final = ("embedding", "textEmbedding", "textEmbeddingModel", "embeddingModel")
_OTHERS: Final = ("image", "imageModel", "speech", "transcription", "speechModel",
                  "transcriptionModel", "video")  # fmt: skip
# Of a client: what is no parameter of a model.
_OF_CLIENT: Final = ("name", "resourceName", "useDeploymentBasedUrls", "transformRequestBody")


def ask_of(call: Call, code: Code) -> Ask | None:
    """The ask that a call of ``generateText`` and its kin is, or None where it is none."""
    if code.language != "javascript" or call.callee not in _ASKS:
        return None
    stated = dict(call.named)
    found = _model(stated.get("model"))
    system = stated.pop("system", stated.pop("instructions", None))
    said = stated.get("messages", stated.get("prompt"))
    if isinstance(found, Call):
        made = _parts(found)
        if made is None:
            return Ask(call, Client("gateway"), stated.get("model"), stated, said, system)
        client, name, settings = made
        return Ask(call, client, name, {**settings, **stated}, said, system, rest=call.rest)
    client, name = _by_text(found)
    return Ask(call, client, name, stated, said, system, rest=call.rest)


def unused(code: Code) -> Iterator[Ask]:
    """Models of the SDK that are set up in a file, and asked elsewhere."""
    if code.language != "javascript":
        return
    asked = {
        id(_model(one.named.get("model"))) for one in code.calls if one.callee in _ASKS
    }  # fmt: skip
    for call in code.calls:
        made = _parts(call) if id(call) not in asked else None
        if made is not None:
            client, name, settings = made
            yield Ask(call, client, name, settings, is_call=False)


def other_role(call: Call, findings: Findings) -> bool:
    """Whether a model of the SDK has another task; it is told then."""
    found = _method(call)
    if found is None or found[2] not in (*_EMBEDS, *_OTHERS):
        return False
    name = call.args[0] if call.args else None
    named = f" ({name})" if isinstance(name, str) else ""
    findings.warn(
        "embedding-model" if found[2] in _EMBEDS else "other-role",
        f"{found[2]} is a model with another task{named}, which is not configured", call.line,
    )  # fmt: skip
    return True


def _model(value: Value) -> Value:
    """What is wrapped in ``wrapLanguageModel({model})``."""
    while isinstance(value, Call) and value.callee == "ai.wrapLanguageModel":
        value = value.named.get("model")
    return value


def _by_text(value: Value) -> tuple[Client, Value]:
    """``"openai/gpt-4o"``, which the SDK sends to Vercel's gateway."""
    if isinstance(value, str) and "/" in value:
        provider, _, name = value.partition("/")
        return Client(provider), name
    return Client("gateway"), value


def _method(call: Call) -> tuple[str, Call | None, str] | None:
    """The provider of a call that makes a model, what made the provider, and the method."""
    made = call.receiver
    callee = made.callee if made is not None else call.callee
    package, _, rest = callee.partition(".")
    vendor = _PROVIDERS.get(package)
    if vendor is None:
        return None
    if made is not None:
        return (vendor, made, call.callee) if made.name.startswith("create") else None
    method = rest.partition(".")[2]
    return None if rest.startswith("create") else (vendor, None, method)


def _parts(call: Call) -> tuple[Client, Value, dict[str, Value]] | None:
    """The client, the name and the settings of a call that makes a model."""
    found = _method(call)
    if found is None or found[2] not in _TEXT or not call.args:
        return None
    vendor, made, _ = found
    told = dict(made.named) if made is not None else {}
    if isinstance(name := told.get("resourceName"), str):
        told.setdefault("baseURL", f"https://{name}.openai.azure.com")
    told = {key: value for key, value in told.items() if key not in _OF_CLIENT}
    settings = call.args[1] if len(call.args) > 1 else {}
    client = Client(vendor, told, line=made.line if made is not None else None)
    return client, call.args[0], dict(settings) if isinstance(settings, dict) else {}
