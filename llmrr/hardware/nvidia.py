"""NVIDIA GPUs: NVML in this process, or what ``nvidia-smi`` prints.

NVML: https://docs.nvidia.com/deploy/nvml-api (nvml.h); its first version of each struct is used,
which every driver since 2012 has.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr.hardware.facts import Gpu

if TYPE_CHECKING:
    import ctypes

# Drivers before 510 do not know all of the first line, and then answer nothing.
QUERIES = (
    "name,memory.total,memory.free,driver_version,compute_cap,mig.mode.current",
    "name,memory.total,memory.free,driver_version",
)
# One of these exists wherever the driver (or that of Windows, under WSL) is loaded.
DEVICES = ("dev/nvidiactl", "dev/dxg", "dev/nvhost-ctrl")
MEBIBYTE = 1024 * 1024
# What NVML says of the memory of a GPU that has none of its own (a DGX Spark); nvidia-smi: [N/A].
NOT_SUPPORTED = 3


def read(*, thorough: bool = False, root: Path = Path("/")) -> tuple[Gpu, ...]:
    """The GPUs that NVML lists; if ``thorough`` and there is no NVML, those of ``nvidia-smi``."""
    if not any((root / device).exists() for device in DEVICES):
        return ()
    library = _library()
    if library is not None:
        return tuple(ask(library))
    if not thorough:
        return ()
    return next((found for query in QUERIES if (found := parse(_smi(query)))), ())


def parse(text: str) -> tuple[Gpu, ...]:
    """What ``nvidia-smi --query-gpu=… --format=csv`` prints, its first line naming the columns.

    ``[N/A]`` and missing columns are unknown; an error message is no GPU.

    >>> parse("name, memory.free [MiB]\\nNVIDIA GeForce RTX 3060, 11911 MiB")[0].free_bytes
    12489588736
    """
    head, _, body = text.strip().partition("\n")
    # The unit stands in the name of the column, and unless "nounits" is asked for in each value.
    columns = [column.split()[0] for column in head.split(",") if column.strip()]
    if "name" not in columns:
        return ()
    rows = (dict(zip(columns, line.split(","), strict=False)) for line in body.splitlines())
    return tuple(_row(values) for values in rows if values)


def _row(values: dict[str, str]) -> Gpu:
    words = {name: value.strip() for name, value in values.items()}
    known = {name: word for name, word in words.items() if word and not word.startswith("[")}
    return Gpu(
        vendor="nvidia",
        source="nvidia-smi",
        name=known.get("name"),
        total_bytes=_mebibytes(known.get("memory.total")),
        free_bytes=_mebibytes(known.get("memory.free")),
        compute=known.get("compute_cap"),
        driver=known.get("driver_version"),
        unified=words.get("memory.total") == "[N/A]",
        mig=known.get("mig.mode.current") == "Enabled",
    )


def ask(library: Any) -> Iterator[Gpu]:
    """The GPUs of an NVML library; of a partitioned one its slices, as CUDA sees only those."""
    import ctypes

    if library.nvmlInit_v2() != 0:
        return
    try:
        driver = _string(library.nvmlSystemGetDriverVersion)
        count = ctypes.c_uint()
        if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return
        for index in range(count.value):
            handle = ctypes.c_void_p()
            if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) == 0:
                yield from _device(library, handle, driver)
    finally:
        library.nvmlShutdown()


def _device(library: Any, handle: "ctypes.c_void_p", driver: str | None) -> Iterator[Gpu]:
    slices = list(_slices(library, handle))
    compute = _capability(library, handle)
    for part in slices or [handle]:
        code, total, free = _memory(library, part)
        yield Gpu(
            vendor="nvidia",
            source="nvml",
            name=_string(library.nvmlDeviceGetName, part),
            total_bytes=total,
            free_bytes=free,
            compute=compute,
            driver=driver,
            unified=code == NOT_SUPPORTED,
            mig=bool(slices),
        )


def _slices(library: Any, handle: "ctypes.c_void_p") -> Iterator["ctypes.c_void_p"]:
    """The MIG devices of a GPU; none where MIG is off or the driver older than it."""
    import ctypes

    count = ctypes.c_uint()
    most = getattr(library, "nvmlDeviceGetMaxMigDeviceCount", None)
    if most is None or most(handle, ctypes.byref(count)) != 0:
        return
    for index in range(count.value):
        part = ctypes.c_void_p()
        # Slices need not be numbered without gaps.
        if library.nvmlDeviceGetMigDeviceHandleByIndex(handle, index, ctypes.byref(part)) == 0:
            yield part


def _memory(library: Any, handle: "ctypes.c_void_p") -> tuple[int, int | None, int | None]:
    """(NVML's answer, total bytes, free bytes)."""
    import ctypes

    # nvmlMemory_t: total, free, used
    memory = (ctypes.c_ulonglong * 3)()
    code = int(library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)))
    return (code, None, None) if code else (code, memory[0], memory[1])


def _capability(library: Any, handle: "ctypes.c_void_p") -> str | None:
    import ctypes

    major, minor = ctypes.c_int(), ctypes.c_int()
    found = library.nvmlDeviceGetCudaComputeCapability(
        handle, ctypes.byref(major), ctypes.byref(minor)
    )
    return f"{major.value}.{minor.value}" if found == 0 else None


def _string(function: Any, *arguments: "ctypes.c_void_p") -> str | None:
    import ctypes

    buffer = ctypes.create_string_buffer(96)
    if function(*arguments, buffer, ctypes.c_uint(96)) != 0:
        return None
    return buffer.value.decode(errors="replace")


def _library() -> "ctypes.CDLL | None":
    import ctypes

    try:
        return ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None


def _smi(query: str) -> str:
    import subprocess

    command = ("nvidia-smi", f"--query-gpu={query}", "--format=csv,nounits")
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _mebibytes(text: str | None) -> int | None:
    number = (text or "").removesuffix(" MiB")
    return int(number) * MEBIBYTE if number.isdigit() else None
