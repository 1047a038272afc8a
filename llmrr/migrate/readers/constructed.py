"""A model as a framework constructs it, in code or in what it wrote: a class of a provider, and
what it is told."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from llmrr.engines.remote.providers import PROVIDERS as REMOTE
from llmrr.kinds import KEYS_OF_THEIR_OWN
from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers import arguments, own_keys, placing
from llmrr.migrate.terms import code_keys, fields, naming
from llmrr.migrate.terms.withheld import literals
from llmrr.migrate.values import Call, Env, Unresolved, Value

_INSTANCES: Final = ("azureOpenAIApiInstanceName", "azure_open_ai_api_instance_name")
_ADDRESSES: Final = (
    "base_url", "baseURL", "baseUrl", "openai_api_base", "basePath", "api_base", "apiBase",
    "azure_endpoint", "azureOpenAIEndpoint", "azureOpenAIBasePath", "azure_openai_base_path",
    "anthropic_api_url", "anthropicApiUrl", "endpoint", "inference_server_url", "endpoint_url",
    "endpointUrl", "openai_base_url", "ollama_base_url", "deepseek_api_base", "groq_api_base",
    "xai_api_base", "mistral_api_url", "server_url",
)  # fmt: skip
MOST: Final = 1000  # models, and prompts, of one file
_LOOK_BACK: Final = 100  # models among which the same one is looked for
_TOOLS: Final = frozenset({
    "tools", "functions", "function_call", "tool_choice", "toolChoice", "response_format",
    "responseFormat", "parallel_tool_calls", "grammar", "grammar_path", "json_mode", "format",
    "guided_json",
})  # fmt: skip
_SILENT: Final = frozenset({
    "task", "backend", "tokenizer", "query_wrapper_prompt", "prompt_key", "n_jobs",
    "messages_to_prompt", "completion_to_prompt", "default_headers", "headers", "is_chat_model",
    "is_function_calling_model", "keep_alive", "f16_kv", "logit_bias",
    "ls_structured_output_format", "structured_output_format", "openai_proxy",
    "return_full_text", "pipeline", "pydantic_program_mode", "use_azure_ad", "thinking",
    "should_use_structured_outputs", "audio_config", "modalities", "output_parser",
    "model_provider", "modelProvider", "configurable_fields", "configurableFields",
    "config_prefix", "llm", "tokenizer_name", "cache_folder", "torch_dtype", "custom_llm_provider",
    "num_return_sequences", "eos_token_id", "pad_token_id", "client", "async_client", "provider",
    "disabled_params", "tokenizer_kwargs", "include_response_headers", "default_query",
})  # fmt: skip
# Silent only while they say nothing.
_IF_EMPTY: Final = frozenset({
    "default_headers", "headers", "logit_bias", "keep_alive", "query_wrapper_prompt",
    "openai_proxy", "messages_to_prompt", "completion_to_prompt", "use_azure_ad",
    "should_use_structured_outputs", "audio_config", "modalities", "thinking",
})  # fmt: skip
_TIERS: Final = (None, "", "auto", "default", "on_demand")  # those that change nothing
_OURS: Final = {
    "azureOpenAIApiVersion": "api_version", "azure_open_ai_api_version": "api_version",
    "azure_openai_api_version": "api_version", "default_request_timeout": "timeout",
    "generationTokenLimit": "max_tokens", "max_tokens_to_generate": "max_tokens",
    **{name: "base_url" for name in _ADDRESSES},
}  # fmt: skip


def construct(
    provider: str, call: Call, findings: Findings, *, line: int | None = None,
    milliseconds: bool = False,
) -> Model | None:  # fmt: skip
    """The model that a construction gives, or None with a warning that says why there is none.

    ``provider`` is a word that ``naming.place`` knows, or ``litellm``, whose names say the
    provider. The same model with the same settings a second time is the first one.
    """
    if len(findings.models) >= MOST:
        findings.warn("unresolved", f"more than {MOST} models: the rest is left")
        return None
    stated = arguments.stated_in(call)
    named = _named(provider, call, stated, findings, line)
    if named is None:
        return None
    field, name = named
    address = _address(provider, stated, findings, line)
    placed = placing.place(provider, name, address, stated)
    if placed.source is None:
        known = naming.provider_of(provider) or provider == "litellm"
        findings.warn("unsupported-source" if known else "unknown-provider", placed.why, line)
        return None
    if placed.base_url and placing.is_ollama(placed):
        findings.warn(
            "ollama-server",
            f"{placed.base_url} is Ollama's server: ollama:{name} runs the same model without it",
            line, "base_url",
        )  # fmt: skip
    model = findings.model(placed.source, line=line)
    placing.complete(model, name, stated, findings)
    if placed.base_url and any(stated.get(one) for one in _INSTANCES):
        model.options["base_url"] = placed.base_url
    fill(model, stated, findings, line=line, milliseconds=milliseconds, read=field)
    own_keys.name_key(model, provider, stated)
    return _once(model, findings)


def _named(
    provider: str, call: Call, stated: Mapping[str, Value], findings: Findings, line: int | None
) -> tuple[str, str] | None:
    """The field that names the model, and the name; None, with a warning, where there is none."""
    named = arguments.model_name(provider, stated)
    if call.rest:
        more = code_keys.shown(call.rest[0].text)[:60]
        findings.warn("unresolved", f"{call.name} is told more by {more!r}", line)
    if named is None:
        if not call.rest:
            said = f"{call.name} names no model; what its library would take is not invented"
            findings.warn("no-model", said, line)
        return None
    field, value = named
    name = fields.resolved(value, findings, field, line)
    if isinstance(name, str) and name.strip():
        return field, name.strip()
    if name is not None:
        findings.warn("wrong-type", f"{field} of {call.name} is no name of a model", line, field)
    return None


def spellings(
    provider: str, call: Call, findings: Findings, line: int | None = None
) -> list[Call]:
    """A construction, once for each name that its model may have, where branches decide that."""
    named = arguments.model_name(provider, arguments.stated_in(call))
    field, value = named or ("model", None)
    found = fields.alternatives(value, findings, field, line)
    return [_told(call, value, one) for one in found] if len(found) > 1 else [call]


def _told(call: Call, unknown: Value, known: Value) -> Call:
    """A call that is told one value for another, wherever that stands."""
    def instead(value: Value) -> Value:
        if value is unknown:
            return known
        if isinstance(value, dict):
            return {name: instead(one) for name, one in value.items()}
        if isinstance(value, Unresolved) and (inner := arguments.loaded(value)) is not None:
            return instead(inner)
        if isinstance(value, Call) and value.name in ("pipeline", "from_pretrained"):
            return _told(value, unknown, known)
        return value

    return replace(
        call, args=tuple(instead(one) for one in call.args),
        fields={name: instead(one) for name, one in call.fields.items()},
    )  # fmt: skip


def fill(
    model: Model, stated: Mapping[str, Value], findings: Findings, *, line: int | None = None,
    milliseconds: bool = False, read: str = "",
) -> None:  # fmt: skip
    """Put what a framework's arguments say into a model; ``read`` is what was read already."""
    settings = dict(stated)
    provider = model.source.partition(":")[0]
    if any(settings.get(name) for name in _TOOLS):
        findings.warn("tools", "tools, functions or a format of answers stay in the code", line)
    if provider in ("huggingface", "file"):
        _as_transformers(model, settings, findings, line)
    drop = {*arguments.NAMES, *arguments.DEPLOYMENTS, *arguments.PATHS, *_INSTANCES, *_TOOLS, read}
    drop |= {name for name in _SILENT if name not in _IF_EMPTY or not settings.get(name)}
    drop |= {"azure_deployment", "model_url", "modelUrl"}
    drop |= {name for name in ("service_tier", "serviceTier") if settings.get(name) in _TIERS}
    usual = _usual(provider)
    drop |= {name for name, one in settings.items() if isinstance(one, Env) and one.name in usual}
    times = ("timeout", "requestTimeout") if milliseconds else ()
    fields.settle(model, settings, findings, line=line, names=_OURS, drop=drop, milliseconds=times)
    if provider in ("huggingface", "file") and "base_url" in model.options:
        findings.warn(
            "unsupported-source", f"{model.name} was asked at an address of its own: it is taken"
            " from where its weights are", line,
        )  # fmt: skip
        del model.options["base_url"]
    if provider in KEYS_OF_THEIR_OWN or naming.is_local(model.source):
        model.options.pop("api_key_env", None)
        model.key = None


