"""The comparisons of an MLX folder with its source that need MLX; in the helper process.

Tensors: mlx-lm loads the source as it would to run it (its ``sanitize`` renames, splits, stacks and
drops), and every tensor of the result, read by our own reader, must be that. One that was not
quantized must be equal in every bit, after the change of type that was asked for. One that was must
come back within the bound of its mode, which holds for every single weight of a group whose largest
is ``amax``:

- affine: one step of its scale, and what rounding scale and bias to their type adds
- mxfp4: amax / 4. The scale is a power of two, so that amax lies between 4 and 8 of the largest
  number, which is 6; and between 4 and 6 the numbers are 2 apart
- nvfp4: amax x (1/6 + 1/16): half of the widest step, and the rounding of the scale to float8;
  where that one is below 2**-6 it is rounded by up to 2**-10, six times of which reach a weight
- mxfp8: amax / 8: between 448 and 512 of the largest, 448; elsewhere 4 bits of mantissa

In float16 what is below 2**-14 has steps of 2**-24, scales and biases too: ``HALF_STEPS`` is how
many of them a weight may be off besides, as a scale of less than one is nothing. All of this is
in mlx's ``quantize``:
https://ml-explore.github.io/mlx/build/html/python/_autosummary/mlx.core.quantize.html
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from llmrr import hardware
from llmrr.engines.mlx.weights import weight_files, widen_experts
from llmrr.errors import DamagedFile
from llmrr.formats.safetensors_header import Header, read_header
from llmrr.formats.source import FileSource
from llmrr.formats.tensors import Tensor

Say = Callable[[Any], None]
# Of a group's largest weight; see above.
BOUNDS = {"mxfp4": 1 / 4, "nvfp4": 1 / 6 + 1 / 16, "mxfp8": 1 / 8}
SMALLEST_SCALE = {"nvfp4": 6 * 2**-10}
HALF_STEP, HALF_STEPS = 2**-24, {"mxfp4": 8, "nvfp4": 1, "mxfp8": 512}
ROWS = 1 << 24  # weights that are compared at once
WINDOW = 64  # tokens
WORST = 3
# numpy's names of what mlx writes; bfloat16 has none.
NUMPY = {
    "F32": "float32", "F16": "float16", "BF16": "uint16", "U32": "uint32", "U16": "uint16",
    "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U64": "uint64",
    "BOOL": "bool", "C64": "complex64",
}  # fmt: skip


def compare(task: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """``tensors`` with what was found, and ``logits`` where ``task`` has tokens to compare on
    and the tensors are right. Raises ``DamagedFile`` for a source that holds what is no number."""
    from llmrr.convert.mlx import library

    utils = library.module("utils")
    source, _ = utils.load_model(Path(task["staged"]), lazy=True)
    found: dict[str, Any] = {"tensors": _tensors(task, source, say)}
    if task["tokens"] and not found["tensors"]["failed"]:
        result, _ = utils.load_model(Path(task["target"]), lazy=True)
        found["logits"] = _logits(task, *_quick(source, result, utils), say)
    return found


def _quick(source: Any, result: Any, utils: Any) -> tuple[Any, Any]:
    """Both with the same weights in float32 where a CPU computes and there is room: it takes many
    times as long to multiply what is packed, or in half precision."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    if mx.default_device() != mx.cpu:
        return source, result
    count = sum(value.size for _, value in tree_flatten(source.parameters()))
    free = hardware.probe().free_bytes
    if free is not None and 2 * 4 * count > free:
        widen_experts(source)
        widen_experts(result)
        return source, result
    source, result = (utils.dequantize_model(model) for model in (source, result))
    source.set_dtype(mx.float32)
    result.set_dtype(mx.float32)
    return source, result


# -- tensors -----------------------------------------------------------------------------------


def _tensors(task: Mapping[str, Any], source: Any, say: Say) -> dict[str, Any]:
    from mlx.utils import tree_flatten

    expected = dict(tree_flatten(source.parameters()))
    places = _places(Path(task["target"]))
    stated = task["quantization"]
    failed: list[str] = []
    worst: list[tuple[float, str]] = []
    packed = 0
    for done, (name, value) in enumerate(expected.items(), 1):
        say({"told": ["comparing", done, len(expected)]})
        _require_numbers(name, value)
        stem = name.removesuffix(".weight")
        if name not in places:
            failed.append(f"{name} is missing")
        elif f"{stem}.scales" in places and f"{stem}.scales" not in expected:
            packed += 1
            params = stated.get(stem) if isinstance(stated.get(stem), dict) else stated
            share = _deviation(stem, value, places, params)
            worst.append((share, name))
            if not share <= 1.0:
                failed.append(f"{name} deviates {share:.3g} times as far as it may")
        elif why := _differs(name, value, places[name], task["dtype"]):
            failed.append(f"{name} {why}")
    extra = sorted(places.keys() - expected.keys() - _beside(expected))
    failed += [f"{name} is not in the source" for name in extra]
    return {
        "count": len(expected),
        "packed": packed,
        "failed": failed[:20],
        "worst": [[name, share] for share, name in sorted(worst, reverse=True)[:WORST]],
    }


def _beside(expected: Mapping[str, Any]) -> set[str]:
    """The names that go with packed weights."""
    stems = {name.removesuffix(".weight") for name in expected}
    return {f"{stem}.{kind}" for stem in stems for kind in ("scales", "biases", "global_scale")}


