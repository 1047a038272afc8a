"""Does the formula say what llama.cpp allocates? And what does it decide on known machines?"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shapes

from llmrr import hardware
from llmrr.errors import Unsupported, UsageError
from llmrr.formats import gguf
from llmrr.hardware import Cpu, Gpu, Hardware, Memory, fit, repack
from llmrr.types import Format, ModelInfo

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
SETTINGS: list[dict[str, Any]] = [
    {},
    {"context": 8192, "outputs": 1},
    {"context": 1024, "slots": 4, "outputs": 4, "batch": 128},
    {"context": 2048, "flash_attention": False, "outputs": 1},
]
# A quantized cache makes llama.cpp's graph larger than it reckons with for this one: it aborts.
QUANTIZED = [{"context": 2048, "kv_type": "q8_0", "outputs": 1}]
NAMED = [
    ("smollm2-135m", "Q4_K_M"),
    ("llama-500m", "Q8_0"),
    ("qwen2.5-0.5b", "Q4_0"),
    ("gemma-3-1b", "Q4_K_M"),
    ("granite-3.1-1b-a400m", "Q4_K_M"),
    ("mamba-130m", "F16"),
]

X86 = Cpu("x86_64", features=("avx2", "fma", "f16c"))
# https://github.com/geerlingguy/raspberry-pi-pcie-devices/issues/790: 1MiB / 12288MiB used
RTX_3060 = Gpu(
    "nvidia", "nvml", name="NVIDIA GeForce RTX 3060",
    total_bytes=12288 * MEBIBYTE, free_bytes=12287 * MEBIBYTE,
)  # fmt: skip
# https://github.com/RLinf/RLinf/issues/255: 507MiB / 24564MiB, 459MiB / 24564MiB used
RTX_4090 = Gpu(
    "nvidia", "nvml", name="NVIDIA GeForce RTX 4090",
    total_bytes=24564 * MEBIBYTE, free_bytes=(24564 - 507) * MEBIBYTE,
)  # fmt: skip
# https://github.com/ggml-org/llama.cpp/issues/1870: an M2 Max with 64 GB
M2_MAX = Gpu("apple", "sysctl", name="Apple M2 Max", total_bytes=64 * GIBIBYTE, unified=True)


def machine(*gpus: Gpu, memory: int = 32 * GIBIBYTE, cpu: Cpu = X86) -> Hardware:
    return Hardware("linux", cpu, Memory(64 * GIBIBYTE, memory), gpus)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shapes")


def info(folder: Path, name: str, quant: str = "Q4_K_M") -> ModelInfo:
    path = folder / f"{name}-{quant}.gguf"
    return gguf.inspect(path if path.exists() else shapes.model(path, name, quant))


def measured(path: Path, contexts: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Bytes by part, as llama.cpp reports them for a real load on the CPU."""
    script = Path(__file__).with_name("measure.py")
    job = json.dumps({"path": str(path), "contexts": contexts})
    done = subprocess.run(
        [sys.executable, str(script), job],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"GGML_NO_BACKTRACE": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, float]] = json.loads(done.stdout)
    return found


def errors(folder: Path, name: str, quant: str, contexts: list[dict[str, Any]]) -> list[str]:
    """The settings for which the formula is off by 10 % or more, with both figures."""
    model = info(folder, name, quant)
    here = hardware.probe()
    wrong = []
    reports = measured(folder / f"{name}-{quant}.gguf", contexts)
    for setting, report in zip(contexts, reports, strict=True):
        result = fit(model, here, gpu_layers=0, **setting)
        total = sum(report.values())
        error = result.total_bytes / total - 1
        if abs(error) >= 0.1:
            wrong.append(f"{name} {setting}: {error:+.1%} of {report}, said {result}")
    return wrong


@pytest.mark.parametrize(("name", "quant"), NAMED)
def test_the_total_is_within_a_tenth_of_what_llama_cpp_allocates(
    folder: Path, name: str, quant: str
) -> None:
    contexts = SETTINGS if "granite" in name else SETTINGS + QUANTIZED
    assert errors(folder, name, quant, contexts) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "quant"),
    [("llama-3.2-1b", "Q4_K_M"), ("qwen3-0.6b", "IQ4_NL"), ("llama-3.1-8b", "Q4_K_M")],
)
def test_the_total_is_within_a_tenth_for_larger_models(
    folder: Path, name: str, quant: str
) -> None:
    assert errors(folder, name, quant, SETTINGS + QUANTIZED) == []


