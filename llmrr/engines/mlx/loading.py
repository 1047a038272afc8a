"""Opening a folder for MLX: what it is, whether it can be run and fits, and its tokenizer."""

from typing import Any, Final

from llmrr import formats, hardware
from llmrr.engines import room
from llmrr.engines.backend import Backend
from llmrr.engines.base import Options
from llmrr.engines.later import Later
from llmrr.engines.local import LocalModel, refuse_a_part, refuse_stated
from llmrr.engines.mlx import weights
from llmrr.engines.mlx.complaints import loading
from llmrr.engines.mlx.decoder import Decoder
from llmrr.engines.tokens import Tokens
from llmrr.types import ModelFiles

HAS_NOT: Final = (
    "lora", "kv_type", "flash_attention", "mmap", "mlock", "threads", "mmproj",
    "prefix_cache", "prefix_disk", "speculate",
)  # fmt: skip


def load(place: ModelFiles, options: Options, began: float) -> LocalModel:
    """Open it. What its files say is looked at before anything large is read."""
    refuse_stated(options, "mlx", HAS_NOT)
    refuse_a_part(options, "mlx")
    info = formats.inspect(place.path)
    machine = hardware.probe()
    room.require(info, machine, place.path.name, "use a smaller variant, as 4bit")
    folder = place.path.parent if place.path.is_file() else place.path
    files = weights.weight_files(place.path)
    config = weights.config_of(folder, weights.tensors_of(files))
    weights.require_readable(config, place.path)
    largest = room.largest_context(info, machine, options.slots)

    def opened() -> Backend[Any]:
        architecture = _architecture(config)
        decoder = Decoder(
            lambda: weights.build(architecture, config, files),
            info.vocabulary,
            cpu_only=options.gpu_layers == 0,
        )
        decoder.largest_context = largest
        return decoder

    opening = Later(opened).start()
    tokens = Tokens.of([folder], info)
    return LocalModel(place, info, options, tokens, opening, began)


def _architecture(config: dict[str, Any]) -> Any:
    with loading():
        return weights.module(config)
