"""Main memory on Linux: ``/proc/meminfo`` and the control group's limit."""

import os
from pathlib import Path

from llmrr.hardware import cgroup
from llmrr.hardware.facts import Memory


def parse_meminfo(text: str) -> dict[str, int]:
    """``/proc/meminfo`` (proc(5)) as name → bytes; its kB are 1024 bytes.

    >>> parse_meminfo("MemTotal:       16 kB\\nHugePages_Total:       0\\n")
    {'MemTotal': 16384, 'HugePages_Total': 0}
    """
    found = {}
    for line in text.splitlines():
        name, separator, value = line.partition(":")
        words = value.split()
        if separator and words and words[0].isdigit():
            found[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found


def read(root: Path = Path("/")) -> Memory:
    """Memory of this machine or container."""
    try:
        info = parse_meminfo((root / "proc/meminfo").read_text())
    except OSError:
        info = {}
    available = info.get("MemAvailable")
    if available is None and "MemFree" in info:
        # Kernels before 3.14, and some sandboxes, do not estimate it.
        available = sum(info.get(name, 0) for name in ("MemFree", "Buffers", "Cached"))
    limit, free = cgroup.memory_limit(root)
    total = info.get("MemTotal")
    if limit is not None and total is not None and limit >= total:
        limit, free = None, None
    known = [value for value in (available, free) if value is not None]
    return Memory(
        total_bytes=total,
        available_bytes=min(known, default=None),
        limit_bytes=limit,
        swap_total_bytes=info.get("SwapTotal"),
        swap_free_bytes=info.get("SwapFree"),
    )


def resident(root: Path = Path("/")) -> tuple[int, int] | None:
    """(resident, anonymous) bytes of this process, from ``/proc/self/statm`` (proc(5))."""
    try:
        words = (root / "proc/self/statm").read_text().split()
        pages, of_files = int(words[1]), int(words[2])
    except (OSError, ValueError, IndexError):
        return None
    size = os.sysconf("SC_PAGE_SIZE")
    return pages * size, (pages - of_files) * size
