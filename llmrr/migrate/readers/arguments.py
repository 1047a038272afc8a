"""What a construction of a framework is told by name, and which of that names the model. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from llmrr.migrate.values import Call, Unresolved, Value

NAMES: Final = (
    "model", "model_name", "modelName", "model_id", "modelId", "repo_id", "repoId", "llm_name",
)  # fmt: skip
DEPLOYMENTS: Final = (
    "azure_deployment", "deployment_name", "deployment", "deployment_id", "engine",
    "azure_open_ai_api_deployment_name", "azureOpenAIApiDeploymentName", "azure_deployment_name",
)  # fmt: skip
PATHS: Final = ("model_path", "modelPath", "model_file", "path")
# Tables of further arguments: what stands in them counts as if it stood beside them.
_NESTED: Final = (
    "configuration", "model_kwargs", "modelKwargs", "pipeline_kwargs", "pipelineKwargs",
    "additional_kwargs", "additionalKwargs", "generate_kwargs", "generateKwargs", "extra_body",
    "client_options", "clientOptions", "additionalChatOptions", "additionalSessionOptions",
    "additional_session_options", "options", "additionalCreateOptions", "modelOptions",
)  # fmt: skip


def stated_in(call: Call) -> dict[str, Value]:
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


def _flat(stated: Mapping[str, Value], depth: int) -> Iterator[tuple[str, Value]]:
    inner = [one for name in _NESTED if isinstance(one := stated.get(name), dict)]
    if depth < 3:
        for table in inner:
            yield from _flat(table, depth + 1)
    for name, value in stated.items():
        if not (name in _NESTED and isinstance(value, dict)):
            yield name, value


def _model_in(stated: Mapping[str, Value]) -> bool:
    return any(stated.get(name) not in (None, "") for name in (*NAMES, *PATHS))


def model_name(provider: str, stated: Mapping[str, Value]) -> tuple[str, Value] | None:
    """The field that names the model, and what it holds."""
    order = {
        "azure": (*DEPLOYMENTS, *NAMES), "file": (*PATHS, *NAMES, "model_url", "modelUrl"),
        "vertex": (*NAMES, "tuned_model_name"),
    }.get(provider, NAMES)  # fmt: skip
    found = next((one for one in order if stated.get(one) not in (None, "")), None)
    return (found, stated[found]) if found else _of_pipeline(stated)


def _of_pipeline(stated: Mapping[str, Value]) -> tuple[str, Value] | None:
    """The model of ``pipeline=transformers.pipeline(task, model)``, by its name or its loader."""
    pipeline = stated.get("pipeline") or stated.get("model_name")
    if not isinstance(pipeline, Call) or pipeline.name != "pipeline":
        return None
    value = pipeline.fields.get("model") or (pipeline.args[1] if len(pipeline.args) > 1 else None)
    if isinstance(value, Unresolved):
        value = loaded(value) or value
    if isinstance(value, Call) and value.name == "from_pretrained" and value.args:
        value = value.args[0]
    return ("model", value) if value else None


def loaded(value: Unresolved) -> Call | None:
    """The loader of a model that is moved to a device on some machines."""
    found = [one for one in value.calls if one.name == "from_pretrained"]
    return found[0] if len(found) == 1 else None
