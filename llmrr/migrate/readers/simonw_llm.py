"""simonw/llm: the files of its folder. ``keys.json`` is known by its names alone."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.parsing.lines import Lines
from llmrr.migrate.parsing.shapes import table
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.terms import fields, naming
from llmrr.migrate.terms.roles import left_out, role_of
from llmrr.migrate.terms.secrets import is_secret_field
from llmrr.migrate.terms.texts import of_dollars
from llmrr.migrate.terms.withheld import withhold

KIND: Final = "simonw-llm"
_MODELS, _DEFAULT, _ALIASES = "extra-openai-models.yaml", "default_model.txt", "aliases.json"
_OPTIONS: Final = "model_options.json"
_FILES: Final = (_MODELS, _DEFAULT, _ALIASES, _OPTIONS)
_LARGEST: Final = 1_000_000
_FOLDER: Final = "io.datasette.llm"
_NOISE: Final = frozenset({
    "model_id", "model_name", "aliases", "api_base", "api_key_name", "api_type", "api_engine",
    "headers", "can_stream", "supports_tools", "supports_schema", "vision", "audio", "reasoning",
    "completion", "api_version",
})  # fmt: skip
_TEMPLATE: Final = frozenset({
    "system", "prompt", "model", "options", "defaults", "extract", "extract_last", "schema_object",
    "fragments", "system_fragments", "attachments", "attachment_types", "tools", "functions",
    "name",
})  # fmt: skip
# llm's own short names of OpenAI's models.
_SHORT: Final = {
    "4o": "gpt-4o", "4o-mini": "gpt-4o-mini", "3.5": "gpt-3.5-turbo", "chatgpt": "gpt-3.5-turbo",
    "4": "gpt-4", "gpt4": "gpt-4", "4-turbo": "gpt-4-turbo", "gpt-4-turbo": "gpt-4-turbo",
    "3.5-16k": "gpt-3.5-turbo-16k", "chatgpt-16k": "gpt-3.5-turbo-16k", "4.1": "gpt-4.1",
}  # fmt: skip


def of_data(document: Document) -> Iterable[Artefact]:
    """The artefact of a file of llm's."""
    shape, name = document.shape, document.path.name
    if is_models(shape):
        return [_folder(document, shape)]
    if is_template(shape, document):
        return [_template(document, shape)]
    if name in (*_FILES, "keys.json") and _is_theirs(document.real):
        return [_beside(document, name)]
    return []


def is_models(shape: Any) -> bool:
    """Whether a parsed file is ``extra-openai-models.yaml``.

    >>> is_models([{"model_id": "a", "model_name": "b"}]), is_models([{"model_id": "a"}])
    (True, False)
    """
    return isinstance(shape, list) and bool(shape) and all(
        isinstance(one, dict) and {"model_id", "model_name"} <= one.keys() for one in shape
    )


def is_template(shape: Any, document: Document) -> bool:
    """Whether a parsed YAML file is a template: nothing but its keys, and a prompt."""
    if not isinstance(shape, dict) or document.suffix not in (".yaml", ".yml"):
        return False
    texts = [one for one in (shape.get("prompt"), shape.get("system")) if isinstance(one, str)]
    if not texts or shape.keys() - _TEMPLATE or not isinstance(shape.get("model", ""), str):
        return False
    in_place = document.path.parent.name == "templates" or _is_theirs(document.real.parent)
    return in_place or any("$input" in one for one in texts)


def _is_theirs(path: Path) -> bool:
    """Whether a file lies in a folder of llm's."""
    try:
        if path.parent.resolve().name == _FOLDER:
            return True
        here = sum((path.parent / name).is_file() for name in (*_FILES, "logs.db", "keys.json"))
    except OSError:
        return False
    return here > 1


def _folder(document: Document, entries: list[Any]) -> Artefact:
    """The models that the user added, with what the files beside them say."""
    findings = Findings(document.path, KIND, document.text)
    _models(entries, document.real.parent, findings, Lines(document.text or ""))
    return findings.artefact()


