"""aichat: ``config.yaml`` with its clients, and roles as Markdown files."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.parsing.lines import Lines
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.terms import fields, naming
from llmrr.migrate.terms.roles import left_out, role_of
from llmrr.migrate.terms.texts import literal, of_word
from llmrr.migrate.terms.withheld import withhold

KIND: Final = "aichat"
_OWN: Final = frozenset({
    "keybindings", "save_session", "compress_threshold", "rag_embedding_model", "rag_top_k",
    "rag_chunk_size", "repl_prelude", "cmd_prelude", "agent_prelude", "function_calling", "wrap",
    "wrap_code", "use_tools", "mapping_tools", "agent_session", "document_loaders", "dry_run",
    "auto_copy", "rag_document_loaders", "highlight", "light_theme", "left_prompt", "prelude",
    "summarize_prompt", "summary_prompt", "rag_reranker_model", "sync_models_url", "save",
})  # fmt: skip
_MODEL_DROP: Final = frozenset({
    "name", "real_name", "type", "max_input_tokens", "supports_vision", "supports_function_calling",
    "supports_reasoning", "require_max_tokens", "input_price", "output_price", "no_stream",
    "no_system_message", "default_chunk_size", "max_batch_size", "max_tokens_per_chunk", "mode",
    "system_prompt_prefix",
})  # fmt: skip
_ROLE_KEYS: Final = frozenset({"model", "temperature", "top_p", "use_tools", "name", "description"})
_KEYLESS: Final = frozenset({"vertex", "bedrock", "ollama"})  # known by other means than a key
_ROLES: Final = 500  # files of roles
_LARGEST: Final = 200_000  # bytes of one
_FRONT: Final = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_TURN: Final = re.compile(r"(?m)^### (INPUT|OUTPUT):[ \t]*\n")


def of_data(document: Document) -> Iterable[Artefact]:
    """The artefact of a configuration of aichat, or of one of its roles."""
    if document.suffix == ".md":
        found = _role(document)
        return [found] if found is not None else []
    shape = document.shape
    if _is_roles(shape):
        return [_roles(document, shape)]
    return [_read(document, shape)] if is_config(shape) else []


def _is_roles(shape: Any) -> bool:
    """Whether a file lists roles, as ``roles.yaml`` of older versions."""
    if not isinstance(shape, list) or not shape:
        return False
    keys = _ROLE_KEYS | {"prompt"}
    return all(
        isinstance(one, dict) and isinstance(one.get("name"), str)
        and isinstance(one.get("prompt"), str) and one.keys() <= keys
        for one in shape
    ) and any("__INPUT__" in one["prompt"] or ":" in str(one.get("model")) for one in shape)


def _roles(document: Document, shape: list[Any]) -> Artefact:
    findings, known = Findings(document.path, KIND), dict[str, Model]()
    for role in shape[:_ROLES]:
        _role_of(str(role["name"]), role, role["prompt"].strip(), known, findings)
    return findings.artefact()


def is_config(shape: Any) -> bool:
    """Whether a parsed file is a configuration of aichat.

    >>> is_config({"clients": [{"type": "openai"}]}), is_config({"model": "a:b", "use_tools": None})
    (True, True)
    >>> is_config({"model": "a:b"}), is_config({"clients": [{"name": "x"}]})
    (False, False)
    """
    if not isinstance(shape, dict):
        return False
    clients = shape.get("clients")
    if isinstance(clients, list) and clients:
        return all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in clients)
    return isinstance(shape.get("model"), str) and bool(_OWN & shape.keys())


def _read(document: Document, shape: dict[Any, Any]) -> Artefact:
    findings, lines = Findings(document.path, KIND, document.text), Lines(document.text or "")
    withhold(shape, findings)
    known: dict[str, Model] = {}
    clients: dict[str, Mapping[str, Any]] = {}
    lines.next("clients", key=True)
    entries = shape.get("clients")
    for client in entries if isinstance(entries, list) else []:
        if isinstance(client, dict):
            _client(client, shape, clients, known, findings, lines)
    _default(shape, clients, known, findings, Lines(document.text or ""))
    for key in ("rag_embedding_model", "rag_reranker_model"):
        if isinstance(shape.get(key), str):
            code = "embedding-model" if "embedding" in key else "other-role"
            findings.warn(code, f"{key} is {shape[key]}", lines.first(key, key=True), key)
    for key in ("serve_addr", "user_agent"):
        if shape.get(key) not in (None, "", "auto"):
            findings.warn("proxy-setting", f"{key} has no place here", lines.first(key), key)
    if not findings.models and not findings.warnings:
        findings.warn("no-model", "the file names no model")
    _roles_beside(document.real.parent / "roles", known, findings)
    used = {one.partition(":")[0] for one in (*known, str(shape.get("model")))}
    lines = Lines(document.text or "")
    lines.next("clients", key=True)
    for name, client in clients.items():
        line = lines.next(client.get("name") or client.get("type"))
        if name not in used:
            said = f"{name} names no model: those that aichat knows of it are not taken over"
            findings.warn("no-model", said, line, "models")
            withhold({"api_key": client.get("api_key")}, findings, line, at=f"clients.{name}")
    return findings.artefact()


def _roles_beside(folder: Path, known: dict[str, Model], findings: Findings) -> None:
    """The roles in the folder beside, as their files are too many to be scanned otherwise."""
    try:
        home = folder.parent.resolve()
        paths = sorted(folder.glob("*.md"))[:_ROLES] if folder.resolve().parent == home else []
        for path in paths:
            there = path.resolve()
            if there.is_relative_to(home) and there.stat().st_size <= _LARGEST:
                text = there.read_bytes().decode(errors="replace").replace("\r\n", "\n")
                _role_of_text(path.stem, text, known, findings)
    except (OSError, RuntimeError):
        findings.warn("syntax", "the roles beside cannot all be read")


def _client(
    client: Mapping[str, Any], shape: Mapping[str, Any], clients: dict[str, Mapping[str, Any]],
    known: dict[str, Model], findings: Findings, lines: Lines,
) -> None:  # fmt: skip
    kind = str(client.get("type"))
    name = str(client.get("name") or kind)
    line = lines.next(client.get("name") or kind)
    clients[name] = client
    entries = client.get("models")
    if client.get("patch"):
        findings.warn("unmapped-parameter", f"the patch of {name} has no equivalent", line, "patch")
    if isinstance(client.get("extra"), dict) and client["extra"].get("proxy"):
        findings.warn("proxy-setting", f"the proxy of {name} has no place here", line, "extra")
    for entry in entries if isinstance(entries, list) else []:
        theirs = entry.get("name") if isinstance(entry, dict) else entry
        if not isinstance(theirs, str):
            continue
        stated = entry if isinstance(entry, dict) else {}
        place = lines.next(theirs)
        kind_of = stated.get("type")
        if (role := role_of(theirs, kind_of)) is not None:
            findings.warn(*left_out(f"{name}:{theirs}", role), place)
            continue
        model = _model(name, client, theirs, stated, shape, findings, place)
        if model is not None:
            known[f"{name}:{theirs}"] = model


def _model(
    name: str, client: Mapping[str, Any], theirs: str, stated: Mapping[str, Any],
    shape: Mapping[str, Any], findings: Findings, line: int | None,
) -> Model | None:  # fmt: skip
    """A model of a client; a client that speaks OpenAI's protocol and states no address is one of
    the platforms that aichat knows by name."""
    kind = str(client.get("type"))
    said = client.get("api_base")
    address = fields.resolved(said, findings, "api_base", line) if said else None
    is_compatible = kind in ("openai-compatible", "openai_compatible", "localai")
    provider = name if is_compatible and not said else kind
    real = stated.get("real_name")
    place = naming.place(
        provider, real if isinstance(real, str) and real else theirs,
        address if isinstance(address, str) else None,
    )  # fmt: skip
    if place.source is None:
        findings.warn("unknown-provider", f"{name}:{theirs}: {place.why}", line)
        return None
    model = findings.model(place.source, theirs, line)
    params: dict[str, Any] = {"temperature": shape.get("temperature"), "top_p": shape.get("top_p")}
    params |= {key: one for key, one in stated.items() if key not in _MODEL_DROP}
    params |= {key: client.get(key) for key in ("api_key", "organization_id", "api_version")}
    if naming.is_local(place.source) or (address and naming.is_loopback(str(address))):
        params["context_size"] = stated.get("max_input_tokens")
    fields.settle(model, {**params, "base_url": place.base_url}, findings, line=line)
    _keyed(model, name, client, findings, line)
    cost = {
        ours: float(price) for ours in ("input", "output")
        if isinstance(price := stated.get(f"{ours}_price"), int | float) and price > 0
    }  # fmt: skip
    model.cost = cost or None
    return model


def _keyed(
    model: Model, name: str, client: Mapping[str, Any], findings: Findings, line: int | None
) -> None:
    """The variable from which aichat takes the key of a client that states none."""
    provider = model.source.partition(":")[0]
    address = str(model.options.get("base_url", ""))
    if client.get("api_key") or naming.is_local(model.source) or naming.is_loopback(address):
        return
    if provider in _KEYLESS or not re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII):
        return
    variable = f"{name.replace('-', '_').upper()}_API_KEY"
    if address or variable != naming.key_variable(provider):
        model.options["api_key_env"] = variable
    if variable != naming.key_variable(provider):
        findings.warn("key-guess", f"{name} states no key: aichat takes {variable}", line)


def _default(
    shape: Mapping[str, Any], clients: Mapping[str, Mapping[str, Any]], known: Mapping[str, Model],
    findings: Findings, lines: Lines,
) -> None:  # fmt: skip
    """The model that is asked when none is named: it comes first."""
    wanted = shape.get("model")
    if not isinstance(wanted, str) or not wanted.strip():
        return
    name, colon, theirs = wanted.partition(":")
    line = lines.first("model", key=True)
    model = known.get(wanted)
    if model is None and not colon:
        of_client = [key for key in known if key.partition(":")[0] == name]
        model = known[of_client[0]] if of_client else None
        if model is None:
            findings.warn("no-model", f"model is {wanted}, a client without a model", line, "model")
            return
    if model is None:
        client = clients.get(name) or {"type": name}
        model = _model(name, client, theirs, {}, shape, findings, line)
    if model is not None and len(findings.models) > 1:
        model.priority = 1


def _role(document: Document) -> Artefact | None:
    """A role by itself: a prompt with its model before it."""
    text = (document.text or "").replace("\r\n", "\n")
    head = _head(text)
    if not {"model", "temperature", "use_tools"} & head.keys() or head.keys() - _ROLE_KEYS:
        return None
    if document.path.parent.name != "roles" and "__INPUT__" not in text:
        return None
    findings = Findings(document.path, KIND)
    _role_of_text(document.path.stem, text, {}, findings)
    return findings.artefact()


def _head(text: str) -> dict[str, Any]:
    """What stands before the prompt of a role."""
    from llmrr.migrate.parsing import parsed

    match = _FRONT.match(text[:_LARGEST])
    try:
        head = parsed(match[1], ".yaml") if match else None
    except DamagedFile:
        return {}
    return {str(key): one for key, one in head.items()} if isinstance(head, dict) else {}


def _role_of_text(name: str, text: str, known: dict[str, Model], findings: Findings) -> None:
    match = _FRONT.match(text)
    _role_of(
        name, _head(text), (text[match.end() :] if match else text).strip(), known, findings
    )


def _role_of(
    name: str, head: Mapping[str, Any], body: str, known: dict[str, Model], findings: Findings
) -> None:
    """A role: its prompt, with the model that it is for."""
    model, is_own = None, False
    if isinstance(wanted := head.get("model"), str):
        model = known.get(wanted)
        is_own = model is None
        client, _, theirs = wanted.partition(":")
        place = naming.place(client, theirs) if theirs else naming.Place(None, None, "no provider")
        if model is None and place.source is None:
            findings.warn("unknown-provider", f"{name}: {wanted}: {place.why}", None, "model")
        elif model is None:
            model = known[wanted] = findings.model(str(place.source))
    stated = {key: head.get(key) for key in ("temperature", "top_p") if head.get(key) is not None}
    if model is not None and is_own:
        fields.settle(model, stated, findings)
    elif stated:
        findings.warn("not-applied", f"{name} sets {', '.join(stated)} for its prompt alone")
    if head.get("use_tools"):
        findings.warn("tools", f"use_tools of {name} stays with aichat", None, "use_tools")
    if body:
        _template(name, body, model, findings)


def _template(name: str, body: str, model: Model | None, findings: Findings) -> None:
    """With a place for the input it is a prompt; without one, the system's, which may hold turns
    as an example."""
    if "__INPUT__" in body:
        findings.template(name, of_word(body, "__INPUT__", "input"), model=model)
        return
    parts = _TURN.split(body)
    turns = [("system", literal(parts[0].strip()))] if parts[0].strip() else []
    for kind, said in zip(parts[1::2], parts[2::2], strict=False):
        turns.append(("user" if kind == "INPUT" else "assistant", literal(said.strip())))
    findings.template(name, messages=[*turns, ("user", "{input}")], model=model)


def _forced(document: Document) -> Iterable[Artefact]:
    if document.suffix == ".md" and (found := _role(document)) is not None:
        return [found]
    if not isinstance(document.shape, dict):
        raise DamagedFile(f"{document.path} is no YAML table", "llmrr migrate scan --help")
    return [_read(document, document.shape)]


READER: Final = Reader((KIND,), of_data=of_data, forced=_forced)
