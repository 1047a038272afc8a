"""The model of mlx-lm that a folder is, built and filled.

It is done as ``mlx_lm.utils.load_model`` does it, for what MLX itself writes and for weights that
are not quantized. That module is not imported: it loads transformers, which takes a second, and
lowers how many files this process may have open.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmrr import formats
from llmrr.engines.mlx import installed
from llmrr.engines.mlx.settings import read_config
from llmrr.errors import FeatureMissing, LlmrrError, Unsupported
from llmrr.formats.safetensors_header import read_header
from llmrr.formats.source import FileSource
from llmrr.formats.tensors import Tensor

CODE = ("auto_map", "model_file")  # keys that name Python files
# The modes with a scale of eight bits, by bits and group size.
MODES = {(4, 16): "nvfp4", (4, 32): "mxfp4", (8, 32): "mxfp8"}


def weight_files(path: Path) -> tuple[Path, ...]:
    """The files with the weights of the model at ``path``, in order."""
    folder = path.parent if path.is_file() else path
    return tuple(folder / name for name in formats.weights(path))


def tensors_of(files: tuple[Path, ...]) -> tuple[Tensor, ...]:
    """The tensors in them, by their headers. Raises ``DamagedFile``."""
    return tuple(one for file in files for one in read_header(FileSource.of(file)).tensors)


def config_of(folder: Path, tensors: tuple[Tensor, ...]) -> dict[str, Any]:
    """config.json as mlx-lm is to read it. Raises ``Unsupported`` for a model whose layers are
    code in its folder."""
    config = read_config(folder, {one.name for one in tensors})
    if "model_file" in config:
        raise Unsupported(
            f"{folder / 'config.json'} wants {str(config['model_file'])[:99]!r} to be run, "
            "which comes with the model",
            "llmrr runs no code of a model: use one that transformers knows by itself",
        )
    return {key: value for key, value in config.items() if key not in CODE}


def require_readable(config: Mapping[str, Any], path: Path) -> None:
    """Raise for weights that are packed in another way than MLX packs them."""
    stated = config.get("quantization_config")
    method = stated.get("quant_method") if isinstance(stated, dict) else None
    if method is not None and config.get("quantization") is None:
        raise FeatureMissing(
            f"the mlx engine does not run {path.name} as it is: it is quantized by"
            f" {str(method)[:40]}",
            f"llmrr convert {path} --to mlx",
        )
    if config.get("quantize_activations"):
        raise FeatureMissing(
            f"the mlx engine does not quantize activations, which {path.name} wants",
            "use another variant of the model",
        )


def runs(path: Path) -> bool:
    """Does mlx-lm compute the model at ``path``, as far as its files tell?"""
    folder = path.parent if path.is_file() else path
    try:
        config = config_of(folder, ())
        installed.module(config)
        require_readable(config, path)
    except LlmrrError:
        return False
    return True


def module(config: Mapping[str, Any]) -> Any:
    """The Python module of the architecture. Raises ``Unsupported``."""
    name = installed.module(config)
    with _package():
        return importlib.import_module(f"mlx_lm.models.{name}")


def caches() -> Any:
    """mlx-lm's module of keys and values."""
    with _package():
        return importlib.import_module("mlx_lm.models.cache")


def build(architecture: Any, config: Mapping[str, Any], files: tuple[Path, ...]) -> Any:
    """The model, with its weights in memory. On the thread that will compute."""
    import mlx.core as mx
    from mlx import nn

    weights: dict[str, Any] = {}
    for file in files:
        weights.update(mx.load(str(file)))
    model = architecture.Model(architecture.ModelArgs.from_dict(dict(config)))
    if hasattr(model, "sanitize"):
        weights = model.sanitize(weights)
    stated = config.get("quantization")
    if isinstance(stated, dict):
        nn.quantize(
            model, group_size=stated["group_size"], bits=stated["bits"],
            mode=stated.get("mode", "affine"), class_predicate=_packed(stated, weights),
        )  # fmt: skip
    model.eval()
    model.load_weights(list(weights.items()), strict=True)
    widen_experts(model)
    mx.eval(model.parameters())
    return model


def widen_experts(model: Any) -> None:
    """On a CPU MLX multiplies experts that are not packed in float32 alone."""
    import mlx.core as mx

    if mx.default_device() == mx.cpu:
        for _, layer in model.named_modules():
            if type(layer).__name__ == "SwitchLinear":
                layer.set_dtype(mx.float32)


def _packed(
    stated: Mapping[str, Any], weights: Mapping[str, Any]
) -> Callable[[str, Any], bool | dict[str, Any]]:
    """Whether a layer is quantized and how: as stated for it, else as its weights show."""

    def of(path: str, layer: Any) -> bool | dict[str, Any]:
        own = stated.get(path)
        if isinstance(own, dict | bool):
            return own
        if not hasattr(layer, "to_quantized") or f"{path}.scales" not in weights:
            return False
        scales, columns = weights[f"{path}.scales"], layer.weight.shape[-1]
        bits = weights[f"{path}.weight"].shape[-1] * 32 // columns
        group = columns // scales.shape[-1]
        mode = MODES.get((bits, group), "") if "uint8" in str(scales.dtype) else "affine"
        found = {"bits": bits, "group_size": group, "mode": mode}
        return found | ({"global_scale": True} if f"{path}.global_scale" in weights else {})

    return of


@contextmanager
def _package() -> Iterator[None]:
    """mlx-lm without what its ``__init__`` imports. The bare package is taken away again, so that
    whoever wants the real one gets it."""
    bare = None if "mlx_lm" in sys.modules else installed.bare()
    if bare is None:
        yield
        return
    sys.modules["mlx_lm"] = bare
    try:
        yield
    finally:
        del sys.modules["mlx_lm"]
