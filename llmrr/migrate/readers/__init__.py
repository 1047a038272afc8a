"""Readers: one source of settings per file. Each recognises what it reads by content.

A data file belongs to the first reader that takes it; code is shown to every reader of code, for
one file may use several libraries. ``of_folder`` sees folders whose layout is what tells (a store,
a cache, a model); a folder that is taken is not descended into.
"""

from llmrr.migrate.readers import (
    gpt4all,
    lm_studio,
    localai,
    mlx,
    ollama,
    transformers,
    transformers_code,
)
from llmrr.migrate.readers.base import Reader

READERS: tuple[Reader, ...] = (
    ollama.READER,
    lm_studio.READER,
    gpt4all.READER,
    transformers.READER,
    transformers_code.READER,
    mlx.READER,
    localai.READER,
)
