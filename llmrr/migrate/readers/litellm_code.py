"""LiteLLM in Python: ``completion(model=…)`` and ``Router(model_list=[…])``."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.parsing.lines import Lines
from llmrr.migrate.readers.sdk.asks import Ask, Asked
from llmrr.migrate.readers.sdk.clients import Client
from llmrr.migrate.readers.sdk.prompts import prompts
from llmrr.migrate.terms import fields
from llmrr.migrate.terms.roles import role_of
from llmrr.migrate.values import Call, Env, Prompt, Unresolved, Value

_ASKS: Final = frozenset({
    "completion", "acompletion", "text_completion", "atext_completion", "responses", "aresponses",
    "batch_completion", "completion_with_retries", "batch_completion_models",
})  # fmt: skip
_OTHERS: Final = frozenset({
    "embedding", "aembedding", "image_generation", "aimage_generation", "transcription",
    "atranscription", "speech", "aspeech", "moderation", "amoderation", "rerank", "arerank",
})  # fmt: skip
# Read apart, or of one request alone.
_REQUEST: Final = frozenset({
    "model", "fallbacks", "num_retries", "logger_fn", "mock_response", "caching", "drop_params",
    "additional_drop_params", "model_list", "context_window_fallback_dict", "messages", "cache",
})  # fmt: skip
_CLIENT: Final = frozenset({
    "api_key", "api_base", "base_url", "api_version", "organization", "custom_llm_provider",
})  # fmt: skip


def of_code(document: Document) -> Iterable[Artefact]:
    """The artefact of code that uses LiteLLM."""
    code = document.code
    if code is None or code.language != "python" or not code.imports_from("litellm"):
        return []
    findings, lines = Findings(document.path, "litellm"), Lines(document.text or "")
    groups: dict[str, list[Model]] = {}
    asked = Asked(findings)
    for call in code.calls:
        if call.name in ("Router", "LiteLLMRouter") and call.callee.startswith("litellm"):
            _router(call, findings, lines, groups)
        elif call.name in _ASKS and _is_theirs(call):
            _ask(call, asked, groups)
        elif call.name in _OTHERS and call.callee.startswith("litellm."):
            shown = call.named.get("model")
            code_of = "embedding-model" if "embedding" in call.name else "other-role"
            findings.warn(code_of, f"{call.name} uses {_shown(shown)}", call.line)
    prompts(asked)
    return [findings.artefact()] if findings.models or findings.warnings else []


def _is_theirs(call: Call) -> bool:
    """Whether a call asks LiteLLM itself, or a router of it."""
    if call.receiver is not None:
        return call.receiver.name == "Router"
    return call.callee.startswith("litellm.")


def _router(
    call: Call, findings: Findings, lines: Lines, groups: dict[str, list[Model]]
) -> None:
    from llmrr.migrate.readers.litellm import _balance, deployment
    from llmrr.migrate.readers.litellm_settings import settle_router

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


def _ask(call: Call, asked: Asked, groups: dict[str, list[Model]]) -> None:
    """A request: its model, or one of a router's."""
    stated = {key: one for key, one in call.named.items() if key not in _REQUEST}
    theirs = call.named.get("model", call.args[0] if call.args else None)
    if call.receiver is not None and isinstance(theirs, str) and theirs in groups:
        for model in groups[theirs]:
            model.call_sites.append(call.line)
        return
    if isinstance(theirs, str) and role_of(theirs) is not None:
        asked.findings.warn("other-role", f"{theirs} does not write answers", call.line)
        return
    messages = call.named.get("messages", call.args[1] if len(call.args) > 1 else None)
    messages = messages or call.named.get("prompt") or call.named.get("input")
    client = Client("litellm", {key: one for key, one in stated.items() if key in _CLIENT})
    rest = {key: one for key, one in stated.items() if key not in _CLIENT}
    first = asked.add(Ask(call, client, theirs, rest, messages, rest=call.rest))
    others = [
        asked.add(Ask(call, Client("litellm"), name, {}))
        for name in _fallbacks(call.named.get("fallbacks"))
    ]
    if first is not None:
        asked.findings.chain(first, *(one for one in others if one is not None))


def _fallbacks(value: Value) -> Iterator[str]:
    for one in value if isinstance(value, list) else ():
        name = one.get("model") if isinstance(one, dict) else one
        if isinstance(name, str):
            yield name


def _shown(value: Value) -> str:
    if isinstance(value, Unresolved | Call | Prompt):
        return repr(value.text[:80])
    return repr(value)[:80]
