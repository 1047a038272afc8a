"""GGUF to GGUF of another type, through llama.cpp's ``llama_model_quantize``.

llama.cpp runs in a helper process (``process``, ``helper``, ``native``) that cannot outlive this
one. ``table`` knows the types, ``plan`` what they would make of a model, ``imatrix`` importance
matrices, which ``calibrate`` computes; ``verify`` compares the result with its source.
"""

from llmrr.convert.quantize.converter import step

__all__ = ["step"]
