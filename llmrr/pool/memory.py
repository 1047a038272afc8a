"""How full memory is, for this process and the machine that it runs on."""

from llmrr import hardware
from llmrr.pool.deciding import MemoryUse


def read(held_bytes: int = 0) -> MemoryUse | None:
    """What is in use of the control group's limit, or of the machine's memory; None where that is
    not known. ``held_bytes`` is what the models in memory are known to need.

    The system takes mapped weights for pages that it may drop. They are what this process works
    with, so its own part counts with all that is resident, and at least with what its models need.
    """
    memory = hardware.main_memory()
    limit = memory.limit_bytes or memory.total_bytes
    if not limit or memory.available_bytes is None:
        return None
    return MemoryUse(_used(limit, memory.available_bytes, hardware.resident(), held_bytes), limit)


def _used(limit: int, available: int, own: tuple[int, int] | None, held: int) -> int:
    """``own`` are the resident bytes of this process, and those of them that no file backs.

    >>> _used(100, 60, None, 0), _used(100, 60, (30, 10), 0), _used(100, 60, (30, 10), 50)
    (40, 60, 80)
    """
    taken = max(0, limit - available)
    if own is None:
        return max(taken, held)
    resident, anonymous = own
    others = max(0, taken - anonymous)
    return max(taken, others + max(resident, held))
