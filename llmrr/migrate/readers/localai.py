"""LocalAI: the YAML files of its models folder, one mapping or a list; galleries are in
``localai_gallery``.

The fields are those of ``core/config/model_config.go`` of https://github.com/mudler/LocalAI. A
model is called as the user calls it, often ``gpt-4``: the name never tells what it is.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import localai_gallery, localai_templates
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.localai_source import File, files_of, located
from llmrr.migrate.terms import naming
from llmrr.migrate.terms.fields import api_key, settle

Table = Mapping[str, Any]

# Backends that do not write text.
_OTHER: Final = re.compile(
    r"(?i)whisper|tts|piper|diffus|bark|coqui|kokoro|vad|rerank|musicgen|tinydream|sherpa|vibe"
    r"|moonshine|(?<!hugging)face|rfdetr|detr|voice|speech|audio|asr|image|video|vall|outetts|neutts"
    r"|chatterbox|nemo|^ced$|kitten|supertonic|fish|acestep|ace-step|^sam|depth|stores?$|parler"
    r"|opus|trl|flux|yolo|sound|webrtc|parakeet|canary"
)
_EMBEDDER: Final = re.compile(r"(?i)bert|sentence-?transformers|embed")
_OF_REPOSITORIES: Final = re.compile(r"(?i)vllm|transformers|mlx|sglang|exllama|huggingface")
_TEXT_USES: Final = frozenset({"chat", "completion", "edit", "flag_chat", "flag_completion"})
_WITHIN: Final = frozenset({
    "backend", "parameters", "context_size", "template", "config_file", "proxy", "roles",
    "stopwords", "system_prompt", "known_usecases", "embeddings", "f16", "mmap", "gpu_layers",
    "threads", "function", "mmproj", "download_files", "max_model_len", "engine_args", "pipeline",
    "router", "tts", "diffusers", "reranking",
})  # fmt: skip
# Read elsewhere, or of no consequence.
_READ: Final = frozenset({
    "name", "backend", "parameters", "template", "proxy", "description", "usage", "icon",
    "license", "urls", "tags", "known_usecases", "download_files", "f16", "model", "embeddings",
    "alias", "disabled", "pinned", "config_file", "files", "prompt_templates", "url", "overrides",
    "embedding", "cache_prompt", "prompt_cache_path", "prompt_cache_all", "prompt_cache_ro",
})  # fmt: skip
# Ours by theirs, beside the usual names.
_NAMES: Final = {"stopwords": "stop", "max_model_len": "context_size", "lora_adapter": "lora"}
_SAID: Final[Mapping[str, tuple[str, str]]] = {
    "roles": ("chat-template", "the words that stand for roles are part of a prompt's template"),
    "function": ("tools", "how functions are called stays in LocalAI"),
    "grammar": ("tools", "a grammar stays in LocalAI"),
    "reasoning": ("not-applied", "how reasoning is told apart is known of the model"),
    "pipeline": ("framework-logic", "a pipeline of models stays in LocalAI"),
    "router": ("framework-logic", "routing by LocalAI has other rules than llmrr's strategies"),
    "batch": ("batch-size", "the size of batches is chosen by the engine"),
    "tensor_parallel_size": ("gpu-split", "how a model is spread is decided when it is loaded"),
    "tensor_split": ("gpu-split", "how a model is spread is decided when it is loaded"),
    "main_gpu": ("gpu-split", "how a model is spread is decided when it is loaded"),
}
_DEFAULTS: Final[Mapping[str, tuple[Any, ...]]] = {
    "mirostat": (0,), "tfz": (1,), "low_vram": (False,), "n_keep": (0,), "echo": (False,),
    "trust_remote_code": (False,), "rope_freq_base": (0,), "rope_freq_scale": (0,), "numa": (
        False,), "reranking": (False,), "debug": (False, True), "n": (0, 1), "clip_skip": (0,),
    "keep": (0, -1), "batch": (512,), "options": ([], ["use_jinja:true"]),
}  # fmt: skip


def of_data(document: Document) -> Iterator[Artefact]:
    """The models of a file, or the entries of a gallery."""
    if document.suffix not in (".yaml", ".yml", ".json", ".txt", ""):
        return
    shape = document.shape
    if localai_gallery.is_gallery(shape):
        yield localai_gallery.artefact(document, shape)
        return
    tables = shape if isinstance(shape, list) else [shape]
    if tables and all(_is_model(one) for one in tables[:200]):
        yield _artefact(document, tables)


def forced(document: Document) -> Iterator[Artefact]:
    """A file that the user says to be LocalAI's."""
    shape = document.shape
    tables = [one for one in (shape if isinstance(shape, list) else [shape])
              if isinstance(one, dict)]  # fmt: skip
    if not tables:
        raise DamagedFile(document.problem or f"{document.path} holds no mapping of a model")
    yield _artefact(document, tables)


