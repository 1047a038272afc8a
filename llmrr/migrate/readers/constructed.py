"""A model as a framework constructs it, in code or in what it wrote: a class of a provider, and
what it is told."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from llmrr.engines.remote.providers import PROVIDERS as REMOTE
from llmrr.kinds import KEYS_OF_THEIR_OWN
from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers import own_keys, placing
from llmrr.migrate.terms import code_keys, fields, naming
from llmrr.migrate.terms.withheld import literals
from llmrr.migrate.values import Call, Env, Unresolved, Value

_NAMES: Final = (
    "model", "model_name", "modelName", "model_id", "modelId", "repo_id", "repoId", "llm_name",
)  # fmt: skip
_DEPLOYMENTS: Final = (
    "azure_deployment", "deployment_name", "deployment", "deployment_id", "engine",
    "azure_open_ai_api_deployment_name", "azureOpenAIApiDeploymentName", "azure_deployment_name",
)  # fmt: skip
_PATHS: Final = ("model_path", "modelPath", "model_file", "path")
_INSTANCES: Final = ("azureOpenAIApiInstanceName", "azure_open_ai_api_instance_name")
_ADDRESSES: Final = (
    "base_url", "baseURL", "baseUrl", "openai_api_base", "basePath", "api_base", "apiBase",
    "azure_endpoint", "azureOpenAIEndpoint", "azureOpenAIBasePath", "azure_openai_base_path",
    "anthropic_api_url", "anthropicApiUrl", "endpoint", "inference_server_url", "endpoint_url",
    "endpointUrl", "openai_base_url", "ollama_base_url", "deepseek_api_base", "groq_api_base",
    "xai_api_base", "mistral_api_url", "server_url",
)  # fmt: skip
# Tables of further arguments: what stands in them counts as if it stood beside them.
_NESTED: Final = (
    "configuration", "model_kwargs", "modelKwargs", "pipeline_kwargs", "pipelineKwargs",
    "additional_kwargs", "additionalKwargs", "generate_kwargs", "generateKwargs", "extra_body",
    "client_options", "clientOptions", "additionalChatOptions", "additionalSessionOptions",
    "additional_session_options", "options", "additionalCreateOptions", "modelOptions",
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
    stated = arguments(call)
    named = _model_name(provider, stated)
    if call.rest:
        more = code_keys.shown(call.rest[0].text)[:60]
        findings.warn("unresolved", f"{call.name} is told more by {more!r}", line)
    if named is None:
        if call.rest:
            return None
        findings.warn(
            "no-model", f"{call.name} names no model; what its library would take is not invented",
            line,
        )  # fmt: skip
        return None
    field, value = named
    name = fields.resolved(value, findings, field, line)
    if name is None:
        return None
    if not isinstance(name, str) or not name.strip():
        findings.warn("wrong-type", f"{field} of {call.name} is no name of a model", line, field)
        return None
    address = _address(provider, stated, findings, line)
    placed = placing.place(provider, name.strip(), address, stated)
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
    placing.complete(model, name.strip(), stated, findings)
    if placed.base_url and any(stated.get(one) for one in _INSTANCES):
        model.options["base_url"] = placed.base_url
    fill(model, stated, findings, line=line, milliseconds=milliseconds, read=field)
    own_keys.name_key(model, provider, stated)
    return _once(model, findings)


def spellings(provider: str, call: Call) -> list[Call]:
    """A construction, once for each name that its model may have, where branches decide that."""
    named = _model_name(provider, arguments(call))
    value = named[1] if named else None
    found = fields.alternatives(value)
    return [_told(call, value, one) for one in found] if len(found) > 1 else [call]


def _told(call: Call, unknown: Value, known: Value) -> Call:
    """A call that is told one value for another, wherever that stands."""
    def instead(value: Value) -> Value:
        if value is unknown:
            return known
        if isinstance(value, dict):
            return {name: instead(one) for name, one in value.items()}
        if isinstance(value, Unresolved) and (loaded := _loaded(value)) is not None:
            return instead(loaded)
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
    drop = {*_NAMES, *_DEPLOYMENTS, *_PATHS, *_INSTANCES, *_TOOLS, read}
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


def arguments(call: Call) -> dict[str, Value]:
    """What a construction is told by name: keywords, objects, and the tables of further arguments
    in them."""
    stated: dict[str, Value] = {}
    for one in call.args:
        if isinstance(one, dict):
            stated |= one
    stated |= call.fields
    pipeline = stated.get("pipeline")
    if isinstance(pipeline, Call):  # of Transformers, which has the arguments
        kept = ("model", "tokenizer", "task", "framework", "torch_dtype")
        told = {name: one for name, one in pipeline.fields.items() if name not in kept}
        stated = told | stated
    if call.args and not isinstance(call.args[0], dict) and not _model_in(stated):
        stated["model"] = call.args[0]
    return dict(_flat(stated, 0))


def is_of_tools(name: str) -> bool:
    """Whether an argument says what tools a model has, or how its answer is to look."""
    return name in _TOOLS


def _flat(stated: Mapping[str, Value], depth: int) -> Iterator[tuple[str, Value]]:
    inner = [one for name in _NESTED if isinstance(one := stated.get(name), dict)]
    if depth < 3:
        for table in inner:
            yield from _flat(table, depth + 1)
    for name, value in stated.items():
        if not (name in _NESTED and isinstance(value, dict)):
            yield name, value


def _model_in(stated: Mapping[str, Value]) -> bool:
    return any(stated.get(name) not in (None, "") for name in (*_NAMES, *_PATHS))


def _model_name(provider: str, stated: Mapping[str, Value]) -> tuple[str, Value] | None:
    """The field that names the model, and what it holds."""
    order = {
        "azure": (*_DEPLOYMENTS, *_NAMES), "file": (*_PATHS, *_NAMES, "model_url", "modelUrl"),
        "vertex": (*_NAMES, "tuned_model_name"),
    }.get(provider, _NAMES)  # fmt: skip
    found = next((one for one in order if stated.get(one) not in (None, "")), None)
    return (found, stated[found]) if found else _of_pipeline(stated)


def _of_pipeline(stated: Mapping[str, Value]) -> tuple[str, Value] | None:
    """The model of ``pipeline=transformers.pipeline(task, model)``, by its name or its loader."""
    pipeline = stated.get("pipeline") or stated.get("model_name")
    if not isinstance(pipeline, Call) or pipeline.name != "pipeline":
        return None
    value = pipeline.fields.get("model") or (pipeline.args[1] if len(pipeline.args) > 1 else None)
    if isinstance(value, Unresolved):
        value = _loaded(value) or value
    if isinstance(value, Call) and value.name == "from_pretrained" and value.args:
        value = value.args[0]
    return ("model", value) if value else None


def _loaded(value: Unresolved) -> Call | None:
    """The loader of a model that is moved to a device on some machines."""
    found = [one for one in value.calls if one.name == "from_pretrained"]
    return found[0] if len(found) == 1 else None


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
        if _settings(one) == _settings(model):
            findings.models.pop()  # it is the last one
            return one
    return model


def _settings(model: Model) -> tuple[Any, ...]:
    return (model.source, model.params, model.options, model.key)
