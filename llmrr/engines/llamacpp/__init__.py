"""The llama.cpp engine, on the low-level API of llama-cpp-python.

``model`` loads and answers; ``batching`` is the one thread that decodes every sequence in flight, in
a ``context``; a ``choice`` is one such sequence with its ``sampler``; ``check`` keeps files that
would end the process away from it, with ``dryload`` as the helper process; ``api`` opens the binding.
"""

from typing import TYPE_CHECKING, Final

from llmrr.errors import LlmrrError
from llmrr.types import Feature, Format, ModelFiles

if TYPE_CHECKING:
    from llmrr.engines.base import Options
    from llmrr.engines.llamacpp.model import LlamaModel


class LlamaCpp:
    """GGUF files, on the CPU and whatever accelerator llama.cpp was built for."""

    name = "llamacpp"
    formats = frozenset({Format.GGUF})
    can = frozenset(Feature)

    def missing(self) -> str | None:
        """The command that installs llama-cpp-python, or None when it can be loaded."""
        from llmrr.engines.llamacpp.api import INSTALL, api

        try:
            api()
        except LlmrrError:
            return INSTALL
        return None

    def load(self, place: ModelFiles, options: "Options") -> "LlamaModel":
        """Open a GGUF file, checked before llama.cpp sees it.

        Raises ``DamagedFile``, ``Unsupported``, ``DoesNotFit``, ``BadConfig``, ``FeatureMissing``.
        """
        from llmrr.engines.llamacpp.model import LlamaModel

        return LlamaModel(place, options)


ENGINE: Final = LlamaCpp()
