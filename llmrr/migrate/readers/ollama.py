"""Ollama: Modelfiles here, its store in ``ollama_store``.

A Modelfile is told by its commands, for Dockerfiles begin with FROM too. The grammar is in
``llmrr.modelfile``; where Ollama refuses a file, nothing is taken from it and the reason is told.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, NamedTuple

from llmrr.errors import BadConfig, DamagedFile
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import ollama_parameters, ollama_store
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.terms import hubnames
from llmrr.modelfile.commands import Command, commands_of, decoded
from llmrr.paths import exists, user_path

_LARGEST: Final = 2_000_000  # characters
_FROM: Final = re.compile(r"(?im)^[ \t]*from[ \t]+\S")
_OTHER: Final = re.compile(r"(?im)^[ \t]*(?:parameter|system|template|adapter)[ \t]+\S")
_DOCKER: Final = frozenset({
    "RUN", "CMD", "COPY", "ADD", "ENTRYPOINT", "WORKDIR", "ENV", "ARG", "EXPOSE", "LABEL", "USER",
    "VOLUME", "HEALTHCHECK", "SHELL", "ONBUILD", "STOPSIGNAL", "MAINTAINER",
})  # fmt: skip
_STAGE: Final = re.compile(r"(?i)--platform\b|\S+[ \t]+as[ \t]+\S+$")
_BLOB: Final = re.compile(r"(?:^|[/\\])sha256[-:][0-9a-f]{64}$")
_PATH: Final = re.compile(r"(?is)[./~\\]|[a-z]:[/\\]|.*\.(?:gguf|bin|safetensors|ggml)$")
_REMARK: Final = re.compile(r"(?m)^#[ \t]*FROM[ \t]+(\S+)[ \t]*$")
_BASELESS: Final = "has no FROM line"
_PROJECTOR: Final = re.compile(r"(?i)mmproj|projector")
_NO_PLACE: Final = {
    "REQUIRES": "speaks of versions of Ollama", "RENDERER": "is how Ollama writes prompts",
    "PARSER": "is how Ollama reads answers", "DRAFT": "names a model that guesses ahead",
}  # fmt: skip


class _Base(NamedTuple):
    """What a FROM line names: a source, or a path that is written with it."""

    source: str
    options: dict[str, str]
    path: str | None
    line: int


def of_data(document: Document) -> Iterator[Artefact]:
    """The model of a Modelfile."""
    text = document.text
    if text is None or not 0 < len(text) < _LARGEST:
        return
    if not (_FROM.search(text) or _OTHER.search(text)):
        return
    commands, error = _read(document, text)
    if _is_modelfile(document, commands, error or ""):
        yield _artefact(document, text, commands, error)


def forced(document: Document) -> Iterator[Artefact]:
    """A file that the user says to be a Modelfile."""
    if document.text is None or len(document.text) >= _LARGEST:
        raise DamagedFile(f"{document.path} is no text of a size that a Modelfile has")
    commands, error = _read(document, document.text)
    if not commands:
        raise DamagedFile(error or f"{document.path} holds no command of a Modelfile")
    yield _artefact(document, document.text, commands, error)


READER = Reader(
    ("ollama-modelfile", "ollama-store"), of_data, None, ollama_store.of_folder, forced
)  # fmt: skip


def _read(document: Document, text: str) -> tuple[list[Command], str | None]:
    """The commands up to the one that Ollama refuses, and why it does."""
    found: list[Command] = []
    try:
        for command in commands_of(decoded(text), str(document.path)):
            found.append(command)
    except BadConfig as exc:
        return found, exc.message
    if not any(one.name == "FROM" and one.value.strip() for one in found):
        return found, f"{document.path} {_BASELESS}"
    return found, None


def _is_modelfile(document: Document, commands: list[Command], error: str) -> bool:
    names = [one.name for one in commands]
    # The reading of a Dockerfile ends at its first instruction but FROM.
    if not names or error.partition(" ")[0].upper() in _DOCKER:
        return False
    named = "modelfile" in document.path.name.lower()
    bases = [one.value for one in commands if one.name == "FROM"]
    if not bases:  # a forgotten FROM
        return named or ("PARAMETER" in names and len(set(names)) > 1 and error.endswith(_BASELESS))
    if any(_STAGE.match(one) for one in bases):
        return False  # of a Dockerfile
    if any(re.search(r"\s(?:import|select|where|join)\b", one, re.IGNORECASE) for one in bases):
        return False  # Python, SQL
    telling = any(hubnames.addressed(one) or _PATH.match(one) for one in bases)
    return named or len(set(names)) > 1 or (telling and not document.suffix)


def _artefact(
    document: Document, text: str, commands: list[Command], error: str | None
) -> Artefact:
    findings = Findings(document.path, "ollama-modelfile")
    bases = [base for one in commands if one.name == "FROM" and one.value.strip()
             if (base := _base(one, document, text, findings))]  # fmt: skip
    model = Model("refused", "") if error else _model(document, bases, findings)
    ollama_parameters.put(
        model or Model("none", ""),
        (ollama_parameters.Parameter(one.word, one.value, one.line)
         for one in commands if one.name == "PARAMETER"),
        findings,
    )  # fmt: skip
    if model and not error:
        _around(model, commands, findings)
    return findings.artefact(error)


def _model(document: Document, bases: list[_Base], findings: Findings) -> Model | None:
    """The model of the FROM lines: the first that is no image encoder, which comes beside it."""
    ordered = sorted(bases, key=lambda one: bool(_PROJECTOR.search(one.path or "")))
    if not ordered:
        return None
    first, *rest = ordered
    model = findings.model(first.source, name_of(document.path, document.real), first.line)
    model.options |= first.options
    for one in rest:
        if one.path and "mmproj" not in model.options and first.path:
            model.options["mmproj"] = one.path
        elif one.source != first.source:
            said = f"of several FROM lines the first counts: {one.source} is left out"
            findings.warn("not-applied", said, one.line, "FROM")
    return model


def _base(one: Command, document: Document, text: str, findings: Findings) -> _Base | None:
    value = one.value.strip().removeprefix("file:")
    if hubnames.is_hole(value):
        said = f"FROM {value[:60]} stands for a name that is to be filled in"
        findings.warn("placeholder", said, one.line, "FROM")
        return None
    if _BLOB.search(value):
        return _blob(one, value, document, text, findings)
    if cached := hubnames.cached(value):
        return _Base(cached.source, cached.options, None, one.line)
    folder = document.real.parent
    here = _is_here(folder, value)
    if not here and (hub := hubnames.addressed(value)):
        return _Base(hub.source, hub.options, None, one.line)
    if re.match(r"(?i)https?://", value):
        findings.warn("unsupported-source", "FROM names an address", one.line, "FROM")
        return None
    if here or _PATH.match(value):
        if not here:
            said = f"{value} is not on this machine"
            findings.warn("foreign-path", said, one.line, "FROM")
        return _Base(f"file:{value}", {}, value, one.line)
    return _Base(f"ollama:{value.removeprefix('ollama:')}", {}, None, one.line)


def _blob(
    one: Command, value: str, document: Document, text: str, findings: Findings
) -> _Base | None:
    """A file of Ollama's store: it is called as the remark says that ``ollama show`` writes."""
    if remark := _REMARK.search(text):
        hub = hubnames.addressed(remark[1])
        source = hub.source if hub else f"ollama:{remark[1]}"
        return _Base(source, hub.options if hub else {}, None, one.line)
    if not _is_here(document.real.parent, value):
        findings.warn("foreign-path", f"{value} is a path of another machine", one.line, "FROM")
    return _Base(f"file:{value}", {}, value, one.line)


