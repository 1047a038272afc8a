"""Apple machines: what ``sysctl`` says of processor, memory and Metal's share of it.

The names are those of sysctl(3) and of Apple's "Determining Instruction Set Characteristics".
"""

import os
from collections.abc import Mapping

from llmrr.hardware.facts import Cpu, Gpu, Hardware, Memory

NUMBERS = (
    "hw.memsize", "hw.pagesize", "hw.physicalcpu", "hw.logicalcpu", "hw.perflevel0.physicalcpu",
    "hw.nperflevels", "iogpu.wired_limit_mb", "vm.page_free_count", "vm.page_purgeable_count",
    "vm.page_speculative_count", "vm.page_pageable_external_count", "hw.optional.neon",
    "hw.optional.AdvSIMD", "hw.optional.neon_fp16", "hw.optional.arm64",
    "hw.optional.arm.FEAT_DotProd", "hw.optional.arm.FEAT_I8MM", "hw.optional.arm.FEAT_BF16",
    "hw.optional.arm.FEAT_FP16", "hw.optional.arm.FEAT_SME", "hw.optional.avx1_0",
    "hw.optional.avx2_0", "hw.optional.fma", "hw.optional.f16c", "hw.optional.avx512f",
)  # fmt: skip
STRINGS = ("machdep.cpu.brand_string",)
FEATURES = {
    "hw.optional.neon": "neon", "hw.optional.AdvSIMD": "neon", "hw.optional.neon_fp16": "fp16",
    "hw.optional.arm.FEAT_FP16": "fp16", "hw.optional.arm.FEAT_DotProd": "dotprod",
    "hw.optional.arm.FEAT_I8MM": "i8mm", "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_SME": "sme", "hw.optional.avx1_0": "avx", "hw.optional.avx2_0": "avx2",
    "hw.optional.fma": "fma", "hw.optional.f16c": "f16c", "hw.optional.avx512f": "avx512f",
}  # fmt: skip
MEBIBYTE = 1024 * 1024


def read() -> dict[str, int | str]:
    """The values of ``NUMBERS`` and ``STRINGS`` that this macOS knows, without a subprocess."""
    import ctypes

    library = ctypes.CDLL(None)
    found: dict[str, int | str] = {}
    for name in (*NUMBERS, *STRINGS):
        buffer = ctypes.create_string_buffer(256)
        size = ctypes.c_size_t(len(buffer))
        if library.sysctlbyname(name.encode(), buffer, ctypes.byref(size), None, 0) == 0:
            raw = buffer.raw[: size.value]
            text = name in STRINGS
            found[name] = raw.rstrip(b"\0").decode() if text else int.from_bytes(raw, "little")
    return found


def parse(text: str) -> dict[str, int | str]:
    """The same from what the command ``sysctl`` prints.

    >>> parse("hw.memsize: 17179869184\\nmachdep.cpu.brand_string: Apple M2\\nhw.x: y")
    {'hw.memsize': 17179869184, 'machdep.cpu.brand_string': 'Apple M2'}
    """
    found: dict[str, int | str] = {}
    for line in text.splitlines():
        name, _, value = line.strip().partition(":")
        if name in STRINGS:
            found[name] = value.strip()
        elif name in NUMBERS and value.strip().isdigit():
            found[name] = int(value)
    return found


def hardware(values: Mapping[str, int | str], machine: str | None = None) -> Hardware:
    """The machine behind the values; ``machine`` is ``arm64`` or ``x86_64``."""
    architecture = machine or os.uname().machine
    memory = _memory(values)
    gpus = (_metal(values, memory),) if architecture == "arm64" else ()
    return Hardware("darwin", _cpu(values, architecture), memory, gpus)


def _cpu(values: Mapping[str, int | str], architecture: str) -> Cpu:
    fast = _number(values, "hw.perflevel0.physicalcpu")
    physical = _number(values, "hw.physicalcpu")
    # Where there is one kind of core only, macOS still calls it level 0.
    fast = fast if fast != physical else None
    features = dict.fromkeys(word for name, word in FEATURES.items() if _number(values, name))
    if not any(name.startswith("hw.optional.arm.") for name in values):
        # macOS 11 has no FEAT_ names; every Apple processor since the M1 has the dot products.
        features |= {"dotprod": None} if values.get("hw.optional.arm64") else {}
    name = values.get("machdep.cpu.brand_string")
    logical = _number(values, "hw.logicalcpu")
    return Cpu(
        architecture=architecture,
        name=str(name) if name else None,
        physical_cores=physical,
        logical_cores=logical,
        performance_cores=fast,
        usable_threads=logical,
        usable_cores=physical,
        usable_performance_cores=fast,
        features=tuple(features),
    )


def _memory(values: Mapping[str, int | str]) -> Memory:
    page = _number(values, "hw.pagesize")
    free = _number(values, "vm.page_free_count")
    droppable = (
        _number(values, f"vm.page_{kind}_count") or 0
        for kind in ("purgeable", "speculative", "pageable_external")
    )
    available = (free + sum(droppable)) * page if page and free is not None else None
    return Memory(total_bytes=_number(values, "hw.memsize"), available_bytes=available)


def _metal(values: Mapping[str, int | str], memory: Memory) -> Gpu:
    """Metal's own default limit is not in sysctl: ``None``, unless the user set one."""
    limit = _number(values, "iogpu.wired_limit_mb")
    name = values.get("machdep.cpu.brand_string")
    return Gpu(
        vendor="apple",
        source="sysctl",
        name=str(name) if name else None,
        total_bytes=memory.total_bytes,
        limit_bytes=limit * MEBIBYTE if limit else None,
        unified=True,
    )


def _number(values: Mapping[str, int | str], name: str) -> int | None:
    value = values.get(name)
    return value if isinstance(value, int) else None
