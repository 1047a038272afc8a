"""The sizes of llama.cpp's buffers for tokens and for intermediate results.

They follow llama.cpp as of llama-cpp-python 0.3.36 (src/llama-kv-cache.cpp, llama-context.cpp,
llama-kv-cache-iswa.cpp, llama-memory-recurrent.cpp); those of the compute buffer were read off what
its graph allocator reports for a range of shapes and settings.
"""

from typing import NamedTuple

from llmrr.hardware.shape import Shape

# Bytes per value of what the KV cache may be stored as (block size and bytes in ggml-common.h).
KV_TYPES = {
    "f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32,
    "q4_1": 20 / 32, "q4_0": 18 / 32, "iq4_nl": 18 / 32,
}  # fmt: skip
# llama.cpp rounds the cells of a cache up to this.
CELLS = 256


class Run(NamedTuple):
    """How a model is run: ``batch`` is the ubatch, ``outputs`` how many of its tokens may ask for
    logits (``None``: all)."""

    slots: int
    kv_type: str
    batch: int
    outputs: int | None
    flash_attention: bool


def cells(model: Shape, run: Run, context: int) -> tuple[int, int]:
    """Cells per sequence of the full caches and of the sliding-window ones, which must hold the
    window and the batch that is being added."""
    full = _padded(context)
    batch = min(run.batch, full * run.slots)
    return full, min(full, _padded(model.window + batch))


def kv_bytes(model: Shape, run: Run, context: int, layer: int) -> int:
    """What one layer keeps of the tokens seen: keys and values, or a state of fixed size."""
    state = model.state_bytes * run.slots if layer in model.recurrent_layers else 0
    if layer >= model.kv_layers:
        return state
    full, sliding = cells(model, run, context)
    rows = sliding if layer in model.sliding_layers else full
    width = model.key_widths[layer] + model.value_widths[layer]
    return int(width * KV_TYPES[run.kv_type]) * rows * run.slots + state


def compute_bytes(model: Shape, run: Run, context: int) -> int:
    """The buffer for intermediate results of one batch: the largest of its stages.

    The coefficients are how many tensors of a kind are alive at once at each stage's peak.
    """
    full, sliding = cells(model, run, context)
    tokens = min(run.batch, full * run.slots)
    outputs = min(tokens, run.outputs or tokens)
    hidden = 4 * tokens * model.width
    # Attention masks are f16 for flash attention, else f32; one for each kind of cache.
    mask = tokens * (full + (sliding if model.sliding_layers else 0))
    mask *= 2 if run.flash_attention else 4
    query = 4 * tokens * model.query_width
    keys_values = 4 * tokens * (max(model.key_widths) + max(model.value_widths))
    scores = 0 if run.flash_attention else 4 * tokens * full * model.heads
    attention = mask + scores + 3 * hidden + 2 * query + keys_values
    feed_forward = mask + 4 * tokens * 3 * model.feed_forward + 4 * hidden
    inner = 4 * tokens * model.experts_used * model.expert_feed_forward
    experts = mask + max(3 * inner + 4 * hidden, 2 * inner + 2 * hidden * model.experts_used)
    recurrence = 4 * tokens * 6 * model.state_width + hidden
    logits = 4 * outputs * model.vocabulary + 2 * hidden
    stages = [attention, feed_forward, logits]
    stages += [experts] if model.experts_used else []
    stages += [recurrence] if model.recurrent_layers else []
    return max(stages)


def _padded(tokens: int) -> int:
    return -(-tokens // CELLS) * CELLS
