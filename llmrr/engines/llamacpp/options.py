"""What is chosen where an option leaves the choice to the engine."""

from llmrr.engines.base import CONTEXT_AT_LEAST, Options

KV_TYPES = {  # llama.cpp's ggml_type by name
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7,
    "q8_0": 8, "iq4_nl": 20, "bf16": 30,
}  # fmt: skip


# With flash attention a CPU reads a prompt faster, and answers one sequence slower the longer what
# stands before: up to one block of 256 tokens it is ahead, and where the prompt is nearly all.
# (135m, two cores: 0.3 ms gained for a token that is read, 9 ms lost for one after 600 others. A
# step of eight sequences of 500m on one core, with and without: after 100 tokens 92 and 102 ms,
# after 500 127 and 115, after 2,000 236 and 185.)
FLASH_PROMPT = 256
FLASH_PROMPT_SHARE = 32  # prompt tokens per token of the answer

PREFIX_CACHE = 512_000_000  # bytes


def prefix_cache(options: Options) -> int:
    """How many bytes of computed beginnings of prompts are kept beside those that slots hold."""
    if options.prefix_cache is not None:
        return options.prefix_cache
    return PREFIX_CACHE if options.crowded else 0


def flash_attention(
    options: Options, accelerated: bool, prompt_tokens: int, max_tokens: int | None
) -> bool:
    """Whether to use it, where that is not stated. On an accelerator it is faster throughout, and
    llama.cpp demands it for a quantized cache."""
    from llmrr.hardware import needs_flash_attention

    if options.flash_attention != "auto":
        return options.flash_attention == "on"
    if accelerated or needs_flash_attention(options.kv_type):
        return True
    several = options.crowded or options.slots > 1
    if not several and options.at_least > CONTEXT_AT_LEAST:
        return False  # a conversation, which will be long
    mostly_prompt = prompt_tokens >= FLASH_PROMPT_SHARE * (max_tokens or prompt_tokens)
    return prompt_tokens <= FLASH_PROMPT or mostly_prompt
