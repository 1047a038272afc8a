"""Scripts, systemd units, Dockerfiles and compose files that start a server of models.

What starts llama.cpp, vLLM, KoboldCpp and the like is a ``llama-server-preset``, what starts MLX is
``mlx-code``, llama-cpp-python ``llama-cpp-python-code``, LiteLLM ``litellm``. Only a command that
names a model counts.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from llmrr.migrate import fields, litellm_names
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.commands import Launch, launch, words_of
from llmrr.migrate.documents import Document
from llmrr.migrate.launches import served
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.withheld import withhold

_KINDS: Final = {
    "mlx": "mlx-code", "llama-cpp-python": "llama-cpp-python-code", "litellm": "litellm",
}  # fmt: skip
_KIND: Final = "llama-server-preset"
_SCRIPTS: Final = (".sh", ".bash", ".zsh", ".bat", ".cmd", ".ps1", ".service", ".command", ".fish")
_HINT: Final = re.compile(
    r"(?i)llama|mlx|vllm|kobold|ollama|litellm|sglang|text-generation|\.gguf"
)
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
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_]\w*|\d)(?::?-([^{}]*))?\}|\$([A-Za-z_]\w*)|%(\w+)%")
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
    for line, words, environment, mounts in _commands(document, text):
        started = launch(words, environment)
        if started is None or started.program == "other":
            continue
        if mounts:
            started = started._replace(mounts={**mounts, **started.mounts})
        kind = _KINDS.get(started.program, _KIND)
        one = found.setdefault(kind, Findings(document.path, kind))
        _take(started, words, one, line)
    return [one.artefact() for one in found.values() if one.models]


def _take(started: Launch, words: list[str], findings: Findings, line: int) -> None:
    """The model of a command, if it names one."""
    trial = Findings(findings.path, findings.kind)
    withhold(list(started.flags.items()), trial)
    model = _routed(started, trial, line) if started.program == "litellm" else served(
        started, trial, None, line
    )
    named = model is not None or any(one.code == "unresolved" for one in trial.warnings)
    if not named:
        return
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


Command = tuple[int, list[str], dict[str, str], dict[str, str]]


def _commands(document: Document, text: str) -> Iterator[Command]:
    """The command lines of a file: where, their words, what is set for them, and what a container
    sees."""
    if document.suffix in (".yaml", ".yml"):
        yield from _composed(document.shape, text)
    elif re.search(r"(?m)^FROM\s+\S", text) and _SECTION.search(text):
        yield from _built(text)
    elif document.suffix in _SCRIPTS or re.match(r"#![^\n]*sh\b", text):
        yield from _scripted(text)


def _scripted(text: str) -> Iterator[Command]:
    """The commands of a script with the variables that are set once in it; of a unit of systemd
    what is started."""
    known = _assigned(text)
    for line, said in _joined(text):
        if len(said) > _LINE:
            continue
        command = re.sub(r"^\s*ExecStart\s*=\s*[-@:+!]*", "", said)
        if command == said and re.match(r"\s*[A-Za-z]+\s*=", said) and "Exec" in said:
            continue
        if not _HINT.search(_filled(command, known)):
            continue
        words = words_of(_filled(command, known))
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


def _filled(text: str, known: Mapping[str, str | None]) -> str:
    """A command with its variables, where the file says what they are; a default counts where it
    does not."""

    def one(match: re.Match[str]) -> str:
        name = match[1] or match[3] or match[4]
        value = known.get(name)
        if value is None and name not in known and match[2] is not None:
            value = match[2]
        return match[0] if value is None else value

    for _ in range(5):
        changed = _VARIABLE.sub(one, text)
        if changed == text or len(changed) > _LINE:
            break
        text = changed
    return text


def _built(text: str) -> Iterator[Command]:
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
            parts[match[1]] = line, _exec_form(_filled(match[2], dict(own)))
    words = [word for name in ("ENTRYPOINT", "CMD") for word in parts.get(name, (0, []))[1]]
    if parts:
        line = min(at for at, _ in parts.values())
        yield line, _in_image(image, words), own, {}


def _in_image(image: str, words: list[str]) -> list[str]:
    """The words of a command as those of ``docker run``, so that the image says the program."""
    return ["docker", "run", image, *words]


def _exec_form(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return words_of(text)
    return [str(one) for one in found] if isinstance(found, list) else words_of(text)


def _composed(shape: Any, text: str) -> Iterator[Command]:
    """The services of a compose file."""
    from llmrr.migrate.lines import Lines

    services = shape.get("services") if isinstance(shape, dict) else None
    lines = Lines(text)
    for name, service in services.items() if isinstance(services, dict) else ():
        line = lines.next(name, key=True) or 1
        if not isinstance(service, dict):
            continue
        words = [*_words(service.get("entrypoint")), *_words(service.get("command"))]
        own = _environment(service.get("environment"))
        words = words_of(_filled(" ".join(_quoted(words)), {}))
        image = service.get("image")
        mounts: dict[str, str] = {}
        for volume in service.get("volumes") or []:
            outside, colon, inside = str(volume).removesuffix(":ro").rpartition(":")
            if colon:
                mounts[inside] = outside
        yield line, _in_image(str(image or "x"), words), own, mounts


def _quoted(words: list[str]) -> list[str]:
    import shlex

    return [one if one.startswith("$") else shlex.quote(one) for one in words]


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return words_of(value)
    return [str(one) for one in value] if isinstance(value, list) else []


def _environment(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(key): str(one) for key, one in value.items() if one is not None}
    pairs = (str(one).partition("=") for one in value) if isinstance(value, list) else ()
    return {name: said for name, equals, said in pairs if equals}


READER: Final = Reader((_KIND, *_KINDS.values()), of_data=of_data)
