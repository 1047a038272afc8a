"""OpenAI's protocol.

``chat_completions``, ``text_completions``, ``responses`` and ``embeddings`` understand a body and
write an answer down. What they share: ``messages`` and ``tools``, what is said and what may be
called; ``sampling`` and ``shapes``, how a body states the choice of the next token and what the
answer has to obey; ``logprobs``; ``common``.
``errors`` has the shape of an error.
"""

from llmrr.protocols.openai.chat_completions import ChatWriter, chat
from llmrr.protocols.openai.errors import error
from llmrr.protocols.openai.text_completions import CompletionWriter, completion, echoed, prompts

__all__ = [
    "ChatWriter", "CompletionWriter", "chat", "completion", "echoed", "error", "prompts",
]  # fmt: skip
