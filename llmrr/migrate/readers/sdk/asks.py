"""What a call asks of a model, and how calls become models."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from llmrr.engines.remote.providers import PROVIDERS as REMOTE
from llmrr.kinds import guessed_provider
from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers import own_keys
from llmrr.migrate.readers.sdk.clients import Client
from llmrr.migrate.terms import fields, litellm_names, naming
from llmrr.migrate.values import Call, Env, OneOf, Prompt, Unresolved, Value

MODELS: Final = ("model", "engine", "deployment_id", "deployment", "model_name", "modelName")
_DEPLOYMENTS: Final = ("azure_deployment", "azureDeployment", "deployment", "deployment_name")
_ADDRESSES: Final = (
    "base_url", "baseURL", "baseUrl", "api_base", "basePath", "azure_endpoint", "endpoint",
    "server_url", "serverURL", "host",
)  # fmt: skip
# Of a call: what it says, or what is of no use here.
_SAID: Final = frozenset({
    *MODELS, "messages", "input", "prompt", "contents", "message", "instructions", "system",
    "stream", "stream_options", "user", "metadata", "store", "service_tier", "background",
    "include", "truncation", "previous_response_id", "conversation", "safety_identifier",
    "prompt_cache_key", "prompt_cache_retention", "extra_headers", "extra_query", "name",
    "description", "assistant_id", "thread_id", "thread", "additional_messages", "chat_history",
    "chatHistory", "betas", "file_ids", "tool_resources", "max_retries", "api_key", "apiKey",
    "context", "validation_context", "strict", "abortSignal", "signal", "onFinish", "onError",
    "onStepFinish", "onChunk", "experimental_telemetry", "experimental_transform", "headers",
    "streamProtocol", "keep_alive", "raw", "options", "config", "api_base", "base_url",
    "api_version", "api_type", "custom_llm_provider", "organization",
})  # fmt: skip
_TOOLS: Final = frozenset({
    "tools", "functions", "function_call", "tool_choice", "toolChoice", "response_format",
    "responseFormat", "response_model", "text_format", "text", "parallel_tool_calls", "schema",
    "output", "mode", "grammar", "guided_json", "format", "max_tool_calls", "stopWhen", "maxSteps",
    "responseSchema", "response_schema", "responseMimeType", "response_mime_type", "documents",
    "connectors", "toolConfig", "tool_config", "prepareStep", "experimental_output", "schemaName",
    "schemaDescription", "output_config", "mcp_servers",
})  # fmt: skip
# Of a client: what says who pays and how bytes travel.
_CLIENT: Final = frozenset({
    *_ADDRESSES, *_DEPLOYMENTS, "api_type", "dangerouslyAllowBrowser", "http_client", "httpAgent",
    "fetch", "fetchOptions", "fetch_options", "logLevel", "logger", "compatibility", "mode",
    "apiVersion", "api_version", "openai_api_key", "vertexai", "defaultQuery", "default_query",
    "name", "custom_llm_provider",
    "strict_response_validation", "_strict_response_validation", "client_name",
})  # fmt: skip
_NAMES: Final = {"max_tokens_to_sample": "max_tokens", "p": "top_p", "k": "top_k"}


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that asks a model. ``messages`` is what it sends (a list, or one text), ``system`` a
    system prompt beside them; ``stated`` is all else that it is told."""

    call: Call
    client: Client
    model: Value
    stated: Mapping[str, Value]
    messages: Value = None
    system: Value = None
    field: str = "model"
    rest: tuple[Unresolved, ...] = ()
    is_call: bool = True  # else it is set up there, and asked elsewhere


