"""The llama.cpp engine, on the low-level API of llama-cpp-python.

``model`` takes requests. ``batching`` is the one thread that decodes all sequences in flight, in
a ``context``; a ``choice`` is one such sequence, with its ``sampler``. ``check`` keeps away what
would end the process in llama.cpp, with ``dryload`` as its helper process. ``fitting`` refuses what
is too large; ``loading`` opens the file, and ``api`` the binding.
"""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmrr.errors import FeatureMissing
from llmrr.types import Feature, Format, ModelFiles

if TYPE_CHECKING:
    from llmrr.engines.base import Options
    from llmrr.engines.llamacpp.model import LlamaModel


class LlamaCpp:
    """GGUF files, on the CPU and whatever accelerator llama.cpp was built for."""

    name = "llamacpp"
    formats = frozenset({Format.GGUF})
    can = frozenset(Feature)  # images with an image encoder beside the model
    optional = False

    def missing(self) -> str | None:
        """The command that installs llama-cpp-python, or None when it can be loaded."""
        from llmrr.engines.llamacpp.api import INSTALL, api

        try:
            api()
        except FeatureMissing:
            return INSTALL
        return None

    def measure(self, place: ModelFiles, options: "Options") -> dict[str, int]:
        """The bytes of each buffer beside the weights, as llama.cpp says them in a dry load of a
        helper process. Raises ``DamagedFile``, ``Unsupported``, ``BadConfig``."""
        from llmrr.engines.llamacpp.check import check_once, measure

        check_once(place.path, options)
        return measure(place.path, options, options.context_size or options.at_least)

    def load(self, place: ModelFiles, options: "Options") -> "LlamaModel":
        """Open a GGUF file, checked before llama.cpp sees it.

        Raises ``DamagedFile``, ``Unsupported``, ``DoesNotFit``, ``BadConfig``, ``FeatureMissing``.
        """
        from llmrr.engines.later import Later
        from llmrr.engines.llamacpp.check import check_once
        from llmrr.engines.llamacpp.loading import open_model

        began = time.perf_counter()
        check_once(place.path, options)
        # llama.cpp loads on a thread of its own while the rest of the engine is imported here.
        loading = Later(lambda: open_model(place.path, options))
        if not _is_large(place.path):
            loading.start()
        from llmrr.engines.llamacpp.model import LlamaModel

        return LlamaModel(place, options, loading, began)


def _is_large(path: Path) -> bool:
    """Is it worth knowing that the file fits before loading begins?"""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return True
    return path.stat().st_size * 4 > memory


ENGINE: Final = LlamaCpp()
