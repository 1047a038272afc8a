"""GPT4All: its folder of models, ``*.rmodel`` files (remote models with their keys in clear),
``GPT4All.ini``, and the lists of models that it offers; its Python package is in ``gpt4all_code``.

Read off ``mysettings.cpp`` and ``modellist.cpp`` of https://github.com/nomic-ai/gpt4all.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from llmrr.errors import DamagedFile, LlmrrError
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import gguf_folder, gpt4all_code
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.terms import hubnames, naming
from llmrr.migrate.terms.fields import api_key, settle
from llmrr.migrate.terms.texts import literal
from llmrr.modelfile.stated import json_value
from llmrr.store.holders import gpt4all
from llmrr.store.holders.base import listed, small_file

_LARGEST: Final = 4_000_000  # bytes of a list of models
_LISTS: Final = ("models3.json", "models2.json", "models.json")
_SETTINGS: Final = {
    "temperature": "temperature", "topP": "top_p", "topK": "top_k", "minP": "min_p",
    "maxLength": "max_tokens", "contextLength": "context_size", "gpuLayers": "gpu_layers",
    "repeatPenalty": "repeat_penalty", "systemPrompt": "system", "systemMessage": "system",
}  # fmt: skip
_ALL_LAYERS: Final = "100"  # its own "as many as there are"
_NOISE: Final = frozenset({
    "promptBatchSize", "repeatPenaltyTokens", "name", "filename", "description", "url", "quant",
    "type", "isClone", "isDiscovered", "likes", "downloads", "recency", "chatNamePrompt",
    "suggestedFollowUpPrompt",
})  # fmt: skip
_SECTION: Final = re.compile(r"model-(.+)", re.DOTALL)


def of_data(document: Document) -> Iterator[Artefact]:
    """A remote model, a list of what is offered, or the settings."""
    text = document.text or ""
    if '"apiKey"' in text and '"modelName"' in text and _is_remote(document.shape):
        yield _remote(document, document.shape)
    elif '"filename"' in text and _is_list(document.shape):
        yield _list(document)
    elif "[model-" in text and (artefact := _settings(document)):
        yield artefact


def forced(document: Document) -> Iterator[Artefact]:
    """A file that the user says to be GPT4All's."""
    found = list(of_data(document))
    if not found and isinstance(document.shape, dict) and "modelName" in document.shape:
        found = [_remote(document, document.shape)]
    if not found:
        raise DamagedFile(f"{document.path} is no file of GPT4All")
    yield from found


def of_folder(real: Path, shown: Path) -> Iterator[Artefact]:
    """Its folder of models: one with remote models, a list of it, or where GPT4All has it."""
    try:
        with os.scandir(real) as entries:
            if not any(one.name.lower().endswith((".rmodel", ".gguf")) for one in entries):
                return
    except OSError:
        return
    names = listed(real).sizes
    models = any(name.lower().endswith(".gguf") for name in names)
    remote = [name for name in names if name.endswith(".rmodel")]
    own = real.parts[-2:] == ("nomic.ai", "GPT4All") or real.parts[-2:] == (".cache", "gpt4all")
    marked = any(name.startswith("localdocs_v") or name in _LISTS for name in names)
    if not (remote or (models and (own or marked))):
        return
    findings = Findings(shown, "gpt4all")
    known = _known(real, names)
    for held in gpt4all.holdings(real):
        relative = held.path.relative_to(real).as_posix()
        if held.problem and held.path.name.startswith("incomplete"):
            findings.warn("incomplete", f"{held.name}: {held.problem}", at=held.name)
            continue
        model = findings.model(naming.beside(shown, relative), held.name)
        model.bytes = held.bytes or None
        gguf_folder.put_encoder(model, held, real, shown)
        if held.problem:
            findings.warn("incomplete", f"{held.name}: {held.problem}", at=held.name)
        _described(model, known.get(held.path.name, {}), findings)
    for name in remote:
        _of_rmodel(real / name, findings)
    yield findings.artefact()


READER = Reader(("gpt4all",), of_data, gpt4all_code.of_code, of_folder, forced)


def _is_remote(shape: Any) -> bool:
    """``{apiKey, modelName, baseUrl}`` and not much else, as GPT4All writes it."""
    needed = {"apiKey", "modelName"}
    return isinstance(shape, dict) and needed <= set(shape) <= needed | {
        "baseUrl", "name", "filename", "parameters", "description",
    }  # fmt: skip


def _is_list(shape: Any) -> bool:
    telling = {"md5sum", "ramrequired", "quant"}
    return isinstance(shape, list) and bool(shape) and all(
        isinstance(one, dict) and "filename" in one and telling & set(one) for one in shape[:50]
    )  # fmt: skip


def _remote(document: Document, shape: Mapping[str, Any]) -> Artefact:
    findings = Findings(document.path, "gpt4all")
    _put_remote(shape, document.path.stem, findings)
    return findings.artefact()


def _of_rmodel(path: Path, findings: Findings) -> None:
    try:
        shape = json_value(small_file(path))
    except LlmrrError as exc:
        findings.warn("syntax", exc.message, at=path.name)
        return
    if isinstance(shape, dict) and "modelName" in shape:
        _put_remote(shape, path.stem, findings)
    else:
        findings.warn("syntax", f"{path.name} describes no remote model", at=path.name)


