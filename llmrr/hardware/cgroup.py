"""The limits that Linux control groups put on this process, version 1 and 2.

Formats: cgroups(7), and the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

from collections.abc import Iterator
from pathlib import Path

from llmrr.hardware import files

# Version 1 says "no limit" with the largest multiple of the page size that fits into 63 bits.
UNLIMITED = 1 << 60


def parse_membership(text: str) -> dict[str, str]:
    """``/proc/self/cgroup`` as controller → path; version 2 is the controller ``""``.

    >>> parse_membership("4:memory:/a\\n2:cpu,cpuacct:/b\\n0::/c\\n")
    {'memory': '/a', 'cpu': '/b', 'cpuacct': '/b', '': '/c'}
    """
    found = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, separator, path = rest.partition(":")
        if separator:
            found.update(dict.fromkeys(controllers.split(","), path))
    return found


def parse_quota(text: str) -> float | None:
    """CPUs granted by a version 2 ``cpu.max``.

    >>> parse_quota("150000 100000"), parse_quota("max 100000")
    (1.5, None)
    """
    quota, _, period = text.strip().partition(" ")
    try:
        return int(quota) / int(period or 100_000)
    except (ValueError, ZeroDivisionError):
        return None


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The CPUs that the tightest group around this process grants, ``None`` without a limit."""
    found = []
    for version, folder in _folders(root, "cpu"):
        if version == 2:
            quota = parse_quota(files.text(folder / "cpu.max"))
        else:
            limit = _number(folder / "cpu.cfs_quota_us")
            period = _number(folder / "cpu.cfs_period_us")
            quota = limit / period if limit and limit > 0 and period else None
        if quota is not None:
            found.append(quota)
    return min(found, default=None)


def memory_limit(root: Path = Path("/")) -> tuple[int | None, int | None]:
    """(limit, bytes still free under it) of the tightest memory group, ``None`` without one.

    File pages that the kernel may drop count as free, as they do in MemAvailable.
    """
    found = []
    for version, folder in _folders(root, "memory"):
        limit_file, used_file, prefix = (
            ("memory.max", "memory.current", "")
            if version == 2
            else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        )
        limit = _number(folder / limit_file)
        if limit is None or limit >= UNLIMITED:
            continue
        used = _number(folder / used_file) or 0
        stat = files.numbers(files.text(folder / "memory.stat"))
        cache = sum(stat.get(f"{prefix}{kind}_file", 0) for kind in ("inactive", "active"))
        found.append((max(0, limit - max(0, used - cache)), limit))
    free, limit = min(found, default=(None, None))
    return limit, free


def _folders(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """Every folder from this process's group up to the top, with the version of its files."""
    groups = parse_membership(files.text(root / "proc/self/cgroup"))
    mount = root / "sys/fs/cgroup"
    if controller in groups:
        yield from ((1, folder) for folder in _upwards(mount / controller, groups[controller]))
    if "" in groups:
        # With both versions mounted, version 2 lies one folder deeper.
        unified = mount if (mount / "cgroup.controllers").exists() else mount / "unified"
        yield from ((2, folder) for folder in _upwards(unified, groups[""]))


def _upwards(top: Path, group: str) -> Iterator[Path]:
    """``top/group`` and its parents down to ``top``.

    In a container the group may be the host's name of it, which does not exist here: then only
    ``top``, where the container's own is mounted.
    """
    inside = top / group.strip("/")
    while inside != top and top in inside.parents:
        if inside.is_dir():
            yield inside
        inside = inside.parent
    yield top


def _number(path: Path) -> int | None:
    """The number in a file; ``None`` for ``max``, nonsense, or no file."""
    try:
        return int(files.text(path))
    except ValueError:
        return None