READER = Reader(("localai", "localai-gallery"), of_data, None, None, forced)


def put(findings: Findings, table: Table, files: tuple[File, ...], at: Path,
        templates: Mapping[str, str], name: str) -> Model | None:  # fmt: skip
    """The model that one mapping describes, or a warning that says why there is none. ``at`` is the
    folder of the file, ``templates`` are texts by their names."""
    backend = _text(table, "backend")
    if role := _other_role(table, backend):
        code, what = role
        findings.warn(code, f"{name or 'it'} {what}", at=name)
        return None
    if isinstance(table.get("proxy"), dict):
        return _remote(findings, table, name)
    stated = _text(_parameters(table), "model")
    if not stated and (stated := _text(table, "model")):
        said = f"the model of {name} stands outside of parameters, where LocalAI looks for it"
        findings.warn("not-used-by-original", said, at=f"{name}.model")
    if not stated:
        _without_model(findings, table, name)
        return None
    place = located(stated, files, at, by_repository=bool(_OF_REPOSITORIES.search(backend)))
    if place.source is None:
        findings.warn(place.code, f"{name}: {place.why}", at=name)
        return None
    model = findings.model(place.source, name or None)
    model.options |= place.options
    if str(place.options.get("file", "")).lower().endswith(".gguf"):
        model.format = "gguf"
    _engine(model, backend, findings)
    _fill(model, table, files, at, findings)
    localai_templates.put(model, table, templates, at, findings)
    return model


def _artefact(document: Document, tables: list[Any]) -> Artefact:
    findings = Findings(document.path, "localai")
    if document.problem:
        findings.warn("syntax", document.problem)
    if document.path.name.startswith("."):
        said = "LocalAI passes over files whose names begin with a dot"
        findings.warn("not-used-by-original", said)
        return findings.artefact()
    for name, line in document.duplicates:
        findings.warn("duplicate-key", f"{name} stands twice; the last one counts", line, name)
    for table in tables:
        name = _text(table, "name") or document.path.stem
        put(findings, table, files_of(table), document.real.parent, {}, name)
    return findings.artefact()


def _is_model(table: Any) -> bool:
    """Whether a mapping has the fields of a model of LocalAI, and of nothing else."""
    if not isinstance(table, dict) or "apiVersion" in table or "services" in table:
        return False
    if any(one in table for one in ("model_list", "models", "clients", "class_name", "_type")):
        return False
    if isinstance(table.get("parameters"), dict) and _text(table["parameters"], "model"):
        return len(_WITHIN & set(table)) > 1 or "name" in table
    known = _WITHIN & set(table)
    if isinstance(table.get("proxy"), dict) and "upstream_url" in table["proxy"]:
        return True
    return isinstance(table.get("backend"), str) and len(known) > 1


def _other_role(table: Table, backend: str) -> tuple[str, str] | None:
    """Why a model is none that writes text, as a code and a phrase."""
    if table.get("embeddings") is True or table.get("embedding") is True:
        return "embedding-model", "makes vectors of texts"
    if table.get("reranking") is True:
        return "other-role", "ranks texts"
    if _OTHER.search(backend):
        return "other-role", f"runs on {backend}, which writes no text"
    if _EMBEDDER.search(backend):
        return "embedding-model", f"runs on {backend}, which makes vectors of texts"
    if not backend and any(isinstance(table.get(one), dict) for one in ("tts", "diffusers")):
        return "other-role", "makes speech or images"
    uses = table.get("known_usecases")
    named = {str(one).lower().removeprefix("flag_") for one in uses} if isinstance(
        uses, list) else set()  # fmt: skip
    if named and not named & _TEXT_USES:
        if named <= {"embeddings", "embedding"}:
            return "embedding-model", "makes vectors of texts"
        return "other-role", f"is for {', '.join(sorted(named))[:60]}"
    return None