def _put_remote(shape: Mapping[str, Any], stem: str, findings: Findings) -> None:
    name, address = shape.get("modelName"), shape.get("baseUrl")
    key = shape.get("apiKey")
    if isinstance(key, str):
        findings.secrets.add(key)
    if not isinstance(name, str) or not name.strip():
        findings.warn("no-model", f"{stem} names no model")
        return
    plain = address.strip() if isinstance(address, str) and address.strip() else None
    ours = _whose(plain)
    place = naming.place(ours, name, None if ours != "openai" else plain)
    if place.source is None:
        findings.warn("unknown-provider", f"{stem}: {place.why}")
        return
    model = findings.model(place.source, name.rpartition("/")[2])
    if place.base_url:
        settle(model, {"baseUrl": place.base_url}, findings)
    if key:
        api_key(model, key, findings, at="apiKey")


def _whose(address: str | None) -> str:
    """The provider at an address, which is else one that speaks OpenAI's protocol."""
    known = ("groq", "mistral", "anthropic", "deepseek", "openrouter", "together")
    return next((one for one in known if address and naming.is_default(one, address)), "openai")


def _list(document: Document) -> Artefact:
    findings = Findings(document.path, "gpt4all")
    said = f"a list of {len(document.shape)} models that GPT4All offers: none of them is in use"
    findings.warn("no-model", said)
    return findings.artefact()


def _known(folder: Path, names: Mapping[str, int | None]) -> dict[str, Mapping[str, Any]]:
    """What the list beside the models says, by file names."""
    for name in (one for one in _LISTS if one in names):
        try:
            shape = json_value(small_file(folder / name, _LARGEST))
        except LlmrrError:
            continue
        if _is_list(shape) and isinstance(shape, list):
            return {str(one["filename"]): one for one in shape if isinstance(one, dict)}
    return {}


def _described(model: Model, stated: Mapping[str, Any], findings: Findings) -> None:
    system = stated.get("systemMessage") or stated.get("systemPrompt")
    if isinstance(system, str) and system.strip():
        model.params["system"] = system
    if isinstance(template := stated.get("chatTemplate"), str) and template.strip():
        findings.template(f"{model.name}-chat", template, format="jinja2", model=model)
        said = "its chat template is kept raw: that of the file counts"
        findings.warn("jinja-template", said, at=f"{model.name}.chatTemplate")


def _settings(document: Document) -> Artefact | None:
    """GPT4All.ini: a section for each model whose settings were changed."""
    sections = _sections(document.text or "")
    models = {found[1]: values for name, values in sections.items()
              if (found := _SECTION.fullmatch(name))}  # fmt: skip
    if not models:
        return None
    findings = Findings(document.path, "gpt4all")
    folder = sections.get("", {}).get("modelPath") or sections.get("General", {}).get("modelPath")
    for name, (values, line) in ((name, _split(one)) for name, one in models.items()):
        file = values.get("filename") or name
        if not file.lower().endswith(".gguf"):
            _of_none(name, values, findings, line)
            continue
        source = hubnames.cached(file)
        path = f"{folder.rstrip('/')}/{file}" if folder else file
        model = findings.model(source.source if source else f"file:{path}",
                               values.get("name") or file.removesuffix(".gguf"), line)  # fmt: skip
        _set(model, values, findings, line)
    return findings.artefact()


def _of_none(
    name: str, values: Mapping[str, str], findings: Findings, line: int | None
) -> None:
    """The settings of a model that only GPT4All's list of models tells the file of."""
    carried = Model(naming.model_name(name), "")
    _set(carried, {key: one for key, one in values.items() if key != "chatTemplate"}, findings,
         line)  # fmt: skip
    if chat := values.get("chatTemplate"):
        findings.template(f"{name}-chat", chat, format="jinja2")
    system = carried.params.pop("system", None)
    if isinstance(system, str):
        doubled = literal(system)
        findings.template(name, messages=[("system", doubled)])
    told = ", ".join(f"{one} = {value!r}"[:80] for one, value in {
        **carried.params, **carried.options}.items())  # fmt: skip
    wanted = f": set where it is wanted {told}" if told else ""
    findings.warn("no-model", f"the settings of {name!r} name no file{wanted}", line, name)


def _set(model: Model, values: Mapping[str, str], findings: Findings, line: int | None) -> None:
    template = {name: values[name] for name in ("chatTemplate",) if values.get(name)}
    _described(model, template, findings)
    kept = {
        name: value for name, value in values.items()
        if name not in _NOISE and name not in ("chatTemplate", "promptTemplate", "")
        and (name, value) != ("gpuLayers", _ALL_LAYERS)
    }  # fmt: skip
    settle(model, kept, findings, line=line, names=_SETTINGS)


def _split(values: Mapping[str, str]) -> tuple[dict[str, str], int | None]:
    rest = dict(values)
    line = rest.pop("\0line", None)
    return rest, int(line) if line else None


def _sections(text: str) -> dict[str, dict[str, str]]:
    """The INI that Qt writes: names and texts with ``%XX`` and back-slash escapes."""
    found: dict[str, dict[str, str]] = {"": {}}
    section = found[""]
    for number, line in enumerate(text.splitlines(), 1):
        plain = line.strip()
        if plain.startswith("[") and plain.endswith("]"):
            section = found.setdefault(unquote(plain[1:-1]), {"\0line": str(number)})
        elif "=" in plain and not plain.startswith((";", "#")):
            key, _, value = plain.partition("=")
            section[unquote(key.strip())] = _unescaped(value.strip())
    return found


def _unescaped(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    signs = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "r": "\r"}
    return re.sub(r"\\(.)", lambda one: signs.get(one[1], one[0]), value)
