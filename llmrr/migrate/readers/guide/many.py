"""``models: […]`` of ``langchain.config.js``, and of configurations of a router in its words."""

from collections.abc import Iterator, Mapping
from typing import Final

from llmrr.kinds import split_source
from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers.guide import routing
from llmrr.migrate.readers.guide.tables import in_milliseconds, nested, part
from llmrr.migrate.readers.weights import model_at
from llmrr.migrate.terms import fields, naming
from llmrr.migrate.values import Env, Unresolved, Value

_ID: Final = ("modelName", "model", "modelId", "model_name", "model_id", "id", "name")
_PATH: Final = ("modelPath", "model_path", "path", "file")
_ADDRESS: Final = ("baseURL", "baseUrl", "base_url", "basePath", "apiBase", "endpoint", "url")
_NESTED: Final = ("modelKwargs", "kwargs", "parameters", "settings", "options", "params", "config")
_OWN: Final = frozenset({
    *_ID, *_PATH, *_ADDRESS, *_NESTED, "provider", "source", "format", "engine", "weight",
    "priority", "loader", "quantization", "tags", "group", "cost", "aliases", "alias", "enabled",
    "description", "type", "capabilities", "fallback", "title", "displayName", "label", "default",
})  # fmt: skip
_IN_PROCESS: Final = frozenset({
    "local", "file", "llamacpp", "llama.cpp", "llama-cpp", "llama_cpp", "node-llama-cpp", "gguf",
    "native",
})  # fmt: skip
_NAMES: Final = {"context": "context_size"}
_ENGINES: Final = {"native": "llamacpp", "llama.cpp": "llamacpp", "llama-cpp": "llamacpp",
                   "node-llama-cpp": "llamacpp", "llamacpp": "llamacpp", "onnx": "onnx",
                   "mlx": "mlx", "onnxruntime": "onnx"}  # fmt: skip
_FORMATS: Final = frozenset({"gguf", "safetensors", "onnx", "mlx"})


def is_langchain(table: Mapping[str, Value]) -> bool:
    """Whether a table lists models by ``modelName``: a build's configuration does not."""
    return any("modelName" in one for one in _entries(table))


def is_router(table: Mapping[str, Value]) -> bool:
    """Whether a table lists models by ``source``, or by name with a provider, format or engine,
    in camelCase or beside what only a router says."""
    entries = list(_entries(table))
    if any(_is_source(one.get("source")) for one in entries):
        return True
    says = {"fallbackChain", "fallbackModels", "strategy", "fallback_chain", "loadBalancing"}
    is_routed = not says.isdisjoint(table)
    return any(
        ("provider" in one or "engine" in one or "format" in one)
        and part(one, "model", "modelPath", "modelId") is not None
        and (is_routed or "config" in one or "modelPath" in one)
        for one in entries
    )


def read(table: Mapping[str, Value], findings: Findings) -> None:
    """The models of such a table, in their order, with what it says of all of them."""
    shared = nested(table, "defaults", "defaultConfig", "modelDefaults", "defaultOptions")
    known: dict[str, Model] = {}
    for at, entry in enumerate(_entries(table)):
        if entry.get("enabled") is False:
            name = part(entry, *reversed(_ID))
            findings.warn("not-applied", f"{name} is switched off", at=f"models[{at}]")
            continue
        own = routing.of_provider(table, entry.get("provider"))
        model = _model({**shared, **own, **entry}, findings, f"models[{at}]")
        if model is not None:
            for name in _ID:
                if isinstance(entry.get(name), str):
                    known.setdefault(str(entry[name]), model)
            known.setdefault(model.source, model)
            known[model.name] = model
    routing.read(table, known, findings)


