"""Whether a model fits into a machine, how much of it on a GPU, and with how long a context.

The exact figures for a file at hand are the engine's: this answers before there is a file. A test
compares the sum of the buffers with what llama.cpp reports.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from llmrr.errors import UsageError
from llmrr.hardware import repack
from llmrr.hardware.buffers import CELLS, KV_TYPES, Run, compute_bytes, kv_bytes
from llmrr.hardware.facts import Gpu, Hardware
from llmrr.hardware.shape import Shape, shape
from llmrr.types import ModelInfo

DEFAULT_CONTEXT = 4096
# The driver's own context, kernels and a desktop that wakes up: never given to a model.
GPU_MARGIN = 512 * 1024 * 1024
# Metal's default working set is between this and 84 %, depending on machine and macOS.
UNIFIED_SHARE = 2 / 3
GIGABYTE = 1e9


@dataclass(frozen=True, slots=True)
class Fit:
    """What running a model takes, in bytes by part, and whether that is there.

    ``repack_bytes`` is what llama.cpp copies weights into for faster kernels, beside the mapped
    file. ``host_bytes`` and ``gpu_bytes`` are what must be free in main memory and on the GPUs;
    ``total_bytes`` is the sum of all buffers, which is more: the originals of repacked and
    offloaded weights stay mapped, but the kernel may drop those pages. ``gpu_layers`` counts as
    llama.cpp does, from the last layer, the output being one. ``largest_context`` (tokens per
    sequence) is ``None`` where not even the smallest fits or memory is unknown.
    """

    fits: bool
    context: int
    slots: int
    weights_bytes: int
    repack_bytes: int
    kv_bytes: int
    compute_bytes: int
    output_bytes: int
    host_bytes: int
    gpu_bytes: int
    host_available_bytes: int | None
    gpu_available_bytes: int | None
    gpu_layers: int
    layers: int
    largest_context: int | None
    why: tuple[str, ...]

    @property
    def total_bytes(self) -> int:
        """All buffers together, as llama.cpp reports them."""
        parts = (self.weights_bytes, self.repack_bytes, self.kv_bytes, self.compute_bytes)
        return sum(parts) + self.output_bytes


class _Setting(NamedTuple):
    """What is to be run how, and the room there is."""

    shape: Shape
    run: Run
    mmap: bool
    features: frozenset[str]
    host: int | None
    gpu: int | None
    gpu_count: int
    unified: bool


def fit(
    info: ModelInfo,
    hardware: Hardware,
    *,
    context: int | None = None,
    slots: int = 1,
    kv_type: str = "f16",
    batch: int = 512,
    outputs: int | None = None,
    flash_attention: bool = True,
    gpu_layers: int | Literal["auto"] = "auto",
    mmap: bool = True,
) -> Fit:
    """Weigh a model against a machine.

    ``context`` is per sequence, by default 4,096 tokens or what the model was trained for.
    ``batch`` is llama.cpp's ubatch, ``outputs`` its ``n_outputs_max``: how many tokens of a batch
    may ask for logits (by default all of them). Raises ``Unsupported`` where the model's files do
    not say its shape, ``UsageError`` for an unknown ``kv_type``.
    """
    if kv_type not in KV_TYPES:
        known = ", ".join(KV_TYPES)
        raise UsageError(f"{kv_type!r} is no type of the KV cache.", f"Take one of {known}.")
    gpus = _usable(hardware.gpus)
    setting = _Setting(
        shape=shape(info),
        run=Run(slots, kv_type, batch, outputs, flash_attention),
        mmap=mmap,
        features=frozenset(hardware.cpu.features),
        host=hardware.memory.available_bytes,
        gpu=_gpu_room(gpus, hardware),
        gpu_count=len(gpus),
        unified=any(gpu.unified for gpu in gpus),
    )
    trained = setting.shape.context
    chosen = context or min(DEFAULT_CONTEXT, trained or DEFAULT_CONTEXT)
    result = _weigh(setting, chosen, gpu_layers)
    largest = _largest(lambda tokens: _weigh(setting, tokens, gpu_layers).fits, trained or chosen)
    return replace(result, largest_context=largest, why=tuple(_reasons(setting, result, largest)))


def fit_one(
    info: ModelInfo, hardware: Hardware, *, context: int | None = None, kv_type: str = "f16"
) -> Fit:
    """Weigh a model for one conversation at a time, at its most: flash attention, which takes less,
    is counted with only where a quantized cache demands it. Raises what ``fit`` does."""
    return fit(
        info,
        hardware,
        context=context,
        kv_type=kv_type,
        outputs=1,
        flash_attention=needs_flash_attention(kv_type),
    )


def needs_flash_attention(kv_type: str) -> bool:
    """Whether llama.cpp has no other way with a cache of this type.

    >>> needs_flash_attention("f16"), needs_flash_attention("q8_0")
    (False, True)
    """
    return kv_type not in ("f32", "f16", "bf16")


def _weigh(setting: _Setting, context: int, gpu_layers: int | Literal["auto"]) -> Fit:
    """The bytes by part for one context, with as many layers on the GPU as asked for or fit."""
    model = setting.shape
    everything = len(model.layer_bytes) + 1
    if gpu_layers != "auto":
        return _place(setting, context, min(max(0, gpu_layers), everything))
    if setting.gpu is None:
        return _place(setting, context, 0)
    room = setting.gpu
    on_gpu = _bisect(lambda count: _place(setting, context, count).gpu_bytes <= room, everything)
    return _place(setting, context, on_gpu)


def _place(setting: _Setting, context: int, gpu_layers: int) -> Fit:
    """The bytes by part with ``gpu_layers`` on the GPU."""
    model = setting.shape
    count = len(model.layer_bytes)
    first = max(0, count + 1 - gpu_layers)
    kv = [kv_bytes(model, setting.run, context, layer) for layer in range(count)]
    compute = compute_bytes(model, setting.run, context)
    output = 4 * setting.run.slots * model.vocabulary
    kept = repack.repacked(model, setting.features, first, with_output=gpu_layers == 0)
    on_gpu = sum(model.layer_bytes[first:]) + (model.output_bytes if gpu_layers else 0)
    # Weights on the GPU, and the originals of repacked ones, are read from the file once only.
    copied = min(on_gpu - (model.tied_bytes if gpu_layers else 0) + kept.bytes, model.weights)
    host_compute = compute if gpu_layers <= count else 4 * setting.run.batch * model.width
    gpu_compute = compute * max(1, setting.gpu_count) if gpu_layers else 0
    host = model.weights - copied + kept.bytes + kept.extra + sum(kv[:first]) + host_compute
    host += output
    gpu = on_gpu + sum(kv[first:]) + gpu_compute
    enough_gpu = not gpu_layers or (setting.gpu is not None and gpu <= setting.gpu)
    both = host + (gpu if setting.unified else 0)
    enough_host = setting.host is None or both <= setting.host
    return Fit(
        fits=enough_gpu and enough_host,
        context=context,
        slots=setting.run.slots,
        weights_bytes=model.weights + (model.tied_bytes if gpu_layers else 0),
        repack_bytes=(kept.bytes if setting.mmap else 0) + kept.extra,
        kv_bytes=sum(kv),
        compute_bytes=host_compute + gpu_compute,
        output_bytes=output,
        host_bytes=host,
        gpu_bytes=gpu,
        host_available_bytes=setting.host,
        gpu_available_bytes=setting.gpu,
        gpu_layers=gpu_layers,
        layers=count,
        largest_context=None,
        why=(),
    )


def _largest(fits: Callable[[int], bool], limit: int) -> int | None:
    """The largest context up to ``limit`` that fits, in whole cells; ``None`` if none does.

    >>> _largest(lambda tokens: tokens <= 1000, 4096), _largest(lambda tokens: False, 4096)
    (768, None)
    """
    if fits(limit):
        return limit
    return _bisect(lambda count: fits(count * CELLS), limit // CELLS) * CELLS or None


def _bisect(holds: Callable[[int], bool], most: int) -> int:
    """The largest number from 0 to ``most`` for which it holds; 0 is taken to."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _usable(gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """The GPUs to split over: those of the first one's maker whose memory is known."""
    known = [gpu for gpu in gpus if gpu.unified or gpu.free_bytes]
    return tuple(gpu for gpu in known if gpu.vendor == known[0].vendor)


