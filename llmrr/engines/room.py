"""Whether a model that stays as it is in its files has room here, and how long a context has."""

from contextlib import suppress
from typing import Final

from llmrr import hardware
from llmrr.engines.base import Options
from llmrr.errors import DoesNotFit, Unsupported
from llmrr.hardware import Hardware
from llmrr.types import ModelInfo

# Quantized weights are computed with in the type that is beside them.
HALF: Final = ("fp16", "bf16", "q4f16", "bnb4f16")
HALF_TYPES: Final = ("F16", "BF16")


def is_half(info: ModelInfo) -> bool:
    """Are keys and values two bytes wide each?"""
    return info.quant in HALF or any(kind in info.tensor_types for kind in HALF_TYPES)


def cache_bytes(info: ModelInfo) -> int:
    """What the keys and values of a token take; 0 where the files do not say their sizes."""
    wide = (info.key_length or 0) + (info.value_length or info.key_length or 0)
    return sum(info.heads_kv) * wide * (2 if is_half(info) else 4)


def require(info: ModelInfo, machine: Hardware, name: str, hint: str) -> None:
    """Raise ``DoesNotFit`` for weights that are larger than what is free."""
    free = machine.free_bytes
    if info.bytes is not None and free is not None and info.bytes > free:
        raise DoesNotFit(
            f"{name} does not fit: its weights have {info.bytes / 1e9:.1f} GB, and"
            f" {free / 1e9:.1f} GB are free",
            hint,
        )


def most_slots(info: ModelInfo, options: Options) -> int:
    """How many sequences there may be at once, each with the longest context that one alone has
    room for."""
    slots = options.most_slots
    if slots <= options.slots:
        return options.slots
    machine = hardware.probe()
    alone = largest_context(info, machine, options.slots)
    while slots > options.slots and largest_context(info, machine, slots) != alone:
        slots //= 2
    return max(slots, options.slots)


def largest_context(info: ModelInfo, machine: Hardware, slots: int) -> int | None:
    """How long a context memory has room for, as far as the files tell."""
    with suppress(Unsupported):
        kv_type = "f16" if is_half(info) else "f32"
        return hardware.fit(
            info, machine, slots=slots, kv_type=kv_type, outputs=slots
        ).largest_context
    return None
