"""The weights of an ONNX graph as numbers, one at a time, and the nodes that they belong to."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

# What a node of a layer is called: /model/layers.0/self_attn/q_proj/MatMul.
OPERATOR = re.compile(r"/(?:MatMul|Gemm|Gather)(?:_\d+)?(?:_quant|_Q4|_MatMul|_quantized)*$")


class Weight(NamedTuple):
    """A weight: its name, the module whose node has it (dotted; "" where that says nothing), its
    numbers in single precision or as they are, and the step between two numbers that it can hold
    (None where it holds them as they are)."""

    name: str
    module: str
    numbers: Any
    step: Any


def weights(path: Path) -> Iterator[Weight]:
    """Every weight of floating point numbers, packed ones unpacked; scales and the like left out.
    """
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    graphs = list(_graphs(model.graph))
    # A node in a branch may use what stands in the graph around it: names are distinct in all.
    stored = {one.name: one for graph in graphs for one in graph.initializer}
    nodes = [node for graph in graphs for node in graph.node]
    yield from _weights(stored, nodes, path.parent)


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _weights(stored: dict[str, Any], nodes: list[Any], folder: Path) -> Iterator[Weight]:
    from onnx import numpy_helper

    def read(name: str) -> Any:
        return numpy_helper.to_array(stored[name], base_dir=str(folder))

    modules = {name: _module(node.name) for node in nodes for name in node.input if node.name}
    aside: set[str] = set()
    for node in nodes:
        inputs = list(node.input)
        if node.op_type == "MatMulNBits" and inputs[1] not in aside:
            aside.update(inputs[1:])
            yield _unpacked(node, read)
    for name in stored:
        if name.endswith("_quantized") and f"{name[:-10]}_scale" in stored:
            parts = (name, f"{name[:-10]}_scale", f"{name[:-10]}_zero_point")
            aside.update(parts)
            yield _scaled(name[:-10], modules.get(name, ""), [read(part) for part in parts])
    for name, one in stored.items():
        if name not in aside and one.data_type in (1, 10, 11) and one.dims:
            yield Weight(name, modules.get(name, ""), read(name), None)


def _module(node: str) -> str:
    """
    >>> _module("/model/layers.0/self_attn/q_proj/MatMul_Q4"), _module("/Add_3")
    ('model.layers.0.self_attn.q_proj', '')
    """
    found = OPERATOR.search(node)
    return node[: found.start()].strip("/").replace("/", ".") if found else ""


def _unpacked(node: Any, read: Any) -> Weight:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftmatmulnbits"""
    import numpy

    sizes = {one.name: one.i for one in node.attribute}
    rows, columns, block = sizes["N"], sizes["K"], sizes["block_size"]
    blocks = -(-columns // block)
    names = list(node.input)
    packed = _halves(read(names[1]).reshape(rows, blocks, -1))[:, :, :block]
    scales = read(names[2]).reshape(rows, blocks, 1).astype("float32")
    zero: Any = 8.0
    if len(names) > 3 and names[3]:
        zero = _halves(read(names[3]).reshape(rows, -1))[:, :blocks, None].astype("float32")
    numbers = ((packed.astype("float32") - zero) * scales).reshape(rows, -1)[:, :columns]
    steps = numpy.repeat(scales[:, :, 0], block, axis=1)[:, :columns]
    return Weight(names[1].removesuffix("_Q4"), _module(node.name), numbers, abs(steps))


def _halves(packed: Any) -> Any:
    """Two numbers of each byte, the lower half first."""
    import numpy

    return numpy.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1)


def _scaled(name: str, module: str, parts: list[Any]) -> Weight:
    """A tensor of 8 bits with a scale in all, or for each column."""
    quantized, scale, zero = (part.astype("float32") for part in parts)
    return Weight(name, module, (quantized - zero) * scale, abs(scale))