def _gpu_room(gpus: tuple[Gpu, ...], hardware: Hardware) -> int | None:
    """Bytes that may be put on the GPUs; ``None`` without one."""
    if not gpus:
        return None
    room = 0
    for gpu in gpus:
        if gpu.unified:
            share = UNIFIED_SHARE if gpu.vendor == "apple" else 1
            total = gpu.total_bytes or hardware.memory.total_bytes or 0
            limit = gpu.limit_bytes or int(share * total)
            room += min(limit, hardware.memory.available_bytes or limit)
        else:
            room += max(0, (gpu.free_bytes or 0) - GPU_MARGIN)
    return room


def _reasons(setting: _Setting, result: Fit, largest: int | None) -> Iterator[str]:
    """What decided, a clause each."""
    model = setting.shape
    need = result.host_bytes + (result.gpu_bytes if setting.unified else 0)
    if setting.host is None:
        yield f"it needs {_size(need)} of memory; how much is free is unknown"
    else:
        relation = "fit into" if need <= setting.host else "do not fit into"
        yield f"{_size(need)} {relation} {_size(setting.host)} of free memory"
    if setting.gpu is None:
        yield "no GPU whose memory is known: it runs on the CPU"
    elif result.gpu_layers > result.layers:
        yield f"all layers fit on the GPU: {_size(result.gpu_bytes)} of {_size(setting.gpu)}"
    else:
        yield (
            f"{result.gpu_layers} of {result.layers + 1} layers go to the GPU: "
            f"{_size(result.gpu_bytes)} of {_size(setting.gpu)}"
        )
    if result.gpu_layers and setting.gpu is not None and result.gpu_bytes > setting.gpu:
        yield "the layers asked for are more than the GPU has room for"
    if result.repack_bytes:
        yield f"{_size(result.repack_bytes)} of weights are copied into the CPU's own layout"
    if largest is None:
        yield "not even the smallest context fits"
    elif model.context and largest < model.context:
        yield f"the context can grow to {largest} of {model.context} tokens"
    if model.context and result.context > model.context:
        yield f"it was trained with {model.context} tokens of context, and no more"
    if model.guessed:
        yield "how the weights are spread over the layers is estimated"


def _size(count: int) -> str:
    return f"{count / GIGABYTE:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
