"""Readers: one source of settings per file. Each recognises what it reads by content.

A data file belongs to the first reader that takes it; code is shown to every reader of code, for
one file may use several libraries. ``of_folder`` sees folders whose layout is what tells (a store,
a cache, a model); of a folder that is taken only code that lies in it is read besides.
"""

from llmrr.migrate.readers import (
    aichat,
    continue_dev,
    custom,
    dotenv,
    gguf_folder,
    gpt4all,
    guide,
    langchain,
    litellm,
    llama_cpp_python,
    llama_preset,
    llama_swap,
    llamaindex,
    lm_studio,
    localai,
    mlx,
    node_llama_cpp,
    ollama,
    openai_code,
    response_cache,
    server_commands,
    simonw_llm,
    transformers,
    transformers_code,
)
from llmrr.migrate.readers.base import Reader

READERS: tuple[Reader, ...] = (
    langchain.SERIALIZED, langchain.LEGACY, langchain.CODE, llamaindex.DICTS, llamaindex.CODE,
    openai_code.READER, llama_cpp_python.READER, node_llama_cpp.READER, transformers_code.READER,
    mlx.READER, lm_studio.READER, gpt4all.READER, transformers.READER, localai.READER,
    ollama.READER, litellm.READER, llama_swap.READER, llama_preset.READER, continue_dev.READER,
    aichat.READER, simonw_llm.READER, server_commands.READER, response_cache.READER,
    dotenv.READER, guide.READER, gguf_folder.READER, custom.READER,
)  # fmt: skip
