"""What is chosen where an option leaves the choice to the engine."""

from llmrr.engines.base import CONTEXT_AT_LEAST, Options

KV_TYPES = {  # llama.cpp's ggml_type by name
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7,
    "q8_0": 8, "iq4_nl": 20, "bf16": 30,
}  # fmt: skip


def flash_attention(options: Options, slots: int, accelerated: bool) -> bool:
    """Whether to use it, where that is not stated. On a CPU it reads a prompt faster and answers
    slower, the more so the longer the context and the more sequences there are; on an accelerator
    it is faster throughout. llama.cpp demands it for a quantized cache."""
    if options.flash_attention != "auto":
        return options.flash_attention == "on"
    short = slots == 1 and options.at_least <= CONTEXT_AT_LEAST
    return short or accelerated or options.kv_type not in ("f32", "f16", "bf16")
