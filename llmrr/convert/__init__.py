"""Conversion: a plan of steps, each of which checks its own result before that gets its name.

``source`` looks at what is there, ``planning`` finds the steps, ``running`` carries them out in
``scratch`` space. The converters: ``gguf`` and ``lora`` (from safetensors), ``quantize`` (GGUF to
GGUF), ``onnx``, ``mlx``, ``safetensors`` (from pickles and GGUF); ``verify`` is what they are
checked with.
"""

from llmrr.convert.base import Check, Source, Step, Wish
from llmrr.convert.planning import plan
from llmrr.convert.running import Done, run
from llmrr.convert.source import open_source

__all__ = ["Check", "Done", "Source", "Step", "Wish", "open_source", "plan", "run"]