def test_every_part_is_close_not_only_the_sum(folder: Path) -> None:
    model = info(folder, "llama-500m", "Q4_0")
    report = measured(folder / "llama-500m-Q4_0.gguf", [{"outputs": 1}])[0]
    result = fit(model, hardware.probe(), gpu_layers=0, outputs=1)
    said = {
        "weights": result.weights_bytes,
        "kv": result.kv_bytes,
        "compute": result.compute_bytes,
        "output": result.output_bytes,
    }
    for part, size in said.items():
        # llama.cpp prints hundredths of a MiB, and maps no pages after the last plain tensor.
        assert size == pytest.approx(report[part], rel=0.05, abs=MEBIBYTE / 100), part
    assert result.repack_bytes == pytest.approx(report.get("repack", 0), rel=0.05)


@pytest.mark.parametrize(
    ("features", "taken"),
    [
        ((), set()),
        (("avx", "avx2"), {"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"}),
        (("avx2", "avx512f"), {"Q4_0", "Q4_K", "IQ4_NL", "MXFP4", "Q2_K"}),
        (("neon",), set()),
        (("neon", "dotprod"), repack.DOTPROD),
        (("avx2", "avx512f", "avx512_vnni", "amx_int8"), repack.AVX2 | repack.AMX | {"Q2_K"}),
    ],
)
def test_what_is_repacked_depends_on_the_cpu(features: tuple[str, ...], taken: set[str]) -> None:
    assert repack.types(frozenset(features)) == taken


def test_without_mmap_repacked_weights_are_held_once(folder: Path) -> None:
    model = info(folder, "llama-500m")
    mapped, read = (fit(model, machine(), mmap=mmap) for mmap in (True, False))
    assert mapped.repack_bytes > 100 * MEBIBYTE
    assert read.repack_bytes == 0
    assert mapped.total_bytes - read.total_bytes == mapped.repack_bytes
    assert mapped.host_bytes == read.host_bytes


def test_a_sliding_window_bounds_the_cache(folder: Path) -> None:
    model = info(folder, "gemma-3-1b")
    small, large = (fit(model, machine(), context=size) for size in (4096, 32768))
    # Only 4 of 26 layers see everything: two times 256 values of 2 bytes for each token.
    assert large.kv_bytes - small.kv_bytes == 4 * 2 * 256 * 2 * (32768 - 4096)
    everything = replace(model, sliding_window=None)
    assert fit(everything, machine(), context=32768).kv_bytes > 5 * large.kv_bytes


def test_the_files_own_pattern_of_windows_wins(folder: Path) -> None:
    model = info(folder, "gemma-3-1b")
    half = replace(model, sliding_pattern=tuple(i % 2 == 0 for i in range(26)))
    assert fit(half, machine()).kv_bytes > fit(model, machine()).kv_bytes


def test_a_recurrent_state_does_not_grow_with_the_context(folder: Path) -> None:
    model = info(folder, "mamba-130m", "F16")
    small, large = (fit(model, machine(), context=size).kv_bytes for size in (4096, 32768))
    assert small == large > 0
    assert fit(model, machine(), slots=4).kv_bytes == 4 * small


def test_the_whole_model_goes_to_a_gpu_with_room(folder: Path) -> None:
    result = fit(info(folder, "llama-3.1-8b"), machine(RTX_3060))
    assert result.fits
    assert result.gpu_layers == 33
    assert 5 * GIBIBYTE < result.gpu_bytes < 7 * GIBIBYTE
    # What stays behind: the table of token embeddings, and small buffers.
    assert result.host_bytes < GIBIBYTE