def _entries(table: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    models = table.get("models")
    if isinstance(models, dict):
        for name, one in models.items():
            if isinstance(one, dict):
                yield {"name": name, **one}
            elif isinstance(one, str) and _is_source(one):
                yield {"name": name, "source": one}
    for one in models if isinstance(models, list) else ():
        if isinstance(one, dict):
            yield one
        elif isinstance(one, str) and _is_source(one):
            yield {"source": one}


def _is_source(value: Value) -> bool:
    if isinstance(value, Env):
        return _is_source(value.default)
    if not isinstance(value, str):
        return False
    prefix, colon, _ = value.partition(":")
    head, slash, _ = value.partition("/")
    return (
        (bool(colon) and (naming.provider_of(prefix) is not None or prefix == "mock"))
        or value.startswith(("./", "../", "~/"))
        or value.lower().endswith(".gguf")
        or (bool(slash) and naming.provider_of(head) is not None)
    )  # fmt: skip


def _model(entry: Mapping[str, Value], findings: Findings, at: str) -> Model | None:
    settings = {**entry, **nested(entry, *_NESTED)}
    name = part(entry, "name", *_ID)
    placed = _placed(settings, findings, at)
    if placed is None:
        return None
    source, base_url = placed
    provider = source.partition(":")[0]
    if provider == "file":
        model = model_at(source.removeprefix("file:"), findings, _plain(name))
        if model is None:
            return None
    else:
        model = findings.model(source, _plain(name))
    if base_url:
        model.options["base_url"] = base_url
    _own(model, settings, findings, at)
    # as ``translating`` has it: milliseconds in ``config``, else what the figure tells
    ms = ("timeout",) if "timeout" in nested(entry, "config") else in_milliseconds(settings)
    fields.settle(model, settings, findings, names=_NAMES, drop=_OWN, milliseconds=ms)
    return model


def _placed(
    entry: Mapping[str, Value], findings: Findings, at: str
) -> tuple[str, str | None] | None:
    """The source and the address of an entry, or None with a warning."""
    known = {
        name: fields.resolved(part(entry, *names), findings, f"{at}.{names[0]}")
        for name, names in (
            ("source", ("source",)), ("path", _PATH), ("model", _ID), ("provider", ("provider",)),
            ("address", _ADDRESS),
        )
    }  # fmt: skip
    texts = {name: one if isinstance(one, str) else None for name, one in known.items()}
    source, provider, model = texts["source"], texts["provider"], texts["path"] or texts["model"]
    if source is not None and provider is None:
        return _of_source(source, texts["address"], findings, at)
    model = source or (model if provider is None or _in_process(provider) else texts["model"])
    if model is None:
        unknown = isinstance(part(entry, *_ID), Unresolved | Env)
        if not unknown:
            findings.warn("no-model", "names no model", at=at)
        return None
    if (provider is not None and _in_process(provider)) or (texts["path"] and provider is None):
        return f"file:{model}", None
    place = naming.place(provider, model, texts["address"])
    if place.source is None:
        findings.warn("unknown-provider" if provider else "no-model", place.why, at=at)
        return None
    return place.source, place.base_url


def _in_process(provider: str) -> bool:
    return provider.strip().lower() in _IN_PROCESS


def _of_source(
    source: str, address: str | None, findings: Findings, at: str
) -> tuple[str, str | None] | None:
    """``huggingface:org/model``, ``local:./x.gguf``, ``groq/model``."""
    head, slash, rest = source.partition("/")
    vendor = naming.provider_of(head) if slash and ":" not in head else None
    if vendor is not None and vendor not in ("file", "huggingface") and rest:
        place = naming.place(head, rest, address)
    else:
        try:
            provider, rest = split_source(source)
        except ValueError as error:
            findings.warn("unsupported-source", str(error), at=at)
            return None
        place = naming.place(provider, rest, address)
    if place.source is None:
        findings.warn("unknown-provider", place.why, at=at)
        return None
    return place.source, place.base_url


def _own(model: Model, entry: Mapping[str, Value], findings: Findings, at: str) -> None:
    """What is said of a model beside its parameters."""
    if model.source.startswith(("file:", "huggingface:")):
        _running(model, entry, findings, at)
    weight, priority = entry.get("weight"), entry.get("priority")
    if isinstance(weight, int | float) and not isinstance(weight, bool):
        model.weight = weight
    if isinstance(priority, int) and not isinstance(priority, bool):
        model.priority = priority
    quant = entry.get("quantization")
    if isinstance(quant, str) and model.source.startswith("huggingface:"):
        if ":" not in model.source.removeprefix("huggingface:"):
            model.source = f"{model.source}:{quant}"
    elif quant not in (None, "", "none", "auto"):
        findings.warn("unmapped-parameter", "the file decides its quantization",
                      at=f"{at}.quantization")  # fmt: skip
    _labels(model, entry)


def _running(model: Model, entry: Mapping[str, Value], findings: Findings, at: str) -> None:
    """The engine that runs a model and the format of its files."""
    engine, format = entry.get("engine"), entry.get("format")
    if isinstance(engine, str) and engine.lower() not in ("auto", "default"):
        model.engine = _ENGINES.get(engine.lower())
        if model.engine is None:
            findings.warn("not-applied", f"there is no engine {engine!r}", at=f"{at}.engine")
        elif engine.lower() == "native":
            said = f"engine {engine!r} is {model.engine!r} here"
            findings.warn("not-applied", said, at=f"{at}.engine")
    if isinstance(format, str) and format.lower() in _FORMATS:
        model.format = format.lower()
    elif isinstance(format, str) and format.lower() not in ("", "auto"):
        said = f"there is no format {format!r}: it is told from the files"
        findings.warn("not-applied", said, at=f"{at}.format")


def _labels(model: Model, entry: Mapping[str, Value]) -> None:
    for name, target in (("tags", model.tags), ("capabilities", model.tags),
                         ("aliases", model.aliases), ("alias", model.aliases)):  # fmt: skip
        value = entry.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and one and one not in target:
                target.append(one)
    group = entry.get("group")
    if isinstance(group, str):
        model.group = group


def _plain(name: Value) -> str | None:
    return name if isinstance(name, str) else None