@dataclass(slots=True)
class Asked:
    """The models of a file, with the calls that ask each."""

    findings: Findings
    by_model: list[tuple[Model, list[Ask]]] = field(default_factory=list)
    _by_source: dict[str, list[tuple[Model, list[Ask]]]] = field(default_factory=dict)

    def add(self, ask: Ask) -> Model | None:
        """The model that a call asks, the first of several; None, with a warning, where it is not
        known."""
        line = ask.call.line
        found = [
            self.merge(made, ask)
            for one in fields.alternatives(ask.model, self.findings, ask.field, line)
            if (made := _model(replace(ask, model=one), self.findings)) is not None
        ]  # fmt: skip
        return found[0] if found else None

    def merge(self, made: Model, ask: Ask) -> Model:
        """A model that was just found for a call: itself, or the same one that was there."""
        alike = self._by_source.setdefault(made.source, [])
        for model, asks in alike:
            if model.settings == made.settings:
                self.findings.models.remove(made)
                asks.append(ask)
                made = model
                break
        else:
            alike.append((made, [ask]))
            self.by_model.append(alike[-1])
        if ask.is_call and ask.call.line not in made.call_sites:
            made.call_sites.append(ask.call.line)
        return made


def _model(ask: Ask, findings: Findings) -> Model | None:
    line = ask.call.line
    value = ask.model
    if ask.client.vendor == "azure":
        value = next((ask.client.stated[n] for n in _DEPLOYMENTS if n in ask.client.stated), value)
    if value is None or value == "":
        if ask.rest:
            spread = ask.rest[0].text
            findings.warn("unresolved", f"the model is in {spread!r}, if anywhere", line, "model")
        else:
            findings.warn("no-model", f"{ask.call.name} names no model", line)
        return None
    name = fields.resolved(value, findings, ask.field, line)
    if not isinstance(name, str) or not name.strip():
        if name is not None:
            findings.warn("wrong-type", f"{ask.field} is no name of a model", line, ask.field)
        return None
    placed = _placed(ask.client, name.strip(), findings, line)
    if placed.source is None:
        findings.warn("unknown-provider", placed.why, line)
        return None
    model = findings.model(placed.source, line=line)
    if placed.base_url:
        model.options["base_url"] = placed.base_url
    elif ask.client.vendor == "openai":
        model.adrift = _decider(ask.client)
    _fill(model, ask, findings)
    if ask.client.sends_key:
        own_keys.name_key(model, ask.client.vendor, {**ask.client.stated, **ask.stated})
    return model


def _placed(client: Client, name: str, findings: Findings, line: int | None) -> naming.Place:
    """Where a model is, by the client and its address."""
    address = _address(client, findings, client.line or line)
    vendor = client.vendor
    if vendor == "litellm":
        custom = client.stated.get("custom_llm_provider")
        return litellm_names.placed(name, custom if isinstance(custom, str) else None, address)
    if vendor == "google":
        name = name.removeprefix("models/")
    if address and vendor == "openai":
        if (azure := _azure(address)) is not None:
            return naming.Place(f"azure:{azure[1] or name}", azure[0])
        if urlsplit(address).port == 11434:
            findings.warn(
                "ollama-server",
                f"{address} is Ollama's server: ollama:{name} runs the same model without it", line,
                "base_url",
            )  # fmt: skip
    if not client.is_known and vendor == "openai" and guessed_provider(name) != "openai":
        findings.warn(
            "base-url-default",
            f"the client that {name} is asked with is set up elsewhere: state base_url where it is"
            " not OpenAI's", line,
        )  # fmt: skip
    placed = naming.place(vendor, name, address)
    return placed._replace(base_url=address) if placed.base_url else placed  # its last slash too


def _azure(address: str) -> tuple[str, str | None] | None:
    """An address of Azure that a plain client is given: the endpoint, and the deployment in it."""
    parts = urlsplit(address)
    if not (parts.hostname or "").endswith((".openai.azure.com", ".cognitiveservices.azure.com")):
        return None
    pieces = [one for one in parts.path.split("/") if one]
    if pieces[:2] == ["openai", "v1"]:
        return None
    deployment = pieces[2] if pieces[:2] == ["openai", "deployments"] and pieces[2:] else None
    return f"{parts.scheme}://{parts.netloc}", deployment


