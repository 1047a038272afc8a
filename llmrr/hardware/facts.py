"""What a machine is: frozen facts, ``None`` where unknown; ``dataclasses.asdict`` makes JSON."""

from dataclasses import dataclass
from typing import Literal

Vendor = Literal["nvidia", "amd", "apple"]


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor, and how much of it this process may use.

    ``logical_cores`` counts hardware threads, ``physical_cores`` cores, ``performance_cores`` the
    fast cores of a hybrid processor (``None`` where all are alike or it is not known).
    ``usable_threads`` are the hardware threads that affinity and cgroup quota leave to this
    process, ``usable_cores`` the physical cores behind them and ``usable_performance_cores`` the
    fast ones among those. ``quota`` is the cgroup's limit in CPUs. ``features`` are instruction
    sets, as ``avx2`` or ``i8mm``.
    """

    architecture: str
    name: str | None = None
    physical_cores: int | None = None
    logical_cores: int | None = None
    performance_cores: int | None = None
    usable_threads: int | None = None
    usable_cores: int | None = None
    usable_performance_cores: int | None = None
    quota: float | None = None
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """Main memory in bytes. ``available_bytes`` is what could be taken without swapping, the
    cgroup's ``limit_bytes`` respected."""

    total_bytes: int | None = None
    available_bytes: int | None = None
    limit_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """An accelerator. ``compute`` is CUDA's capability (``8.6``) or AMD's target (``gfx1100``).

    ``unified``: it shares main memory, and ``limit_bytes`` is how much of that it may use. ``mig``:
    it is a slice of a partitioned GPU. ``source`` says who told.
    """

    vendor: Vendor
    source: str
    name: str | None = None
    total_bytes: int | None = None
    free_bytes: int | None = None
    limit_bytes: int | None = None
    compute: str | None = None
    driver: str | None = None
    unified: bool = False
    mig: bool = False


@dataclass(frozen=True, slots=True)
class Hardware:
    """This machine, as far as running models goes."""

    system: str
    cpu: Cpu
    memory: Memory
    gpus: tuple[Gpu, ...] = ()

    @property
    def free_bytes(self) -> int | None:
        """Free memory, that of GPUs with their own too; None where that of the machine is unknown.
        """
        host = self.memory.available_bytes
        own = sum(gpu.free_bytes or 0 for gpu in self.gpus if not gpu.unified)
        return None if host is None else host + own