def _models(
    entries: list[Any], folder: Path, findings: Findings, lines: Lines
) -> dict[str, Model]:
    """The models of such a folder, by all their names."""
    withhold(entries, findings)
    known: dict[str, Model] = {}
    for entry in entries:
        model = _model(entry, findings, lines.next(entry.get("model_id")))
        if model is not None:
            for name in (str(entry.get("model_id")), *_texts(entry.get("aliases"))):
                known.setdefault(name, model)
            model.aliases += _texts(entry.get("aliases"))
    _named_beside(folder, known, findings)
    return known


def _model(entry: Mapping[str, Any], findings: Findings, line: int | None) -> Model | None:
    theirs, shown = entry.get("model_name"), entry.get("model_id")
    if not isinstance(theirs, str | int | float) or not str(theirs).strip():
        findings.warn("no-model", f"{shown} has no model_name", line)
        return None
    if (role := role_of(str(theirs))) is not None:
        findings.warn(*left_out(str(shown), role), line)
        return None
    is_azure = str(entry.get("api_type", "")).startswith("azure")
    base = entry.get("api_base")
    engine = entry.get("api_engine")
    name = str(engine) if is_azure and engine else str(theirs)
    place = naming.place(
        "azure" if is_azure else "openai", name, base if isinstance(base, str) else None
    )
    model = findings.model(place.source or f"openai:{name}", str(shown), line)
    rest = {key: one for key, one in entry.items() if key not in _NOISE}
    rest |= {"base_url": place.base_url, "api_version": entry.get("api_version")}
    fields.settle(model, rest, findings, line=line)
    key = entry.get("api_key_name")
    if isinstance(key, str) and key.strip():
        variable = _variable(key)
        model.options["api_key_env"] = variable
        findings.warn(
            "key-guess", f"the key {key} is in keys.json; llmrr keys set {variable} takes it", line,
            "api_key_name",
        )  # fmt: skip
    for header, value in table(entry.get("headers")).items():
        if is_secret_field(header):
            withhold({header: value}, findings, line, at="headers")
        findings.warn("unmapped-parameter", f"the header {header} is left", line, "headers")
    return model


def _named_beside(folder: Path, known: dict[str, Model], findings: Findings) -> None:
    """Aliases, options and the default, from the files beside."""
    for alias, name in table(_loaded(folder / _ALIASES)).items():
        model = _of_name(str(name), known, findings, _ALIASES)
        if model is not None and alias not in model.aliases:
            model.aliases.append(alias)
            known.setdefault(alias, model)
    for name, options in table(_loaded(folder / _OPTIONS)).items():
        model = _of_name(name, known, findings, _OPTIONS)
        if model is not None:
            fields.settle(model, table(options), findings)
    default = _text(folder / _DEFAULT)
    first = _of_name(default, known, findings, _DEFAULT) if default else None
    if first is not None and len(findings.models) > 1:
        first.priority = 1


def _of_name(
    name: str, known: dict[str, Model], findings: Findings, where: str
) -> Model | None:
    """A model of the user's, or one that a provider has under this name."""
    plain = _SHORT.get(name, name)
    if plain in known:
        return known[plain]
    prefix, slash, rest = plain.partition("/")
    provider = naming.provider_of(prefix) if slash and rest else None
    place = naming.place(prefix, rest) if provider else naming.place(None, plain)
    if role_of(plain) is not None:
        findings.warn("embedding-model", f"{where} names {name}, which writes no answers")
        return None
    if place.source is None:
        findings.warn(
            "unknown-provider", f"{where} names {name}, a model of a plugin that is not known"
        )
        return None
    known[plain] = findings.model(place.source)
    return known[plain]


