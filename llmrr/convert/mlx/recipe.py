"""What kind of MLX model is asked for: the type of the weights, or how they are quantized.

Modes: ``affine`` has a scale and a bias for each group of weights, ``mxfp4`` and ``mxfp8`` are
those
of https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf, ``nvfp4``
has groups of 16 with a scale in float8. ``mixed_4_6`` and its kin give more bits to what suffers
most, as llama.cpp's Q4_K_M does.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llmrr.convert.base import Wish
from llmrr.engines.mlx import installed
from llmrr.errors import Unsupported, UsageError, nearest
from llmrr.formats.tensors import BITS, FLOATS, Tensor

TYPES = {
    "f32": "float32", "fp32": "float32", "float32": "float32",
    "f16": "float16", "fp16": "float16", "float16": "float16", "half": "float16",
    "bf16": "bfloat16", "bfloat16": "bfloat16",
}  # fmt: skip
ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# Mode: its bits and its sizes of a group, the default first.
MODES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "affine": ((4, 2, 3, 5, 6, 8), (64, 32, 128)),
    "mxfp4": ((4,), (32,)),
    "nvfp4": ((4,), (16,)),
    "mxfp8": ((8,), (32,)),
}
BIT = re.compile(r"(?:q|int|mlx-?)?([2-8])(?:[_-]?bits?)?")
OPTIONS = frozenset({"bits", "group_size", "mode", "dtype"})


@dataclass(frozen=True, slots=True)
class Recipe:
    """``dtype`` of what is not quantized, None for what config.json or the weights have. Without
    ``mode`` nothing is quantized. ``mixed`` is a recipe of mlx-lm by its name."""

    dtype: str | None = None
    mode: str | None = None
    bits: int | None = None
    group: int | None = None
    mixed: str | None = None

    @property
    def name(self) -> str | None:
        """What people call it; None where the weights stay as they are."""
        if self.mode is None:
            short = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
            return short[self.dtype] if self.dtype else None
        return self.mixed or (f"{self.bits}bit" if self.mode == "affine" else self.mode)

    def bytes_of(self, tensor: Tensor) -> int:
        """How many bytes it will take, packed words with their scales and biases."""
        item = ITEM_BYTES[self.dtype] if self.dtype else max(1, BITS[tensor.type] // 8)
        if not self.packs(tensor):
            return tensor.elements * item if tensor.type in FLOATS else tensor.bytes
        assert self.bits is not None and self.group is not None
        groups = tensor.elements // self.group
        beside = 2 * min(item, 4) if self.mode == "affine" else 1
        return tensor.elements * self.bits // 8 + groups * beside

    def packs(self, tensor: Tensor) -> bool:
        """Will it be quantized? A matrix whose rows are whole groups."""
        if self.mode is None or not is_matrix(tensor):
            return False
        return tensor.shape[-1] % (self.group or 1) == 0


def is_matrix(tensor: Tensor) -> bool:
    """Is it what layers multiply with, or the experts of a layer in one?"""
    return tensor.type in FLOATS and len(tensor.shape) in (2, 3) and tensor.elements > 0


def read(wish: Wish) -> Recipe:
    """What is wished for. Raises ``Unsupported`` for a type that MLX has not, ``UsageError`` for
    options that contradict."""
    word = wish.quant.strip().lower()
    options = wish.options
    dtype = _dtype(options.get("dtype"))
    if word in TYPES:
        if any(options.get(key) is not None for key in ("bits", "group_size", "mode")):
            raise UsageError(
                f"{wish.quant} is not quantized, and bits, group_size or mode are stated",
                "leave one of them out",
            )
        return Recipe(dtype=TYPES[word])
    stated = {"mode": options.get("mode"), "bits": options.get("bits"), "mixed": None}
    if word == "auto":
        if all(options.get(key) is None for key in ("bits", "group_size", "mode")):
            return Recipe(dtype=dtype)
    elif word in MODES:
        stated["mode"] = _one(wish, "mode", word)
    elif match := BIT.fullmatch(word):
        stated["bits"] = _one(wish, "bits", int(match[1]))
    elif word.replace("-", "_") in _mixed():
        stated["mixed"] = word.replace("-", "_")
    else:
        raise _unknown(wish.quant)
    return _quantized(stated, options, dtype)


def _quantized(
    stated: Mapping[str, Any], options: Mapping[str, Any], dtype: str | None
) -> Recipe:
    mode = str(stated["mode"] or "affine").lower()
    if mode not in _modes():
        raise _unknown(mode)
    every_bits, every_group = MODES[mode]
    bits = _number("bits", stated["bits"], every_bits, mode)
    group = _number("group_size", options.get("group_size"), every_group, mode)
    if stated["mixed"] and mode != "affine":
        raise UsageError(f"{stated['mixed']} is of the mode affine, not {mode}", "leave out mode")
    return Recipe(dtype, mode, bits, group, stated["mixed"])


def _one(wish: Wish, option: str, value: Any) -> Any:
    """What the name says; an option that says the same may stand beside it."""
    other = wish.options.get(option)
    if other is not None and str(other).lower() != str(value):
        raise UsageError(f"{wish.quant} has {option} {value}, not {other}", f"leave out {option}")
    return value


def _number(name: str, value: Any, allowed: tuple[int, ...], mode: str) -> int:
    if value is None:
        return allowed[0]
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if number not in allowed:
        known = ", ".join(map(str, sorted(allowed)))
        raise Unsupported(f"{name} {value} is none that the mode {mode} has", f"one of: {known}")
    return number


def _dtype(value: Any) -> str | None:
    if value is None:
        return None
    if (found := TYPES.get(str(value).lower())) is None:
        raise Unsupported(f"dtype {value} is none that MLX writes", "one of: f32, f16, bf16")
    return found


def _mixed() -> tuple[str, ...]:
    found = installed.literal("convert.py", "QUANT_RECIPES")
    return tuple(found) if isinstance(found, list) else ()


def _modes() -> tuple[str, ...]:
    """Those that the installed version has: the later ones came with mlx-lm 0.29."""
    place = installed.folder()
    text = (place / "utils.py").read_text(encoding="utf-8") if place else ""
    return tuple(mode for mode in MODES if mode == "affine" or f'"{mode}"' in text)


def _unknown(word: str) -> Unsupported:
    known = [*_names()]
    near = nearest(word, known)
    hint = f"did you mean {near}?" if near else f"one of: {', '.join(known)}"
    return Unsupported(f"MLX has no type {word[:99]!r}", hint)


def _names() -> Iterable[str]:
    yield from ("f32", "f16", "bf16")
    yield from (f"{bits}bit" for bits in sorted(MODES["affine"][0]))
    yield from (mode for mode in _modes() if mode != "affine")
    yield from _mixed()
