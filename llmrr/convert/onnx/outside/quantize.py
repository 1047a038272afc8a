"""Graphs with fewer bits, by onnxruntime's own quantizers: int8 computes its matrix products in
integers, with the scales of the activations found as it goes; q4 packs the weights only."""

import logging
from pathlib import Path
from typing import Any

INT8_OPERATORS = ["MatMul", "Gemm", "Gather", "Attention", "EmbedLayerNormalization"]
# How exactly MatMulNBits computes: activations in 8 bits, as onnxruntime-genai has it on CPUs.
# https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
ACCURACY_LEVEL = 4


def quantize(graph: Path, target: Path, quant: str, group: int) -> None:
    """Write ``graph`` as int8, q4 or q4f16 to ``target``."""
    logging.disable(logging.WARNING)
    if quant == "int8":
        _int8(graph, target)
    else:
        _bits4(graph, target, group)


def _int8(graph: Path, target: Path) -> None:
    """https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html"""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from .export import LARGEST_FILE

    size = sum(one.stat().st_size for one in graph.parent.glob(f"{graph.name}*"))
    quantize_dynamic(
        graph, target, op_types_to_quantize=INT8_OPERATORS, per_channel=True,
        weight_type=QuantType.QInt8, use_external_data_format=size // 3 > LARGEST_FILE,
        extra_options={"MatMulConstBOnly": True, "EnableSubgraph": True},
    )  # fmt: skip


def _bits4(graph: Path, target: Path, group: int) -> None:
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.quantization.onnx_model import ONNXModel

    from .export import save

    model = ONNXModel(onnx.load(str(graph)))
    model.replace_gemm_with_matmul()  # as the layers of GPT-2 are; only MatMul is packed
    quantizer = MatMulNBitsQuantizer(
        model.model, bits=4, block_size=group, is_symmetric=False, accuracy_level=ACCURACY_LEVEL
    )
    quantizer.process()
    packed = quantizer.model.model
    _once(packed.graph)
    save(packed, target)


def _once(graph: Any) -> None:
    """A matrix that several nodes share was packed for each of them, under one name."""
    kept = {one.name: one for one in graph.initializer}
    if len(kept) < len(graph.initializer):
        initializers = list(kept.values())
        del graph.initializer[:]
        graph.initializer.extend(initializers)
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else ())):
                _once(inner)
