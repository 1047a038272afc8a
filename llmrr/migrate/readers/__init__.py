"""Readers: one source of settings per file. Each recognises what it reads by content.

A data file belongs to the first reader that takes it; code is shown to every reader of code, for
one file may use several libraries. ``of_folder`` sees folders whose layout is what tells (a store,
a cache, a model); a folder that is taken is not descended into.
"""

from llmrr.migrate.readers import langchain, llamaindex, openai_code, response_cache
from llmrr.migrate.readers.base import Reader

READERS: tuple[Reader, ...] = (
    langchain.SERIALIZED, langchain.LEGACY, langchain.CODE,
    llamaindex.DICTS, llamaindex.CODE,
    openai_code.READER,
    response_cache.READER,
)  # fmt: skip
