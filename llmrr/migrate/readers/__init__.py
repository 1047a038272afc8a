"""Readers: one source of settings per file. Each recognises what it reads by content.

A data file belongs to the first reader that takes it; code is shown to every reader of code, for
one file may use several libraries. ``of_folder`` sees folders whose layout is what tells (a store,
a cache, a model); of a folder that is taken only code that lies in it is read besides.
"""

from llmrr.migrate.readers import (
    dotenv,
    guide,
    langchain,
    llama_cpp_python,
    llamaindex,
    node_llama_cpp,
    openai_code,
)
from llmrr.migrate.readers.base import Reader

READERS: tuple[Reader, ...] = (
    langchain.SERIALIZED, langchain.LEGACY, langchain.CODE,
    llamaindex.DICTS, llamaindex.CODE,
    openai_code.READER, llama_cpp_python.READER, node_llama_cpp.READER,
    dotenv.READER,
    guide.READER,
)  # fmt: skip
