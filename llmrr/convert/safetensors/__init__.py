"""To safetensors: from the pickles of PyTorch, and from GGUF."""

from llmrr.convert.base import Source, Step, Wish
from llmrr.errors import UsageError
from llmrr.types import Format


def step(source: Source, wish: Wish) -> Step:
    """Plan it. Raises ``Unsupported`` for what the allow-list of the reader does not have, and
    ``UsageError`` for a quantization."""
    if wish.quant.lower() not in ("auto", "f32", "f16", "bf16"):
        raise UsageError(
            f"safetensors are not quantized here, as {wish.quant} asks", "--to gguf or --to mlx"
        )
    if source.info.format is Format.GGUF:
        from llmrr.convert.safetensors import from_gguf

        return from_gguf.step(source, wish)
    from llmrr.convert.safetensors import from_pickle

    return from_pickle.step(source, wish)
