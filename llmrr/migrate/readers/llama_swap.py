"""llama-swap: a YAML file of models, each with the command that serves it."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.launching import mounts
from llmrr.migrate.launching.commands import launch, words_of
from llmrr.migrate.launching.launches import served
from llmrr.migrate.launching.macros import expanded
from llmrr.migrate.parsing.lines import Lines
from llmrr.migrate.parsing.shapes import table
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.terms import fields
from llmrr.migrate.terms.roles import left_out, role_of
from llmrr.migrate.terms.secrets import is_secret_field
from llmrr.migrate.terms.withheld import withhold

KIND: Final = "llama-swap"
# Of the proxy, or said again by the models themselves.
_NOISE: Final = frozenset({
    "models", "macros", "peers", "apiKeys", "hooks", "groups", "routing", "selectors", "profiles",
    "matrix", "globalTTL", "healthCheckTimeout", "logLevel", "logRequests", "logTimeFormat",
    "logToStdout", "startPort", "metricsMaxInMemory", "captureBuffer", "includeAliasesInList",
    "sendLoadingState", "unloadTimeout", "ui", "performance", "store", "upstream", "version",
    "$schema", "definitions",
})  # fmt: skip
_MODEL_NOISE: Final = frozenset({
    "cmd", "cmdStop", "cmd_stop", "proxy", "env", "aliases", "checkEndpoint", "ttl", "unlisted",
    "useModelName", "name", "description", "filters", "macros", "metadata", "capabilities",
    "sendLoadingState", "unloadTimeout", "timeouts", "healthCheckTimeout",
})  # fmt: skip


def of_data(document: Document) -> Iterable[Artefact]:
    """The artefact of a file that is one of llama-swap's."""
    shape = document.shape
    if is_template(document):
        why = "a template in Jinja's language, not YAML: render it, and scan the result"
        return [Findings(document.path, KIND).artefact(why)]
    return [_read(document, shape)] if is_swap(shape) else []


def is_swap(shape: Any) -> bool:
    """Whether parsed YAML has the shape of a configuration.

    >>> is_swap({"models": {"a": {"cmd": "llama-server -m a.gguf"}}}), is_swap({"models": []})
    (True, False)
    """
    if not isinstance(shape, dict):
        return False
    models, peers = shape.get("models"), shape.get("peers")
    if isinstance(models, dict) and models:
        entries = [one for one in models.values() if isinstance(one, dict)]
        return len(entries) == len(models) and any(
            isinstance(one.get("cmd"), str) or isinstance(one.get("proxy"), str) for one in entries
        )
    return isinstance(peers, dict) and any(
        isinstance(one, dict) and "proxy" in one and isinstance(one.get("models"), list)
        for one in peers.values()
    )


def is_template(document: Document) -> bool:
    """Whether a text is a template that such a file is made of."""
    if document.problem is None or document.text is None or document.suffix not in (
        ".yaml", ".yml", ".j2", ".jinja", ".jinja2"
    ):  # fmt: skip
        return False
    text = document.text[:200_000]
    return bool(
        re.search(r"\{%|\{\{", text)
        and re.search(r"(?m)^models\s*:", text)
        and re.search(r"(?m)^\s+(?:cmd|proxy)\s*:", text)
    )


def _read(document: Document, shape: dict[Any, Any]) -> Artefact:
    findings, lines = Findings(document.path, KIND, document.text), Lines(document.text or "")
    withhold(shape, findings)
    folder = document.real.parent
    shared = table(shape.get("macros"))
    by_name: dict[str, Model] = {}
    times: list[float] = []
    lines.next("models", key=True)
    for name, entry in table(shape.get("models")).items():
        line = lines.next(name, key=True)
        if (model := _model(name, entry, shared, folder, findings, line)) is not None:
            by_name |= {one: model for one in (name, *model.aliases)}
            times.append(_seconds(entry.get("ttl"), shape.get("globalTTL")))
    for name, entry in table(shape.get("peers")).items():
        _peer(name, entry, shared, findings, lines, by_name)
    _choosing(shape, findings, lines, by_name)
    _of_proxy(shape, findings, lines)
    _unloading(times, findings, lines)
    return findings.artefact()


