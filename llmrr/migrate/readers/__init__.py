"""Readers: one source of settings per file. Each recognises what it reads by content.

A data file belongs to the first reader that takes it; code is shown to every reader of code, for
one file may use several libraries. ``of_folder`` sees folders whose layout is what tells (a store,
a cache, a model); a folder that is taken is not descended into.
"""

from llmrr.migrate.readers import response_cache
from llmrr.migrate.readers.base import Reader

READERS: tuple[Reader, ...] = (response_cache.READER,)
