"""The models that are in memory, one owner each.

``deciding`` says which of them makes room for another one, ``memory`` how full the machine is,
``needs`` what a model takes; ``keeping`` loads them, lends them to requests (``entries``,
``shelf``) and unloads them, which ``sweeping`` has it do in time; ``outlook`` says what would be
refused; ``keys`` what makes two loads the same.
"""

from llmrr.pool.deciding import Held, MemoryUse, Rules, evict
from llmrr.pool.entries import Lease, Wanted
from llmrr.pool.keeping import Pool
from llmrr.pool.keys import Key

__all__ = ["Held", "Key", "Lease", "MemoryUse", "Pool", "Rules", "Wanted", "evict"]