def _model(
    name: str, entry: Any, shared: Mapping[str, Any], folder: Path, findings: Findings,
    line: int | None,
) -> Model | None:  # fmt: skip
    if not isinstance(entry, dict):
        findings.warn("syntax", f"{name} is no table", line)
        return None
    macros = {**shared, **table(entry.get("macros")), "MODEL_ID": name}
    command = expanded(_text(entry.get("cmd")), macros)
    own = _environment(entry.get("env"), macros)
    keys = {key: said for key, said in own.items() if is_secret_field(key)}
    withhold(keys, findings, line, at="env")
    found = launch(words_of(command), own, guess=True) if command else None
    if found is not None:
        withhold(words_of(command), findings)
        if (model := served(found, findings, name, line)) is not None:
            mounts.outside(model, found.mounts, folder, findings)
    else:
        model = _reached(name, entry, macros, findings, line)
    if model is None:
        return None
    model.aliases += [one for one in _texts(entry.get("aliases")) if one not in model.aliases]
    _filters(model, entry, macros, findings, line)
    for key in entry.keys() - _MODEL_NOISE:
        if entry[key] not in (None, 0, "", [], {}):
            findings.warn("not-applied", f"{key} of {name} has no place here", line, str(key))
    return model


def _reached(
    name: str, entry: dict[Any, Any], macros: Mapping[str, Any], findings: Findings,
    line: int | None,
) -> Model | None:  # fmt: skip
    """A model of a server that is started by a command which is not known."""
    proxy = expanded(_text(entry.get("proxy")), macros)
    theirs = expanded(_text(entry.get("useModelName")), macros) or name
    if role_of(name) is not None or "${" in proxy or not proxy:
        role = role_of(name)
        code = {"embedding": "embedding-model", "other": "other-role", None: "no-model"}[role]
        why = "does not write answers" if role else "is started by a command that is not known"
        findings.warn(code, f"{name} {why}", line)
        return None
    model = findings.model(f"openai:{theirs}", name, line)
    fields.settle(model, {"base_url": _versioned(proxy)}, findings, line=line)
    findings.warn("proxy-setting", f"{name}: the server at {proxy} is not started here", line)
    return model


def _filters(
    model: Model, entry: dict[Any, Any], macros: Mapping[str, Any], findings: Findings,
    line: int | None,
) -> None:  # fmt: skip
    """What the proxy sets in every request, which goes above what the command says."""
    filters = table(entry.get("filters"))
    stated = {
        key: expanded(one, macros) if isinstance(one, str) else one
        for key, one in table(filters.get("setParams")).items()
    }
    fields.settle(model, stated, findings, line=line)
    for name, theirs in table(filters.get("setParamsByID")).items():
        shown = expanded(name, macros)
        if shown == model.name:
            fields.settle(model, table(theirs), findings, line=line)
            continue
        if shown not in (model.name, *model.aliases):
            model.aliases.append(shown)
        findings.warn("unmapped-parameter", f"what is set for {shown} alone is left", line)
    if filters.get("stripParams") or filters.get("strip_params"):
        findings.warn("not-applied", "parameters of requests are not taken away", line, "filters")


def _peer(
    name: str, entry: Any, macros: Mapping[str, Any], findings: Findings, lines: Lines,
    by_name: dict[str, Model],
) -> None:  # fmt: skip
    """The models of another server, which are asked there."""
    if not isinstance(entry, dict):
        return
    lines.next(name, key=True)
    address = expanded(_text(entry.get("proxy")), macros)
    for theirs in _texts(entry.get("models")):
        line = lines.next(theirs)
        if (role := role_of(theirs)) is not None:
            findings.warn(*left_out(theirs, role), line)
            continue
        if not address or "${" in address:
            findings.warn("unresolved", f"the address of {name} is not stated", line, "proxy")
            continue
        model = findings.model(f"openai:{theirs}", theirs, line)
        model.aliases.append(f"{name}/{theirs}")
        by_name.setdefault(theirs, model)
        by_name[f"{name}/{theirs}"] = model
        stated = {"base_url": _versioned(address), "api_key": entry.get("apiKey")}
        fields.settle(model, stated, findings, line=line)
        set_there = table(table(entry.get("filters")).get("setParams"))
        fields.settle(model, set_there, findings, line=line)


