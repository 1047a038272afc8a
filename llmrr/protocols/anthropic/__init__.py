"""Anthropic's protocol: messages.

``asking`` understands a body, with ``blocks`` for what its turns hold; ``writing`` writes an answer
down. ``errors`` has the shape of an error, ``models`` that of the list of models.
"""

from llmrr.protocols.anthropic.asking import counted, messages
from llmrr.protocols.anthropic.errors import error
from llmrr.protocols.anthropic.models import model, models
from llmrr.protocols.anthropic.writing import MessageWriter

__all__ = ["MessageWriter", "counted", "error", "messages", "model", "models"]
