"""Opening a model of ONNX graphs: where it runs, with how many threads, and whether it fits."""

from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from llmrr import hardware
from llmrr.engines.backend import Backend
from llmrr.engines.base import Options
from llmrr.engines.later import Later
from llmrr.engines.local import LocalModel, refuse_stated
from llmrr.engines.onnx import files
from llmrr.engines.onnx.api import Provider, api, choose
from llmrr.engines.onnx.decoder import Decoder
from llmrr.engines.onnx.encoder import Encoder
from llmrr.engines.onnx.files import Graphs
from llmrr.engines.onnx.session import Graph
from llmrr.engines.tokens import Tokens
from llmrr.errors import DoesNotFit, FeatureMissing, Unsupported
from llmrr.hardware import Hardware
from llmrr.types import ModelFiles, ModelInfo

HAS_NOT: Final = ("lora", "kv_type", "flash_attention", "mmap", "mlock")
# As with llama.cpp: threads that wait for each other after every matrix gain a small model nothing.
SMALL_BYTES: Final = 16 * 1024 * 1024
HALF: Final = ("fp16", "bf16", "q4f16", "bnb4f16")


def load(place: ModelFiles, options: Options, began: float) -> LocalModel:
    """Open it; the graphs on a thread of their own, so that Ctrl-C is heard."""
    refuse_stated(options, "onnx", HAS_NOT)
    if options.gpu_layers not in ("auto", 0, -1):
        raise FeatureMissing(
            f"the onnx engine puts all layers on an accelerator or none, and not"
            f" {options.gpu_layers}",
            "-o gpu_layers 0, or -1",
        )
    info, graphs = files.of(place)
    machine = hardware.probe()
    _refuse_too_large(info, machine, place)
    writes = "logits" in info.metadata["onnx.outputs"]
    if not writes and "sentence_embedding" not in info.metadata["onnx.outputs"]:
        files.require_known_modules(graphs.folders)
    opening: Later[Backend[Any]] = Later(lambda: _open(info, graphs, options, machine)).start()
    tokens = Tokens.of(graphs.folders, info)
    return LocalModel(place, info, options, tokens, opening, began, writes=writes)


def cache_bytes(info: ModelInfo) -> int:
    """What the keys and values of a token take; 0 where the files do not say their sizes."""
    wide = (info.key_length or 0) + (info.value_length or info.key_length or 0)
    return sum(info.heads_kv) * wide * (2 if info.quant in HALF else 4)


def _open(info: ModelInfo, graphs: Graphs, options: Options, machine: Hardware) -> Backend[Any]:
    provider = choose(
        api().get_available_providers(), machine, cpu_only=options.gpu_layers == 0
    )
    threads = _threads(info, machine, options)
    main = Graph(graphs.main, info, provider, threads, graphs.embedded)
    if main.ports.logits is None:
        return Encoder(info, main)
    first, embeds = (
        Graph(path, info, provider, threads, graphs.embedded) if path else None
        for path in (graphs.first, graphs.embeds)
    )
    decoder = Decoder(info, main, first, embeds)
    decoder.threads = threads
    decoder.largest_context = _largest_context(info, options, machine, main.provider)
    return decoder


def _threads(info: ModelInfo, machine: Hardware, options: Options) -> int:
    if options.threads is not None:
        return options.threads
    return 1 if (info.bytes or 0) < SMALL_BYTES else hardware.threads(machine)


def _refuse_too_large(info: ModelInfo, machine: Hardware, place: ModelFiles) -> None:
    free = machine.free_bytes
    if info.bytes is not None and free is not None and info.bytes > free:
        raise DoesNotFit(
            f"{place.path.name} does not fit: its weights have {info.bytes / 1e9:.1f} GB, and"
            f" {free / 1e9:.1f} GB are free",
            "use a smaller variant, as q4",
        )


def _largest_context(
    info: ModelInfo, options: Options, machine: Hardware, provider: Provider
) -> int | None:
    """How long a context memory has room for, as far as the files tell."""
    if provider.device == "cpu":
        machine = replace(machine, gpus=())
    with suppress(Unsupported):
        kv_type = "f16" if info.quant in HALF else "f32"
        return hardware.fit(
            info, machine, slots=options.slots, kv_type=kv_type, outputs=options.slots
        ).largest_context
    return None
