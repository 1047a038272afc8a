"""What a model takes on this machine, and how it is split between CPU and accelerators."""

from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from llmrr import hardware
from llmrr.engines.base import Options
from llmrr.engines.llamacpp.api import api
from llmrr.errors import DoesNotFit, Unsupported
from llmrr.hardware import Fit, Hardware
from llmrr.types import ModelInfo

ALL_LAYERS: Final = -1


def fit_of(info: ModelInfo, machine: Hardware, options: Options) -> Fit | None:
    """Weigh a model with these options; None for one whose shape its file does not say."""
    if machine.gpus and not api().llama_supports_gpu_offload():
        machine = replace(machine, gpus=())  # there, but not for this build of llama.cpp
    layers: int | Literal["auto"] = options.gpu_layers
    if not machine.gpus:
        layers = 0  # as llama.cpp does: what is asked for has nowhere to go
    elif layers == ALL_LAYERS:
        layers = (info.layers or 0) + 1
    try:
        return hardware.fit(
            info,
            machine,
            context=options.context_size,
            slots=options.slots,
            kv_type=options.kv_type,
            outputs=options.slots,
            flash_attention=options.flash_attention == "on",  # without it takes more
            gpu_layers=layers,
            mmap=options.mmap,
        )
    except Unsupported:
        return None


def gpu_layers(info: ModelInfo, options: Options) -> int:
    """How many layers go to accelerators: as stated, else as many as fit."""
    if options.gpu_layers != "auto":
        return options.gpu_layers
    fit = fit_of(info, hardware.probe(), options)
    return fit.gpu_layers if fit else 0


def refuse_too_large(fit: Fit | None, path: Path) -> None:
    """Raise ``DoesNotFit`` with the figures before anything is allocated."""
    if fit is not None and not fit.fits:
        raise DoesNotFit(
            f"{path.name} does not fit: {'; '.join(fit.why)}",
            "use a smaller quantization, or a smaller --ctx-size",
        )
