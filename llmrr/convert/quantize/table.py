"""The types that ``llama_model_quantize`` makes, by the names that people write.

Numbers and default tensor types: ``enum llama_ftype`` of llama.cpp's ``include/llama.h`` and
``llama_ftype_get_default_type`` of ``src/llama-quant.cpp``. Bits per weight of the mixtures are
those of Llama 3.1 8B in ``tools/quantize/README.md``, all others those of a block.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from llmrr.errors import UsageError, nearest
from llmrr.formats.gguf_types import TENSOR_TYPES


@dataclass(frozen=True, slots=True)
class QuantType:
    """``number`` is llama.cpp's ftype, ``tensor`` the type that most weights get, ``bits`` what a
    weight takes on average. ``needs_imatrix``: llama.cpp refuses it without importance matrix."""

    name: str
    number: int
    tensor: str
    bits: float
    needs_imatrix: bool = False


COPY = QuantType("COPY", 0, "F32", 32.0)  # its number and type are not looked at
TYPES: tuple[QuantType, ...] = (
    QuantType("F32", 0, "F32", 32.0),
    QuantType("F16", 1, "F16", 16.0),
    QuantType("BF16", 32, "BF16", 16.0),
    QuantType("Q8_0", 7, "Q8_0", 8.5),
    QuantType("Q6_K", 18, "Q6_K", 6.5633),
    QuantType("Q5_K_M", 17, "Q5_K", 5.7036),
    QuantType("Q5_K_S", 16, "Q5_K", 5.5704),
    QuantType("Q5_1", 9, "Q5_1", 6.0),
    QuantType("Q5_0", 8, "Q5_0", 5.5),
    QuantType("Q4_K_M", 15, "Q4_K", 4.8944),
    QuantType("Q4_K_S", 14, "Q4_K", 4.6672),
    QuantType("Q4_1", 3, "Q4_1", 5.0),
    QuantType("Q4_0", 2, "Q4_0", 4.5),
    QuantType("IQ4_NL", 25, "IQ4_NL", 4.6818),
    QuantType("IQ4_XS", 30, "IQ4_XS", 4.4597),
    QuantType("MXFP4_MOE", 38, "MXFP4", 4.25),
    QuantType("Q3_K_L", 13, "Q3_K", 4.2979),
    QuantType("Q3_K_M", 12, "Q3_K", 3.9960),
    QuantType("Q3_K_S", 11, "Q3_K", 3.6429),
    QuantType("IQ3_M", 27, "IQ3_S", 3.7628),
    QuantType("IQ3_S", 26, "IQ3_S", 3.6606),
    QuantType("IQ3_XS", 22, "IQ3_S", 3.4977, needs_imatrix=True),
    QuantType("IQ3_XXS", 23, "IQ3_XXS", 3.2548, needs_imatrix=True),
    QuantType("Q2_K", 10, "Q2_K", 3.1593),
    QuantType("Q2_K_S", 21, "Q2_K", 2.9697, needs_imatrix=True),
    QuantType("IQ2_M", 29, "IQ2_S", 2.9294, needs_imatrix=True),
    QuantType("IQ2_S", 28, "IQ2_XS", 2.7403, needs_imatrix=True),
    QuantType("IQ2_XS", 20, "IQ2_XS", 2.5882, needs_imatrix=True),
    QuantType("IQ2_XXS", 19, "IQ2_XXS", 2.3824, needs_imatrix=True),
    QuantType("Q2_0", 41, "Q2_0", 2.25),
    QuantType("TQ2_0", 37, "TQ2_0", 2.0625),
    QuantType("IQ1_M", 31, "IQ1_M", 2.1460, needs_imatrix=True),
    QuantType("IQ1_S", 24, "IQ1_S", 2.0042, needs_imatrix=True),
    QuantType("TQ1_0", 36, "TQ1_0", 1.6875),
    QuantType("Q1_0", 40, "Q1_0", 1.125),
    COPY,
)
ALIASES = {
    "Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "MXFP4": "MXFP4_MOE", "FP16": "F16",
    "FP32": "F32", "FLOAT16": "F16", "FLOAT32": "F32", "BFLOAT16": "BF16",
}  # fmt: skip
# What ggml can make of floats (ggml_quantize_chunk in ggml/src/ggml.c), by name and number.
TENSOR_NUMBERS = {
    name: number
    for number, (name, _, _) in TENSOR_TYPES.items()
    if name not in ("Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64")
}
# Of which llama.cpp says that the result is garbage without importance matrix
# (tensor_requires_imatrix in src/llama-quant.cpp); Q2_K besides in a file of the type Q2_K_S.
BLIND_WITHOUT = frozenset({"IQ3_XXS", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ1_M", "IQ1_S"})
NEVER_BLIND = frozenset({"token_embd.weight", "per_layer_token_embd.weight", "output.weight"})
# Which ggml breaks off without one, of whatever tensor (ggml_quantize_requires_imatrix).
IMPOSSIBLE_WITHOUT = frozenset({"IQ2_XXS", "IQ2_XS", "IQ1_S"})


def find(name: str) -> QuantType:
    """The type of this name; letters of either case, an alias.

    Raises ``UsageError`` naming the nearest one.

    >>> find("q4-k-m").name, find("mxfp4").number, find("Q3_K").name
    ('Q4_K_M', 38, 'Q3_K_M')
    """
    plain = name.strip().upper().replace("-", "_")
    wanted = ALIASES.get(plain, plain)
    names = {known.name: known for known in TYPES}
    if wanted in names:
        return names[wanted]
    if wanted in ("", "AUTO"):
        raise UsageError(
            "nothing says which type a GGUF file should be quantized to",
            f"--quant TYPE, one of: {', '.join(names)}",
        )
    raise UsageError(f"{name!r} is no type of GGUF weights", _hint(plain, names, ALIASES))


def tensor_number(name: str, what: str) -> int:
    """ggml's number of a type that a single tensor can get; ``what`` asks for it, for messages."""
    plain = name.strip().upper().replace("-", "_")
    plain = ALIASES.get(plain, plain) if plain.startswith(("F", "BF")) else plain
    if plain in TENSOR_NUMBERS:
        return TENSOR_NUMBERS[plain]
    raise UsageError(f"{what}: {name!r} is no type of a tensor", _hint(plain, TENSOR_NUMBERS))


def is_quantized(tensor_type: str) -> bool:
    """Is this type of a tensor one that lost precision on purpose?"""
    return any(name == tensor_type and block > 1 for name, block, _ in TENSOR_TYPES.values())


def is_blind(tensor: str, tensor_type: str, kind: QuantType) -> bool:
    """Would llama.cpp refuse to make ``tensor`` of this type without importance matrix?"""
    low = tensor_type in BLIND_WITHOUT or (tensor_type == "Q2_K" and kind.name == "Q2_K_S")
    return low and tensor not in NEVER_BLIND


def _hint(plain: str, known: Iterable[str], aliases: Iterable[str] = ()) -> str:
    close = nearest(plain, (*known, *aliases))
    names = ", ".join(known)
    return f"did you mean {close}? The types are: {names}" if close else f"one of: {names}"