def keys_beside(text: str, findings: Findings) -> None:
    """Keys in clear that code sets or holds outside of what it constructs."""
    for line, name, secret in code_keys.assigned(text):
        if secret not in findings.secrets:
            findings.secrets.add(secret)
            said = name or "a text"
            findings.warn(
                "secret-in-clear", f"{said} holds a key in clear: it stays in that file", line
            )


def keys_in(data: object, findings: Findings) -> None:
    """Keys in clear in a file of data that no model took."""
    for name, secret in literals(data):
        if secret not in findings.secrets:
            findings.secrets.add(secret)
            findings.warn(
                "secret-in-clear", f"{name} holds a key in clear: it stays in that file", None, name
            )


def is_of_tools(name: str) -> bool:
    """Whether an argument says what tools a model has, or how its answer is to look."""
    return name in _TOOLS


def _address(
    provider: str, stated: Mapping[str, Value], findings: Findings, line: int | None
) -> str | None:
    """The address that is stated, or the one that the name of an Azure instance gives."""
    for name in _ADDRESSES:
        value = stated.get(name)
        if value in (None, "") or (isinstance(value, Env) and value.name in _usual(provider)):
            continue
        found = fields.resolved(value, findings, name, line)
        if isinstance(found, str):
            return found
        if found is None and provider != "azure":
            findings.warn(
                "base-url-default", "the address is only known at run time: state base_url", line,
                name,
            )  # fmt: skip
    for name in _INSTANCES:
        instance = stated.get(name)
        if isinstance(instance, Env) and instance.default is None:
            return None
        found = fields.resolved(instance, findings, name, line)
        if isinstance(found, str) and re.fullmatch(r"[\w.-]+", found):
            return f"https://{found}.openai.azure.com"
    return None


