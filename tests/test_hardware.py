"""The probe: every parser on output that somebody captured (data/hardware/README.md names them)."""

import ctypes
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from llmrr import hardware
from llmrr.hardware import Cpu, Hardware, Memory, amd, apple, cgroup, cpu, memory, nvidia

DATA = Path(__file__).parent / "data" / "hardware"
MEBIBYTE = 1024 * 1024


def captured(name: str) -> str:
    return (DATA / name).read_text()


def tree(root: Path, files: dict[str, str]) -> Path:
    """A small file system below ``root``."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def topology(cores: list[str]) -> dict[str, str]:
    """The sysfs files of cores given as lists of their threads: ``["0-1", "2"]``."""
    files = {}
    for siblings in cores:
        for thread in cpu.parse_list(siblings):
            name = f"sys/devices/system/cpu/cpu{thread}/topology/thread_siblings_list"
            files[name] = siblings + "\n"
    return files


# What /proc/cpuinfo says.


@pytest.mark.parametrize(
    ("file", "name", "has", "lacks"),
    [
        (
            "cpuinfo-i7-1260p.txt",
            "12th Gen Intel(R) Core(TM) i7-1260P",
            {"avx2", "fma", "f16c", "avx_vnni"},
            {"avx512f", "neon"},
        ),
        (
            "cpuinfo-i7-11800h.txt",
            "11th Gen Intel(R) Core(TM) i7-11800H @ 2.30GHz",
            {"avx2", "avx512f"},
            {"avx_vnni"},
        ),
        (
            "cpuinfo-raspberry-pi-4.txt",
            "Raspberry Pi 4 Model B Rev 1.5 (Cortex-A72)",
            {"neon"},
            {"dotprod", "fp16"},
        ),
        (
            "cpuinfo-raspberry-pi-5.txt",
            "Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76)",
            {"neon", "dotprod", "fp16"},
            {"i8mm"},
        ),
        ("cpuinfo-graviton2.txt", "Neoverse-N1", {"neon", "dotprod"}, {"sve"}),
        ("cpuinfo-graviton3.txt", "Neoverse-V1", {"neon", "dotprod", "sve"}, {"sve2"}),
    ],
)
def test_cpuinfo(file: str, name: str, has: set[str], lacks: set[str]) -> None:
    found, features = cpu.parse_cpuinfo(captured(file))
    assert found == name
    assert has <= set(features)
    assert not lacks & set(features)


def test_an_empty_cpuinfo_is_unknown() -> None:
    assert cpu.parse_cpuinfo("") == (None, ())


# Cores: i7-1260P, 4 performance cores with two threads each and 8 efficient ones.

HYBRID = topology(["0-1", "2-3", "4-5", "6-7", *map(str, range(8, 16))]) | {
    "sys/devices/system/cpu/online": "0-15\n",
    "sys/devices/cpu_core/cpus": "0-7\n",
    "sys/devices/cpu_atom/cpus": "8-15\n",
}


def test_a_hybrid_processor(tmp_path: Path) -> None:
    root = tree(tmp_path, HYBRID | {"proc/cpuinfo": captured("cpuinfo-i7-1260p.txt")})
    found = cpu.read(root, frozenset(range(16)))
    assert (found.physical_cores, found.logical_cores, found.performance_cores) == (12, 16, 4)
    assert (found.usable_cores, found.usable_threads) == (12, 16)
    assert hardware.threads(Hardware("linux", found, Memory())) == 4


def test_affinity_leaves_only_some_cores(tmp_path: Path) -> None:
    root = tree(tmp_path, HYBRID)
    one = cpu.read(root, frozenset({0, 1}))
    assert (one.usable_threads, one.usable_cores, one.usable_performance_cores) == (2, 1, 1)
    slow = cpu.read(root, frozenset(range(8, 12)))
    assert (slow.usable_cores, slow.usable_performance_cores) == (4, None)
    assert hardware.threads(Hardware("linux", slow, Memory())) == 4


def test_siblings_count_once(tmp_path: Path) -> None:
    files = topology(["0,4", "1,5", "2,6", "3,7"]) | {"sys/devices/system/cpu/online": "0-7\n"}
    found = cpu.read(tree(tmp_path, files), frozenset(range(8)))
    assert (found.physical_cores, found.logical_cores) == (4, 8)
    assert found.performance_cores is None


def test_big_and_little_arm_cores(tmp_path: Path) -> None:
    files = topology(list("01234567")) | {"sys/devices/system/cpu/online": "0-7\n"}
    # An RK3588: four Cortex-A55, four Cortex-A76.
    for core in range(8):
        capacity = "1024\n" if core >= 4 else "530\n"
        files[f"sys/devices/system/cpu/cpu{core}/cpu_capacity"] = capacity
    found = cpu.read(tree(tmp_path, files), frozenset(range(8)))
    assert (found.physical_cores, found.performance_cores) == (8, 4)


def test_a_container_that_hides_the_topology(tmp_path: Path) -> None:
    found = cpu.read(tree(tmp_path, {}), frozenset(range(16)))
    assert found.physical_cores is None
    assert found.usable_threads == 16
    assert hardware.threads(Hardware("linux", found, Memory())) == 8


def test_a_quota_bounds_the_threads(tmp_path: Path) -> None:
    files = topology(["0", "1", "2", "3"]) | {
        "sys/devices/system/cpu/online": "0-3\n",
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
        "sys/fs/cgroup/cpu.max": "250000 100000\n",
    }
    found = cpu.read(tree(tmp_path, files), frozenset(range(4)))
    assert (found.quota, found.usable_cores, found.physical_cores) == (2.5, 2, 4)
    assert hardware.threads(Hardware("linux", found, Memory())) == 2


def test_what_of_this_process_is_in_memory(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/self/statm": "9000 50 20 1 0 30 0\n"})
    page = os.sysconf("SC_PAGE_SIZE")
    assert memory.resident(root) == (50 * page, 30 * page)
    assert memory.resident(tmp_path / "nowhere") is None
    found = hardware.resident()
    assert found is None or found[0] >= found[1] > 0
    assert hardware.main_memory().total_bytes == hardware.probe().memory.total_bytes


# Control groups.


def test_version_1_limits_of_a_container(tmp_path: Path) -> None:
    group = cgroup.parse_membership(captured("cgroup-v1-docker.txt"))["memory"]
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": captured("cgroup-v1-docker.txt") + f"3:cpu,cpuacct:{group}\n",
            f"sys/fs/cgroup/memory{group}/memory.limit_in_bytes": "4294967296\n",
            f"sys/fs/cgroup/memory{group}/memory.usage_in_bytes": "5013504\n",
            f"sys/fs/cgroup/memory{group}/memory.stat": "cache 9\ntotal_inactive_file 600000\n"
            "total_active_file 400000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "8000000000\n",
            f"sys/fs/cgroup/cpu{group}/cpu.cfs_quota_us": "150000\n",
            f"sys/fs/cgroup/cpu{group}/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup.memory_limit(root) == (4294967296, 4294967296 - 5013504 + 1000000)
    assert cgroup.cpu_quota(root) == 1.5


def test_in_a_container_the_own_group_is_the_mounted_one(tmp_path: Path) -> None:
    # The path is the host's; what is mounted at the top is the container's own group.
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": captured("cgroup-v1-docker.txt"),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "73741824\n",
        },
    )
    assert cgroup.memory_limit(root) == (1073741824, 1000000000)


def test_version_2_takes_the_tightest_of_all_parents(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user.slice/user-1000.slice/run.scope\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            "sys/fs/cgroup/user.slice/memory.max": "8000000000\n",
            "sys/fs/cgroup/user.slice/memory.current": "7500000000\n",
            "sys/fs/cgroup/user.slice/user-1000.slice/memory.max": "2000000000\n",
            "sys/fs/cgroup/user.slice/user-1000.slice/memory.current": "100000000\n",
            "sys/fs/cgroup/user.slice/user-1000.slice/run.scope/memory.max": "max\n",
            "sys/fs/cgroup/user.slice/user-1000.slice/run.scope/cpu.max": "max 100000\n",
            "sys/fs/cgroup/user.slice/cpu.max": "300000 100000\n",
        },
    )
    assert cgroup.memory_limit(root) == (8000000000, 500000000)
    assert cgroup.cpu_quota(root) == 3.0


def test_no_control_groups_no_limits(tmp_path: Path) -> None:
    assert cgroup.memory_limit(tmp_path) == (None, None)
    assert cgroup.cpu_quota(tmp_path) is None


# Memory.


def test_meminfo(tmp_path: Path) -> None:
    found = memory.read(tree(tmp_path, {"proc/meminfo": captured("meminfo-swap.txt")}))
    assert found.total_bytes == 16115140 * 1024
    assert found.available_bytes == 10972032 * 1024
    assert (found.swap_total_bytes, found.swap_free_bytes) == (31999996 * 1024, 31965948 * 1024)
    assert found.limit_bytes is None


def test_meminfo_of_a_kernel_that_does_not_estimate(tmp_path: Path) -> None:
    found = memory.read(tree(tmp_path, {"proc/meminfo": captured("meminfo-old-kernel.txt")}))
    assert found.available_bytes == (5842704 + 1348264 + 5477328) * 1024
    assert found.swap_total_bytes is None


def test_the_groups_limit_bounds_what_is_available(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": captured("meminfo-centos.txt"),
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cgroup.controllers": "memory\n",
        "sys/fs/cgroup/memory.max": "536870912\n",
        "sys/fs/cgroup/memory.current": "36870912\n",
    }
    found = memory.read(tree(tmp_path, files))
    assert (found.limit_bytes, found.available_bytes) == (536870912, 500000000)
    # A limit beyond what the machine has is none.
    files["sys/fs/cgroup/memory.max"] = "99999999999999\n"
    assert memory.read(tree(tmp_path, files)).limit_bytes is None


def test_no_meminfo_is_unknown(tmp_path: Path) -> None:
    assert memory.read(tmp_path) == Memory()


# NVIDIA.


def test_nvidia_smi_with_other_columns() -> None:
    first, second = nvidia.parse(captured("nvidia-smi-titan-v.csv"))
    assert (first.name, first.compute, first.driver) == ("NVIDIA TITAN V", "7.0", "570.86.15")
    assert first.total_bytes is None and not first.unified
    assert second.name == "NVIDIA RTX 5880 Ada Generation"


def test_nvidia_smi_of_a_gpu_without_own_memory() -> None:
    (found,) = nvidia.parse(captured("nvidia-smi-gb10.csv"))
    assert (found.name, found.total_bytes, found.unified) == ("NVIDIA GB10", None, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'Field "compute_cap" is not a valid field to query.\n\n',
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
        "No devices were found\n",
    ],
)
def test_nvidia_smi_that_fails(text: str) -> None:
    assert nvidia.parse(text) == ()


class Nvml:
    """An NVML with one plain GPU, one that is cut into slices, and one that shares memory."""

    def __init__(self) -> None:
        self.shut_down = False

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlShutdown(self) -> int:
        self.shut_down = True
        return 0

    def nvmlSystemGetDriverVersion(self, buffer: Any, length: Any) -> int:
        buffer.value = b"580.95.05"
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = 4
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: Any) -> int:
        handle._obj.value = index + 1
        return 0 if index < 3 else 15

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any, count: Any) -> int:
        count._obj.value = 7 if handle.value == 2 else 0
        return 0

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, index: int, part: Any) -> int:
        part._obj.value = 20 + index
        return 0 if index in (0, 2) else 6

    def nvmlDeviceGetName(self, handle: Any, buffer: Any, length: Any) -> int:
        names = {1: b"NVIDIA GeForce RTX 3060", 3: b"NVIDIA GB10"}
        buffer.value = names.get(handle.value, b"NVIDIA H200 MIG 1g.18gb")
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        if handle.value == 3:
            return nvidia.NOT_SUPPORTED
        memory._obj[0], memory._obj[1] = (12 << 30, 11 << 30) if handle.value == 1 else (9, 8)
        return 0

    def nvmlDeviceGetCudaComputeCapability(self, handle: Any, major: Any, minor: Any) -> int:
        major._obj.value, minor._obj.value = 8, 6
        return 0


def test_nvml() -> None:
    library = Nvml()
    plain, first, second, spark = nvidia.ask(library)
    assert (plain.name, plain.compute) == ("NVIDIA GeForce RTX 3060", "8.6")
    assert (plain.total_bytes, plain.free_bytes, plain.mig) == (12 << 30, 11 << 30, False)
    assert plain.driver == "580.95.05"
    assert first.mig and second.mig and first.total_bytes == 9
    assert spark.unified and spark.total_bytes is None
    assert library.shut_down


def test_without_a_driver_nothing_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a library was loaded")

    monkeypatch.setattr(ctypes, "CDLL", fail)
    assert nvidia.read(root=tmp_path) == ()


def test_nvidia_smi_is_asked_only_when_thorough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def smi(query: str) -> str:
        asked.append(query)
        # As a driver before 510 answers: it knows no compute_cap.
        return "" if "compute_cap" in query else captured("nvidia-smi-gb10.csv")

    monkeypatch.setattr(nvidia, "_library", lambda: None)
    monkeypatch.setattr(nvidia, "_smi", smi)
    root = tree(tmp_path, {"dev/nvidiactl": ""})
    assert nvidia.read(root=root) == ()
    assert asked == []
    assert len(nvidia.read(root=root, thorough=True)) == 1
    assert asked == list(nvidia.QUERIES)


# AMD.


def test_rocm_smi() -> None:
    (found,) = amd.parse(captured("rocm-smi-rx-7900-xt.json"))
    assert (found.name, found.compute) == ("Radeon RX 7900 XT", "gfx1100")
    assert found.total_bytes == 21458059264
    assert found.free_bytes == 21458059264 - 27856896
    assert amd.parse("not json") == ()


def test_amd_files(tmp_path: Path) -> None:
    device = "sys/class/drm/card1/device"
    root = tree(
        tmp_path,
        {
            f"{device}/vendor": "0x1002\n",
            f"{device}/mem_info_vram_total": "34342961152\n",
            f"{device}/mem_info_vram_used": "10985472\n",
            f"{device}/drm/renderD128/dev": "226:128\n",
            "sys/class/drm/card1-DP-1/status": "connected\n",
            "sys/class/drm/card0/device/vendor": "0x8086\n",
            "sys/class/kfd/kfd/topology/nodes/0/properties": "cpu_cores_count 32\nsimd_count 0\n",
            "sys/class/kfd/kfd/topology/nodes/1/properties": captured("kfd-properties-mi100.txt"),
        },
    )
    (found,) = amd.read(root=root)
    assert (found.vendor, found.compute, found.source) == ("amd", "gfx908", "sysfs")
    assert found.free_bytes == 34342961152 - 10985472
    assert found.name is None


def test_an_amd_card_without_compute_node(tmp_path: Path) -> None:
    root = tree(tmp_path, {"sys/class/drm/card0/device/vendor": "0x1002\n"})
    (found,) = amd.read(root=root)
    assert (found.compute, found.total_bytes, found.free_bytes) == (None, None, None)


# Apple.


def test_an_m4_pro() -> None:
    found = apple.hardware(apple.parse(captured("sysctl-m4-pro.txt")), "arm64")
    assert found.cpu.performance_cores == 8
    assert "dotprod" in found.cpu.features
    assert hardware.threads(found) == 8
    (gpu,) = found.gpus
    assert (gpu.unified, gpu.total_bytes, gpu.limit_bytes) == (True, 25769803776, None)
    assert found.memory.available_bytes is None


def test_an_m1_pro() -> None:
    found = apple.hardware(apple.parse(captured("sysctl-m1-pro.txt")), "arm64")
    assert hardware.threads(found) == 8
    assert found.memory.total_bytes is None


def test_instruction_sets_of_old_and_new_macos() -> None:
    old = apple.hardware(apple.parse(captured("sysctl-m1.txt")), "arm64")
    assert old.cpu.features == ("neon", "fp16", "dotprod")
    new = apple.hardware(apple.parse(captured("sysctl-m5.txt")), "arm64")
    assert {"dotprod", "i8mm", "bf16"} <= set(new.cpu.features)


def test_a_limit_for_metal_that_the_user_set() -> None:
    # MiB, 0 by default: https://github.com/Andyyyy64/whichllm/pull/153
    text = captured("sysctl-m4-pro.txt") + "iogpu.wired_limit_mb: 20480\n"
    (gpu,) = apple.hardware(apple.parse(text), "arm64").gpus
    assert gpu.limit_bytes == 20480 * MEBIBYTE


def test_free_memory_on_macos_counts_what_can_be_dropped() -> None:
    pages = {"free": 1000, "purgeable": 200, "speculative": 30, "pageable_external": 4}
    values: dict[str, int | str] = {f"vm.page_{name}_count": n for name, n in pages.items()}
    found = apple.hardware(values | {"hw.pagesize": 16384}, "arm64")
    assert found.memory.available_bytes == 1234 * 16384


def test_an_intel_mac_has_no_metal_gpu() -> None:
    values: dict[str, int | str] = {"hw.optional.avx2_0": 1, "hw.physicalcpu": 4}
    found = apple.hardware(values, "x86_64")
    assert found.gpus == ()
    assert found.cpu.features == ("avx2",)


# This machine.


def test_the_probe_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    for name in ("posix_spawn", "fork", "system"):
        monkeypatch.setattr(os, name, fail)
    monkeypatch.setattr("subprocess.Popen", fail)
    found = hardware.probe()
    assert found.system == sys.platform
    assert found.memory.total_bytes and found.memory.total_bytes > 1 << 26
    assert 1 <= hardware.threads(found) <= (os.cpu_count() or 1)


def test_the_probe_is_json() -> None:
    found = json.loads(json.dumps(dataclasses.asdict(hardware.probe())))
    assert set(found) == {"system", "cpu", "memory", "gpus"}


def test_there_is_always_a_thread() -> None:
    assert hardware.threads(Hardware("linux", Cpu("x86_64"), Memory())) >= 1
