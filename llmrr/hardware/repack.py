"""Which weights llama.cpp copies into another layout on which CPU.

Source: ggml_repack_get_optimal_repack_type in ggml/src/ggml-cpu/repack.cpp, and supports_op in
ggml/src/ggml-cpu/amx/amx.cpp. A tensor is taken if it is multiplied with (not looked up in) and its
rows come in groups of eight. What the CPU can is what counts, as the package is compiled where it
is installed.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from llmrr.hardware.shape import Shape

ROWS = 8
AVX2 = frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"})
DOTPROD = frozenset(
    {"Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "IQ4_NL", "MXFP4", "Q1_0"}
)
AMX = frozenset({"Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"})


class Repacked(NamedTuple):
    """``bytes`` of weights that lie in the file too, ``extra`` of the input table that is packed
    again as output and stays in use as it was."""

    bytes: int
    extra: int


def types(features: frozenset[str]) -> frozenset[str]:
    """The quantizations that are repacked on a CPU with these instruction sets.

    >>> sorted(types(frozenset({"avx2"})))
    ['IQ4_NL', 'MXFP4', 'Q4_0', 'Q4_K']
    """
    found: frozenset[str] = frozenset()
    if "avx2" in features:
        found |= AVX2
    if "avx512f" in features:
        found |= {"Q2_K"}
    if {"neon", "dotprod"} <= features:
        found |= DOTPROD
    if {"amx_int8", "avx512_vnni"} <= features:
        found |= AMX
    return found


def repacked(
    model: "Shape", features: frozenset[str], cpu_layers: int, *, with_output: bool
) -> Repacked:
    """What is repacked of the first ``cpu_layers`` layers and, if it is on the CPU, the output."""
    chosen = types(features)
    whole = sum(size for name, size in model.layer_types.items() if name.upper() in chosen)
    share = sum(model.layer_bytes[:cpu_layers]) / max(1, sum(model.layer_bytes))
    from_layers = int(whole * min(1.0, share))
    if not with_output or model.vocabulary % ROWS:
        return Repacked(from_layers, 0)
    output = sum(size for name, size in model.output_types.items() if name.upper() in chosen)
    tied = sum(size for name, size in model.input_types.items() if name.upper() in chosen)
    return Repacked(from_layers + output, tied if model.tied_bytes else 0)
