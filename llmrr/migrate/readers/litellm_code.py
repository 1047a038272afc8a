"""LiteLLM in Python: ``completion(model=…)`` and ``Router(model_list=[…])``."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from llmrr.migrate import fields, litellm_names
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.lines import Lines
from llmrr.migrate.roles import role_of
from llmrr.migrate.values import Call, Env, Prompt, Unresolved, Value

_ASKS: Final = frozenset({
    "completion", "acompletion", "text_completion", "atext_completion", "responses", "aresponses",
    "batch_completion", "completion_with_retries", "batch_completion_models",
})  # fmt: skip
_OTHERS: Final = frozenset({
    "embedding", "aembedding", "image_generation", "aimage_generation", "transcription",
    "atranscription", "speech", "aspeech", "moderation", "amoderation", "rerank", "arerank",
})  # fmt: skip
# Of one request, not of the model.
_REQUEST: Final = frozenset({
    "model", "messages", "prompt", "input", "stream", "user", "metadata", "custom_llm_provider",
    "fallbacks", "api_base", "base_url", "stream_options", "num_retries", "logger_fn",
    "mock_response",
    "caching", "drop_params", "additional_drop_params", "deployment_id", "model_list",
})  # fmt: skip
_TOOLS: Final = ("tools", "tool_choice", "functions", "function_call", "response_format")


def of_code(document: Document) -> Iterable[Artefact]:
    """The artefact of code that uses LiteLLM."""
    code = document.code
    if code is None or code.language != "python" or not code.imports_from("litellm"):
        return []
    findings, lines = Findings(document.path, "litellm"), Lines(document.text or "")
    groups: dict[str, list[Model]] = {}
    for call in code.calls:
        if call.name in ("Router", "LiteLLMRouter") and call.callee.startswith("litellm"):
            _router(call, findings, lines, groups)
        elif call.name in _ASKS and _is_theirs(call):
            _ask(call, findings, groups)
        elif call.name in _OTHERS and call.callee.startswith("litellm."):
            shown = call.named.get("model")
            code_of = "embedding-model" if "embedding" in call.name else "other-role"
            findings.warn(code_of, f"{call.name} uses {_shown(shown)}", call.line)
    return [findings.artefact()] if findings.models or findings.warnings else []


def _is_theirs(call: Call) -> bool:
    """Whether a call asks LiteLLM itself, or a router of it."""
    if call.receiver is not None:
        return call.receiver.name == "Router"
    return call.callee.startswith("litellm.")


def _router(
    call: Call, findings: Findings, lines: Lines, groups: dict[str, list[Model]]
) -> None:
    from llmrr.migrate.litellm_settings import settle_router
    from llmrr.migrate.readers.litellm import _balance, deployment

    own: dict[str, list[Model]] = {}
    entries = call.named.get("model_list") or (call.args[0] if call.args else None)
    if not isinstance(entries, list):
        if entries is not None:
            findings.warn("unresolved", f"model_list is {_shown(entries)}", call.line, "model_list")
        return
    for entry in entries:
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(params, dict):
            findings.warn("unresolved", f"a model is {_shown(entry)}", call.line, "model_list")
            continue
        name = entry.get("model_name")
        model_of = params.get("model")
        theirs = fields.resolved(model_of, findings, "model", call.line)
        if theirs is None:
            continue
        shown = name if isinstance(name, str) else str(theirs)
        info = entry.get("model_info")
        model = deployment(
            {**params, "model": theirs}, info if isinstance(info, dict) else {}, findings, shown,
            call.line,
        )  # fmt: skip
        if model is not None:
            own.setdefault(shown, []).append(model)
    _balance(own)
    rest = {key: one for key, one in call.fields.items() if key != "model_list"}
    settle_router({"router_settings": _known(rest, findings, call)}, own, findings, lines)
    for name, models in own.items():
        groups.setdefault(name, models)


def _known(stated: dict[str, Value], findings: Findings, call: Call) -> dict[str, Any]:
    """What is known of the settings of a router."""
    found: dict[str, Any] = {}
    for key, value in stated.items():
        if isinstance(value, Env | Unresolved | Call | Prompt):
            known = fields.resolved(value, findings, key, call.line)
            if known is not None:
                found[key] = known
        else:
            found[key] = value
    return found


def _ask(call: Call, findings: Findings, groups: dict[str, list[Model]]) -> None:
    """A request: its model, or one of a router's."""
    stated = call.named
    theirs = stated.get("model", call.args[0] if call.args else None)
    if theirs is None:
        findings.warn("no-model", f"{call.name} names no model", call.line)
        return
    name = fields.resolved(theirs, findings, "model", call.line)
    if not isinstance(name, str) or not name:
        return
    if call.receiver is not None and name in groups:
        for model in groups[name]:
            model.call_sites.append(call.line)
        return
    model_found = _model(name, stated, findings, call)
    if model_found is None:
        return
    chain = [model_found]
    for name in _fallbacks(stated.get("fallbacks")):
        other = _model(name, {}, findings, call)
        if other is not None:
            chain.append(other)
    findings.chain(*chain)


