"""Opening a model of ONNX graphs: where it runs, with how many threads, and whether it fits."""

from dataclasses import replace
from typing import Any, Final

from llmrr import hardware
from llmrr.engines import room
from llmrr.engines.backend import Backend
from llmrr.engines.base import Options
from llmrr.engines.later import Later
from llmrr.engines.local import LocalModel, refuse_a_part, refuse_stated
from llmrr.engines.onnx import files
from llmrr.engines.onnx.api import api, choose
from llmrr.engines.onnx.decoder import Decoder
from llmrr.engines.onnx.encoder import Encoder
from llmrr.engines.onnx.files import Graphs
from llmrr.engines.onnx.session import Graph
from llmrr.engines.threads import count
from llmrr.engines.tokens import Tokens
from llmrr.hardware import Hardware
from llmrr.types import ModelFiles, ModelInfo

HAS_NOT: Final = (
    "lora", "kv_type", "flash_attention", "mmap", "mlock", "mmproj",
    "prefix_cache", "prefix_disk", "speculate",
)  # fmt: skip


def load(place: ModelFiles, options: Options, began: float) -> LocalModel:
    """Open it; the graphs on a thread of their own, so that Ctrl-C is heard."""
    refuse_stated(options, "onnx", HAS_NOT)
    refuse_a_part(options, "onnx")
    info, graphs = files.of(place)
    machine = hardware.probe()
    room.require(info, machine, place.path.name, "use a smaller variant, as q4")
    writes = "logits" in info.metadata["onnx.outputs"]
    if not writes and "sentence_embedding" not in info.metadata["onnx.outputs"]:
        files.require_known_modules(graphs.folders)
    opening: Later[Backend[Any]] = Later(lambda: _open(info, graphs, options, machine)).start()
    tokens = Tokens.of(graphs.folders, info)
    return LocalModel(place, info, options, tokens, opening, began, writes=writes)


def _open(info: ModelInfo, graphs: Graphs, options: Options, machine: Hardware) -> Backend[Any]:
    provider = choose(
        api().get_available_providers(), machine, cpu_only=options.gpu_layers == 0
    )
    threads = count(info, machine, options)
    main = Graph(graphs.main, info, provider, threads, graphs.embedded)
    if main.ports.logits is None:
        return Encoder(info, main)
    first, embeds = (
        Graph(path, info, provider, threads, graphs.embedded) if path else None
        for path in (graphs.first, graphs.embeds)
    )
    decoder = Decoder(info, main, first, embeds)
    decoder.threads = threads
    if main.provider.device == "cpu":
        machine = replace(machine, gpus=())
    decoder.largest_context = room.largest_context(info, machine, options.slots)
    return decoder
