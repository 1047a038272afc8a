"""A model in safetensors files, of Hugging Face or of MLX: what their headers and the files beside
them say."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmrr.formats.detection import require
from llmrr.formats.json_file import read_beside, table, text
from llmrr.formats.layout import ADAPTER_CONFIG, Layout
from llmrr.formats.messages import damaged
from llmrr.formats.parts import numbered
from llmrr.formats.quantization import (
    Quantization,
    numbers,
    of_mlx,
    of_transformers,
    unstated,
)
from llmrr.formats.safetensors_header import Header, read_header
from llmrr.formats.source import Files, Source
from llmrr.formats.tensors import Tensor, label, sizes, weigh
from llmrr.formats.transformers import read_settings
from llmrr.types import Format, ModelInfo

LONG = 1024  # a text of the header's metadata that is left out
# How the keys of adapter_config.json are called here: PEFT's names, then those of mlx-lm.
ADAPTER_KEYS = {
    "base_model": ("base_model_name_or_path", "model"),
    "adapter_type": ("peft_type", "fine_tune_type"),
    "rank": ("r", "rank"),
    "alpha": ("lora_alpha", "scale"),
    "target_modules": ("target_modules", "keys"),
}


def describe(files: Files, layout: Layout) -> ModelInfo:
    """What the weights that ``layout`` found in ``files`` say, and what stands beside them.

    ``metadata`` has the keys of config.json, those of the header's own metadata as
    ``safetensors.KEY``, and those of ``of_tensors``. Raises ``DamagedFile``.
    """
    names = numbered(files, layout.weights)
    headers = {name: layout.headers.get(name) or _read(files.source(name)) for name in names}
    _agree(files, layout, headers)
    tensors = [tensor for header in headers.values() for tensor in header.tensors]
    described = of_tensors(files, layout, tensors)
    own = headers[names[0]].metadata
    stated = {f"safetensors.{key}": one for key, one in own.items() if len(one) <= LONG}
    architecture = described.architecture or stated.get("safetensors.modelspec.architecture", "")
    return replace(described, architecture=architecture, metadata={**stated, **described.metadata})


def of_tensors(files: Files, layout: Layout, tensors: list[Tensor]) -> ModelInfo:
    """A model whose weights are ``tensors``, with the settings that lie beside them; ``metadata``
    has of an adapter ``base_model``, ``adapter_type``, ``rank``, ``alpha``, ``target_modules``."""
    config, fields = read_settings(files)
    if layout.adapter:
        fields["metadata"] |= _of_adapter(read_beside(files, ADAPTER_CONFIG))
    if not all(fields[key] for key in ("layers", "embedding_length", "vocabulary", "heads_kv")):
        told = sizes(tensors)
        fields |= {key: value for key, value in told.items() if not fields.get(key)}
    weighed = weigh(tensors, fields["layers"])
    quantization = _quantization(files, layout.format, config.raw) or unstated(tensors)
    return ModelInfo(
        format=layout.format,
        kind="adapter" if layout.adapter else None,
        parameters=numbers(tensors, quantization) if tensors else None,
        quant=quantization.label if quantization else label(weighed["tensor_types"]),
        bytes=sum(files.sizes[name] for name in layout.weights),
        parts=len(layout.weights),
        **fields,
        **weighed,
    )


def _read(source: Source) -> Header:
    require(source, Format.SAFETENSORS)
    return read_header(source)


def _agree(files: Files, layout: Layout, headers: Mapping[str, Header]) -> None:
    """Every tensor is in the file that the index says."""
    for name, expected in layout.index.items():
        missing = set(expected) - {tensor.name for tensor in headers[name].tensors}
        if missing:
            shown = min(missing)[:99]
            raise damaged(files.source(name), f"{shown!r}, which its index has, is not in it")


def _quantization(files: Files, format_: Format, config: Mapping[str, Any]) -> Quantization | None:
    if format_ is Format.MLX:
        return of_mlx(config)
    if "quantization_config" in config or "compression_config" in config:
        return of_transformers(config)
    for name in ("quantize_config.json", "quant_config.json", "hf_quant_config.json"):
        if beside := read_beside(files, name):
            return of_transformers({"quantization_config": beside})
    return None


def _of_adapter(stated: Mapping[str, Any]) -> dict[str, Any]:
    inside = {**table(stated, "lora_parameters"), **stated}
    found = {
        ours: next((inside[key] for key in keys if inside.get(key) is not None), None)
        for ours, keys in ADAPTER_KEYS.items()
    }
    found["base_model"] = text(found, "base_model")
    if isinstance(modules := found["target_modules"], list):
        found["target_modules"] = tuple(str(one)[:LONG] for one in modules[:64])
    return {k: v for k, v in found.items() if isinstance(v, str | int | float | tuple)}
