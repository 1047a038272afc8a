"""What is asked of a process that keeps models: which model, loaded how, by which llmrr."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, NamedTuple

from llmrr import __version__, packing
from llmrr.engines import stamps
from llmrr.engines.base import Options
from llmrr.types import ModelFiles

Facts = dict[str, Any]

# Variables that decide how, and on what, an engine computes.
_DECIDING: Final = ("CUDA_", "HIP_", "ROCR_", "HSA_", "GGML_", "LLAMA_", "OMP_", "GOMP_", "KMP_",
                    "MLX_", "MTL_", "ORT_", "VK_", "LD_")  # fmt: skip
# Set once llama.cpp is loaded, the second by itself, and so in what that process starts.
_OURS: Final = ("GGML_NO_BACKTRACE", "KMP_BLOCKTIME")


class Load(NamedTuple):
    """A model that is asked for; its paths are absolute. ``keepalive`` is how many seconds it stays
    when nobody uses it any more, None for ever; a server, which has rules of its own, heeds it
    where it ``is_stated``."""

    name: str
    files: ModelFiles
    engine: str
    options: Options
    keepalive: float | None
    is_stated: bool = False

    def message(self) -> Facts:
        """As it is sent."""
        return {
            "op": "lease", "name": self.name, "files": packing.facts(self.files),
            "engine": self.engine, "options": packing.facts(self.options),
            "keepalive": self.keepalive, "is_stated": self.is_stated, "by": identity(),
            "environment": environment(),
            "stamp": packing.facts(stamps.of(self.files, self.options)),
        }  # fmt: skip


def load_of(message: Facts) -> Load:
    """The model that is asked for. Raises what a message raises that is none."""
    files = packing.files(message["files"])
    options = options_of(message["options"])
    keepalive: Any = message["keepalive"]
    name, engine, is_stated = message["name"], message["engine"], message["is_stated"]
    return Load(str(name), files, str(engine), options, keepalive, bool(is_stated))


def options_of(found: Facts) -> Options:
    """The inverse of ``packing.facts`` for them."""
    found["lora"] = tuple((Path(path), scale) for path, scale in found.get("lora", ()))
    if found.get("mmproj") is not None:
        found["mmproj"] = Path(found["mmproj"])
    assert found.keys() <= {one.name for one in fields(Options)}
    return Options(**found)


def identity() -> list[str]:
    """Which llmrr this is: its version and where it lies."""
    return [__version__, str(Path(__file__).parents[2])]


def environment() -> Facts:
    """What of this process decides how an engine computes, besides what it is told."""
    found: Facts = {
        name: value for name, value in os.environ.items()
        if name.startswith(_DECIDING) and name not in _OURS
    }  # fmt: skip
    if affinity := getattr(os, "sched_getaffinity", None):
        found["cores"] = sorted(affinity(0))
    return found