def _model(
    name: str, stated: dict[str, Value], findings: Findings, call: Call
) -> Model | None:
    if role_of(name) is not None:
        findings.warn("other-role", f"{name} does not write answers", call.line)
        return None
    said = stated.get("api_base") or stated.get("base_url")
    address = fields.resolved(said, findings, "api_base", call.line) if said else None
    known = address if isinstance(address, str) else litellm_names.UNSTATED if said else None
    provider = stated.get("custom_llm_provider")
    found = litellm_names.placed(name, provider if isinstance(provider, str) else None, known)
    if found.source is None:
        findings.warn("unknown-provider", found.why, call.line, "model")
        return None
    model = Model("", found.source)
    trial = Findings(findings.path, findings.kind)
    rest = {key: one for key, one in stated.items() if key not in (*_REQUEST, *_TOOLS)}
    if isinstance(address, str):
        rest["api_base"] = found.base_url
    model.name = name
    fields.settle(model, rest, trial, line=call.line)
    return _same_or_new(model, trial, stated, findings, call)


def _same_or_new(
    model: Model, trial: Findings, stated: dict[str, Value], findings: Findings, call: Call
) -> Model:
    """One model for all calls that say the same of it."""
    findings.secrets |= trial.secrets
    for notice in trial.warnings:
        if notice not in findings.warnings:
            findings.warnings.append(notice)
    for one in findings.models:
        if (one.source, one.params, one.options) == (model.source, model.params, model.options):
            one.call_sites.append(call.line)
            return one
    for key in _TOOLS:
        if stated.get(key):
            findings.warn("tools", f"{key} stays in the code", call.line, key)
    added = findings.model(model.source, line=call.line)
    added.params, added.options, added.key = model.params, model.options, model.key
    added.call_sites.append(call.line)
    _prompt(added, stated.get("messages"), findings)
    return added


def _prompt(model: Model, messages: Value, findings: Findings) -> None:
    """The messages of a call, where they are all known or have plain holes: a template. A system
    prompt alone belongs to the model."""
    if not isinstance(messages, list):
        return
    turns: list[tuple[str, str]] = []
    holes = False
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if role == "system" and isinstance(content, str):
            model.params.setdefault("system", content)
        if isinstance(role, str) and isinstance(content, Prompt):
            turns.append((role, content.text))
            holes = True
        elif isinstance(role, str) and isinstance(content, str):
            turns.append((role, content.replace("{", "{{").replace("}", "}}")))
        else:
            return
    if holes:
        model.params.pop("system", None)
        findings.template(f"{model.name}-prompt", messages=turns, model=model)


def _fallbacks(value: Value) -> Iterator[str]:
    for one in value if isinstance(value, list) else ():
        name = one.get("model") if isinstance(one, dict) else one
        if isinstance(name, str):
            yield name


def _shown(value: Value) -> str:
    if isinstance(value, Unresolved | Call | Prompt):
        return repr(value.text[:80])
    return repr(value)[:80]
