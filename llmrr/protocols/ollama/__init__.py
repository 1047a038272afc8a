"""Ollama's protocol.

``asking`` understands the bodies of generate, chat and embed, with ``conversation`` for their turns
and ``parameters`` for their options; ``writing`` writes an answer down, ``describing`` a model.
"""

from llmrr.protocols.ollama.asking import Texts, Wanted, chat, embed, generate, model_named
from llmrr.protocols.ollama.describing import (
    elsewhere,
    listed,
    running,
    shown,
)
from llmrr.protocols.ollama.writing import (
    ChatWriter,
    GenerateWriter,
    error,
    loaded,
    nanoseconds,
    time_of,
)

__all__ = [
    "ChatWriter", "GenerateWriter", "Texts", "Wanted", "chat", "elsewhere",
    "embed", "error", "generate", "listed", "loaded", "model_named", "nanoseconds", "running",
    "shown", "time_of",
]  # fmt: skip