def _beside(document: Document, name: str) -> Artefact:
    """One of the files beside; where the models are in a file of their own, that one says all."""
    findings, folder = Findings(document.path, KIND), document.real.parent
    if name == "keys.json":
        names = ", ".join(one for one in table(document.shape) if not one.startswith("//"))
        findings.warn("secret-in-clear", f"holds keys in clear, which are not read, for: {names}")
        return findings.artefact()
    first = next(one for one in _FILES if (folder / one).is_file() or one == name)
    if first == name:
        _named_beside(folder, {}, findings)
    return findings.artefact()


def _template(document: Document, shape: Mapping[str, Any]) -> Artefact:
    findings = Findings(document.path, KIND)
    model, options = None, table(shape.get("options"))
    if isinstance(named := shape.get("model"), str) and named:
        model = _own(named, document.real.parent.parent, findings)
        if model is None and (model := _of_name(named, {}, findings, "model")) is not None:
            fields.settle(model, options, findings)
            options = {}
    if options:
        said = f"sets {', '.join(options)[:120]} for its prompt alone"
        findings.warn("not-applied", said, None, "options")
    for key in ("tools", "functions", "schema_object", "fragments", "system_fragments",
                "attachments"):  # fmt: skip
        if shape.get(key):
            findings.warn("tools", f"{key} stays with llm", None, key)
    prompt, system = shape.get("prompt"), shape.get("system")
    defaults = {
        key: str(one) for key, one in table(shape.get("defaults")).items()
        if isinstance(one, str | int | float)
    }  # fmt: skip
    name = document.path.stem
    user = of_dollars(prompt) if isinstance(prompt, str) and prompt else "{input}"
    if isinstance(system, str) and system:
        turns = [("system", of_dollars(system)), ("user", user)]
        findings.template(name, messages=turns, model=model, defaults=defaults)
    else:
        findings.template(name, user, model=model, defaults=defaults)
    return findings.artefact()


def _own(name: str, folder: Path, findings: Findings) -> Model | None:
    """A model of the user's, which the folder around the templates defines."""
    entries = _loaded(folder / _MODELS)
    if not is_models(entries):
        return None
    around = Findings(findings.path, KIND)
    model = _models(entries, folder, around, Lines("")).get(name)
    findings.secrets |= around.secrets
    if model is not None:
        findings.models.append(model)
    return model


def _variable(name: str) -> str:
    """The variable that a key of this name would be in.

    >>> _variable("my-proxy"), _variable("openai")
    ('MY_PROXY_API_KEY', 'OPENAI_API_KEY')
    """
    usual = naming.key_variable(naming.provider_of(name) or "")
    plain = "".join(one if one.isascii() and one.isalnum() else "_" for one in name).upper()
    return usual or f"{'_' if plain[:1].isdigit() else ''}{plain}_API_KEY"


def _loaded(path: Path) -> Any:
    data = _bytes(path)
    return None if data is None else Document(path, data).shape


def _text(path: Path) -> str | None:
    text = (_bytes(path) or b"").decode(errors="replace").strip()
    return text if text and len(text) < 200 and "\n" not in text else None


def _bytes(path: Path) -> bytes | None:
    """What a file holds that lies in this folder itself."""
    try:
        there = path.resolve()
        if there.parent != path.parent.resolve() or not there.is_file():
            return None
        return there.read_bytes() if there.stat().st_size <= _LARGEST else None
    except (OSError, RuntimeError):
        return None


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _forced(document: Document) -> Iterable[Artefact]:
    if is_models(document.shape):
        return [_folder(document, document.shape)]
    if isinstance(document.shape, dict) and not document.shape.keys() - _TEMPLATE:
        return [_template(document, document.shape)]
    if document.path.name in (*_FILES, "keys.json"):
        return [_beside(document, document.path.name)]
    raise DamagedFile(f"{document.path} is no file of llm's", "llmrr migrate scan --help")


READER: Final = Reader((KIND,), of_data=of_data, forced=_forced)
