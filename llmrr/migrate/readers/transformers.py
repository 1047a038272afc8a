"""Hugging Face Transformers: folders that ``save_pretrained`` writes, PEFT's adapters, and the
hub's cache (``hf_cache``). MLX has the same layout: the weights tell."""

import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.errors import DamagedFile, LlmrrError
from llmrr.formats.model_config import Config
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import hf_cache, model_folder
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.terms import hubnames, naming
from llmrr.store.holders import base
from llmrr.store.holders.base import Holding, json_object, listed
from llmrr.types import Format

_ADAPTER: Final = "adapter_config.json"
_CONFIG_KEYS: Final = frozenset({
    "architectures", "transformers_version", "hidden_size", "vocab_size", "torch_dtype", "dtype",
    "num_hidden_layers", "n_layer", "text_config", "eos_token_id", "auto_map",
})  # fmt: skip
_GENERATION_KEYS: Final = frozenset({
    "do_sample", "_from_model_config", "transformers_version", "eos_token_id", "bos_token_id",
    "pad_token_id", "max_new_tokens", "repetition_penalty", "temperature", "top_p", "top_k",
    "max_length",
})  # fmt: skip


def of_folder(real: Path, shown: Path) -> Iterator[Artefact]:
    """A folder that is a model, an adapter, or a cache of the hub."""
    if cache := hf_cache.artefact(real, shown):
        yield cache
        return
    if not any((real / one).is_file() for one in ("config.json", _ADAPTER, "model_index.json")):
        return
    folder = listed(real)
    names = dict(folder.sizes)
    if real / "onnx" in folder.folders:
        names |= {f"onnx/{name}": size for name, size in listed(real / "onnx").sizes.items()}
    if "model_index.json" in names and "config.json" not in names:
        yield from _pipeline(real, shown)
    elif _is_adapter(names):
        yield _adapter(real, shown, _object(real / _ADAPTER))
    elif "config.json" in names:
        source = naming.beside(shown)
        if held := base.of_folder("folder", real, names, shown.name or real.name, source):
            yield _folder(held, real, shown)


def of_data(document: Document) -> Iterator[Artefact]:
    """A configuration without the weights that belong to it, which makes no model; that of an
    adapter names its base."""
    text = document.text or ""
    if document.suffix not in (".json", "") or not any(
        one in text for one in ('"model_type"', '"base_model_name_or_path"', "_token_id")
    ):
        return
    shape = document.shape
    if not isinstance(shape, dict):
        return
    if "base_model_name_or_path" in shape and "peft_type" in shape:
        folder = document.real.parent
        yield _adapter(folder, document.path.parent, shape, document.path)
    elif isinstance(shape.get("model_type"), str) and _CONFIG_KEYS & set(shape):
        yield _configuration(document, Config(shape))
    elif _is_generation(shape):
        findings = Findings(document.path, "transformers-dir")
        model_folder.sampling(Model(document.path.parent.name or "model", ""), shape, findings)
        findings.warn("no-model", "these are settings of a model whose weights are not beside")
        yield findings.artefact()


def forced(document: Document) -> Iterator[Artefact]:
    """A configuration that the user says to be of Transformers."""
    found = list(of_data(document))
    if not found:
        raise DamagedFile(f"{document.path} is no configuration of Transformers")
    yield from found


READER = Reader(
    ("transformers-dir", "mlx-dir", "hf-cache"), of_data, None, of_folder, forced
)  # fmt: skip


def _folder(held: Holding, real: Path, shown: Path) -> Artefact:
    config = model_folder.config_of(real)
    is_mlx = held.format is Format.MLX or (config is not None and _is_mlx(config.raw))
    findings = Findings(shown, "mlx-dir" if is_mlx else "transformers-dir")
    role = model_folder.other_role(config, real) if config else None
    if role is not None:
        findings.warn(*role)
        return findings.artefact()
    model = findings.model(held.source, held.name)
    model.bytes = held.bytes or None
    if held.problem:
        findings.warn("incomplete", held.problem)
    if is_mlx:
        model.format, model.engine = "mlx", "mlx"
        tell_of_mlx(findings)
    if config is not None:
        model_folder.describe(model, real, config, findings)
    return findings.artefact()


