"""How weights were quantized outside of GGUF, and how many numbers packed ones stand for.

Keys: ``quantization_config`` of https://huggingface.co/docs/transformers/main_classes/quantization,
``quantize_config.json`` of AutoGPTQ, ``quant_config.json`` of AutoAWQ, ``quantization`` of
https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/utils.py.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmrr.formats.json_file import table, text
from llmrr.formats.tensors import BITS, Tensor

METHOD_BITS = {
    "fp8": 8, "fbgemm_fp8": 8, "finegrained_fp8": 8, "eetq": 8, "mxfp4": 4, "mxfp8": 8, "nvfp4": 4,
    "bitnet": 2, "bitnet158": 2,
}  # fmt: skip
SHORT = {"bitsandbytes": "bnb", "fbgemm_fp8": "fp8", "finegrained_fp8": "fp8"}
# What goes with packed weights: scales, zero points, orders, lookup tables.
COMPANION = re.compile(
    r"(?:\.|_)(?:scales?|biases|qzeros|zeros|g_idx|perm|scale_inv|weight_scale_2|input_scale|"
    r"weight_zero_point|zero_point|weight_shape|weight_global_scale|input_global_scale|SCB|"
    r"weight_format|absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.\w+)$"
)
INTEGERS = frozenset({"U32", "I32", "U8", "I8", "I16", "U16"})


@dataclass(frozen=True, slots=True)
class Quantization:
    """``label`` is what people call it (gptq-4bit, 4bit, fp8); ``bits`` of a weight, None where
    nothing says it; ``exceptions`` has the bits of modules that differ."""

    label: str | None
    bits: int | None
    exceptions: Mapping[str, int] = field(default_factory=dict)

    def bits_of(self, tensor: str) -> int | None:
        """The bits of a weight in the tensor of this name."""
        return self.exceptions.get(tensor.rpartition(".")[0], self.bits)


def of_mlx(config: Mapping[str, Any]) -> Quantization | None:
    """MLX: {group_size, bits, mode} for all, and the same by module for those that differ."""
    stated = table(config, "quantization") or table(config, "quantization_config")
    bits = _number(stated, "bits")
    if bits is None:
        return None
    others = {name: table(stated, name) for name in stated}
    differing = {name: own for name, one in others.items() if (own := _number(one, "bits"))}
    mode = text(stated, "mode") or "affine"
    return Quantization(f"{bits}bit" if mode == "affine" else mode, bits, differing)


def of_transformers(config: Mapping[str, Any]) -> Quantization | None:
    """Hugging Face: a method with its own keys beside it."""
    stated = table(config, "quantization_config") or table(config, "compression_config")
    if not stated:
        return None
    method = text(stated, "quant_method") or _unnamed(stated)
    label = SHORT.get(method, method) or "quantized"
    if method == "modelopt":
        inner = {**table(stated, "quantization"), **stated}
        algorithm = (text(inner, "quant_algo") or label).lower()
        return Quantization(algorithm, 4 if "4" in algorithm else 8)
    bits = _bits(stated) or METHOD_BITS.get(method)
    if label in METHOD_BITS or bits is None:
        return Quantization(label, bits)
    return Quantization(f"{label}-{bits}bit", bits)


def unstated(tensors: Iterable[Tensor]) -> Quantization | None:
    """Packed weights of which nothing says how."""
    packed = any(one.name.endswith(".qweight") or one.type == "U32" for one in tensors)
    return Quantization(None, None) if packed else None


def numbers(tensors: Iterable[Tensor], quantization: Quantization | None) -> int | None:
    """How many numbers the weights stand for, None where packed ones hide it."""
    if quantization is None:
        return sum(tensor.elements for tensor in tensors)
    total = 0
    for tensor in tensors:
        if COMPANION.search(tensor.name):
            continue
        count = tensor.elements
        if tensor.type in INTEGERS and len(tensor.shape) > 1:
            bits = quantization.bits_of(tensor.name)
            if bits is None:
                return None
            count = count * BITS[tensor.type] // bits
        total += count
    return total


def _unnamed(stated: Mapping[str, Any]) -> str:
    if any("load_in_4bit" in key or "load_in_8bit" in key for key in stated):
        return "bitsandbytes"
    return "awq" if "w_bit" in stated else "gptq" if "desc_act" in stated else ""


def _bits(stated: Mapping[str, Any]) -> int | None:
    for key in ("bits", "w_bit", "nbits", "weight_bits"):
        if found := _number(stated, key):
            return found
    for bits in (4, 8):
        if stated.get(f"load_in_{bits}bit") is True or stated.get(f"_load_in_{bits}bit") is True:
            return bits
    groups = table(stated, "config_groups")
    inside = (table(table(groups, name), "weights") for name in groups)
    nested = table(table(stated, "quant_config"), "weight_quant_params")  # HQQ
    both = (_number(one, key) for one in (*inside, nested) for key in ("num_bits", "nbits"))
    return next((number for number in both if number), None)


def _number(stated: Mapping[str, Any], key: str) -> int | None:
    value = stated.get(key)
    return value if type(value) is int and 0 < value <= 32 else None
