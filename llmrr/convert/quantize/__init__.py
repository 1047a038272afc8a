"""GGUF to GGUF of another type, through llama.cpp's ``llama_model_quantize``.

llama.cpp runs in a helper process (``process``, ``helper``, ``native``) that cannot outlive this
one. ``table`` knows the types, ``plan`` what they would make of a model, ``imatrix`` importance
matrices, which ``calibrate`` computes; ``verify`` compares the result with its source.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmrr.convert.base import Source, Step, Wish


def step(source: "Source", wish: "Wish") -> "Step":
    """The quantization of ``source``: see ``converter``, which the helper does without."""
    from llmrr.convert.quantize import converter

    return converter.step(source, wish)
