"""The ONNX engine, on onnxruntime.

``files`` finds the graphs of a model, ``ports`` says what goes into one and comes out, ``session``
opens and runs it; ``decoder`` and ``encoder`` are backends of ``engines.local`` over that, with the
``caches`` of a sequence. ``api`` is onnxruntime: where it runs, and what its errors mean.
"""

import time
from typing import TYPE_CHECKING, Final

from llmrr.errors import FeatureMissing
from llmrr.types import Feature, Format, ModelFiles

if TYPE_CHECKING:
    from llmrr.engines.base import Options
    from llmrr.engines.local import LocalModel


class Onnx:
    """ONNX graphs, on the CPU and whatever accelerator onnxruntime was built for."""

    name = "onnx"
    formats = frozenset({Format.ONNX})
    can = frozenset(Feature) - {Feature.LORA, Feature.IMAGES}
    optional = False

    def missing(self) -> str | None:
        """The command that installs onnxruntime and tokenizers, or None when they are there."""
        from importlib.util import find_spec

        absent = [name for name in ("onnxruntime", "tokenizers") if find_spec(name) is None]
        return f"pip install {' '.join(absent)}" if absent else None

    def measure(self, place: ModelFiles, options: "Options") -> dict[str, int]:
        """The bytes of keys and values and of a row of logits, as the files say; what onnxruntime
        takes to compute is not known before. Raises what ``formats.inspect`` does."""
        from llmrr.engines import room
        from llmrr.engines.onnx import files
        
        info, _ = files.of(place)
        context = options.context_size or options.at_least
        return {
            "kv": options.slots * context * room.cache_bytes(info),
            "output": options.slots * 4 * (info.vocabulary or 0),
        }

    def load(self, place: ModelFiles, options: "Options") -> "LocalModel":
        """Open the graphs of a file or folder, which ``formats`` has looked at before.

        Raises ``DamagedFile``, ``Unsupported``, ``NotFound`` for a tokenizer that is missing,
        ``DoesNotFit``, ``FeatureMissing``.
        """
        from llmrr.engines.onnx.loading import load

        if command := self.missing():
            raise FeatureMissing("the onnx engine cannot be loaded: a package is missing", command)
        return load(place, options, time.perf_counter())


ENGINE: Final = Onnx()