def tell_of_mlx(findings: Findings, line: int | None = None) -> None:
    """Where MLX is slow, say so."""
    if not (sys.platform == "darwin" and platform.machine() == "arm64"):
        said = "MLX runs on Apple's chips, and slowly on Linux: this machine is none of Apple's"
        findings.warn("mlx-elsewhere", said, line)


def _is_mlx(raw: Mapping[str, Any]) -> bool:
    """By config.json alone: MLX's quantization, and a copy that names no method."""
    own, copied = raw.get("quantization"), raw.get("quantization_config")
    if isinstance(own, dict) and {"group_size", "bits"} <= set(own):
        return True
    return isinstance(copied, dict) and {"group_size", "bits"} <= set(
        copied) and "quant_method" not in copied  # fmt: skip


def _pipeline(real: Path, shown: Path) -> Iterator[Artefact]:
    index = _object(real / "model_index.json")
    if "_diffusers_version" in index or isinstance(index.get("_class_name"), str):
        findings = Findings(shown, "transformers-dir")
        said = f"{str(index.get('_class_name') or 'a pipeline')[:60]} makes images, or other things"
        findings.warn("other-role", said)
        yield findings.artefact()


def _is_adapter(names: Mapping[str, object]) -> bool:
    whole = [one for one in names if one.endswith((".safetensors", ".bin"))
             and "adapter" not in one and "training" not in one]  # fmt: skip
    return _ADAPTER in names and not (whole and "config.json" in names)


def _adapter(
    folder: Path, shown: Path, stated: Mapping[str, Any], path: Path | None = None
) -> Artefact:
    """A LoRA adapter on its base: PEFT names that ``base_model_name_or_path``, mlx-lm ``model``."""
    peft = stated.get("base_model_name_or_path")
    of_mlx = "peft_type" not in stated and peft is None
    named = stated.get("model") if of_mlx else peft
    findings = Findings(path or shown, "mlx-dir" if of_mlx else "transformers-dir")
    weights = [one for one in listed(folder).sizes if one.startswith("adapter")
               and one.endswith((".safetensors", ".bin", ".npz"))]  # fmt: skip
    if not isinstance(named, str) or not named.strip():
        findings.warn("no-model", "the adapter does not name the model that it changes")
        return findings.artefact()
    hub = hubnames.cached(named) or hubnames.repository(named)
    model = findings.model(hub.source if hub else f"file:{named}", shown.name or folder.name)
    model.options |= hub.options if hub else {}
    if hub is None:
        said = f"the base of the adapter is {named}, a path of the machine that trained it"
        findings.warn("foreign-path", said, at="base_model_name_or_path")
    if isinstance(revision := stated.get("revision"), str) and revision:
        model.options["revision"] = revision
    if weights:
        model.options["lora"] = "." if path else naming.beside(shown).removeprefix("file:")
    else:
        findings.warn("incomplete", "the weights of the adapter are not beside its settings")
    if any(one.endswith(".bin") for one in weights):
        findings.warn("has-pickles", "the weights of the adapter are pickles")
    kind = stated.get("peft_type")
    if isinstance(kind, str) and kind.upper() != "LORA":
        said = f"the adapter is of {kind[:40]}, and only LoRA is run"
        findings.warn("not-applied", said, at="peft_type")
    if of_mlx:
        model.engine = "mlx"
        tell_of_mlx(findings)
    return findings.artefact()


def _configuration(document: Document, config: Config) -> Artefact:
    findings = Findings(document.path, "mlx-dir" if _is_mlx(config.raw) else "transformers-dir")
    role = model_folder.other_role(config)
    if role is not None:
        findings.warn(*role)
    else:
        said = f"the weights of this model ({config.family}) are not beside its configuration"
        findings.warn("incomplete", said)
    return findings.artefact()


def _is_generation(shape: Mapping[str, Any]) -> bool:
    named = any(one.endswith("_token_id") for one in shape)
    return named and len(_GENERATION_KEYS & set(shape)) > 1 and "model_type" not in shape


def _object(path: Path) -> dict[str, Any]:
    try:
        return json_object(path)
    except LlmrrError:
        return {}
