"""The processor on Linux: ``/proc/cpuinfo``, the topology in sysfs, affinity and cgroup quota."""

import os
from pathlib import Path

from llmrr.hardware import cgroup, files
from llmrr.hardware.facts import Cpu

# What decides which kernels llama.cpp runs and which weights it repacks: /proc/cpuinfo's word for
# it on x86 (flags) and on ARM (Features), and ours.
FEATURES = {
    "sse4_2": "sse4.2", "avx": "avx", "avx2": "avx2", "fma": "fma", "f16c": "f16c",
    "avx_vnni": "avx_vnni", "avx512f": "avx512f", "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16", "amx_tile": "amx_tile", "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16", "neon": "neon", "asimd": "neon", "asimdhp": "fp16",
    "asimddp": "dotprod", "i8mm": "i8mm", "bf16": "bf16", "sve": "sve", "sve2": "sve2",
    "sme": "sme",
}  # fmt: skip
# "CPU part" of the makers that leave the name out of /proc/cpuinfo (ARM's MIDR_EL1).
ARM_PARTS = {
    0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55", 0xD07: "Cortex-A57",
    0xD08: "Cortex-A72", 0xD09: "Cortex-A73", 0xD0A: "Cortex-A75", 0xD0B: "Cortex-A76",
    0xD0C: "Neoverse-N1", 0xD0D: "Cortex-A77", 0xD40: "Neoverse-V1", 0xD41: "Cortex-A78",
    0xD42: "Cortex-A78AE", 0xD44: "Cortex-X1", 0xD46: "Cortex-A510", 0xD47: "Cortex-A710",
    0xD48: "Cortex-X2", 0xD49: "Neoverse-N2", 0xD4D: "Cortex-A715", 0xD4E: "Cortex-X3",
    0xD4F: "Neoverse-V2", 0xD80: "Cortex-A520", 0xD81: "Cortex-A720", 0xD82: "Cortex-X4",
    0xD84: "Neoverse-V3", 0xD8E: "Neoverse-N3",
}  # fmt: skip
# Enough for the first processor's block; reading all of 256 blocks takes longer than all the rest.
FIRST_BLOCK = 16 * 1024


def parse_cpuinfo(text: str) -> tuple[str | None, tuple[str, ...]]:
    """(name, instruction sets) of the first processor in ``/proc/cpuinfo``.

    >>> parse_cpuinfo("model name\\t: Some CPU\\nflags\\t\\t: fpu avx avx2\\n")
    ('Some CPU', ('avx', 'avx2'))
    """
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.partition(":")
        if separator:
            fields.setdefault(name.strip(), value.strip())
    words = (fields.get("flags") or fields.get("Features") or "").split()
    features = dict.fromkeys(FEATURES[word] for word in words if word in FEATURES)
    return fields.get("model name") or _arm_name(fields), tuple(features)


def parse_list(text: str) -> frozenset[int]:
    """A kernel list of CPUs.

    >>> sorted(parse_list("0-2,8\\n"))
    [0, 1, 2, 8]
    """
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def read(root: Path = Path("/"), affinity: frozenset[int] | None = None) -> Cpu:
    """The processor. ``affinity``: the CPUs this process may run on, asked for if not given."""
    try:
        with (root / "proc/cpuinfo").open(errors="replace") as file:
            text = file.read(FIRST_BLOCK)
    except OSError:
        text = ""
    name, features = parse_cpuinfo(text)
    quota = cgroup.cpu_quota(root)
    online = parse_list(files.text(root / "sys/devices/system/cpu/online"))
    allowed = affinity if affinity is not None else _affinity()
    usable = (allowed & online if online and allowed else allowed or online) or online
    cores = _cores(root, online)
    fast = _performance(root, online)
    return Cpu(
        architecture=os.uname().machine,
        name=name,
        physical_cores=len(cores) or None,
        logical_cores=len(online) or os.cpu_count(),
        performance_cores=_touched(cores, fast),
        usable_threads=_limited(len(usable) or os.cpu_count(), quota),
        usable_cores=_limited(_touched(cores, usable), quota),
        usable_performance_cores=_limited(_touched(cores, fast & usable), quota),
        quota=quota,
        features=features,
    )


def _arm_name(fields: dict[str, str]) -> str | None:
    """The core's name from its part number, with the board's where the kernel prints it."""
    try:
        part = ARM_PARTS.get(int(fields["CPU part"], 16))
    except (KeyError, ValueError):
        part = None
    if fields.get("CPU implementer") != "0x41":
        part = None
    board = fields.get("Model")
    return f"{board} ({part})" if board and part else board or part


def _affinity() -> frozenset[int]:
    try:
        return frozenset(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return frozenset()


def _cores(root: Path, online: frozenset[int]) -> list[frozenset[int]]:
    """The hardware threads of each physical core; empty where the topology is hidden."""
    cores: list[frozenset[int]] = []
    seen: set[int] = set()
    for cpu in sorted(online):
        if cpu in seen:
            continue
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        core = parse_list(files.text(topology / "thread_siblings_list")) & online
        if cpu not in core:
            return []
        cores.append(core)
        seen |= core
    return cores


def _performance(root: Path, online: frozenset[int]) -> frozenset[int]:
    """The fast CPUs of a hybrid processor: Intel lists them, ARM rates each CPU's capacity."""
    intel = parse_list(files.text(root / "sys/devices/cpu_core/cpus"))
    if intel:
        return intel & online
    capacities: dict[int, int] = {}
    for cpu in sorted(online):
        text = files.line(root / f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity")
        if not text.isdigit():
            return frozenset()
        capacities[cpu] = int(text)
    best = max(capacities.values(), default=0)
    # A slightly faster "prime" core beside others of its kind does not make those slow.
    fast = frozenset(cpu for cpu, value in capacities.items() if value >= 0.7 * best)
    return fast if fast != online else frozenset()


def _touched(cores: list[frozenset[int]], cpus: frozenset[int]) -> int | None:
    """How many of the cores have a thread among ``cpus``."""
    return sum(1 for core in cores if core & cpus) or None


def _limited(count: int | None, quota: float | None) -> int | None:
    """A thread more than the quota only waits for the next period."""
    if count is None or quota is None:
        return count
    return max(1, min(count, int(quota)))