def _without_model(findings: Findings, table: Table, name: str) -> None:
    target = table.get("alias")
    if isinstance(target, str) and target:
        findings.warn("alias", f"{name} is another name for {target}", at=name)
    elif "pipeline" in table or "router" in table:
        findings.warn(*_SAID["router" if "router" in table else "pipeline"], at=name)
    else:
        findings.warn("no-model", f"{name} is a template for models: it names none", at=name)


def _remote(findings: Findings, table: Table, name: str) -> Model | None:
    proxy: Table = table["proxy"]
    upstream = _text(proxy, "upstream_model") or _text(_parameters(table), "model") or name
    address = re.sub(
        r"/(?:chat/completions|completions|messages|responses)/?$", "",
        _text(proxy, "upstream_url"),
    )  # fmt: skip
    place = naming.place(_text(proxy, "provider") or "openai-compatible", upstream, address or None)
    if place.source is None:
        findings.warn("unknown-provider", f"{name}: {place.why}", at=name)
        return None
    model = findings.model(place.source, name)
    if place.base_url:
        settle(model, {"base_url": place.base_url}, findings)
    if named := _text(proxy, "api_key_env"):
        model.options["api_key_env"] = named
    elif "api_key_file" in proxy:
        said = f"the key of {name} lies in a file of its own, which is not read"
        findings.warn("key-guess", said, at="api_key_file")
        if variable := naming.key_variable(model.source.partition(":")[0]):
            model.options["api_key_env"] = variable
    for field in ("api_key", "key", "token"):
        if field in proxy:
            api_key(model, proxy[field], findings, at=f"proxy.{field}")
    _fill(model, table, (), Path(), findings)
    return model


def _engine(model: Model, backend: str, findings: Findings) -> None:
    plain = backend.lower()
    if plain.startswith("mlx"):
        model.engine, model.format = "mlx", "mlx"
    elif _OF_REPOSITORIES.search(plain) or plain in ("rwkv", "bloomz", "dolly", "falcon", "mpt"):
        said = f"it ran on {backend}; llmrr takes the engine that runs its format"
        findings.warn("not-applied", said, at=f"{model.name}.backend")


def _fill(
    model: Model, table: Table, files: tuple[File, ...], at: Path, findings: Findings
) -> None:
    """Sampling, and how the model is loaded."""
    stated = {name: one for name, one in _parameters(table).items() if name != "model"}
    stated |= {name: one for name, one in table.items() if name not in _READ}
    stated = {name: one for name, one in stated.items() if name not in _READ}
    if stated.get("cache_type_v") == stated.get("cache_type_k"):  # llmrr has one type for both
        stated.pop("cache_type_v", None)
    for name in ("mmproj", "lora_adapter"):
        if isinstance(path := stated.pop(name, None), str) and path:
            place = located(path, files, at)
            if place.source and place.source.startswith("file:"):
                stated[name] = place.source.removeprefix("file:")
            elif name == "mmproj" and place.source == model.source:
                pass  # pulled together with the model
            else:
                said = f"{name} is fetched by LocalAI from {(place.source or path)[:120]}"
                findings.warn("foreign-path", said, at=f"{model.name}.{name}")
    many = stated.pop("lora_adapters", None)
    if isinstance(many, list) and (paths := [one for one in many if isinstance(one, str) and one]):
        model.options["lora"] = paths
    rest = {}
    for name, value in stated.items():
        if name in _SAID and value not in (None, {}, [], 0, *_DEFAULTS.get(name, ())):
            code, said = _SAID[name]
            findings.warn(code, f"{name}: {said}", at=f"{model.name}.{name}")
        elif name not in _SAID and value not in _DEFAULTS.get(name, ()):
            rest[name] = value
    settle(model, rest, findings, names=_NAMES)
    if naming.is_local(model.source):  # a key of LocalAI's own server
        model.options.pop("api_key_env", None)
        model.key = None


def _parameters(table: Table) -> Table:
    found = table.get("parameters")
    return found if isinstance(found, dict) else {}


def _text(table: Table, key: str) -> str:
    value = table.get(key)
    return str(value).strip() if isinstance(value, str | int | float) else ""
