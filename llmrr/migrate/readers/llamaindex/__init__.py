"""LlamaIndex: what ``to_dict`` writes of its models, and code that uses it.

``dicts``, ``code``     one source each
``classes``             names of classes, by provider
"""

from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.llamaindex import code, dicts

DICTS = Reader((dicts.KIND,), of_data=dicts.read, forced=dicts.forced)
CODE = Reader((code.KIND,), of_code=code.read, forced=code.forced)
