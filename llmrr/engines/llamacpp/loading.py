"""Opening a GGUF file, and its adapters, with llama.cpp."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from llmrr.engines.base import Options
from llmrr.engines.llamacpp import pages
from llmrr.engines.llamacpp.api import api, captured_log, set_fields
from llmrr.errors import DamagedFile, EngineFailed, Unsupported

# llama_load_mode by (mmap, mlock)
_MODES = {(False, False): 0, (True, False): 1, (False, True): 2, (True, True): 3}


class LoadedModel:
    """A ``llama_model *`` with the adapters that go with it."""

    def __init__(self, pointer: Any, adapters: list[tuple[Any, float]]) -> None:
        self.pointer = pointer
        self._adapters = adapters
        self._lock = threading.RLock()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """It is not freed while this lasts. Raises ``EngineFailed`` once it is."""
        with self._lock:
            if not self.pointer:
                raise EngineFailed("the model was closed")
            yield

    def adapt(self, context: Any) -> None:
        """Apply the adapters to a context."""
        if self._adapters:
            count = len(self._adapters)
            kind = api().llama_set_adapters_lora.argtypes[1]._type_
            pointers = (kind * count)(*[pointer for pointer, _ in self._adapters])
            scales = (ctypes.c_float * count)(*[scale for _, scale in self._adapters])
            api().llama_set_adapters_lora(context, pointers, count, scales)

    def close(self) -> None:
        """Free it, and its adapters with it. Twice is allowed."""
        with self._lock:
            if self.pointer:
                api().llama_model_free(self.pointer)
                self.pointer = None


def open_model(path: Path, options: Options) -> LoadedModel:
    """Load the weights. Raises ``Unsupported`` for what llama.cpp does not know, else
    ``DamagedFile``."""
    binding = api()
    offload = binding.llama_supports_gpu_offload()
    parameters = set_fields(
        binding.llama_model_default_params(),
        {
            "n_gpu_layers": _gpu_layers(path, options) if offload else 0,
            "load_mode": _MODES[options.mmap, options.mlock],
        },
    )
    with pages.large() if options.crowded else nullcontext():
        model = binding.llama_model_load_from_file(str(path).encode(), parameters)
    if not model:
        with captured_log() as lines:
            model = binding.llama_model_load_from_file(str(path).encode(), parameters)
        if not model:
            raise refusal(path, lines)
    if binding.llama_model_has_encoder(model) and binding.llama_model_has_decoder(model):
        binding.llama_model_free(model)
        raise Unsupported(
            f"{path.name} is an encoder-decoder model, which this engine does not run",
            "use a decoder-only model for answers, or an encoder for embeddings",
        )
    adapters = [(_adapter(model, file), scale) for file, scale in options.lora]
    return LoadedModel(model, adapters)


def _gpu_layers(path: Path, options: Options) -> int:
    from llmrr.engines.llamacpp.fitting import gpu_layers
    from llmrr.formats import gguf

    return gpu_layers(gguf.inspect(path), options)


def _adapter(model: Any, path: Path) -> Any:
    with captured_log() as lines:
        adapter = api().llama_adapter_lora_init(model, str(path).encode())
    if not adapter:
        raise refusal(path, lines)
    return adapter


def refusal(path: Path, log: Any) -> Exception:
    """Why llama.cpp did not take a file, in its own last words."""
    said = [line.split(": ", 1)[-1] for line in log if "failed to load model" not in line]
    reason = next((line for line in log if "error loading model" in line), said[-1] if said else "")
    words = reason.split("error loading model: ")[-1] or "no reason given"
    if "unknown model architecture" in words or ("unknown" in words and "tokenizer" in words):
        return Unsupported(
            f"llama.cpp does not know {path.name}: {words}",
            "pip install -U llama-cpp-python, or use a model of another architecture",
        )
    return DamagedFile(f"llama.cpp cannot load {path.name}: {words}", "get the file again")