def test_layers_are_split_where_the_gpu_is_too_small(folder: Path) -> None:
    model = info(folder, "qwen3-30b-a3b")
    one, two = (fit(model, machine(*gpus)) for gpus in ([RTX_3060], [RTX_3060] * 2))
    assert 20 < one.gpu_layers < 40
    assert one.gpu_bytes <= one.gpu_available_bytes < 12 * GIBIBYTE
    assert one.gpu_layers < two.gpu_layers
    more = fit(model, machine(RTX_3060), gpu_layers=one.gpu_layers + 1)
    assert not more.fits
    assert any("more than the GPU has room for" in reason for reason in more.why)
    assert fit(model, machine(RTX_4090)).gpu_layers == 49


def test_memory_that_is_shared_is_counted_once(folder: Path) -> None:
    apple = Hardware(
        "darwin",
        Cpu("arm64", features=("neon", "dotprod")),
        Memory(64 * GIBIBYTE, 20 * GIBIBYTE),
        (M2_MAX,),
    )
    model = info(folder, "qwen3-30b-a3b")
    assert fit(model, apple).fits
    crowded = replace(apple, memory=Memory(64 * GIBIBYTE, 10 * GIBIBYTE))
    assert not fit(model, crowded).fits


def test_a_limit_that_the_user_set_bounds_metal(folder: Path) -> None:
    model = info(folder, "llama-3.1-8b")
    limited = replace(M2_MAX, limit_bytes=3 * GIBIBYTE)
    result = fit(model, machine(limited))
    assert 0 < result.gpu_layers < 33
    assert result.gpu_bytes <= 3 * GIBIBYTE


def test_a_gpu_without_memory_of_its_own_uses_the_machines(folder: Path) -> None:
    spark = Gpu("nvidia", "nvml", name="NVIDIA GB10", unified=True)
    assert fit(info(folder, "qwen3-30b-a3b"), machine(spark)).gpu_layers == 49


def test_a_gpu_of_unknown_memory_is_not_relied_on(folder: Path) -> None:
    result = fit(info(folder, "llama-500m"), machine(Gpu("amd", "sysfs")))
    assert result.gpu_layers == 0
    assert result.gpu_available_bytes is None


def test_the_largest_context_fits_and_the_next_does_not(folder: Path) -> None:
    model = info(folder, "llama-3.1-8b")
    here = machine(memory=10 * GIBIBYTE)
    largest = fit(model, here).largest_context
    assert largest is not None and 4096 < largest < 131072
    assert largest % 256 == 0
    assert fit(model, here, context=largest).fits
    assert not fit(model, here, context=largest + 256).fits
    quantized = fit(model, here, kv_type="q8_0").largest_context
    assert quantized is not None and quantized > 1.8 * largest


def test_what_does_not_fit_says_both_figures(folder: Path) -> None:
    result = fit(info(folder, "llama-3.1-8b"), machine(memory=2 * GIBIBYTE))
    assert not result.fits
    assert result.largest_context is None
    assert any("do not fit into 2.1 GB" in reason for reason in result.why)
    assert "not even the smallest context fits" in result.why


def test_unknown_memory_is_said_not_guessed(folder: Path) -> None:
    result = fit(info(folder, "llama-500m"), Hardware("linux", X86, Memory()))
    assert result.host_available_bytes is None
    assert any("unknown" in reason for reason in result.why)


def test_the_default_context_is_within_what_was_trained(folder: Path) -> None:
    model = replace(info(folder, "llama-500m"), context_length=2048)
    result = fit(model, machine())
    assert (result.context, result.largest_context) == (2048, 2048)


def test_without_the_account_of_parts_it_is_estimated(folder: Path) -> None:
    known = info(folder, "llama-3.1-8b")
    bare = replace(known, weights={}, layer_bytes=())
    result = fit(bare, machine())
    assert result.total_bytes == pytest.approx(fit(known, machine()).total_bytes, rel=0.1)
    assert any("estimated" in reason for reason in result.why)


def test_a_model_of_unknown_shape_is_refused() -> None:
    with pytest.raises(Unsupported, match="do not say its shape"):
        fit(ModelInfo(Format.ONNX, "llama", name="x"), machine())


def test_an_unknown_kv_type_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="q3_0"):
        fit(info(folder, "llama-500m"), machine(), kv_type="q3_0")