def _usual(provider: str) -> tuple[str, ...]:
    """The variable of a provider's address, which llmrr reads as its own client does."""
    known = REMOTE.get(naming.provider_of(provider) or "")
    return (known.address_env,) if known and known.address_env else ()


def _as_transformers(
    model: Model, stated: dict[str, Value], findings: Findings, line: int | None
) -> None:
    """Arguments of ``generate`` that mean something else under other names."""
    total = stated.pop("max_length", None)
    better = {"max_new_tokens", "max_tokens", "maxNewTokens", "maxTokens"} & stated.keys()
    if isinstance(total, int) and not isinstance(total, bool) and not better:
        stated["max_tokens"] = total
        findings.warn(
            "max-length-is-total", f"max_length is {total}, the prompt included", line, "max_length"
        )
    if stated.pop("do_sample", None) is False:
        stated["temperature"] = 0
        findings.warn("greedy", "do_sample is off: the temperature is 0", line, "do_sample")
    if stated.pop("trust_remote_code", None) is True:
        findings.warn("remote-code", "trust_remote_code is on; no such code is run", line)
    spread = [name for name in ("device_map", "device", "tensor_parallel_size") if name in stated]
    if any([stated.pop(name) not in (None, -1, "cpu", 1) for name in spread]):
        findings.warn("gpu-split", "devices are chosen when the model is loaded", line, spread[0])


def _once(model: Model, findings: Findings) -> Model:
    """The same model that was found before, or this one."""
    for one in findings.models[-_LOOK_BACK:]:
        if one.source != model.source or one is model:
            continue
        if one.settings == model.settings:
            findings.models.pop()  # it is the last one
            return one
    return model