def _choosing(
    shape: dict[Any, Any], findings: Findings, lines: Lines, by_name: Mapping[str, Model]
) -> None:
    """Virtual names, and what is loaded at the start."""
    for name, entry in table(shape.get("selectors")).items():
        targets = [by_name[one] for one in _texts(table(entry).get("targets")) if one in by_name]
        if not targets:
            continue
        strategy = table(entry).get("strategy")
        if strategy == "pin" or len(targets) == 1:
            targets[0].aliases.append(name)
        else:
            for rank, model in enumerate(targets, 1):
                if model.group is None:
                    model.group, model.priority = name, rank
            findings.warn(
                "strategy", f"{name} chose by {strategy}; here it is a group, in its order",
                lines.first(name),
            )  # fmt: skip
    hooks = table(table(shape.get("hooks")).get("on_startup"))
    names = [by_name[one].name for one in _texts(hooks.get("preload")) if one in by_name]
    if names:
        findings.settings |= {"preload": list(dict.fromkeys(names)), "memory.loading": "preload"}


def _of_proxy(shape: dict[Any, Any], findings: Findings, lines: Lines) -> None:
    """What is said of the proxy itself."""
    if shape.get("apiKeys"):
        line = lines.first("apiKeys", key=True)
        withhold({"apiKeys": shape["apiKeys"]}, findings, line, at="proxy")
        said = "apiKeys guard the proxy, and have no place in llmrr.toml"
        findings.warn("guard", said, line, "apiKeys")
    for key in ("groups", "matrix", "profiles", "routing"):
        if shape.get(key):
            findings.warn(
                "not-applied", f"{key}: llmrr keeps loaded what fits the memory ([memory])",
                lines.first(key, key=True), key,
            )  # fmt: skip
    for key in sorted(str(one) for one in shape.keys() - _NOISE):
        if not key.startswith("x-"):
            line = lines.first(key, key=True)
            findings.warn("proxy-setting", f"{key} is of the proxy", line, key)


def _unloading(times: list[float], findings: Findings, lines: Lines) -> None:
    """The time after which idle models go, where it is one for all."""
    if not any(times):
        return
    if len(set(times)) == 1:
        findings.settings["memory.unload_after"] = int(times[0])
    else:
        findings.warn(
            "not-applied", "ttl differs between models; see [memory] unload_after",
            lines.first("ttl", key=True), "ttl",
        )  # fmt: skip


def _environment(value: Any, macros: Mapping[str, Any]) -> dict[str, str]:
    pairs = (expanded(one, macros).partition("=") for one in _texts(value))
    return {name.strip(): said for name, equals, said in pairs if equals}


def _versioned(address: str) -> str:
    """An address as our engine asks it: with the version behind it."""
    plain = address.rstrip("/")
    return plain if re.search(r"/v\d\w*(/|$)", plain) else f"{plain}/v1"


def _seconds(own: Any, shared: Any) -> float:
    value = shared if own in (None, -1) else own
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    entries = value if isinstance(value, list) else []
    return [str(one) for one in entries if isinstance(one, str | int)]


READER: Final = Reader((KIND,), of_data=of_data, forced=lambda document: [forced(document)])


def forced(document: Document) -> Artefact:
    """A file that the user says is one."""
    from llmrr.errors import DamagedFile

    if not isinstance(document.shape, dict):
        raise DamagedFile(f"{document.path} is no YAML table", "llmrr migrate scan --help")
    return _read(document, document.shape)
