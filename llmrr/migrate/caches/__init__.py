"""Answers that other tools kept go to our history, and their models are adopted where they lie.

``answers``    what one answer is, and what is left out
``sqlite``     a database of others, opened to be read, as data
``copying``    one whose last rows lie beside it
``langchain``, ``gptcache``, ``simonw``, ``legacy``    one layout each: answers, and what is left
``finding``    which layout a file has, by content
``history``    from answers to rows of the history, and out of it again
``bringing``   all of it for paths that were given

Nothing goes to our own cache. Its key is the whole request with what answers it, address included,
and ``[cache] ttl`` promises how old an answer is at most; none of these stores records all of that
(LangChain comes nearest: it has neither the time nor the address that OPENAI_BASE_URL set). What
each lacks stands in ``finding`` and is told.
"""

from llmrr.migrate.caches.bringing import Brought, bring
from llmrr.migrate.caches.history import undo

__all__ = ["Brought", "bring", "undo"]
