"""What a model takes of main memory, before it is loaded."""

from contextlib import suppress
from typing import Literal

from llmrr import formats
from llmrr.engines.base import Options
from llmrr.errors import LlmrrError, Unsupported
from llmrr.types import ModelFiles


def bytes_of(place: ModelFiles, options: Options) -> int:
    """Weights, context and buffers; the weights alone where the files do not say its shape, and 0
    where they say nothing. What is wrong with the files is told when they are loaded."""
    try:
        info = formats.inspect(place.path)
    except (LlmrrError, OSError):
        return 0
    from llmrr import hardware

    machine = hardware.probe()
    layers: int | Literal["auto"] = options.gpu_layers if machine.gpus else 0
    if layers == -1:
        layers = (info.layers or 0) + 1
    with suppress(Unsupported):
        found = hardware.fit(
            info, machine, context=options.context_size, slots=options.slots,
            kv_type=options.kv_type, outputs=options.slots,
            flash_attention=options.flash_attention == "on", gpu_layers=layers, mmap=options.mmap,
        )  # fmt: skip
        shared = any(gpu.unified for gpu in machine.gpus)
        return found.host_bytes + (found.gpu_bytes if shared else 0)
    return info.bytes or 0
