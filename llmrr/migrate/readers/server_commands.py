"""Scripts, systemd units, makefiles, Dockerfiles, compose files and objects of Kubernetes that
start a server of models, or tell a program which to ask.

What starts llama.cpp, vLLM, KoboldCpp and the like is a ``llama-server-preset``, what starts MLX is
``mlx-code``, llama-cpp-python ``llama-cpp-python-code``, LiteLLM ``litellm``, LocalAI ``localai``.
Only a command that names a model counts.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.launching import containers, mounts, shellscripts
from llmrr.migrate.launching.commands import Launch, launch
from llmrr.migrate.launching.launches import served
from llmrr.migrate.readers import dotenv, inside, localai_commands, openai_code
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.transformers import tell_of_mlx
from llmrr.migrate.terms import fields, litellm_names, naming, secrets
from llmrr.migrate.terms.withheld import withhold

_KINDS: Final = {
    "mlx": "mlx-code", "llama-cpp-python": "llama-cpp-python-code", "litellm": "litellm",
    "localai": "localai",
}  # fmt: skip
_KIND: Final = "llama-server-preset"
# Of a command that names no model of ours; what of that is worth an artefact.
_TOLD: Final = ("unresolved", "embedding-model", "unsupported-source", "placeholder")
_ALONE: Final = ("unsupported-source", "embedding-model", "hub-reference")
_SCRIPTS: Final = (".sh", ".bash", ".zsh", ".bat", ".cmd", ".ps1", ".service", ".command", ".fish")
_SECTION: Final = re.compile(r"(?m)^(?:CMD|ENTRYPOINT|RUN)\s+(.+)$")
_MAKEFILE: Final = re.compile(r"(?i)(?:gnu)?makefile(?:\.\w+)?")
_LONGEST: Final = 400_000  # characters of a script


def of_data(document: Document) -> Iterable[Artefact]:
    """The artefacts of a file that starts servers, one of a kind."""
    text = document.text
    if text is None or len(text) > _LONGEST:
        return []
    told: list[Artefact] = []
    if document.suffix in (".yaml", ".yml"):
        told = [*dotenv.of_containers(document), *inside.of_texts(document)]
    elif "curl" in text and _is_script(document, text):
        told = list(openai_code.of_script(document))
    if not shellscripts.HINT.search(text):
        return told
    found: dict[str, Findings] = {}
    for line, words, environment, mounted in _commands(document, text):
        started = launch(words, environment)
        if started is None or started.program == "other":
            continue
        if mounted:
            started = started._replace(mounts={**mounted, **started.mounts})
        kind = _KINDS.get(started.program, _KIND)
        one = found.setdefault(kind, Findings(document.path, kind))
        if started.program == "localai":
            localai_commands.put(started, environment, one, line)
        else:
            if _take(started, one, line, document.real.parent):
                keys = {name: said for name, said in environment.items()
                        if secrets.is_secret_field(name)}  # fmt: skip
                withhold(keys, one, line, at="environment")
    return [*(one.artefact() for one in found.values() if one.models or any(
        each.code in _ALONE for each in one.warnings)), *told]  # fmt: skip


def _take(started: Launch, findings: Findings, line: int, folder: Path) -> bool:
    """The model of a command in a file in ``folder``; whether it names one."""
    trial = Findings(findings.path, findings.kind)
    withhold(list(started.flags.items()), trial)
    model = _routed(started, trial, line) if started.program == "litellm" else served(
        started, trial, None, line
    )
    named = model is not None or any(one.code in _TOLD for one in trial.warnings)
    if not named:
        return False
    if model is not None and started.mounts:
        mounts.outside(model, started.mounts, folder, trial)
    findings.secrets |= trial.secrets
    findings.warnings += [one for one in trial.warnings if one not in findings.warnings]
    if model is None:
        return False
    if started.program == "mlx":
        model.engine, model.format = "mlx", "mlx"
        tell_of_mlx(findings, line)
    same = next((one for one in findings.models if (one.source, one.params, one.options) == (
        model.source, model.params, model.options)), None)  # fmt: skip
    if same is not None:
        same.call_sites.append(line)
        return True
    is_named = model.name != naming.model_name(model.source)
    added = findings.model(model.source, model.name if is_named else None, line)
    added.params, added.options, added.key = model.params, model.options, model.key
    added.engine, added.format = model.engine, model.format
    added.call_sites.append(line)
    return True


def _routed(started: Launch, findings: Findings, line: int) -> Model | None:
    """``litellm --model``."""
    theirs = started.flag("model", "m")
    if theirs is None or "$" in theirs:
        return None
    base = started.flag("api_base", "api-base")
    place = litellm_names.placed(theirs, None, base)
    if place.source is None:
        findings.warn("unknown-provider", place.why, line, "model")
        return None
    model = findings.model(place.source, started.flag("alias"), line)
    stated: dict[str, Any] = {
        name: started.flag(name) for name in ("temperature", "max_tokens", "request_timeout")
    }
    fields.settle(model, {**stated, "base_url": place.base_url}, findings, line=line)
    return model


def _commands(document: Document, text: str) -> Iterator[shellscripts.Command]:
    """The command lines of a file: where, their words, what is set for them, and what a container
    sees."""
    if document.suffix in (".yaml", ".yml"):
        found = containers.composed(document.shape, text)
        yield from shellscripts.each((*found, *containers.pods(document.shape, text)))
        yield from containers.docker_models(document.shape, text)
    elif re.search(r"(?m)^FROM\s+\S", text) and _SECTION.search(text):
        yield from shellscripts.each(containers.built(text))
    elif document.suffix == ".mk" or _MAKEFILE.fullmatch(document.path.name):
        yield from shellscripts.each(shellscripts.recipes(text))
    elif _is_script(document, text):
        yield from shellscripts.each(shellscripts.lines(text))


def _is_script(document: Document, text: str) -> bool:
    return document.suffix in _SCRIPTS or re.match(r"#![^\n]*sh\b", text) is not None


READER: Final = Reader(
    (_KIND, *_KINDS.values(), *openai_code.READER.kinds), of_data=of_data
)  # fmt: skip
