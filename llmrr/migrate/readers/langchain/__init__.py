"""LangChain: what it wrote of its objects, what older ones saved, and code that uses it.

``serialized``, ``legacy``, ``code``    one source each
``dumped``                              what was written, as the calls that would make it
``runnables``, ``parts``, ``kinds``     calls to models, chains of fallbacks, and prompts
``prompts``, ``classes``                templates; names of classes and providers
"""

from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.langchain import code, legacy, serialized

SERIALIZED = Reader((serialized.KIND,), of_data=serialized.read, forced=serialized.forced)
LEGACY = Reader((legacy.KIND,), of_data=legacy.read, forced=legacy.forced)
CODE = Reader((code.KIND,), of_code=code.read, forced=code.forced)
