"""Continue: ``config.yaml``, its agents and blocks, and the older ``config.json``."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.parsing.lines import Lines
from llmrr.migrate.parsing.shapes import table
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.terms import fields, naming
from llmrr.migrate.terms.roles import left_out, role_of
from llmrr.migrate.terms.secrets import is_secret_field, reference
from llmrr.migrate.terms.texts import template_of
from llmrr.migrate.terms.withheld import withhold
from llmrr.migrate.values import Call, Unresolved

KIND: Final = "continue"
# Where a server of one's own listens when nothing is said, as Continue has it.
_ADDRESSES: Final = {
    "lmstudio": "http://localhost:1234/v1", "llama.cpp": "http://localhost:8080",
    "llamafile": "http://localhost:8080", "vllm": "http://localhost:8000/v1",
    "text-gen-webui": "http://127.0.0.1:5000/v1", "msty": "http://localhost:10000",
    "docker": "http://localhost:12434/engines/v1", "lemonade": "http://localhost:8000/api/v1",
}  # fmt: skip
# What only files of Continue say.
_OWN: Final = frozenset({
    "contextProviders", "slashCommands", "tabAutocompleteModel", "tabAutocompleteOptions",
    "embeddingsProvider", "allowAnonymousTelemetry", "customCommands", "reranker", "modelRoles",
    "disableIndexing", "userToken", "completionOptions", "experimental",
})  # fmt: skip
_OWN_OF_MODELS: Final = frozenset({
    "title", "roles", "defaultCompletionOptions", "completionOptions", "apiBase", "contextLength",
    "systemMessage", "chatOptions", "autocompleteOptions", "requestOptions", "uses", "apiKey",
    "useLegacyCompletionsEndpoint", "embedOptions", "capabilities", "promptTemplates",
})  # fmt: skip
_WRITES: Final = frozenset({"chat", "edit", "summarize", "subagent"})
_DROP: Final = frozenset({
    "name", "title", "provider", "model", "roles", "capabilities", "uses", "with", "override",
    "apiBase", "env", "completionOptions", "defaultCompletionOptions", "chatOptions", "region",
    "requestOptions", "autocompleteOptions", "embedOptions", "promptTemplates", "template",
    "useLegacyCompletionsEndpoint", "cacheBehavior", "maxStopWords", "apiType", "deployment",
    "description", "isFromAutoDetect", "contextLength", "onPremProxyUrl",
    "profile", "underlyingProviderName", "useResponsesApi", "sourceFile", "keepAlive",
})  # fmt: skip
_TEMPLATES: Final = ("promptTemplates", "template")


def of_data(document: Document) -> Iterable[Artefact]:
    """The artefact of a configuration of Continue."""
    shape = document.shape
    return [_read(document, shape)] if is_config(shape) else []


def of_code(document: Document) -> Iterable[Artefact]:
    """The artefact of a ``config.ts``, whose ``modifyConfig`` adds models to the rest."""
    code = document.code
    if code is None or code.language != "javascript" or "modifyConfig" not in (document.text or ""):
        return []
    stated = {
        name.removeprefix("config."): one for name, one in code.names.items()
        if name.startswith("config.")
    }  # fmt: skip
    models = stated.get("models")
    added = [
        one for call in code.calls if call.callee in ("config.models.push", "config.models.unshift")
        for one in call.args
    ]  # fmt: skip
    entries = [
        {key: said for key, said in one.items() if not isinstance(said, Unresolved | Call)}
        for one in (*(models if isinstance(models, list) else ()), *added)
        if isinstance(one, dict) and "provider" in one
    ]
    return [_read(document, {**stated, "models": entries})] if entries else []


def is_config(shape: Any) -> bool:
    """Whether a parsed file is a configuration of Continue.

    >>> is_config({"name": "a", "schema": "v1", "models": []}), is_config({"models": [{}]})
    (True, False)
    """
    if not isinstance(shape, dict):
        return False
    models = shape.get("models")
    is_list = isinstance(models, list)
    if shape.get("schema") == "v1" and "name" in shape:
        return is_list or bool({"mcpServers", "rules", "prompts", "context", "docs"} & shape.keys())
    entries = [one for one in models if isinstance(one, dict)] if isinstance(models, list) else []
    named = [one for one in entries if "uses" in one or {"provider", "model"} <= one.keys()]
    if is_list and entries and len(named) == len(entries):
        has_head = {"name", "version"} <= shape.keys() and "scripts" not in shape
        return has_head or bool(
            _OWN & shape.keys() or any(_OWN_OF_MODELS & one.keys() for one in entries)
        )
    return is_list and not entries and bool(_OWN & shape.keys())


def _read(document: Document, shape: dict[Any, Any]) -> Artefact:
    findings, lines = Findings(document.path, KIND, document.text), Lines(document.text or "")
    withhold(shape, findings)
    for key, line in document.duplicates:
        findings.warn("duplicate-key", f"{key} stands twice; the last one counts", line, key)
    shared = {**table(shape.get("completionOptions")), "systemMessage": shape.get("systemMessage")}
    entries = shape.get("models")
    for entry in entries if isinstance(entries, list) else []:
        _entry(entry, shared, findings, lines)
    completing = shape.get("tabAutocompleteModel")
    for entry in completing if isinstance(completing, list) else [completing]:
        if isinstance(entry, dict):
            _entry({**entry, "roles": ["autocomplete"]}, {}, findings, lines)
    _besides(shape, findings, lines)
    _prompts(shape, findings)
    return findings.artefact()


def _entry(entry: Any, shared: Mapping[str, Any], findings: Findings, lines: Lines) -> None:
    if not isinstance(entry, dict):
        findings.warn("syntax", "an entry of models is no table", lines.first("models"))
        return
    if "uses" in entry:
        line = lines.next(entry["uses"])
        findings.warn("hub-reference", f"{entry['uses']} is a block of Continue's hub", line)
        withhold({"with": entry.get("with")}, findings, line, at="models")
        return
    theirs, provider = entry.get("model"), entry.get("provider")
    shown = str(entry.get("name") or entry.get("title") or theirs)
    line = lines.next(entry.get("name") or entry.get("title") or theirs)
    if not isinstance(theirs, str) or not theirs.strip() or not isinstance(provider, str):
        findings.warn("no-model", f"{shown} names no model, or no provider", line)
    elif theirs.strip().upper() == "AUTODETECT":
        where = f"{provider} at {entry['apiBase']}" if entry.get("apiBase") else provider
        findings.warn("autodetect", f"{shown}: the model is AUTODETECT, which asks {where}", line)
        withhold({"apiKey": entry.get("apiKey")}, findings, line, at="models")
    elif not _has_other_role(entry, shown, theirs, findings, line):
        _model(entry, shared, shown, findings, line)


def _has_other_role(
    entry: Mapping[str, Any], shown: str, theirs: str, findings: Findings, line: int | None
) -> bool:
    roles = {one for one in _texts(entry.get("roles"))}
    role = role_of(theirs) if not roles else None
    if roles and not roles & _WRITES:
        role = "embedding" if "embed" in roles else "other"
    if role is None:
        return False
    if roles & {"autocomplete", "apply"}:
        said = f"{shown} is for {' and '.join(sorted(roles))}, not for prompts: left out"
        findings.warn("other-role", said, line, "roles")
    else:
        findings.warn(*left_out(shown, role), line, "roles")
    withhold({"apiKey": entry.get("apiKey")}, findings, line, at="models")
    return True


def _model(
    entry: Mapping[str, Any], shared: Mapping[str, Any], shown: str, findings: Findings,
    line: int | None,
) -> None:  # fmt: skip
    theirs, provider = str(entry["model"]), str(entry["provider"])
    env = table(entry.get("env"))
    stated = entry.get("apiBase") or env.get("apiBase")
    address = fields.resolved(stated, findings, "apiBase", line) if stated else None
    if address is None and not stated and (usual := _ADDRESSES.get(provider.lower())):
        address = usual
        findings.warn("base-url-default", f"{shown}: {provider} listens at {usual} else", line)
    name = env.get("deployment") or entry.get("deployment") or theirs
    place = naming.place(provider, str(name), address if isinstance(address, str) else None)
    if provider.lower() == "huggingface-tgi" and isinstance(address, str):
        place = naming.place("openai", theirs, address)
    if place.source is None:
        findings.warn("unknown-provider", f"{shown}: {place.why}", line, "provider")
        withhold({"apiKey": entry.get("apiKey")}, findings, line, at="models")
        return
    model = findings.model(place.source, shown, line)
    _settings(model, entry, shared, env, place.base_url, findings, line)


def _settings(
    model: Model, entry: Mapping[str, Any], shared: Mapping[str, Any], env: Mapping[str, Any],
    base_url: str | None, findings: Findings, line: int | None,
) -> None:  # fmt: skip
    options = {**table(entry.get("completionOptions")),
               **table(entry.get("defaultCompletionOptions"))}  # fmt: skip
    chat = table(entry.get("chatOptions"))
    size = entry.get("contextLength", options.pop("contextLength", None))
    options = {**shared, **options, **{
        key: one for key, one in entry.items() if key not in _DROP
    }}  # fmt: skip
    options |= {"baseSystemMessage": chat.get("baseSystemMessage"), "base_url": base_url}
    options["contextLength"] = size
    if "apiVersion" in env:
        options["apiVersion"] = env["apiVersion"]
    _requests(model, table(entry.get("requestOptions")), findings, line)
    if any(entry.get(key) for key in _TEMPLATES):
        findings.warn("chat-template", "promptTemplates stay with Continue", line)
    if "numThreads" in options and not naming.is_local(model.source):
        options.pop("numThreads")
    fields.settle(
        model, options, findings, line=line,
        drop=("keepAlive", "stream", "reasoning", "reasoningBudgetTokens", "raw", "prediction"),
    )  # fmt: skip


def _requests(
    model: Model, options: Mapping[str, Any], findings: Findings, line: int | None
) -> None:
    """How it is asked: its time in seconds, though milliseconds are seen; headers by variables."""
    timeout = options.get("timeout")
    if isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout > 0:
        if timeout >= 10_000:
            findings.warn("wrong-type", f"a timeout of {timeout} is taken for milliseconds", line)
            timeout = timeout / 1000
        model.options["timeout"] = timeout
    for header, value in table(options.get("headers")).items():
        found = reference(str(value).removeprefix("Bearer ")) if value else None
        if header.lower() in ("content-type", "accept", "user-agent"):
            continue
        if found is not None:
            model.options.setdefault("headers_env", {})[header] = found.name
        else:
            if is_secret_field(header):
                withhold({header: value}, findings, line, at="headers")
            findings.warn("unmapped-parameter", f"the header {header} is left", line, "headers")
    for key in ("proxy", "noProxy", "verifySsl", "caBundlePath", "clientCertificate"):
        if options.get(key) not in (None, True, [], {}):
            findings.warn("proxy-setting", f"{key} has no place in llmrr.toml", line, key)
    if options.get("extraBodyProperties"):
        findings.warn("unmapped-parameter", "extraBodyProperties have no equivalent", line)


def _besides(shape: dict[Any, Any], findings: Findings, lines: Lines) -> None:
    """Models with another task, and what is about the editor."""
    for key, code in (("embeddingsProvider", "embedding-model"), ("reranker", "other-role")):
        entry = table(shape.get(key))
        if entry:
            line = lines.first(key, key=True)
            shown = entry.get("model") or entry.get("provider") or entry.get("name")
            findings.warn(code, f"{key} uses {shown}", line, key)
            withhold(entry, findings, line, at=key)
    for key in ("mcpServers", "experimental"):
        withhold({key: shape.get(key)}, findings, lines.first(key, key=True), at="settings")
    if not findings.models and not findings.warnings:
        findings.warn("no-model", "the file names no model", None, "models")


def _prompts(shape: dict[Any, Any], findings: Findings) -> None:
    """Prompts that the user calls by name."""
    for key in ("prompts", "customCommands"):
        entries = shape.get(key)
        for entry in entries if isinstance(entries, list) else []:
            prompt, name = table(entry).get("prompt"), table(entry).get("name")
            if isinstance(prompt, str) and isinstance(name, str) and prompt.strip():
                found = template_of(prompt, "mustache")
                findings.template(name, found.text, format=found.format)


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _forced(document: Document) -> Iterable[Artefact]:
    if not isinstance(document.shape, dict):
        raise DamagedFile(f"{document.path} is neither YAML nor JSON", "llmrr migrate scan --help")
    return [_read(document, document.shape)]


READER: Final = Reader((KIND,), of_data=of_data, of_code=of_code, forced=_forced)