def _address(client: Client, findings: Findings, line: int | None) -> str | None:
    name = next((one for one in _ADDRESSES if client.stated.get(one) not in (None, "")), None)
    if name is None:
        return None
    value = client.stated[name]
    if isinstance(value, OneOf) and value.values[:1] == (None,):
        return None  # left out unless somebody states it
    known = REMOTE.get(client.vendor)
    if isinstance(value, Env) and known is not None and value.name == known.address_env:
        value = value.default  # its own variable, which is read here too
        if value is None:
            return None
    if isinstance(value, Env) and value.default is None:
        findings.warn(
            "base-url-default",
            f"the address is what the variable {value.name} holds: state base_url", line, name,
        )  # fmt: skip
        return None
    found = fields.resolved(value, findings, name, line)
    if not isinstance(found, str):
        findings.warn(
            "base-url-default", "the address is only known at run time: state base_url", line, name
        )
        return None
    try:
        urlsplit(found).port  # noqa: B018 it is read to be checked
    except ValueError:
        findings.warn("wrong-type", f"{name} is no address", line, name)
        return None
    return _without_key(found)


def _decider(client: Client) -> str | None:
    """What decides on the address of a client, where that is only known at run time."""
    value = next((client.stated[one] for one in _ADDRESSES if client.stated.get(one)), None)
    if isinstance(value, OneOf) and value.stated:
        return None
    if isinstance(value, Env):
        own = REMOTE[client.vendor].address_env
        return value.name if value.default is None and value.name != own else None
    return fields.decider(value) if isinstance(value, Unresolved | Call | Prompt) else None


def _without_key(address: str) -> str:
    """An address as it may be kept; what is cut off is no part of an API's base."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _fill(model: Model, ask: Ask, findings: Findings) -> None:
    client, line = ask.client, ask.call.line
    told = {name: value for name, value in client.stated.items() if value is not None}
    if (version := _version(told)) is not None and model.source.startswith("azure:"):
        told["api-version"] = version
    times = ("timeout",) if client.milliseconds else ()
    drop = _CLIENT | ({"organization"} if model.source.startswith("azure:") else set())
    fields.settle(
        model, {name: _seconds(name, value) for name, value in told.items()}, findings,
        line=client.line or line, names={"api-version": "api_version"}, drop=drop,
        milliseconds=times,
    )  # fmt: skip
    stated = dict(ask.stated)
    if any(stated.get(name) for name in _TOOLS if not _says_nothing(stated.get(name))):
        findings.warn("tools", "tools, functions or a format of answers stay in the code", line)
    body = stated.pop("extra_body", None)
    if isinstance(body, dict):
        stated = {**body, **stated}
    for spread in ask.rest:
        findings.warn("unresolved", f"further arguments are in {spread.text!r}", line)
    if isinstance(stated.get("thinking"), dict) and "budget_tokens" not in str(stated["thinking"]):
        stated.pop("thinking")
    fields.settle(
        model, {name: _seconds(name, value) for name, value in stated.items()}, findings,
        line=line, names=_NAMES, drop=_SAID | _TOOLS, milliseconds=times,
    )  # fmt: skip


def _says_nothing(value: Value) -> bool:
    """A format of answers that is plain text."""
    return value in ("none", "text") or (
        isinstance(value, dict) and value.get("type") == "text" and len(value) == 1
    )


def _version(told: Mapping[str, Value]) -> Value:
    for name in ("api_version", "apiVersion"):
        if told.get(name):
            return told[name]
    for name in ("defaultQuery", "default_query"):
        query = told.get(name)
        if isinstance(query, dict) and query.get("api-version"):
            return query["api-version"]
    return None


def _seconds(name: str, value: Value) -> Value:
    """``httpx.Timeout(60.0, connect=5)``."""
    if name == "timeout" and isinstance(value, Call) and value.name == "Timeout":
        return value.args[0] if value.args else value.fields.get("timeout", value)
    return value
