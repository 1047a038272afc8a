"""The MLX engine, on mlx-lm's models.

``installed`` tells what is there without importing it, ``settings`` reads config.json as mlx-lm is
to see it, ``weights`` finds the files and builds the model of them; ``decoder`` is a backend of
``engines.local`` over that, with the caches that ``together`` merges to compute several sequences
at once. ``complaints`` says what mlx's errors mean.

MLX's streams belong to threads: only the one that computes ever makes an array.
"""

import time
from typing import TYPE_CHECKING, Final

from llmrr.types import Feature, Format, ModelFiles

if TYPE_CHECKING:
    from llmrr.engines.base import Options
    from llmrr.engines.local import LocalModel


class Mlx:
    """Folders of MLX, and those of Hugging Face that mlx-lm has the architecture of."""

    name = "mlx"
    formats = frozenset({Format.MLX, Format.SAFETENSORS})
    can = frozenset(
        {Feature.SCHEMA, Feature.GRAMMAR, Feature.LOGPROBS, Feature.TOOLS, Feature.THINKING}
    )
    optional = True

    def missing(self) -> str | None:
        """The command that installs mlx-lm, or None when it is there."""
        from llmrr.engines.mlx import installed

        error = installed.missing()
        return error.hint if error else None

    def measure(self, place: ModelFiles, options: "Options") -> dict[str, int]:
        """The bytes of keys and values and of a row of logits, as the files say; what MLX takes to
        compute is not known before. Raises what ``formats.inspect`` does."""
        from llmrr import formats
        from llmrr.engines import room

        info = formats.inspect(place.path)
        context = options.context_size or options.at_least
        return {
            "kv": options.slots * context * room.cache_bytes(info),
            "output": options.slots * 4 * (info.vocabulary or 0),
        }

    def load(self, place: ModelFiles, options: "Options") -> "LocalModel":
        """Open the folder of a model, or a file of weights in it.

        Raises ``DamagedFile``, ``Unsupported`` for an architecture that mlx-lm does not have or a
        model that brings code, ``NotFound`` for a tokenizer that is missing, ``DoesNotFit``,
        ``FeatureMissing`` without mlx-lm.
        """
        from llmrr.engines.mlx import installed
        from llmrr.engines.mlx.loading import load

        installed.require()
        return load(place, options, time.perf_counter())


ENGINE: Final = Mlx()
