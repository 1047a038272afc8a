"""OpenAI's protocol.

``chat_completions`` and ``text_completions`` understand a body and write an answer down; they share
``sampling``, how a body states the choice of the next token, and ``common``. ``errors`` has the
shape of an error.
"""

from llmrr.protocols.openai.chat_completions import ChatWriter, chat
from llmrr.protocols.openai.errors import error
from llmrr.protocols.openai.text_completions import CompletionWriter, completion, prompts

__all__ = ["ChatWriter", "CompletionWriter", "chat", "completion", "error", "prompts"]
