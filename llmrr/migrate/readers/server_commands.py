"""Scripts, systemd units, Dockerfiles and compose files that start a server of models.

What starts llama.cpp, vLLM, KoboldCpp and the like is a ``llama-server-preset``, what starts MLX is
``mlx-code``, llama-cpp-python ``llama-cpp-python-code``, LiteLLM ``litellm``, LocalAI ``localai``.
Only a command that names a model counts.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from llmrr.migrate import composed, fields, litellm_names, mounts
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.commands import Launch, launch, words_of
from llmrr.migrate.documents import Document
from llmrr.migrate.launches import served
from llmrr.migrate.readers import localai_commands
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.withheld import withhold

_KINDS: Final = {
    "mlx": "mlx-code", "llama-cpp-python": "llama-cpp-python-code", "litellm": "litellm",
    "localai": "localai",
}  # fmt: skip
_KIND: Final = "llama-server-preset"
_SCRIPTS: Final = (".sh", ".bash", ".zsh", ".bat", ".cmd", ".ps1", ".service", ".command", ".fish")
_HINT: Final = re.compile(
    r"(?i)llama|mlx|vllm|kobold|ollama|litellm|sglang|text-generation|\.gguf|local-?ai"
    r"|services:[\s\S]{0,20000}model:"
)
# Warnings that tell of a model which a command names; those that are worth an artefact.
_TOLD: Final = ("unresolved", "unsupported-source", "embedding-model", "other-role")
_ALONE: Final = ("unsupported-source", "embedding-model", "hub-reference")
# What a line begins with that installs, shows or ends a program.
_WORDS: Final = (
    "pip pip3 brew apt apt-get dnf yum pacman git which echo printf cd kill pkill killall if elif"
    " while curl wget systemctl conda mamba npm pnpm yarn cmake make cp mv rm ln test [ [[ source ."
    " mkdir chmod grep find ls cat tail head read for case function export.exe rem @echo write-host"
    " set setx rem: pgrep command type huggingface-cli hf rsync scp tar unzip sed awk tee sleep"
)
_OTHER_COMMANDS: Final = frozenset(_WORDS.split())
_ASSIGNED: Final = re.compile(
    r"(?m)^[ \t]*(?:export[ \t]+|set[ \t]+|\$)?([A-Za-z_]\w*)[ \t]*=(.*)$"
)
_SECTION: Final = re.compile(r"(?m)^(?:CMD|ENTRYPOINT)\s+(.+)$")
_LONGEST: Final = 400_000  # characters of a script
_LINE: Final = 20_000  # characters of a command
_VALUE: Final = 2_000  # characters of a variable


def of_data(document: Document) -> Iterable[Artefact]:
    """The artefacts of a file that starts servers, one of a kind."""
    text = document.text
    if text is None or len(text) > _LONGEST or not _HINT.search(text):
        return []
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
            _take(started, one, line, document.real.parent)
    return [one.artefact() for one in found.values() if one.models or any(
        each.code in _ALONE for each in one.warnings)]  # fmt: skip


def _take(started: Launch, findings: Findings, line: int, folder: Path) -> None:
    """The model of a command in a file in ``folder``, if it names one."""
    trial = Findings(findings.path, findings.kind)
    withhold(list(started.flags.items()), trial)
    model = _routed(started, trial, line) if started.program == "litellm" else served(
        started, trial, None, line
    )
    named = model is not None or any(one.code in _TOLD for one in trial.warnings)
    if not named:
        return
    if model is not None and started.mounts:
        mounts.outside(model, started.mounts, folder, trial)
    findings.secrets |= trial.secrets
    findings.warnings += [one for one in trial.warnings if one not in findings.warnings]
    if model is None:
        return
    same = next((one for one in findings.models if (one.source, one.params, one.options) == (
        model.source, model.params, model.options)), None)  # fmt: skip
    if same is not None:
        same.call_sites.append(line)
        return
    added = findings.model(model.source, model.name, line)
    added.params, added.options, added.key = model.params, model.options, model.key
    added.call_sites.append(line)


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


def _commands(document: Document, text: str) -> Iterator[composed.Command]:
    """The command lines of a file: where, their words, what is set for them, and what a container
    sees."""
    if document.suffix in (".yaml", ".yml"):
        yield from composed.commands(document.shape, text)
    elif re.search(r"(?m)^FROM\s+\S", text) and _SECTION.search(text):
        yield from _built(text)
    elif document.suffix in _SCRIPTS or re.match(r"#![^\n]*sh\b", text):
        yield from _scripted(text)


def _scripted(text: str) -> Iterator[composed.Command]:
    """The commands of a script with the variables that are set once in it; of a unit of systemd
    what is started."""
    known = _assigned(text)
    for line, said in _joined(text):
        if len(said) > _LINE:
            continue
        command = re.sub(r"^\s*ExecStart\s*=\s*[-@:+!]*", "", said)
        if command == said and re.match(r"\s*[A-Za-z]+\s*=", said) and "Exec" in said:
            continue
        if not _HINT.search(composed.filled(command, known)):
            continue
        words = words_of(composed.filled(command, known))
        first = next((one for one in words if "=" not in one and one not in ("sudo", "exec")), "")
        if first.lower() not in _OTHER_COMMANDS and not said.lstrip().startswith("#"):
            yield line, words, {key: one for key, one in known.items() if one is not None}, {}


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a script; those that go on with the next are one."""
    whole, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not whole:
            start = number
        plain = line.rstrip()
        if plain.endswith(("\\", "^", "`")) and not plain.lstrip().startswith("#"):
            whole += plain[:-1] + " "
            continue
        yield start, whole + line
        whole = ""
    if whole:
        yield start, whole


def _assigned(text: str) -> dict[str, str | None]:
    """The variables that a script sets, None for one that it sets to several values."""
    known: dict[str, str | None] = {}
    for match in _ASSIGNED.finditer(text):
        name, value = match[1], match[2].strip()
        if name == "Environment":
            name, _, value = value.strip("\"'").partition("=")
        value = value.partition(" #")[0].strip().strip("\"'")
        known[name] = value if known.get(name, value) == value else None
    for name, one in list(known.items()):
        if one is not None and ("$(" in one or len(one) > _VALUE):
            known[name] = None
    return known


def _built(text: str) -> Iterator[composed.Command]:
    """What an image starts: its ``ENTRYPOINT`` with its ``CMD``."""
    own = {
        match[1]: match[2].strip().strip("\"'")
        for match in re.finditer(r"(?m)^ENV\s+([A-Za-z_]\w*)[= ]\s*(.+)$", text)
    }
    image = re.findall(r"(?m)^FROM\s+(?:--\S+\s+)?(\S+)", text)[-1]
    parts: dict[str, tuple[int, list[str]]] = {}
    for line, said in _joined(text):
        match = re.match(r"(CMD|ENTRYPOINT)\s+(.+)", said)
        if match:
            parts[match[1]] = line, _exec_form(composed.filled(match[2], dict(own)))
    words = [word for name in ("ENTRYPOINT", "CMD") for word in parts.get(name, (0, []))[1]]
    if parts:
        line = min(at for at, _ in parts.values())
        yield line, composed.in_image(image, words), own, {}


def _exec_form(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return words_of(text)
    return [str(one) for one in found] if isinstance(found, list) else words_of(text)


READER: Final = Reader((_KIND, *_KINDS.values()), of_data=of_data)
