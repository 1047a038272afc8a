"""What a model knows, and how near it is to another one.

``numbers`` has perplexity and the divergence of two models, from logits alone; ``windows`` cuts a
text for them.
"""

from llmrr.evaluate.numbers import (
    Comparison,
    Divergence,
    DivergenceSum,
    Perplexity,
    PerplexitySum,
    compare,
    divergence,
    perplexity,
)
from llmrr.evaluate.windows import text_tokens, windows

__all__ = [
    "Comparison", "Divergence", "DivergenceSum", "Perplexity", "PerplexitySum", "compare",
    "divergence", "perplexity", "text_tokens", "windows",
]  # fmt: skip