def _around(model: Model, commands: Iterable[Command], findings: Findings) -> None:
    """What stands beside the weights."""
    adapters = []
    for one in commands:
        value = one.value
        if one.name == "SYSTEM":
            model.params.pop("system", None)
            if value.strip():
                model.params["system"] = value
        elif one.name == "ADAPTER" and value.strip():
            adapters.append(value.strip())
        elif one.name == "MESSAGE":
            said = "MESSAGE is an example of a conversation"
            findings.warn("few-shot", said, one.line, "MESSAGE")
        elif one.name in _NO_PLACE and value.strip():
            findings.warn("not-applied", f"{one.name} {_NO_PLACE[one.name]}", one.line, one.name)
    _template(model, commands, findings)
    if adapters:
        model.options["lora"] = adapters[0] if len(adapters) == 1 else adapters


def _template(model: Model, commands: Iterable[Command], findings: Findings) -> None:
    """Of several the last counts."""
    stated = [one for one in commands if one.name == "TEMPLATE" and one.value.strip()]
    if stated:
        go_template(model, stated[-1].value, findings, stated[-1].line)


def go_template(model: Model, text: str, findings: Findings, line: int | None = None) -> None:
    """A TEMPLATE, which is kept raw."""
    findings.template(f"{model.name}-template", text, format="go", model=model)
    said = "the TEMPLATE is a Go template: it is kept raw, and the model's own chat template counts"
    findings.warn("go-template", said, line, "TEMPLATE")


def name_of(path: Path, real: Path) -> str:
    """What the model of a Modelfile is called: its file has the name, or else its folder.

    >>> name_of(Path("a/Modelfile.coder"), Path("/x/a/Modelfile.coder"))
    'coder'
    >>> name_of(Path("Modelfile"), Path("/x/pirate/Modelfile"))
    'pirate'
    """
    kept = re.sub(r"(?i)(?:^|[-_. ])modelfile(?:[-_. ](?:txt|md|template))?(?=[-_. ]|$)", "",
                  path.name)  # fmt: skip
    own = re.sub(r"(?i)\.(?:txt|md)$", "", kept).strip("-_. ")
    return own or path.parent.name or real.parent.name or "model"


def _is_here(folder: Path, value: str) -> bool:
    """Whether a path leads to something. Nothing of that is read."""
    if PureWindowsPath(value).drive or "\0" in value or len(value) > 4000:
        return False
    # A plain name counts as one of Ollama's, whatever lies beside the Modelfile.
    plain = "/" not in value and not PurePosixPath(value).suffix
    return not plain and exists(folder / user_path(value))
