"""LiteLLM: the configuration of its proxy or its router, in YAML or JSON."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings, Model, unique
from llmrr.migrate.documents import LARGEST, Document
from llmrr.migrate.parsing.lines import Lines
from llmrr.migrate.readers import litellm_code
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.litellm_settings import settle_router
from llmrr.migrate.terms import fields, litellm_names
from llmrr.migrate.terms.conversion import converted
from llmrr.migrate.terms.naming import name_beside
from llmrr.migrate.terms.roles import left_out, role_of
from llmrr.migrate.terms.secrets import is_secret_field
from llmrr.migrate.terms.withheld import withhold

KIND: Final = "litellm"
_SECTIONS: Final = frozenset({
    "litellm_settings", "router_settings", "general_settings", "environment_variables",
})  # fmt: skip
# Read here, or of no use to another tool.
_READ: Final = frozenset({
    "model", "custom_llm_provider", "weight", "order", "rpm", "tpm", "api_base", "base_url",
    "input_cost_per_token", "output_cost_per_token", "model_info", "id", "base_model",
    "mock_response",
    "drop_params", "use_in_pass_through", "merge_reasoning_content_in_choices", "use_litellm_proxy",
    "cache_creation_input_token_cost", "cache_read_input_token_cost", "additional_drop_params",
    "allowed_openai_params", "litellm_credential_name", "tags", "max_parallel_requests",
    "input_cost_per_second", "output_cost_per_second",
})  # fmt: skip
_LEAST: Final = 0.0001  # a weight
_APART: Final = (
    ("aws_", "bedrock finds its own keys and region"), ("vertex_", "set for Vertex apart"),
    ("azure_ad", "a token of Azure is not used"), ("tenant_id", "a token of Azure is not used"),
    ("client_", "a token of Azure is not used"), ("s3_", "not used"), ("watsonx_", "not used"),
)  # fmt: skip


def of_data(document: Document) -> Iterable[Artefact]:
    """The artefact of a configuration of LiteLLM."""
    shape = document.shape
    return [_read(document, shape)] if is_config(shape) else []


def is_config(shape: Any) -> bool:
    """Whether a parsed file is a configuration of LiteLLM.

    >>> is_config({"model_list": [{"model_name": "a", "litellm_params": {}}]}), is_config([])
    (True, False)
    """
    if isinstance(shape, list):
        return bool(shape) and all(
            isinstance(one, dict) and "litellm_params" in one for one in shape
        )
    if not isinstance(shape, dict):
        return False
    entries = shape.get("model_list")
    if isinstance(entries, list) and entries:
        return any(
            isinstance(one, dict) and ("litellm_params" in one or "model_name" in one)
            for one in entries
        )
    known = len(_SECTIONS & shape.keys())
    return "litellm_settings" in shape or known > 1 or (known > 0 and "model_list" in shape)


def _read(document: Document, shape: Any) -> Artefact:
    findings = Findings(document.path, KIND, document.text)
    whole: dict[str, Any] = shape if isinstance(shape, dict) else {"model_list": shape}
    withhold(whole, findings)
    for key, line in document.duplicates:
        findings.warn("duplicate-key", f"{key} stands twice; the last one counts", line, key)
    lines = Lines(document.text or "")
    groups: dict[str, list[Model]] = {}
    _models(whole.get("model_list"), findings, lines, groups)
    for other in _included(document, whole.get("include"), findings, lines):
        withhold(other.shape, findings)
        _models(other.shape.get("model_list"), findings, Lines(""), groups)
    _balance(groups)
    _limits(whole.get("model_list"), findings, lines)
    settle_router(whole, groups, findings, lines)
    if not findings.models and not findings.warnings:
        findings.warn("no-model", "the file names no model")
    return findings.artefact()


def _models(
    entries: Any, findings: Findings, lines: Lines, groups: dict[str, list[Model]]
) -> None:
    if entries is not None and not isinstance(entries, list):
        findings.warn("syntax", "model_list is no list", lines.first("model_list"), "model_list")
        return
    for entry in entries or []:
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        if not isinstance(params, dict):
            findings.warn("syntax", "an entry of model_list has no litellm_params", None)
            continue
        name = entry.get("model_name")
        shown = str(name if name is not None else params.get("model"))
        line = lines.next("model_name", key=True) if name is not None else lines.next(shown)
        info = entry.get("model_info") if isinstance(entry.get("model_info"), dict) else {}
        model = deployment(params, info, findings, shown, line)
        if model is not None:
            groups.setdefault(shown, []).append(model)


def deployment(
    params: dict[str, Any], info: Any, findings: Findings, name: str, line: int | None
) -> Model | None:
    """A model of what LiteLLM calls a deployment; None, with a warning, for what is none."""
    theirs = params.get("model")
    if not isinstance(theirs, str) or not theirs.strip():
        findings.warn("no-model", f"{name} names no model", line)
        return None
    if "*" in theirs or "*" in name:
        findings.warn("wildcard", f"{name} stands for whatever {theirs} matches", line)
        return None
    if (role := role_of(theirs, info.get("mode") or params.get("mode"))) is not None:
        findings.warn(*left_out(f"{name} ({theirs})", role), line)
        return None
    stated = params.get("api_base") or params.get("base_url")
    address = fields.resolved(stated, findings, "api_base", line) if stated else None
    known = address if isinstance(address, str) else litellm_names.UNSTATED if stated else None
    provider = params.get("custom_llm_provider")
    found = litellm_names.placed(theirs, provider if isinstance(provider, str) else None, known)
    if found.source is None:
        is_server = "no address" in found.why
        findings.warn(
            "unsupported-source" if is_server else "unknown-provider", f"{name}: {found.why}", line
        )
        return None
    model = findings.model(found.source, name, line)
    rest = {key: one for key, one in params.items() if not _is_apart(key, one, findings, line)}
    if found.base_url != litellm_names.UNSTATED:
        rest["api_base"] = found.base_url
    fields.settle(model, rest, findings, line=line, drop=_READ - {"api_base"})
    _figures(model, params, info)
    return model


def _is_apart(key: str, value: Any, findings: Findings, line: int | None) -> bool:
    """Whether a parameter is read elsewhere, or about signing in otherwise than with a key."""
    why = next((why for prefix, why in _APART if key.startswith(prefix)), None)
    if why is None:
        return key in _READ
    if is_secret_field(key):
        withhold({key: value}, findings, line, at="litellm_params")
    findings.warn("unmapped-parameter", f"{key}: {why}", line, key)
    return True


def _figures(model: Model, params: dict[str, Any], info: Any) -> None:
    """Its weight, its place and what it costs."""
    said = {**(info if isinstance(info, dict) else {}), **params}
    cost = {
        ours: round(price * 1_000_000, 6)
        for ours in ("input", "output")
        if (price := _figure(said.get(f"{ours}_cost_per_token"))) is not None
    }
    model.cost = cost or None
    order = _figure(params.get("order"))
    model.priority = int(order) if order is not None and order >= 0 else None
    model.weight = next(
        (one for key in ("weight", "rpm", "tpm") if (one := _figure(params.get(key)))), None
    )


def _figure(value: Any) -> float | None:
    try:
        found = converted("temperature", value)
    except ValueError:
        return None
    return float(found) if found is not None else None


def _balance(groups: dict[str, list[Model]]) -> None:
    """Models of one name are a group, and none of them is called as it is; a limit of requests
    weighs only within one."""
    taken = {one.name for models in groups.values() for one in models}
    for name, models in groups.items():
        if len(models) == 1:
            models[0].weight = None
            continue
        total = sum(one.weight or 0 for one in models)
        for model in models:
            model.group = name_beside(name)
            if model.name == name:
                model.name = unique(f"{name}-1", taken)
            if total > 0:  # one without a weight is not drawn
                model.weight = round((model.weight or 0) / total, 4) or _LEAST


def _limits(entries: Any, findings: Findings, lines: Lines) -> None:
    """What limits the requests of a minute is told once."""
    for entry in entries if isinstance(entries, list) else []:
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        limit = next((one for one in ("rpm", "tpm") if isinstance(params, dict) and (
            params.get(one) is not None)), None)  # fmt: skip
        if limit is not None:
            said = f"{limit} limits nothing here; in a group it is the share (weight) of a model"
            findings.warn("not-applied", said, lines.first(limit, key=True), limit)
            return


def _included(
    document: Document, names: Any, findings: Findings, lines: Lines
) -> Iterable[Document]:
    """The files of models that it includes, from its own folder alone."""
    for name in names if isinstance(names, list) else [names] if names else []:
        line = lines.first("include", key=True)
        found = _beside(document.real, name) if isinstance(name, str) else None
        if found is None or not isinstance(found.shape, dict):
            findings.warn(
                "hub-reference", f"{name} is included, and not read: scan it by itself", line
            )
            continue
        yield found


def _beside(path: Path, name: str) -> Document | None:
    """A file in the folder of another, or below; None where it lies elsewhere or cannot be read."""
    try:
        folder = path.parent.resolve()
        there = (folder / name).resolve()
        if there == path.resolve() or not there.is_relative_to(folder) or not there.is_file():
            return None
        if there.stat().st_size > LARGEST:
            return None
        return Document(Path(name), there.read_bytes(), there)
    except (OSError, ValueError, RuntimeError):
        return None


def _forced(document: Document) -> Iterable[Artefact]:
    if document.code is not None:
        return litellm_code.of_code(document)
    if not isinstance(document.shape, dict | list):
        raise DamagedFile(f"{document.path} is neither YAML nor JSON", "llmrr migrate scan --help")
    return [_read(document, document.shape)]


READER: Final = Reader((KIND,), of_data=of_data, of_code=litellm_code.of_code, forced=_forced)
