"""Conversion: a plan of steps, each of which checks its own result before that gets its name.

``source`` looks at what is there, ``planning`` finds the steps, ``running`` carries them out in
``scratch`` space. The converters: ``gguf`` and ``lora`` (from safetensors), ``quantize`` (GGUF to
GGUF), ``onnx``, ``mlx``, ``safetensors`` (from pickles and GGUF); ``verify`` is what they are
checked with. The names are imported when they are first used: the helper processes of the
converters need none of them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmrr.convert.base import Check, Source, Step, Wish
    from llmrr.convert.planning import plan
    from llmrr.convert.running import Done, run
    from llmrr.convert.source import open_source

__all__ = ["Check", "Done", "Source", "Step", "Wish", "open_source", "plan", "run"]
_HOMES = {"Done": "running", "open_source": "source", "plan": "planning", "run": "running"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'llmrr.convert' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"llmrr.convert.{_HOMES.get(name, 'base')}"), name)
