"""What this machine is (``probe``) and whether a model fits into it (``fit``)."""

import sys

from llmrr.hardware.facts import Cpu, Gpu, Hardware, Memory
from llmrr.hardware.fit import Fit, fit, fit_one, needs_flash_attention

__all__ = [
    "Cpu", "Fit", "Gpu", "Hardware", "Memory", "fit", "fit_one", "main_memory",
    "needs_flash_attention", "probe", "resident", "threads",
]  # fmt: skip


def probe(*, thorough: bool = False) -> Hardware:
    """Look at this machine; what cannot be found out is ``None``.

    Starts no subprocess, unless ``thorough``: then ``nvidia-smi`` and ``rocm-smi`` are asked where
    the driver's library and files say nothing.
    """
    if sys.platform == "darwin":
        from llmrr.hardware import apple

        return apple.hardware(apple.read())
    from llmrr.hardware import amd, cpu, memory, nvidia

    return Hardware(
        system=sys.platform,
        cpu=cpu.read(),
        memory=memory.read(),
        gpus=nvidia.read(thorough=thorough) + amd.read(thorough=thorough),
    )


def main_memory() -> Memory:
    """What ``probe`` says of main memory, without looking at the rest."""
    if sys.platform == "darwin":
        from llmrr.hardware import apple

        return apple.hardware(apple.read()).memory
    from llmrr.hardware import memory

    return memory.read()


def resident() -> tuple[int, int] | None:
    """The bytes of this process that are in memory, and those of them that are no file's; None
    where the system does not say."""
    from llmrr.hardware import memory

    return memory.resident()


def threads(hardware: Hardware) -> int:
    """How many threads to decode with: one per physical core that may be used, on hybrid
    processors per performance core, as every layer waits for the slowest thread.

    Where the cores behind the hardware threads are unknown, llmrr does as llama.cpp does
    (``common_cpu_get_num_physical_cores``): all of up to four, half of more.

    >>> threads(Hardware("linux", Cpu("x86_64", usable_threads=16, usable_cores=8), Memory()))
    8
    >>> threads(Hardware("linux", Cpu("x86_64", usable_threads=16), Memory()))
    8
    >>> threads(Hardware("linux", Cpu("x86_64", usable_threads=3), Memory()))
    3
    """
    cpu = hardware.cpu
    known = cpu.usable_performance_cores or cpu.usable_cores
    if known:
        return known
    logical = cpu.usable_threads or cpu.logical_cores or 4
    return logical if logical <= 4 else logical // 2