def _places(folder: Path) -> dict[str, tuple[Path, int, Tensor]]:
    """Where each tensor of the result lies: file, offset, description."""
    found = {}
    for file in weight_files(folder):
        source = FileSource.of(file)
        header: Header = read_header(source)
        offset = 8 + int.from_bytes(source.read(0, 8), "little")
        for tensor in header.tensors:
            found[tensor.name] = file, offset, tensor
            offset += tensor.bytes
    return found


def _read(place: tuple[Path, int, Tensor]) -> Any:
    """A tensor of the result as MLX's array."""
    import mlx.core as mx
    import numpy as np

    file, offset, tensor = place
    kind = NUMPY.get(tensor.type)
    if kind is None:
        raise DamagedFile(f"{tensor.name} of the result has the type {tensor.type}")
    if not tensor.elements:
        return mx.zeros(tensor.shape)
    raw = np.memmap(file, kind, "r", offset, tensor.shape)
    found = mx.array(np.ascontiguousarray(raw))
    return found.view(mx.bfloat16) if tensor.type == "BF16" else found


def _require_numbers(name: str, value: Any) -> None:
    import mlx.core as mx

    if mx.issubdtype(value.dtype, mx.floating) and bool(mx.isnan(value).any()):
        raise DamagedFile(
            f"{name} of the source holds what is no number (NaN)",
            "copy or download the model again",
        )


def _differs(name: str, value: Any, place: tuple[Path, int, Tensor], dtype: str | None) -> str:
    """What is wrong with a tensor that should be as it was; empty where nothing is."""
    import mlx.core as mx

    found = _read(place)
    if found.shape != value.shape:
        return f"has the shape {tuple(found.shape)} instead of {tuple(value.shape)}"
    allowed = {value.dtype} | ({getattr(mx, dtype)} if dtype else set())
    if found.dtype not in allowed:
        return f"has the type {found.dtype} instead of {value.dtype}"
    value = value.astype(found.dtype)
    word = {1: mx.uint8, 2: mx.uint16, 4: mx.uint32, 8: mx.uint64}[value.itemsize]
    same = mx.array_equal(value.view(word), found.view(word)) if value.size else True
    return "" if bool(same) else "has other numbers"


def _deviation(
    stem: str, value: Any, places: Mapping[str, Any], params: Mapping[str, Any]
) -> float:
    """How far the weight that deviates most is off, in terms of how far it may be; infinite where
    shapes or settings do not fit."""
    import mlx.core as mx

    mode, bits = params.get("mode", "affine"), params["bits"]
    group = params["group_size"]
    packed, scales = _read(places[f"{stem}.weight"]), _read(places[f"{stem}.scales"])
    biases = _read(places[f"{stem}.biases"]) if f"{stem}.biases" in places else None
    shape = value.shape
    if packed.shape != (*shape[:-1], shape[-1] * bits // 32):
        return float("inf")
    if scales.shape != (*shape[:-1], shape[-1] // group):
        return float("inf")
    flat = value.reshape(-1, shape[-1])
    packed, scales = packed.reshape(-1, packed.shape[-1]), scales.reshape(-1, scales.shape[-1])
    biases = None if biases is None else biases.reshape(scales.shape)
    most = 0.0
    fixed = SMALLEST_SCALE.get(mode, 0.0)
    if value.dtype == mx.float16:
        fixed += HALF_STEP * HALF_STEPS.get(mode, 2**bits)
    for rows in _rows(*flat.shape):
        there = mx.dequantize(
            packed[rows], scales[rows], None if biases is None else biases[rows],
            group_size=group, bits=bits, mode=mode,
        )  # fmt: skip
        own = flat[rows].astype(mx.float32).reshape(-1, group)
        off = mx.abs(own - there.astype(mx.float32).reshape(-1, group)).max(axis=-1)
        largest = mx.abs(own).max(axis=-1)
        if mode == "affine":
            step = mx.abs(scales[rows].astype(mx.float32)).reshape(-1)
            bound = fixed + step + 4 * float(mx.finfo(scales.dtype).eps) * largest
        else:
            bound = fixed + BOUNDS[mode] * largest * (1 + 2**-6)
        share = mx.where(off == 0, 0.0, off / bound).max()
        if not bool(mx.isfinite(share)):
            return float("inf")
        most = max(most, share.item())
    return most


def _rows(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, ROWS // columns)
    return (slice(start, start + step) for start in range(0, rows, step))


# -- logits ------------------------------------------------------------------------------------


class _Runs:
    """A model of mlx-lm, as far as ``evaluate.compare`` needs one."""

    def __init__(self, model: Any, info: Any) -> None:
        self._model, self.info = model, info

    def logits(self, tokens: Any) -> Any:
        """(tokens, vocabulary), float32."""
        import mlx.core as mx
        import numpy as np

        out = self._model(mx.array([list(tokens)]))
        return np.array(out[0].astype(mx.float32))


def _logits(task: Mapping[str, Any], source: Any, result: Any, say: Say) -> dict[str, Any]:
    from llmrr.evaluate import compare as compare_models
    from llmrr.types import Format, ModelInfo

    info = ModelInfo(Format.MLX, "")  # what comes before the tokens stands in them already
    found = compare_models(
        _Runs(source, info), _Runs(result, info), task["tokens"], window=WINDOW,  # type: ignore[arg-type]
        progress=lambda done, of: say({"told": ["asking both models", done, of]}),
    )  # fmt: skip
    return {
        "tokens": found.divergence.tokens,
        "kl_mean": found.divergence.mean,
        "kl_p99": found.divergence.p99,
        "kl_max": found.divergence.maximum,
        "same_top": found.divergence.same_top,
        "before": found.reference.value,
        "after": found.perplexity.value,
        "ratio": found.ratio,
    }
