"""Clients of providers' libraries: whose they are, and what they are told."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from llmrr.migrate.terms.secrets import is_placeholder
from llmrr.migrate.values import Call, Code, Value

_ROOTS: Final = {
    "openai": "openai", "openai-edge": "openai", "@azure/openai": "azure", "langfuse": "openai",
    "posthog": "openai",
    "@posthog/ai": "openai", "langsmith": "openai", "agentops": "openai", "groq": "groq",
    "groq-sdk": "groq", "together": "together", "together-ai": "together",
    "cerebras": "cerebras", "@cerebras/cerebras_cloud_sdk": "cerebras", "fireworks": "fireworks",
    "anthropic": "anthropic", "@anthropic-ai/sdk": "anthropic",
    "@anthropic-ai/bedrock-sdk": "bedrock", "@anthropic-ai/vertex-sdk": "vertex",
    "mistralai": "mistral", "@mistralai/mistralai": "mistral", "cohere": "cohere",
    "cohere-ai": "cohere", "@google/generative-ai": "google", "@google/genai": "google",
    "google": "google", "ollama": "ollama", "vertexai": "vertex",
    "@google-cloud/vertexai": "vertex",
}  # fmt: skip
_CLASSES: Final = frozenset({
    "OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI", "OpenAIApi", "OpenAIClient",
    "Groq", "AsyncGroq", "Together", "AsyncTogether", "Cerebras", "AsyncCerebras", "Fireworks",
    "AsyncFireworks", "Anthropic", "AsyncAnthropic", "AnthropicBedrock", "AsyncAnthropicBedrock",
    "AnthropicVertex", "AsyncAnthropicVertex", "Mistral", "MistralClient", "MistralAsyncClient",
    "Client", "AsyncClient", "ClientV2", "AsyncClientV2", "CohereClient", "CohereClientV2",
    "GoogleGenerativeAI", "GoogleGenAI", "Ollama", "default", "VertexAI",
})  # fmt: skip
# Methods that give a client like the one they are called on.
_COPIES: Final = ("with_options", "withOptions", "copy")
_LEGACY: Final = (
    "api_key", "api_base", "base_url", "api_type", "api_version", "organization", "azure_endpoint",
)  # fmt: skip
_ADDRESSES: Final = ("OPENAI_BASE_URL", "OPENAI_API_BASE")


class Client(NamedTuple):
    """``vendor`` is a word of ``naming``; ``stated`` what it is told. ``line`` is None for a module
    that is used as a client; one that is set up in another place is not ``is_known``. A library
    ``sends_key`` of its own accord, where none is stated."""

    vendor: str
    stated: Mapping[str, Value] = {}
    milliseconds: bool = False
    line: int | None = None
    is_known: bool = True
    sends_key: bool = True


def vendor_of(callee: str) -> str | None:
    """Whose library a dotted name is of.

    >>> vendor_of("openai.OpenAI"), vendor_of("groq-sdk.default"), vendor_of("client.chat")
    ('openai', 'groq', None)
    """
    root = callee.partition(".")[0]
    if root in ("langfuse", "posthog", "@posthog/ai", "langsmith", "agentops"):
        return "openai" if ".openai" in callee.lower() else None
    if root == "google" and not callee.startswith(("google.generativeai", "google.genai")):
        return None
    return _ROOTS.get(root)


def client_of(call: Call | None, code: Code, depth: int = 0) -> Client | None:
    """The client that a call gives, also through wrappers (``instructor.from_openai``)."""
    if call is None or depth > 4:
        return None
    vendor = vendor_of(call.callee) if call.receiver is None else None
    if vendor and (call.name in _CLASSES or call.callee in _ROOTS):
        return _constructed(vendor, call, code)
    if call.receiver is not None:
        inner = client_of(call.receiver, code, depth + 1)
        if inner is not None and call.callee in _COPIES:
            return inner._replace(stated={**inner.stated, **call.named})
        return None
    for one in (*call.args, *call.named.values()):
        if isinstance(one, Call) and (inner := client_of(one, code, depth + 1)):
            return inner
    return None


def module_client(vendor: str, code: Code) -> Client:
    """The client that a module is, with what is assigned to it (``openai.api_key = …``)."""
    stated: dict[str, Value] = {}
    for name in code.names:
        root, _, field = name.rpartition(".")
        if field in _LEGACY and code.imports.get(root, root) == vendor == "openai":
            stated[field] = code.names[name]
    if stated.get("api_type") in ("azure", "azure_ad", "azuread"):
        vendor = "azure"
    return Client(vendor, _addressed(vendor, stated, code))


def _constructed(vendor: str, call: Call, code: Code) -> Client:
    stated = dict(call.named)
    for one in call.args:
        if isinstance(one, Call) and one.name == "Configuration":
            stated = {**one.named, **stated}
    if "Azure" in call.name:
        vendor = "azure"
    if "Bedrock" in call.name:
        vendor = "bedrock"
    if "Vertex" in call.name:
        vendor = "vertex"
    if call.name == "OpenAIClient":
        vendor = _old_azure(call, stated)
    elif vendor in ("google", "cohere", "mistral") and call.args:
        first = call.args[0]
        if not isinstance(first, dict):
            stated.setdefault("api_key", first)
    if vendor == "bedrock" or vendor == "vertex":
        stated = {k: v for k, v in stated.items() if not k.lower().startswith("aws")}
    if code.language == "javascript" and vendor == "ollama":
        stated = {"base_url" if k == "host" else k: v for k, v in stated.items()}
    is_javascript = code.language == "javascript"
    return Client(vendor, _addressed(vendor, stated, code), is_javascript, call.line)


def _old_azure(call: Call, stated: dict[str, Value]) -> str:
    """``new OpenAIClient(endpoint, new AzureKeyCredential(key))`` of @azure/openai."""
    vendor = "openai"
    for one in call.args:
        if isinstance(one, Call):
            if one.args:
                stated["api_key"] = one.args[0]
            if one.name != "OpenAIKeyCredential":
                vendor = "azure"
        elif not isinstance(one, dict):
            stated["azure_endpoint"] = one
            vendor = "azure"
    return vendor


def _addressed(vendor: str, stated: dict[str, Value], code: Code) -> dict[str, Value]:
    """With what the code itself puts into the environment before."""
    if vendor == "openai" and not ({"base_url", "baseURL", "api_base", "basePath"} & stated.keys()):
        for name in _ADDRESSES:
            value = code.names.get(f"os.environ.{name}")
            if isinstance(value, str):
                stated["base_url"] = value
    if vendor == "openai" and "api_key" not in stated:
        key = code.names.get("os.environ.OPENAI_API_KEY")
        if isinstance(key, str) and not is_placeholder(key):
            stated["api_key"] = key
    return stated
